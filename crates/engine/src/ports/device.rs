//! Devices: connecting to one, and what a session with it can do.

mod abilities;
mod entry;
mod failure;
mod transfer;

use model::{DeviceName, Digest, Identity, RelativePath, SourcePath};

pub use abilities::{Abilities, ConnectHints, DeviceFacts, DiskUse, FolderNumbers, NoShell};
pub use entry::{
    ConfirmResult, Confirmation, Entry, EntryKind, InspectResult, Inspection, ListingEnd, Openness,
    SurveyItem, SurveySender, WriterCheck,
};
pub use failure::{DeviceFailure, FileFault, FileFaultKind};
pub use transfer::{
    Chunk, ChunkSender, DigestRequest, MAX_BUFFERED, Move, RenameResult, SMALL_FILE_MAX, SmallFileRequest,
};

/// Connects to devices by name.
pub trait Devices: Send + Sync + 'static {
    /// A session with one device.
    type Session: Session;

    /// Connects, authenticates, finds out the device's abilities and facts, and returns a session.
    ///
    /// `facts_for` are the sources whose file system and folder are asked for. The hints may be out of date:
    /// they only decide how the session begins.
    ///
    /// Ends within a bounded time whatever the device does. Dropping the future, or the session, ends every
    /// process and connection made for it.
    fn connect(
        &self,
        device: &DeviceName,
        facts_for: &[SourcePath],
        hints: ConnectHints,
    ) -> impl Future<Output = Result<Self::Session, DeviceFailure>> + Send;
}

