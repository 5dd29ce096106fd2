//! A session with one device, by two ways: SFTP, and a shell that runs gleaner's script.
//!
//! The shell comes first, because it does more, and does it faster. What the script does not do, SFTP does
//! (`files::complete`). SFTP alone is used where there is no shell, or where it shows other folders
//! (`views`).

mod abilities;
mod begin;
mod compressed;
mod failures;
mod fetch;
mod files;
mod items;
mod list;
mod rename;
mod sftp;
mod sftp_channels;
mod shell;
mod supervise;
mod trial;
mod views;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::ports::device::{
    Abilities, ChunkSender, ConfirmResult, DeviceFacts, DeviceFailure, DigestRequest, FileFault,
    InspectResult, ListingEnd, Move, RenameResult, Session, SmallFileRequest, SurveySender,
};
use model::{Digest, Identity, RelativePath, SourcePath};
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::sftp::SftpFiles;
use begin::Supervisor;
pub(crate) use begin::{Connection, Transport};
use compressed::CompressedConnection;
pub(crate) use compressed::Reconnect;
use failures::Failures;
use files::{Files as _, Removal, complete, leave_all};
pub(crate) use sftp_channels::SftpChannel;
use sftp_channels::SftpChannels;
use shell::ShellFiles;
pub(crate) use supervise::stalled;
use views::Views;

use crate::shell_channel::ChannelFactory;

/// How long an orderly end may take: the supervisor's grace for ssh, then for the guard, and some more.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// A session over one ssh connection. Dropping it ends every process that was started for it.
#[derive(Debug)]
pub struct SshSession {
    sftp: Arc<SftpFiles>,
    /// `None` where the device has no shell of use.
    shell: Option<ShellFiles>,
    /// That of `sftp`, and a second SFTP channel if one was opened.
    channels: SftpChannels,
    abilities: Abilities,
    facts: DeviceFacts,
    budget: ::sftp::Budget,
    /// `None` where the configuration says whether to compress, and in the compressed connection itself.
    compressed_connection: Option<CompressedConnection>,
    failures: Failures,
    received: Arc<AtomicU64>,
    views: Arc<Views>,
    shutdown: oneshot::Sender<()>,
    supervisor: Supervisor,
}

impl SshSession {
    /// The shell, unless it shows other folders than SFTP.
    fn shell(&self) -> Option<&ShellFiles> {
        self.shell.as_ref().filter(|_| !self.views.differ())
    }

    /// The factory of channels over the session's connection.
    fn channel_factory(&self) -> Option<ChannelFactory> {
        let shell = self.shell.as_ref()?;
        Some(shell.pool.factory())
    }

    async fn inspect_all(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<InspectResult>, DeviceFailure> {
        let Some(shell) = self.shell() else {
            let by_sftp = async |left: Vec<RelativePath>| self.sftp.inspect(source, &left).await;
            return complete(paths, leave_all(paths.len()), by_sftp).await;
        };
        let by_shell = shell.inspect(source, paths).await?;
        let reasons = async |left: Vec<RelativePath>| self.sftp.reasons_unseen(source, &left).await;
        complete(paths, by_shell, reasons).await
    }

    async fn confirm_all(
        &self,
        source: &SourcePath,
        files: &[(RelativePath, Identity)],
    ) -> Result<Vec<ConfirmResult>, DeviceFailure> {
        let by_shell = match self.shell() {
            Some(shell) => shell.confirm(source, files).await?,
            None => leave_all(files.len()),
        };
        let inspected = async |left: Vec<(RelativePath, Identity)>| self.confirm_each(source, &left).await;
        complete(files, by_shell, inspected).await
    }

    async fn confirm_each(
        &self,
        source: &SourcePath,
        files: &[(RelativePath, Identity)],
    ) -> Result<Vec<Option<ConfirmResult>>, DeviceFailure> {
        let paths: Vec<_> = files.iter().map(|(path, _)| path.clone()).collect();
        let inspected = self.inspect_all(source, &paths).await?.into_iter().zip(files);
        let confirmed = inspected.map(|(inspected, (_, identity))| {
            Some(inspected.map(|inspection| inspection.against(*identity)))
        });
        Ok(confirmed.collect())
    }

    async fn digest_all(
        &self,
        source: &SourcePath,
        requests: &[DigestRequest],
    ) -> Result<Vec<Option<Digest>>, DeviceFailure> {
        match self.shell() {
            Some(shell) => shell.digest(source, requests).await,
            None => self.sftp.digest(source, requests).await,
        }
    }

    /// Returns the results of the files.
    async fn remove_all(
        &self,
        source: &SourcePath,
        files: &[RelativePath],
        folders: &[RelativePath],
    ) -> Result<Vec<Result<(), FileFault>>, DeviceFailure> {
        self.sftp.forget_folders(source, folders);
        let removals = files.iter().cloned().map(Removal::File);
        let removals = removals.chain(folders.iter().cloned().map(Removal::Folder));
        let removals: Vec<Removal> = removals.collect();
        let by_shell = match self.shell() {
            Some(shell) => shell.remove(source, &removals).await?,
            None => leave_all(removals.len()),
        };
        let by_sftp = async |left: Vec<Removal>| self.sftp.remove(source, &left).await;
        let mut results = complete(&removals, by_shell, by_sftp).await?;
        results.truncate(files.len());
        Ok(results)
    }

    /// Ends both connections in order. Boxed, because the compressed one is a session too.
    fn end(self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let Self {
            sftp,
            shell,
            channels,
            compressed_connection,
            shutdown,
            mut supervisor,
            ..
        } = self;
        Box::pin(async move {
            let end_compressed = async {
                if let Some(compressed_connection) = compressed_connection {
                    compressed_connection.close().await;
                }
            };
            let end_main = async {
                // Closes the inputs of the scripts and of SFTP, then the connection: what runs on the device
                // ends with it.
                drop((shell, sftp, channels));
                shutdown.send(()).ok();
                timeout(SHUTDOWN_GRACE, &mut supervisor.0).await.ok();
            };
            tokio::join!(end_main, end_compressed);
        })
    }
}

impl Session for SshSession {
    fn abilities(&self) -> Abilities {
        if self.views.differ() {
            abilities::by_sftp_alone(self.abilities)
        } else {
            self.abilities
        }
    }

