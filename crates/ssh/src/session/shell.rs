//! The files of a device by its shell: what the script does.

mod causes;
mod confirm;
mod digest;
mod inspect;
mod list;
mod remove;
mod rename;
mod requests;
pub(super) mod stream;

use std::sync::Arc;

use engine::ports::device::{
    ConfirmResult, DeviceFailure, DigestRequest, FileFault, FileFaultKind, InspectResult, Move, SurveySender,
};
use model::{Digest, Identity, RelativePath, SourcePath, Timestamp};
use tokio::sync::Semaphore;

use super::failures::Failures;
use super::files::{Files, Listing, Removal, Renamed, leave_all};
use super::sftp::SftpFiles;
use super::views::Views;
use crate::facts::Dialect;
use crate::open_files::Login;
use crate::records::{Status, without_fine_identity};
use crate::shell_channel::{ShellError, ShellPool};

/// The files of a device as its script serves them.
#[derive(Debug)]
pub(super) struct ShellFiles {
    pub(super) pool: ShellPool,
    pub(super) dialect: Dialect,
    pub(super) login: Login,
    pub(super) has_perl: bool,
    /// Whether the device has a tool that digests.
    pub(super) digests: bool,
    /// Limits the bytes of small files that are read together and not consumed yet. `None` if the device
    /// cannot read them together, or if its rate is limited.
    pub(super) small_files_budget: Option<Arc<Semaphore>>,
    /// SFTP has the reasons that the script does not report.
    pub(super) sftp: Arc<SftpFiles>,
    pub(super) views: Arc<Views>,
    pub(super) failures: Failures,
}

impl ShellFiles {
    /// Whether the script can list a source.
    pub(super) fn lists(&self) -> bool {
        self.dialect.lists()
    }

    /// When the entry at a path of the device was last modified; `None` if the shell sees none.
    pub(super) async fn modified(&self, path: &[u8]) -> Result<Option<Timestamp>, DeviceFailure> {
        self.run(inspect::modified(self, path)).await
    }

    /// Only those parts of an identity that the device reports in the same way in listings and afterwards.
    fn identity(&self, status: &Status) -> Identity {
        match self.dialect {
            Dialect::Gnu => status.identity,
            _ => without_fine_identity(status.identity),
        }
    }

    /// Ends the session if a channel fails.
    async fn run<T>(&self, work: impl Future<Output = Result<T, ShellError>>) -> Result<T, DeviceFailure> {
        match work.await {
            Ok(done) => Ok(done),
            Err(error) => Err(self.failures.of_shell(error).await),
        }
    }
}

impl Files for ShellFiles {
    async fn list(&self, source: &SourcePath, items: SurveySender) -> Result<Listing, DeviceFailure> {
        self.run(list::list(self, source, items)).await
    }

    async fn inspect(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<Option<InspectResult>>, DeviceFailure> {
        self.run(inspect::inspect(self, source, paths)).await
    }

    async fn confirm(
        &self,
        source: &SourcePath,
        files: &[(RelativePath, Identity)],
    ) -> Result<Vec<Option<ConfirmResult>>, DeviceFailure> {
        self.run(confirm::confirm(self, source, files)).await
    }

    async fn rename(
        &self,
        source: &SourcePath,
        moves: &[Move],
        required_folder: Option<&RelativePath>,
    ) -> Result<Vec<Option<Renamed>>, DeviceFailure> {
        if self.has_perl {
            rename::rename(self, source, moves, required_folder).await
        } else {
            Ok(leave_all(moves.len()))
        }
    }

    async fn causes(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<Option<FileFaultKind>>, DeviceFailure> {
        self.run(causes::causes(self, source, paths)).await
    }

    async fn remove(
        &self,
        source: &SourcePath,
        removals: &[Removal],
    ) -> Result<Vec<Option<Result<(), FileFault>>>, DeviceFailure> {
        self.run(remove::remove(self, source, removals)).await
    }

    async fn digest(
        &self,
        source: &SourcePath,
        requests: &[DigestRequest],
    ) -> Result<Vec<Option<Digest>>, DeviceFailure> {
        self.run(digest::digest(self, source, requests)).await
    }
}
