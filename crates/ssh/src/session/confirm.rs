//! Looking at files that are expected to be what they were.

use engine::ports::device::{ConfirmResult, DeviceFailure, Inspection};
use model::{Digest, Identity, RelativePath, SourcePath, Timestamp};
use sha2::{Digest as _, Sha256};

use super::SshSession;
use super::inspect::{endless_open_files, next_record, portions};
use crate::facts::Dialect;
use crate::lane::{LaneError, Lanes, Lease};
use crate::naming::Naming;
use crate::open_files::{Login, OpenFiles, asked};
use crate::records::Record;

/// Of fewer files, which are told in some kilobytes, the device is spared the tool that digests.
const MIN_FILES: usize = 32;

/// A file with its path on the device.
type Named = (Vec<u8>, Identity);

impl SshSession {
    /// Asks the device for one digest of all their identities. Only where that is another than it should be, they are told one by one.
    ///
    /// Each file is looked at twice after it was withdrawn: of 10,000 small ones that was 1.9 MB of names and numbers.
    pub(super) async fn confirm_all(
        &self,
        source: &SourcePath,
        files: &[(RelativePath, Identity)],
    ) -> Result<Vec<ConfirmResult>, DeviceFailure> {
        let can_be_together = self.dialect == Dialect::Gnu
            && self.abilities.digests
            && files.len() >= MIN_FILES
            && files.iter().all(|(_, identity)| identity.is_complete());
        if let Some(lanes) = self.shell().filter(|_| can_be_together) {
            let named: Vec<Named> = files
                .iter()
                .map(|(path, identity)| (Self::path(source, path), *identity))
                .collect();
            match confirm_together(lanes, &named, self.login).await {
                Ok(Some(confirmed)) => return Ok(confirmed),
                Ok(None) => {}
                Err(error) => return Err(self.lane_lost(error).await),
            }
        }
        self.confirm_each(source, files).await
    }

    async fn confirm_each(
        &self,
        source: &SourcePath,
        files: &[(RelativePath, Identity)],
    ) -> Result<Vec<ConfirmResult>, DeviceFailure> {
        let paths: Vec<_> = files.iter().map(|(path, _)| path.clone()).collect();
        let looked = self.look_at(source, &paths).await?.into_iter().zip(files);
        let confirmed = looked.map(|(looked, (_, identity))| Ok(looked?.against(*identity)));
        Ok(confirmed.collect())
    }
}

/// What the device says of files that are what they were, but perhaps open; `None` where one of them is not.
async fn confirm_together(
    lanes: &Lanes,
    files: &[Named],
    login: Login,
) -> Result<Option<Vec<ConfirmResult>>, LaneError> {
    let mut lane = lanes.lease().await?;
    let mut confirmed = Vec::with_capacity(files.len());
    let mut identities = files.iter().map(|(_, identity)| *identity);
    for names in portions(files.iter().map(|(name, _)| name.clone())) {
        let naming = Naming::of(names.iter().map(Vec::as_slice));
        let arguments = naming.arguments(names.iter().map(Vec::as_slice));
        lane.ask_about("confirm", &naming, &arguments).await?;
        let (open_files, digest) = hear_digest(&mut lane).await?;
        let mut expected = Sha256::new();
        for ((position, name), identity) in names.iter().enumerate().zip(identities.by_ref()) {
            expected.update(told(&naming.name(name), identity));
            let openness = asked(&open_files, position, numbers(identity), login);
            confirmed.push(Ok(Inspection { identity, openness }.against(identity)));
        }
        if digest != Some(Digest::from_bytes(expected.finalize().into())) {
            lane.put_back();
            return Ok(None);
        }
    }
    lane.put_back();
    Ok(Some(confirmed))
}

async fn hear_digest(lane: &mut Lease<'_>) -> Result<(OpenFiles, Option<Digest>), LaneError> {
    let (mut open_files, mut digest) = (OpenFiles::default(), None);
    loop {
        let record = next_record(lane, Dialect::Gnu).await?;
        if open_files.take(&record) {
            if open_files.is_endless() {
                return Err(endless_open_files());
            }
            continue;
        }
        match record {
            Record::Digest(told) if digest.is_none() => digest = Some(told),
            Record::End => return Ok((open_files, digest.flatten())),
            _ => return Err(LaneError::Nonsense("an answer to another question".to_owned())),
        }
    }
}

/// What stat says of a file with this identity, in the script's words. Where it would say it in others, as of times before 1970, the digests
/// differ, and the files are looked at one by one.
fn told(name: &[u8], identity: Identity) -> Vec<u8> {
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

/// Those of its device and inode: the identities here are complete.
fn numbers(identity: Identity) -> (u64, u64) {
    identity.device_number.zip(identity.inode).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_told_as_stat_tells_it() {
        let identity = Identity {
            device_number: Some(65024),
            inode: Some(7),
            size: 20480,
            modified: Timestamp::from_nanoseconds(1_795_370_892_000_000_005),
            changed: Some(Timestamp::from_nanoseconds(1_795_370_893_120_000_000)),
        };
        assert_eq!(
            told(b"./a b", identity),
            b"65024 7 20480 1795370892.000000005 1795370893.120000000 ./a b\0"
        );
    }
}
