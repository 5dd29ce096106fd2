//! Devices: reaching one, and what a session with it can do.

use std::time::Duration;

use bytes::Bytes;
use model::{DeviceName, Digest, FailureClass, Identity, RelativePath, SourcePath, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

/// Reaches devices by name.
pub trait Devices: Send + Sync + 'static {
    /// A session with one device.
    type Session: Session;

    /// Connects, authenticates, finds out what the device can do, and returns a session.
    ///
    /// The hints may be out of date: they decide over how the session begins, and over nothing that has to
    /// hold.
    ///
    /// Ends by itself within a bounded time whatever the device does. Dropping the future, or the session, ends every
    /// process and connection that was made for it.
    fn connect(
        &self,
        device: &DeviceName,
        facts_for: &[SourcePath],
        hints: ConnectHints,
    ) -> impl Future<Output = Result<Self::Session, DeviceFailure>> + Send;
}

/// What earlier sessions found out about how a device is best connected to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectHints {
    /// What one said ([`Session::compression_paid`]).
    pub compression_paid: Option<bool>,
    /// The device ended the whole connection when it was asked for a command beside SFTP
    /// ([`NoShell::HangsUp`]).
    pub hangs_up_on_commands: bool,
}

/// One session with one device. All methods may be called at the same time.
///
/// The outer `Result` of each method is about the session: after a [`DeviceFailure`] the session is of no more use.
/// What concerns one file only is a [`FileFault`] in its place. A method fails with [`FailureClass::Stalled`] once the
/// device has owed an answer for longer than its `stall_timeout`, or gives next to nothing over a long time; waiting for a slow consumer does
/// not count. What a device says is bounded in memory, however much it says.
pub trait Session: Send + Sync + 'static {
    /// What this device can prove, found out while connecting.
    fn abilities(&self) -> Abilities;

    /// What the device said about itself while connecting.
    fn facts(&self) -> &DeviceFacts;

    /// Whether it is known that the session is of no more use. One whose device has fallen silent may not have ended yet.
    fn has_ended(&self) -> bool;

    /// Streams everything below `source`, withdrawn folders and what is in them included; files are followed by nothing,
    /// folders by their contents in any order. Which files are open is found out before the first entry is looked at.
    ///
    /// It may have been asked for while connecting ([`Session::has_early_listing`]): then each entry was looked at when the device told its clock, or
    /// later.
    ///
    /// Does not follow symbolic links. A folder that cannot be listed is reported as [`SurveyItem::Unlistable`]. A name that
    /// no [`RelativePath`] admits is reported as [`SurveyItem::Refused`].  A missing source fails with [`FailureClass::SourceMissing`].
    ///
    /// The sender is bounded: the listing is read no faster than it is consumed, and a slow consumer is no stall. A listing may have no end: the
    /// caller drops the future when it has had enough, and the session goes on. So it does where more would have to be remembered than there is
    /// room for: then the listing ends with [`ListingEnd::Cut`].
    fn survey(
        &self,
        source: &SourcePath,
        items: SurveySender,
    ) -> impl Future<Output = Result<ListingEnd, DeviceFailure>> + Send;

    /// Whether the next listing of this source may be one that was asked for while connecting. Once it may not, it never may again in this session.
    fn has_early_listing(&self, source: &SourcePath) -> bool;

    /// Renames files atomically, replacing nothing that matters: every target is in a folder that is new to this batch. Then looks at what was
    /// renamed, as [`Session::inspect`] does: both in one, because each would cost a round trip.
    ///
    /// A file whose openness was [`Openness::Unasked`], and that the kernel says is open, is not renamed:
    /// [`FileFaultKind::Open`].
    ///
    /// The first rename of a session may show that the device's shell and its SFTP server show different
    /// folders. Then [`Abilities::one_view`] is false from there on, and what was listed by the shell is not
    /// renamed: [`FileFaultKind::Missing`]. The caller surveys again.
    ///
    /// Makes the folders of the targets as needed. The answers stand in the order of `moves`. A crash just before or after
    /// any of these renames leaves the file whole under one of its two names.
    fn rename(
        &self,
        source: &SourcePath,
        moves: &[Move],
    ) -> impl Future<Output = Result<Vec<RenameResult>, DeviceFailure>> + Send;

    /// Looks which files are open, and only then at the identity of each of `paths`; answers in their order.
    ///
    /// Never follows a symbolic link: what is no regular file any more answers with [`FileFaultKind::NotAFile`].
    fn inspect(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> impl Future<Output = Result<Vec<InspectResult>, DeviceFailure>> + Send;

    /// Looks once more at files whose identity was noted: which are open, and only then whether each is what it was; answers in their order.
    ///
    /// As [`Session::inspect`]. But that nothing has changed, which is what is to be expected of withdrawn files, can be said in few bytes.
    fn confirm(
        &self,
        source: &SourcePath,
        files: &[(RelativePath, Identity)],
    ) -> impl Future<Output = Result<Vec<ConfirmResult>, DeviceFailure>> + Send {
        async move {
            let paths: Vec<_> = files.iter().map(|(path, _)| path.clone()).collect();
            let looked = self.inspect(source, &paths).await?;
            let together = looked.into_iter().zip(files);
            let confirmed = together.map(|(looked, (_, identity))| Ok(looked?.against(*identity)));
            Ok(confirmed.collect())
        }
    }

    /// Reads a file from `offset` on into `chunks`, in order and without holes, and returns the number of bytes sent.
    ///
    /// Asks for one byte more than `expected_size`, so that growth shows: it answers [`FileFaultKind::Grown`] then, and sends no
    /// byte beyond `expected_size`. Fewer bytes than expected are no fault here: the count tells. Each chunk carries a
    /// credit; what is on the wire and what is not yet consumed together stay within the session's budget.
    fn fetch(
        &self,
        source: &SourcePath,
        path: &RelativePath,
        offset: u64,
        expected_size: u64,
        chunks: ChunkSender,
    ) -> impl Future<Output = Result<Result<u64, FileFault>, DeviceFailure>> + Send;

    /// Reads small files from one end to the other, in their order, with less ado for each than [`Session::fetch`]. Only where
    /// [`Abilities::reads_together`] holds.
    ///
    /// The outcome of a file is told once all of its chunks are sent, and is as that of [`Session::fetch`]. A file whose outcome is dropped
    /// untold was passed over, and nothing of it was sent: it is to be fetched by itself. Chunks wait within a budget of their own
    /// for consumers whose turn has not come.
    fn fetch_together(
        &self,
        source: &SourcePath,
        files: Vec<SmallFileRequest>,
    ) -> impl Future<Output = Result<(), DeviceFailure>> + Send;

    /// Digests made by the device of its own bytes, in the order of `requests`; `None` for a file that it could not digest.
    ///
    /// Only where [`Abilities::digests`] holds. A device may lie; it can harm only its own files.
    fn digest(
        &self,
        source: &SourcePath,
        requests: &[DigestRequest],
    ) -> impl Future<Output = Result<Vec<Option<Digest>>, DeviceFailure>> + Send;

    /// Removes files; answers in the order of `files`. One that is not there any more counts as removed. Durable when the device chooses:
    /// a file that comes back after a power cut on the device is gathered again and recognised.
    ///
    /// Then removes folders, in the order given (innermost first). One that is not empty, or not there, is passed over.
    fn remove(
        &self,
        source: &SourcePath,
        files: &[RelativePath],
        folders: &[RelativePath],
    ) -> impl Future<Output = Result<Vec<Result<(), FileFault>>, DeviceFailure>> + Send;

    /// Bytes received from the device so far, as they came over the wire, as far as the transport can tell.
    fn bytes_received(&self) -> u64;

    /// Whether files come sooner where the connection compresses, if this session has found that out.
    fn compression_paid(&self) -> Option<bool>;

    /// Ends the session in an orderly way, within a bounded time.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What a device can prove.
#[allow(
    clippy::struct_excessive_bools,
    reason = "six abilities that a device has or lacks independently of each other"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Identities have all parts (GNU find and stat). Else size and whole-second mtime only.
    pub complete_identities: bool,
    /// The device digests its own files.
    pub digests: bool,
    /// The device has told its clock, boot id and uptime.
    pub tells_time: bool,
    /// The device renames atomically, replacing (`posix-rename@openssh.com`).
    pub renames_atomically: bool,
    /// Its SFTP server offers nothing that writes (`sftp-server -R`).
    pub is_read_only: bool,
    /// [`Session::fetch_together`] is of use.
    pub reads_together: bool,
    /// Why no command can be run on the device, where none can: it may have the tools that are missed.
    pub no_shell: Option<NoShell>,
    /// The device's shell and its SFTP server show the same folders, as far as is known. Else SFTP alone is
    /// used.
    pub one_view: bool,
}

