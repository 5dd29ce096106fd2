//! Inspects files: first which of them are open, and only then their identities.

use engine::ports::device::{DeviceFailure, FileFault, FileFaultKind, InspectResult, Inspection, Openness};
use model::{Identity, RelativePath, SourcePath, Timestamp};

use super::SshSession;
use super::fault::fault;
use crate::facts::Dialect;
use crate::open_files::{OpenFiles, requested_openness};
use crate::pipeline::in_order;
use crate::records::{Record, Status, kind_of_mode, without_fine_identity};
use crate::request_paths::RequestPaths;
use crate::shell_channel::{PooledChannel, ShellError};

/// The most bytes of names in one request. The device reads them whole.
const MAX_NAME_BYTES: usize = 256 * 1024;

impl SshSession {
    pub(super) async fn inspect_all(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<InspectResult>, DeviceFailure> {
        let Some(pool) = self.shell() else {
            return self.inspect_by_sftp(source, paths).await;
        };
        let names: Vec<_> = paths.iter().map(|path| Self::path(source, path)).collect();
        let seen = async {
            let (mut channel, mut seen) = (pool.acquire().await?, Vec::with_capacity(names.len()));
            for names in portions(names.iter().cloned()) {
                let request_paths = request_inspect(&mut channel, &names).await?;
                seen.extend(
                    self.read_inspections(&mut channel, &request_paths, &names)
                        .await?,
                );
            }
            channel.put_back();
            Ok(seen)
        };
        match seen.await {
            Ok(seen) => self.with_reasons(&names, seen).await,
            Err(error) => Err(self.shell_lost(error).await),
        }
    }

    /// The script's result for each name; where there is none, the reason.
    async fn with_reasons(
        &self,
        names: &[Vec<u8>],
        seen: Vec<Option<InspectResult>>,
    ) -> Result<Vec<InspectResult>, DeviceFailure> {
        let unseen = names
            .iter()
            .zip(&seen)
            .filter(|(_, inspected)| inspected.is_none());
        let unseen: Vec<_> = unseen.map(|(name, _)| name.clone()).collect();
        let mut reasons = self.reasons_unseen(unseen).await?.into_iter();
        let inspected = seen
            .into_iter()
            .map(|inspected| inspected.or_else(|| reasons.next()));
        Ok(inspected.flatten().collect())
    }

    /// The script's result for each requested name; `None` where it reports nothing.
    pub(super) async fn read_inspections(
        &self,
        channel: &mut PooledChannel<'_>,
        request_paths: &RequestPaths,
        names: &[Vec<u8>],
    ) -> Result<Vec<Option<InspectResult>>, ShellError> {
        let mut open_files = OpenFiles::default();
        let mut seen = Vec::with_capacity(names.len());
        loop {
            let record = self.record(channel).await?;
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
                    seen.push(Some(self.inspection(&open_files, seen.len(), &status)));
                }
                Record::End => break,
                _ => return Err(ShellError::Unexpected("a reply to another request".to_owned())),
            }
        }
        seen.resize_with(names.len(), || None);
        Ok(seen)
    }

    fn inspection(&self, open_files: &OpenFiles, position: usize, status: &Status) -> InspectResult {
        if status.kind != engine::ports::device::EntryKind::File {
            return Err(not_a_file());
        }
        Ok(Inspection {
            identity: self.identity(status),
            openness: requested_openness(
                open_files,
                position,
                status.device_number,
                status.inode,
                self.login,
            ),
        })
    }

    /// Only those parts of an identity that the device reports in the same way in listings and afterwards.
    pub(super) fn identity(&self, status: &Status) -> Identity {
        match self.dialect {
            Dialect::Gnu => status.identity,
            _ => without_fine_identity(status.identity),
        }
    }

    /// The next record, whatever ends records on this device.
    pub(super) async fn record(&self, channel: &mut PooledChannel<'_>) -> Result<Record, ShellError> {
        next_record(channel, self.dialect).await
    }

    /// Asks SFTP about names on which the script is silent. One result for each name.
    pub(super) async fn reasons_unseen(
        &self,
        names: Vec<Vec<u8>>,
    ) -> Result<Vec<InspectResult>, DeviceFailure> {
        let requests = names.into_iter().map(|name| {
            let files = self.files.clone();
            async move { files.lstat(&name).await }
        });
        let requests: Vec<_> = requests.collect();
        let mut reasons = Vec::with_capacity(requests.len());
        for inspected in in_order(requests).await {
            reasons.push(match inspected {
                // It was created again in the meantime, or the script cannot inspect it.
                Ok(_) => Err(FileFault {
                    kind: FileFaultKind::Other,
                    message: "stat: visible to SFTP, but not to the device's shell".to_owned(),
                }),
                Err(error) => match fault(&error) {
                    Some(fault) => Err(fault),
                    None => return Err(self.lost(&error).await),
                },
            });
        }
        Ok(reasons)
    }

    async fn inspect_by_sftp(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<InspectResult>, DeviceFailure> {
        let requests: Vec<_> = paths
            .iter()
            .map(|path| {
                let (files, path) = (self.files.clone(), Self::path(source, path));
                async move { files.lstat(&path).await }
            })
            .collect();
        let mut results = Vec::with_capacity(paths.len());
        for inspected in in_order(requests).await {
            results.push(match inspected {
                Ok(attributes) if attributes.is_file() => Ok(Inspection {
                    identity: identity_of(&attributes),
                    openness: Openness::Unknown,
                }),
                Ok(_) => Err(not_a_file()),
                Err(error) => match fault(&error) {
                    Some(fault) => Err(fault),
                    None => return Err(self.lost(&error).await),
                },
            });
        }
        Ok(results)
    }
}

