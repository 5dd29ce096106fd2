//! The files of a device by SFTP.

mod causes;
mod fault;
mod folders;
mod inspect;
mod list;
mod remove;
mod rename;

use std::collections::HashSet;

use engine::ports::device::{
    ConfirmResult, DeviceFailure, DigestRequest, FileFault, FileFaultKind, InspectResult, Move, SurveySender,
};
use model::{Digest, Identity, RelativePath, SourcePath};
use parking_lot::Mutex;
use sftp::StatusCode;

use super::failures::Failures;
use super::files::{Files, Listing, Removal, Renamed, leave_all};

pub(super) use fault::fault;

/// The files of a device as its SFTP server serves them.
#[derive(Debug)]
pub(super) struct SftpFiles {
    pub(super) client: sftp::Client,
    /// The user id of the login, where known.
    user: Option<u32>,
    /// Folders that this session has made, and that therefore exist.
    made_folders: Mutex<HashSet<Vec<u8>>>,
    failures: Failures,
}

impl SftpFiles {
    pub(super) fn new(client: sftp::Client, user: Option<u32>, failures: Failures) -> Self {
        Self {
            client,
            user,
            made_folders: Mutex::default(),
            failures,
        }
    }
}

impl Files for SftpFiles {
    async fn list(&self, source: &SourcePath, items: SurveySender) -> Result<Listing, DeviceFailure> {
        list::list(self, source, items).await
    }

    async fn inspect(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<Option<InspectResult>>, DeviceFailure> {
        inspect::inspect(self, source, paths).await
    }

    /// Leaves all: an inspection tells as much.
    async fn confirm(
        &self,
        _: &SourcePath,
        files: &[(RelativePath, Identity)],
    ) -> Result<Vec<Option<ConfirmResult>>, DeviceFailure> {
        Ok(leave_all(files.len()))
    }

    /// Renames without inspecting. The required folder is not needed: SFTP makes the folders that it shows.
    async fn rename(
        &self,
        source: &SourcePath,
        moves: &[Move],
        _: Option<&RelativePath>,
    ) -> Result<Vec<Option<Renamed>>, DeviceFailure> {
        let renamed = self.rename_each(source, moves).await?.into_iter();
        Ok(renamed.map(|renamed| Some(renamed.map(|()| None))).collect())
    }

    async fn causes(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<Option<FileFaultKind>>, DeviceFailure> {
        causes::causes(self, source, paths).await
    }

    async fn remove(
        &self,
        source: &SourcePath,
        removals: &[Removal],
    ) -> Result<Vec<Option<Result<(), FileFault>>>, DeviceFailure> {
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for removal in removals {
            match removal {
                Removal::File(path) => files.push(path.clone()),
                Removal::Folder(path) => folders.push(path.clone()),
            }
        }
        let mut removed = self.remove_each(source, &files).await?.into_iter();
        self.remove_each_folder(source, &folders).await?;
        let of_each = removals.iter().map(|removal| match removal {
            Removal::File(_) => removed.next(),
            Removal::Folder(_) => Some(Ok(())),
        });
        Ok(of_each.collect())
    }

    /// Leaves all: SFTP has no request for a digest.
    async fn digest(
        &self,
        _: &SourcePath,
        requests: &[DigestRequest],
    ) -> Result<Vec<Option<Digest>>, DeviceFailure> {
        Ok(leave_all(requests.len()))
    }
}

fn is_missing(error: &sftp::Error) -> bool {
    error.status() == Some(StatusCode::NoSuchFile)
}

pub(super) fn not_a_file() -> FileFault {
    FileFault {
        kind: FileFaultKind::NotAFile,
        message: "it is no longer a regular file".to_owned(),
    }
}
