//! Inspects files by SFTP.

use engine::ports::device::{
    DeviceFailure, EntryKind, FileFault, FileFaultKind, InspectResult, Inspection, Openness,
};
use model::{Identity, RelativePath, SourcePath, Timestamp};
use sftp::StatusCode;

use super::fault::fault;
use super::{SftpFiles, not_a_file};
use crate::pipeline::in_order;
use crate::records::kind_of_mode;
use crate::script::device_path;

pub(super) async fn inspect(
    sftp: &SftpFiles,
    source: &SourcePath,
    paths: &[RelativePath],
) -> Result<Vec<Option<InspectResult>>, DeviceFailure> {
    let requests: Vec<_> = paths
        .iter()
        .map(|path| {
            let (files, path) = (sftp.client.clone(), device_path(source, path));
            async move { files.lstat(&path).await }
        })
        .collect();
    let mut results = Vec::with_capacity(paths.len());
    for inspected in in_order(requests).await {
        results.push(Some(match inspected {
            Ok(attributes) if attributes.is_file() => Ok(Inspection {
                identity: identity_of(&attributes),
                openness: Openness::Unknown,
            }),
            Ok(_) => Err(not_a_file()),
            Err(error) => match fault(&error) {
                Some(fault) => Err(fault),
                None => return Err(sftp.failures.of_sftp(&error).await),
            },
        }));
    }
    Ok(results)
}

impl SftpFiles {
    /// Why the script did not see these files: it does not report it.
    pub(in crate::session) async fn reasons_unseen(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<Option<InspectResult>>, DeviceFailure> {
        let requests: Vec<_> = paths
            .iter()
            .map(|path| {
                let (client, path) = (self.client.clone(), device_path(source, path));
                async move { client.lstat(&path).await }
            })
            .collect();
        let mut reasons = Vec::with_capacity(paths.len());
        for inspected in in_order(requests).await {
            reasons.push(Some(match inspected {
                // It was created again in the meantime, or the script cannot inspect it.
                Ok(_) => Err(FileFault {
                    kind: FileFaultKind::Other,
                    message: "stat: visible to SFTP, but not to the device's shell".to_owned(),
                }),
                Err(error) => match fault(&error) {
                    Some(fault) => Err(fault),
                    None => return Err(self.failures.of_sftp(&error).await),
                },
            }));
        }
        Ok(reasons)
    }

    /// Whether the path exists; `None` if the server does not report it.
    pub(in crate::session) async fn exists(&self, path: &[u8]) -> Result<Option<bool>, DeviceFailure> {
        match self.client.lstat(path).await {
            Ok(_) => Ok(Some(true)),
            Err(error) if error.status() == Some(StatusCode::NoSuchFile) => Ok(Some(false)),
            Err(error) if error.status().is_none() => Err(self.failures.of_sftp(&error).await),
            Err(_) => Ok(None),
        }
    }
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
pub(super) fn kind_of(attributes: &sftp::Attributes) -> EntryKind {
    kind_of_mode(attributes.permissions.unwrap_or(0))
}