/// Why no command can be run on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoShell {
    /// It runs none: the login is for SFTP only.
    Refused,
    /// It ended the whole connection when a command was asked for beside SFTP.
    HangsUp,
    /// It permits one session in a connection, and no second connection.
    OneSession,
    /// The login's start-up files, or the shell, did not come to an end in time.
    Silent,
    /// They print something else than the answer, without end.
    Chatters,
}

impl NoShell {
    /// In a few words for `status`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Refused => "no shell: the login runs no commands, only SFTP",
            Self::HangsUp => "no shell: the SSH server hangs up when a command is asked for beside SFTP",
            Self::OneSession => {
                "no shell: the device permits one session (MaxSessions 1), and no second connection"
            }
            Self::Silent => "no shell: the login's start-up files do not end within connect_timeout",
            Self::Chatters => "no shell: the login's start-up files print without end",
        }
    }
}

impl Abilities {
    /// What the device lacks, in a few words for `status`; empty for a full device.
    pub fn shortcomings(&self) -> Vec<&'static str> {
        let mut shortcomings = Vec::new();
        shortcomings.extend(self.no_shell.map(NoShell::text));
        if !self.one_view {
            shortcomings.push(
                "its SFTP server shows other folders than its shell: SFTP alone is used, so files settle for settle_blind, and content is proved by size and time only",
            );
            return shortcomings;
        }
        if !self.complete_identities {
            shortcomings.push(match self.no_shell {
                None => "no GNU find and stat: files are told apart by size and mtime only",
                Some(_) => "files are told apart by size and mtime only",
            });
        }
        if !self.digests {
            shortcomings.push(match self.no_shell {
                None => "no digest tool: content is proved by size and time only",
                Some(_) => "the device digests nothing: content is proved by size and time only",
            });
        }
        if !self.tells_time {
            shortcomings.push("its clock cannot be read: files must stay unchanged between two surveys");
        }
        if self.is_read_only {
            shortcomings.push("its SFTP server only reads: files are stored, but stay on the device");
        } else if !self.renames_atomically {
            shortcomings.push("no atomic rename: files are stored, but stay on the device");
        }
        shortcomings
    }
}

