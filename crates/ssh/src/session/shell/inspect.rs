//! Inspects files by the script: first which of them are open, and only then their identities.

use engine::ports::device::{EntryKind, InspectResult, Inspection};
use model::{RelativePath, SourcePath, Timestamp};

use super::ShellFiles;
use super::requests::{
    beginning_of, endless_open_files, misplaced_reply, next_record, portions, request_about,
};
use crate::open_files::{OpenFiles, requested_openness};
use crate::records::{Record, Status};
use crate::request_paths::RequestPaths;
use crate::script::device_path;
use crate::session::sftp::not_a_file;
use crate::shell_channel::{PooledChannel, ShellError};

/// `None` for a file that the script does not see.
pub(super) async fn inspect(
    shell: &ShellFiles,
    source: &SourcePath,
    paths: &[RelativePath],
) -> Result<Vec<Option<InspectResult>>, ShellError> {
    let (mut channel, mut seen) = (shell.pool.acquire().await?, Vec::with_capacity(paths.len()));
    for names in portions(paths.iter().map(|path| device_path(source, path))) {
        let request_paths = request_inspect(&mut channel, &names).await?;
        seen.extend(read_inspections(shell, &mut channel, &request_paths, &names).await?);
    }
    channel.put_back();
    Ok(seen)
}

/// When the entry was last modified; `None` if the shell sees none.
pub(super) async fn modified(shell: &ShellFiles, path: &[u8]) -> Result<Option<Timestamp>, ShellError> {
    let mut channel = shell.pool.acquire().await?;
    request_inspect(&mut channel, &[path.to_vec()]).await?;
    let (mut open_files, mut modified) = (OpenFiles::default(), None);
    loop {
        let record = next_record(&mut channel, shell.dialect).await?;
        if open_files.add(&record) {
            if open_files.is_endless() {
                return Err(endless_open_files());
            }
            continue;
        }
        match record {
            Record::Status(status) if modified.is_none() => modified = Some(status.identity.modified),
            Record::End => break,
            Record::Status(status) => return Err(ShellError::Unexpected(beginning_of(&status.name))),
            _ => return Err(misplaced_reply()),
        }
    }
    channel.put_back();
    Ok(modified)
}

/// Requests an inspection. The whole reply must be read before anything else is sent: it can exceed the pipe,
/// and the device stops reading while its output blocks.
pub(super) async fn request_inspect(
    channel: &mut PooledChannel<'_>,
    names: &[Vec<u8>],
) -> Result<RequestPaths, ShellError> {
    request_about(channel, "inspect", names.iter().map(Vec::as_slice)).await
}

/// The script's result for each requested name; `None` where it reports nothing.
pub(super) async fn read_inspections(
    shell: &ShellFiles,
    channel: &mut PooledChannel<'_>,
    request_paths: &RequestPaths,
    names: &[Vec<u8>],
) -> Result<Vec<Option<InspectResult>>, ShellError> {
    let mut open_files = OpenFiles::default();
    let mut seen = Vec::with_capacity(names.len());
    loop {
        let record = next_record(channel, shell.dialect).await?;
        if open_files.add(&record) {
            if open_files.is_endless() {
                return Err(endless_open_files());
            }
            continue;
        }
        match record {
            Record::Status(status) => {
                // Missing files are skipped; the order is kept.
                let position = names
                    .iter()
                    .skip(seen.len())
                    .position(|name| request_paths.matches(&status.name, name))
                    .ok_or_else(|| ShellError::Unexpected(beginning_of(&status.name)))?;
                seen.extend(std::iter::repeat_with(|| None).take(position));
                seen.push(Some(inspection(shell, &open_files, seen.len(), &status)));
            }
            Record::End => break,
            _ => return Err(misplaced_reply()),
        }
    }
    seen.resize_with(names.len(), || None);
    Ok(seen)
}

fn inspection(shell: &ShellFiles, open_files: &OpenFiles, position: usize, status: &Status) -> InspectResult {
    if status.kind != EntryKind::File {
        return Err(not_a_file());
    }
    Ok(Inspection {
        identity: shell.identity(status),
        openness: requested_openness(
            open_files,
            position,
            status.device_number,
            status.inode,
            shell.login,
        ),
    })
}
