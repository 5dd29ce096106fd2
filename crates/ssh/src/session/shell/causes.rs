//! Why the device refuses a rename. SFTP has one status for an unwritable folder, for a file that the sticky
//! bit protects, and for an immutable file. Each has its own remedy.

use engine::ports::device::FileFaultKind;
use model::{RelativePath, SourcePath};

use super::ShellFiles;
use super::requests::{beginning_of, portions, request_about};
use crate::script::device_path;
use crate::shell_channel::ShellError;

/// `None` where the cause is unknown.
pub(super) async fn causes(
    shell: &ShellFiles,
    source: &SourcePath,
    paths: &[RelativePath],
) -> Result<Vec<Option<FileFaultKind>>, ShellError> {
    let mut channel = shell.pool.acquire().await?;
    let end = format!("\n{}\n", channel.tag());
    let mut causes = Vec::with_capacity(paths.len());
    for names in portions(paths.iter().map(|path| device_path(source, path))) {
        request_about(&mut channel, "causes", names.iter().map(Vec::as_slice)).await?;
        let answer = channel.read_until(end.as_bytes()).await?;
        if answer.len() > names.len() {
            return Err(ShellError::Unexpected(beginning_of(&answer)));
        }
        let replies = answer.iter().map(|letter| cause(*letter));
        // A perl that was killed has sent fewer replies.
        causes.extend(replies.chain(std::iter::repeat(None)).take(names.len()));
    }
    channel.put_back();
    Ok(causes)
}

fn cause(letter: u8) -> Option<FileFaultKind> {
    match letter {
        b'i' => Some(FileFaultKind::Immutable),
        b't' => Some(FileFaultKind::Sticky),
        b'w' => Some(FileFaultKind::FolderUnwritable),
        _ => None,
    }
}