/// Requests an inspection. The whole reply must be read before anything else is sent: it can exceed the pipe,
/// and the device stops reading while its output blocks.
pub(super) async fn request_inspect(
    channel: &mut PooledChannel<'_>,
    names: &[Vec<u8>],
) -> Result<RequestPaths, ShellError> {
    let paths = names.iter().map(Vec::as_slice);
    let request_paths = RequestPaths::new(paths.clone());
    channel
        .request("inspect", &request_paths, &request_paths.arguments(paths))
        .await?;
    Ok(request_paths)
}

/// The next record of a device whose script speaks this dialect.
pub(super) async fn next_record(
    channel: &mut PooledChannel<'_>,
    dialect: Dialect,
) -> Result<Record, ShellError> {
    let tag = channel.tag();
    let piece = if dialect.ends_records_in_nul() {
        channel.read_until(b"\0").await?
    } else {
        channel.read_until(format!("\n{tag}\n").as_bytes()).await?
    };
    Record::parse(&piece, &tag).ok_or_else(|| ShellError::Unexpected(beginning_of(&piece)))
}

/// The identity that SFTP reports: size and whole seconds.
pub(super) fn identity_of(attributes: &sftp::Attributes) -> Identity {
    let modified = attributes.times.map_or(0, |times| i64::from(times.modified));
    Identity {
        device_number: None,
        inode: None,
        size: attributes.size.unwrap_or(0),
        modified: Timestamp::from_seconds(modified),
        changed: None,
    }
}

/// The kind that SFTP reports.
pub(super) fn kind_of(attributes: &sftp::Attributes) -> engine::ports::device::EntryKind {
    kind_of_mode(attributes.permissions.unwrap_or(0))
}

/// The beginning of an invalid reply, for a message.
pub(super) fn beginning_of(answer: &[u8]) -> String {
    model::escaped(answer.get(..80).unwrap_or(answer))
}

pub(super) fn endless_open_files() -> ShellError {
    ShellError::Unexpected("endless open files".to_owned())
}

fn not_a_file() -> FileFault {
    FileFault {
        kind: FileFaultKind::NotAFile,
        message: "it is no longer a regular file".to_owned(),
    }
}

/// The names in portions, each of which fits into one request.
pub(super) fn portions(names: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let mut portions: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut room = 0;
    for name in names {
        let length = name.len() + 1;
        match portions.last_mut() {
            Some(portion) if length <= room => {
                room -= length;
                portion.push(name);
            }
            _ => {
                room = MAX_NAME_BYTES.saturating_sub(length);
                portions.push(vec![name]);
            }
        }
    }
    portions
}