/// One session with one device. All methods may run at the same time.
///
/// The outer `Result` of each method concerns the session: after a [`DeviceFailure`] the session is unusable.
/// A failure of one file is a [`FileFault`] in its place.
///
/// A method fails with [`model::FailureClass::Stalled`] if the device leaves a request unanswered for longer
/// than `stall_timeout`, or if its throughput stays near zero. Waiting for a slow consumer does not count.
/// Memory for what a device sends is bounded.
pub trait Session: Send + Sync + 'static {
    /// What this device can do, found out while connecting.
    fn abilities(&self) -> Abilities;

    /// What the device said about itself while connecting.
    fn facts(&self) -> &DeviceFacts;

    /// Whether the session is known to be unusable. A session whose device has stalled may not have ended
    /// yet.
    fn has_ended(&self) -> bool;

    /// Streams everything below `source`, withdrawn folders and their contents included, in any order. The
    /// device determines which files are open before it inspects the first entry.
    ///
    /// The listing may be the one requested while connecting ([`Session::has_early_listing`]). Then each
    /// entry was inspected when the device read its clock, or later.
    ///
    /// Does not follow symbolic links. A folder that cannot be listed is [`SurveyItem::Unlistable`]. A name
    /// that is no [`RelativePath`] is [`SurveyItem::Refused`]. A missing source fails with
    /// [`model::FailureClass::SourceMissing`].
    ///
    /// The sender is bounded: the listing is read no faster than it is consumed, and a slow consumer is no
    /// stall. A listing may have no end: the caller drops the future, and the session continues. If more
    /// would have to be remembered than there is room for, the listing ends with [`ListingEnd::Cut`].
    fn survey(
        &self,
        source: &SourcePath,
        items: SurveySender,
    ) -> impl Future<Output = Result<ListingEnd, DeviceFailure>> + Send;

    /// Whether `survey` would return the listing requested while connecting. Turns false once that is
    /// consumed or stale, and stays false.
    fn has_early_listing(&self, source: &SourcePath) -> bool;

    /// Renames files atomically, then inspects them under their new names, as [`Session::inspect`] does: both
    /// in one request, to save a round trip. Results are in the order of `moves`.
    ///
    /// Every target is in a folder that is new to this batch, or has a name that is: nothing is replaced.
    /// Folders of targets are made as needed. A crash just before or after a rename leaves the file whole
    /// under one of its two names.
    ///
    /// A file that was [`Openness::Unasked`], and that the kernel reports as open, is not renamed:
    /// [`FileFaultKind::Open`].
    ///
    /// The first rename of a session may show that the device's shell and its SFTP server see different
    /// folders. From then on [`Abilities::one_view`] is false, and files that the shell listed are not
    /// renamed: [`FileFaultKind::Missing`]. The caller surveys again.
    fn rename(
        &self,
        source: &SourcePath,
        moves: &[Move],
    ) -> impl Future<Output = Result<Vec<RenameResult>, DeviceFailure>> + Send;

    /// Determines which files are open, and then the identity of each of `paths`. Results are in their order.
    ///
    /// Never follows a symbolic link: a path that is no regular file is [`FileFaultKind::NotAFile`].
    fn inspect(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> impl Future<Output = Result<Vec<InspectResult>, DeviceFailure>> + Send;

    /// Determines which files are open, and then whether each still has the identity noted before. Results
    /// are in the order of `files`.
    ///
    /// Like [`Session::inspect`], but "nothing has changed", which is usual for withdrawn files, takes few
    /// bytes.
    fn confirm(
        &self,
        source: &SourcePath,
        files: &[(RelativePath, Identity)],
    ) -> impl Future<Output = Result<Vec<ConfirmResult>, DeviceFailure>> + Send {
        async move {
            let paths: Vec<_> = files.iter().map(|(path, _)| path.clone()).collect();
            let inspected = self.inspect(source, &paths).await?;
            let confirmed = inspected
                .into_iter()
                .zip(files)
                .map(|(inspected, (_, identity))| Ok(inspected?.against(*identity)));
            Ok(confirmed.collect())
        }
    }

    /// Reads a file from `offset` into `chunks`, in order and without gaps. Returns the number of bytes sent.
    ///
    /// Requests one byte more than `expected_size`, to detect growth: then it fails with
    /// [`FileFaultKind::Grown`], and sends no byte beyond `expected_size`. Fewer bytes than expected are no
    /// fault here; the count shows them.
    ///
    /// Each chunk carries a credit. Bytes on the link and bytes not yet consumed stay within the session's
    /// budget.
    fn fetch(
        &self,
        source: &SourcePath,
        path: &RelativePath,
        offset: u64,
        expected_size: u64,
        chunks: ChunkSender,
    ) -> impl Future<Output = Result<Result<u64, FileFault>, DeviceFailure>> + Send;

    /// Reads small files completely, in order, with less work for each than [`Session::fetch`]. Only if
    /// [`Abilities::reads_together`].
    ///
    /// The outcome of a file is sent after all of its chunks, and means the same as that of
    /// [`Session::fetch`]. If the outcome is dropped unsent, the device skipped the file: nothing of it was
    /// sent, and the caller reads it individually. Chunks wait within a budget of their own for consumers
    /// that are not ready.
    fn fetch_together(
        &self,
        source: &SourcePath,
        files: Vec<SmallFileRequest>,
    ) -> impl Future<Output = Result<(), DeviceFailure>> + Send;

    /// Digests that the device makes of its own bytes, in the order of `requests`. `None` for a file that it
    /// could not digest. Only if [`Abilities::digests`].
    ///
    /// A device may lie. It can harm only its own files.
    fn digest(
        &self,
        source: &SourcePath,
        requests: &[DigestRequest],
    ) -> impl Future<Output = Result<Vec<Option<Digest>>, DeviceFailure>> + Send;

    /// Removes files, then folders in the given order (innermost first). Results are in the order of `files`.
    ///
    /// A file that does not exist counts as removed. A folder that is not empty, or does not exist, is
    /// skipped. The device decides when a removal is durable: a file that returns after a power cut is
    /// gathered again and recognised.
    fn remove(
        &self,
        source: &SourcePath,
        files: &[RelativePath],
        folders: &[RelativePath],
    ) -> impl Future<Output = Result<Vec<Result<(), FileFault>>, DeviceFailure>> + Send;

    /// Bytes received from the device so far, as they came over the link, as far as the transport can tell.
    fn bytes_received(&self) -> u64;

    /// Whether files arrive sooner on a compressed connection, if this session has found that out.
    fn compression_paid(&self) -> Option<bool>;

    /// Closes the session in an orderly way, within a bounded time.
    fn close(self) -> impl Future<Output = ()> + Send;
}