    fn facts(&self) -> &DeviceFacts {
        &self.facts
    }

    async fn survey(&self, source: &SourcePath, items: SurveySender) -> Result<ListingEnd, DeviceFailure> {
        self.failures
            .session_end
            .unless_ended(Box::pin(self.list(source, items)))
            .await?
    }

    fn has_ended(&self) -> bool {
        self.failures.session_end.has_ended()
    }

    fn has_early_listing(&self, source: &SourcePath) -> bool {
        let shell = self.shell().filter(|shell| shell.lists());
        shell.is_some_and(|shell| shell.pool.has_early_listing(source))
    }

    async fn rename(&self, source: &SourcePath, moves: &[Move]) -> Result<Vec<RenameResult>, DeviceFailure> {
        self.failures
            .session_end
            .unless_ended(Box::pin(self.rename_all(source, moves)))
            .await?
    }

    async fn inspect(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<InspectResult>, DeviceFailure> {
        self.failures
            .session_end
            .unless_ended(self.inspect_all(source, paths))
            .await?
    }

    async fn confirm(
        &self,
        source: &SourcePath,
        files: &[(RelativePath, Identity)],
    ) -> Result<Vec<ConfirmResult>, DeviceFailure> {
        self.failures
            .session_end
            .unless_ended(self.confirm_all(source, files))
            .await?
    }

    async fn fetch(
        &self,
        source: &SourcePath,
        path: &RelativePath,
        offset: u64,
        expected_size: u64,
        chunks: ChunkSender,
    ) -> Result<Result<u64, FileFault>, DeviceFailure> {
        let fetched = self.read_file(source, path, offset, expected_size, chunks);
        self.failures.session_end.unless_ended(fetched).await?
    }

    async fn fetch_together(
        &self,
        source: &SourcePath,
        files: Vec<SmallFileRequest>,
    ) -> Result<(), DeviceFailure> {
        self.failures
            .session_end
            .unless_ended(self.read_together(source, files))
            .await?
    }

    async fn digest(
        &self,
        source: &SourcePath,
        requests: &[DigestRequest],
    ) -> Result<Vec<Option<Digest>>, DeviceFailure> {
        self.failures
            .session_end
            .unless_ended(self.digest_all(source, requests))
            .await?
    }

    async fn remove(
        &self,
        source: &SourcePath,
        files: &[RelativePath],
        folders: &[RelativePath],
    ) -> Result<Vec<Result<(), FileFault>>, DeviceFailure> {
        let removed = self.remove_all(source, files, folders);
        self.failures.session_end.unless_ended(removed).await?
    }

    fn bytes_received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
            + self
                .compressed_connection
                .as_ref()
                .map_or(0, CompressedConnection::received)
    }

    fn compression_paid(&self) -> Option<bool> {
        self.has_compression_paid()
    }

    async fn close(self) {
        self.end().await;
    }
}