/// What a device says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceFacts {
    /// The device's own clock, and how far it is ahead of the collector's at that moment, in nanoseconds.
    pub clock: Option<Timestamp>,
    /// The kernel's boot id.
    pub boot_id: Option<String>,
    /// Time since boot.
    pub uptime: Option<Duration>,
    /// For each source asked about: the file system it is on. `None` where it could not be told.
    pub disks: Vec<(SourcePath, Option<DiskUse>)>,
    /// For each source asked about: which folder it is, links followed. `None` where it could not be told.
    pub folders: Vec<(SourcePath, Option<FolderNumbers>)>,
}

/// Which folder of its kernel a folder is: no two that exist at the same time have the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FolderNumbers {
    /// The device number of its file system.
    pub device_number: u64,
    /// Its inode.
    pub inode: u64,
}

/// How full a file system is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskUse {
    /// The size of the file system.
    pub total: u64,
    /// What the login user may still write.
    pub available: u64,
}

/// How a listing ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListingEnd {
    /// It named all there is, or as much as anybody wanted to hear.
    Whole,
    /// It was given up, for this reason; of what it has not named nothing is known.
    Cut(DeviceFailure),
}

/// Where survey items go.
pub type SurveySender = mpsc::Sender<Vec<SurveyItem>>;

/// One thing that a survey says. Items travel in small batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SurveyItem {
    /// Something in the source.
    Entry(Entry),
    /// A folder that the device does not let us list.
    Unlistable(RelativePath),
    /// A name that is no admissible path: escaped, with what is wrong.
    Refused(String, model::NameError),
}

/// Something in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where, relative to the source.
    pub path: RelativePath,
    /// What.
    pub kind: EntryKind,
    /// Which, as far as the device can tell.
    pub identity: Identity,
    /// Whether it is open.
    pub openness: Openness,
}

/// How a device proves that nobody writes to a file. The weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WriterCheck {
    /// It cannot: files settle for `settle_blind`.
    Blind,
    /// By a scan of what all processes have open, proved complete.
    Scan,
    /// By read leases, which the kernel refuses while anything can write to the file (`fcntl(2)`,
    /// `F_SETLEASE`).
    Leases,
}

impl WriterCheck {
    /// Every check.
    pub const ALL: [Self; 3] = [Self::Blind, Self::Scan, Self::Leases];

    /// The stable code, for the ledger and for JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Blind => "blind",
            Self::Scan => "scan",
            Self::Leases => "leases",
        }
    }

    /// The check of that code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.code() == code)
    }

    /// What it means, for a person.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Blind => "cannot be seen: files settle for settle_blind",
            Self::Scan => "seen by a complete scan of all processes",
            Self::Leases => "the kernel is asked (read leases)",
        }
    }
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, socket or device node.
    Special,
}

/// Whether any process has a file open for writing. Readers do not count: the device's own SFTP server and digest tool
/// are among them, and a reader loses nothing when the file is withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Openness {
    /// Some process has it open for writing, or has it mapped shared and writable.
    Open,
    /// No process has it open for writing: the kernel says so, or a scan that saw every process.
    Closed,
    /// It cannot be seen.
    Unknown,
    /// Of listings only: the kernel was not asked yet. It is asked before the file is renamed, and again
    /// under its new name.
    Unasked,
}

