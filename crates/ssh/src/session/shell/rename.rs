//! Renames files by the script and inspects them under their new names: both are requested together, and
//! answered within one round trip.

use bytes::Buf;
use engine::ports::device::{DeviceFailure, FileFault, FileFaultKind, InspectResult, Move};
use model::{RelativePath, SourcePath};

use super::ShellFiles;
use super::inspect::{read_inspections, request_inspect};
use super::requests::{beginning_of, portions, request_about};
use crate::script::device_path;
use crate::session::files::{Renamed, complete, leave_all};
use crate::shell_channel::{PooledChannel, ShellError};

/// The most renames in one request.
const MAX_MOVES: usize = 1024;

/// The replies of the device about some renames.
struct Replies {
    renames: Vec<RenameReply>,
    /// What is seen under the new names.
    seen: Vec<Option<InspectResult>>,
}

/// Renames many files by one command, as rename(2) does, into folders that the script makes if they are
/// missing. `None` for a file that was not renamed.
pub(super) async fn rename(
    shell: &ShellFiles,
    source: &SourcePath,
    moves: &[Move],
    required_folder: Option<&RelativePath>,
) -> Result<Vec<Option<Renamed>>, DeviceFailure> {
    let names = |step: &Move| [&step.from, &step.to].map(|path| device_path(source, path));
    let names: Vec<[Vec<u8>; 2]> = moves.iter().map(names).collect();
    let required_folder = required_folder.map(|folder| device_path(source, folder));
    let requested = request_renames(shell, &names, required_folder.as_ref());
    let mut replies = shell.run(requested).await?;
    // A perl that was killed may have renamed a file without reporting it. To rename it once more would
    // replace it with the file that has the old name by now. Nothing else uses the new names, so a file
    // found under one was renamed.
    let is_unclear = |reply: &RenameReply, inspected: &Option<InspectResult>| {
        matches!(reply, RenameReply::Renamed | RenameReply::Unknown) && inspected.is_none()
    };
    let unclear = moves.iter().zip(replies.renames.iter().zip(&replies.seen));
    let unclear = unclear.filter(|(_, (reply, inspected))| is_unclear(reply, inspected));
    let targets: Vec<RelativePath> = unclear.map(|(step, _)| step.to.clone()).collect();
    let reasons = async |left: Vec<RelativePath>| shell.sftp.reasons_unseen(source, &left).await;
    let reasons = complete(&targets, leave_all(targets.len()), reasons).await?;
    let mut reasons = reasons.into_iter();
    let is_missing =
        |reason: &InspectResult| matches!(reason, Err(fault) if fault.kind == FileFaultKind::Missing);
    let renamed = |inspected| Ok(Some(inspected));
    let of_each = replies
        .renames
        .iter()
        .zip(&mut replies.seen)
        .map(|(reply, inspected)| match reply {
            RenameReply::Refused => None,
            RenameReply::Open => Some(Err(is_open())),
            RenameReply::Renamed => inspected.take().or_else(|| reasons.next()).map(renamed),
            RenameReply::Unknown => {
                let inspected = inspected.take().or_else(|| reasons.next());
                inspected.filter(|inspected| !is_missing(inspected)).map(renamed)
            }
        });
    Ok(of_each.collect())
}

/// The replies to the renames, and the inspections under the new names. Nothing is renamed unless the
/// required folder exists.
async fn request_renames(
    shell: &ShellFiles,
    names: &[[Vec<u8>; 2]],
    required_folder: Option<&Vec<u8>>,
) -> Result<Replies, ShellError> {
    let mut channel = shell.pool.acquire().await?;
    for chunk in names.chunks(MAX_MOVES) {
        let first = required_folder.into_iter().flat_map(|folder| [folder, folder]);
        let paths = first.chain(chunk.iter().flatten()).map(Vec::as_slice);
        request_about(&mut channel, "rename", paths).await?;
    }
    let mut targets = portions(names.iter().map(|[_, to]| to.clone())).into_iter();
    let mut pending = match targets.next() {
        // The reply to a rename is one byte, so the device never blocks before it reads this request.
        Some(first) => Some((request_inspect(&mut channel, &first).await?, first)),
        None => None,
    };
    let mut renames = Vec::with_capacity(names.len());
    for chunk in names.chunks(MAX_MOVES) {
        renames.extend(read_rename_replies(&mut channel, chunk.len(), required_folder.is_some()).await?);
    }
    let mut seen = Vec::with_capacity(names.len());
    while let Some((request_paths, chunk)) = pending.take() {
        seen.extend(read_inspections(shell, &mut channel, &request_paths, &chunk).await?);
        if let Some(next) = targets.next() {
            pending = Some((request_inspect(&mut channel, &next).await?, next));
        }
    }
    channel.put_back();
    Ok(Replies { renames, seen })
}

/// The device's reply to a rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RenameReply {
    Renamed,
    Refused,
    /// The file is open, and was not renamed.
    Open,
    /// A perl that was killed has sent no reply.
    Unknown,
}

/// One byte for each rename of a request.
async fn read_rename_replies(
    channel: &mut PooledChannel<'_>,
    count: usize,
    is_on_trial: bool,
) -> Result<Vec<RenameReply>, ShellError> {
    let end = format!("\n{}\n", channel.tag());
    let mut answer = channel.read_until(end.as_bytes()).await?;
    if is_on_trial && !answer.is_empty() {
        // The first byte says that the folder exists.
        answer.advance(1);
    }
    if answer.len() > count {
        return Err(ShellError::Unexpected(beginning_of(&answer)));
    }
    let replies = answer.iter().map(|reply| match reply {
        b'1' => RenameReply::Renamed,
        b'o' => RenameReply::Open,
        _ => RenameReply::Refused,
    });
    Ok(replies
        .chain(std::iter::repeat(RenameReply::Unknown))
        .take(count)
        .collect())
}

fn is_open() -> FileFault {
    FileFault {
        kind: FileFaultKind::Open,
        message: "rename: a program has it open for writing".to_owned(),
    }
}
