//! Removes files by one command for many.

use engine::ports::device::FileFault;
use model::{RelativePath, SourcePath};

use super::ShellFiles;
use super::requests::{portions, request_about};
use crate::script::device_path;
use crate::session::files::{Removal, leave_all};
use crate::shell_channel::ShellError;

/// Removes files by one command for many, then the folders. Leaves all of them if a file is not gone: SFTP
/// has a reason for each.
pub(super) async fn remove(
    shell: &ShellFiles,
    source: &SourcePath,
    removals: &[Removal],
) -> Result<Vec<Option<Result<(), FileFault>>>, ShellError> {
    let files = removals.iter().filter_map(|removal| match removal {
        Removal::File(path) => Some(path),
        Removal::Folder(_) => None,
    });
    let folders = removals.iter().filter_map(|removal| match removal {
        Removal::Folder(path) => Some(path),
        Removal::File(_) => None,
    });
    let mut requests = requests_for("remove", source, files);
    requests.extend(requests_for("rmdir", source, folders));
    let mut channel = shell.pool.acquire().await?;
    let end = format!("\n{}\n", channel.tag());
    // All requests are sent before the replies are read: each reply is one word, and never blocks the device.
    for (verb, names) in &requests {
        request_about(&mut channel, verb, names.iter().map(Vec::as_slice)).await?;
    }
    let mut are_gone = true;
    for (verb, _) in &requests {
        let answer = channel.read_until(end.as_bytes()).await?;
        are_gone &= *verb == "rmdir" || answer == b"gone\n".as_slice();
    }
    channel.put_back();
    Ok(if are_gone {
        removals.iter().map(|_| Some(Ok(()))).collect()
    } else {
        leave_all(removals.len())
    })
}

/// The verb of a request, with the names in it.
type Request = (&'static str, Vec<Vec<u8>>);

fn requests_for<'a>(
    verb: &'static str,
    source: &SourcePath,
    paths: impl Iterator<Item = &'a RelativePath>,
) -> Vec<Request> {
    let names = portions(paths.map(|path| device_path(source, path)));
    names.into_iter().map(|names| (verb, names)).collect()
}