impl Openness {
    /// What it shows of how the device proves that nobody writes; `None` for a file that is open.
    pub const fn check(self) -> Option<WriterCheck> {
        match self {
            Self::Open => None,
            Self::Closed => Some(WriterCheck::Scan),
            Self::Unknown => Some(WriterCheck::Blind),
            Self::Unasked => Some(WriterCheck::Leases),
        }
    }
}

/// A rename within a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The name it has.
    pub from: RelativePath,
    /// The name it gets.
    pub to: RelativePath,
}

/// A file looked at once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspection {
    /// Which it is now.
    pub identity: Identity,
    /// Whether it was open just before.
    pub openness: Openness,
}

impl Inspection {
    /// What it says of a file whose identity was noted before.
    pub fn against(self, noted: Identity) -> Confirmation {
        match self.openness {
            Openness::Open => Confirmation::Open,
            _ if self.identity != noted => Confirmation::Changed,
            Openness::Closed => Confirmation::Unchanged,
            Openness::Unknown | Openness::Unasked => Confirmation::Unseen,
        }
    }
}

/// What a look at a file found.
pub type InspectResult = Result<Inspection, FileFault>;

/// What a further look at a file says of its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// It is what it was, and nobody had it open for writing just before.
    Unchanged,
    /// It is what it was. Whether somebody has it open cannot be seen.
    Unseen,
    /// It is open, whatever else it is.
    Open,
    /// It is another file, or somebody has written to it.
    Changed,
}

/// What a further look at a file found.
pub type ConfirmResult = Result<Confirmation, FileFault>;

/// What became of a [`Move`]; and, where it was done, of the look at the file after it.
pub type RenameResult = Result<InspectResult, FileFault>;

/// A small file that is to be read together with others.
#[derive(Debug)]
pub struct SmallFileRequest {
    /// The file.
    pub path: RelativePath,
    /// How many bytes it is expected to have, at most [`SMALL_FILE_MAX`].
    pub expected_size: u64,
    /// Where its bytes go.
    pub chunks: ChunkSender,
    /// Where it is told how many there were.
    pub outcome: oneshot::Sender<Result<u64, FileFault>>,
}

/// Files of up to so many bytes (64 KiB) are read together: to open, read and close a larger one costs little beside its bytes.
pub const SMALL_FILE_MAX: u64 = 64 << 10;

/// So many files that are read together, or as many as come to more than [`SMALL_FILE_MAX`], a device may have read before it sends any of them.
pub const MAX_BUFFERED: usize = 32;

/// A range of a file that the device is to digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestRequest {
    /// The file.
    pub path: RelativePath,
    /// From where on, in bytes. A multiple of 1 MiB.
    pub offset: u64,
    /// How many bytes; `None`: to the end of the file.
    pub length: Option<u64>,
}

/// Where fetched bytes go. Not bounded as a queue: the credit of each chunk is the bound.
pub type ChunkSender = mpsc::UnboundedSender<Chunk>;

/// Some bytes of a file, in order.
#[derive(Debug)]
pub struct Chunk {
    /// The bytes.
    pub bytes: Bytes,
    /// Gives its share of the session's budget back when dropped: hold it until the bytes are written.
    pub credit: Option<OwnedSemaphorePermit>,
}

/// Why one file, and not the session, failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FileFault {
    /// What kind.
    pub kind: FileFaultKind,
    /// Operation and cause, as a fragment that fits after the file's name; from the device, escaped.
    pub message: String,
}

/// What kind of fault a single file had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFaultKind {
    /// It is not there (any more).
    Missing,
    /// The device does not permit it.
    Permission,
    /// It may not be renamed or removed, because its folder cannot be written.
    FolderUnwritable,
    /// It or its folder is marked immutable or append-only.
    Immutable,
    /// It belongs to somebody else, and the sticky bit of its folder protects it.
    Sticky,
    /// The file system is read-only.
    ReadOnly,
    /// The target is on another file system (EXDEV). SFTP tells this as a plain failure: see the message.
    OtherFileSystem,
    /// The device does not know the operation.
    Unsupported,
    /// It is no regular file.
    NotAFile,
    /// It has more bytes than expected.
    Grown,
    /// Somebody has it open for writing: it was not renamed.
    Open,
    /// Anything else the device answered.
    Other,
}

/// Why a device could not be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DeviceFailure {
    /// The class: decides exit status and remedy.
    pub class: FailureClass,
    /// What happened, in a sentence fragment; text from outside in it is escaped.
    pub message: String,
    /// What a person can do about this very cause, where the remedy of the class does not help.
    pub remedy: Option<String>,
}

impl DeviceFailure {
    /// What a person can do about it.
    pub fn remedy(&self) -> &str {
        self.remedy.as_deref().unwrap_or(self.class.remedy())
    }
}
