//! Checks by the script that files are unchanged.

use engine::ports::device::{ConfirmResult, Inspection};
use model::{Digest, Identity, RelativePath, SourcePath, Timestamp};
use sha2::{Digest as _, Sha256};

use super::ShellFiles;
use super::requests::{endless_open_files, misplaced_reply, next_record, portions, request_about};
use crate::facts::Dialect;
use crate::open_files::{Login, OpenFiles, requested_openness};
use crate::records::Record;
use crate::script::device_path;
use crate::session::files::leave_all;
use crate::shell_channel::{PooledChannel, ShellError, ShellPool};

/// For fewer files, whose identities take a few kilobytes, the device need not start its digest tool.
const MIN_FILES: usize = 32;

/// A file with its path on the device.
type Named = (Vec<u8>, Identity);

/// Requests one digest of all the identities. Leaves all files if it is not the expected one.
///
/// Each file is inspected twice after it was withdrawn: for 10,000 small files that took 1.9 MB of names and
/// numbers.
pub(super) async fn confirm(
    shell: &ShellFiles,
    source: &SourcePath,
    files: &[(RelativePath, Identity)],
) -> Result<Vec<Option<ConfirmResult>>, ShellError> {
    let can_be_together = shell.dialect == Dialect::Gnu
        && shell.digests
        && files.len() >= MIN_FILES
        && files.iter().all(|(_, identity)| identity.is_complete());
    if !can_be_together {
        return Ok(leave_all(files.len()));
    }
    let named: Vec<Named> = files
        .iter()
        .map(|(path, identity)| (device_path(source, path), *identity))
        .collect();
    let confirmed = confirm_together(&shell.pool, &named, shell.login).await?;
    Ok(match confirmed {
        Some(confirmed) => confirmed.into_iter().map(Some).collect(),
        None => leave_all(files.len()),
    })
}

/// Whether the files, all unchanged, are open; `None` if one of them has changed.
async fn confirm_together(
    pool: &ShellPool,
    files: &[Named],
    login: Login,
) -> Result<Option<Vec<ConfirmResult>>, ShellError> {
    let mut channel = pool.acquire().await?;
    let mut confirmed = Vec::with_capacity(files.len());
    let mut identities = files.iter().map(|(_, identity)| *identity);
    for names in portions(files.iter().map(|(name, _)| name.clone())) {
        let request_paths = request_about(&mut channel, "confirm", names.iter().map(Vec::as_slice)).await?;
        let (open_files, digest) = read_digest(&mut channel).await?;
        let mut expected = Sha256::new();
        for ((position, name), identity) in names.iter().enumerate().zip(identities.by_ref()) {
            expected.update(stat_line(&request_paths.name(name), identity));
            let (device_number, inode) = numbers(identity);
            let openness = requested_openness(&open_files, position, device_number, inode, login);
            confirmed.push(Ok(Inspection { identity, openness }.against(identity)));
        }
        if digest != Some(Digest::from_bytes(expected.finalize().into())) {
            channel.put_back();
            return Ok(None);
        }
    }
    channel.put_back();
    Ok(Some(confirmed))
}

async fn read_digest(channel: &mut PooledChannel<'_>) -> Result<(OpenFiles, Option<Digest>), ShellError> {
    let (mut open_files, mut digest) = (OpenFiles::default(), None);
    loop {
        let record = next_record(channel, Dialect::Gnu).await?;
        if open_files.add(&record) {
            if open_files.is_endless() {
                return Err(endless_open_files());
            }
            continue;
        }
        match record {
            Record::Digest(found) if digest.is_none() => digest = Some(found),
            Record::End => return Ok((open_files, digest.flatten())),
            _ => return Err(misplaced_reply()),
        }
    }
}

/// stat's output for a file with this identity, in the script's format. Where stat prints something else, as
/// for times before 1970, the digests differ, and the files are inspected one by one.
fn stat_line(name: &[u8], identity: Identity) -> Vec<u8> {
    let number = Option::unwrap_or_default;
    let time = |time: Option<Timestamp>| {
        let time = time.unwrap_or(Timestamp::EPOCH);
        format!("{}.{:09}", time.seconds(), time.subsecond_nanoseconds())
    };
    let head = format!(
        "{} {} {} {} {} ",
        number(identity.device_number),
        number(identity.inode),
        identity.size,
        time(Some(identity.modified)),
        time(identity.changed),
    );
    [head.as_bytes(), name, b"\0"].concat()
}

/// Device number and inode. Identities are complete here.
fn numbers(identity: Identity) -> (u64, u64) {
    identity.device_number.zip(identity.inode).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_formatted_as_stat_prints_it() {
        let identity = Identity {
            device_number: Some(65024),
            inode: Some(7),
            size: 20480,
            modified: Timestamp::from_nanoseconds(1_795_370_892_000_000_005),
            changed: Some(Timestamp::from_nanoseconds(1_795_370_893_120_000_000)),
        };
        assert_eq!(
            stat_line(b"./a b", identity),
            b"65024 7 20480 1795370892.000000005 1795370893.120000000 ./a b\0"
        );
    }
}
