//! The requests that a device received, and the faults that a test sets for its replies.

use std::time::Duration;

use engine::ports::device::ConnectHints;
use engine::ports::{DeviceFailure, FileFaultKind};
use model::names::WITHDRAWN_FOLDER;
use model::{FailureClass, RelativePath};

/// What a device does for a request. A rename ends with an inspection; each file of a joint fetch is a fetch;
/// folders are removed after files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are the methods of the port")]
pub enum Request {
    Connect,
    Survey,
    Rename,
    Inspect,
    FetchTogether,
    Fetch,
    Digest,
    Remove,
    RemoveFolders,
}

/// The received requests, in order.
#[derive(Debug, Default)]
pub struct Requests {
    /// Every request.
    pub begun: Vec<Request>,
    /// The hints of each connection.
    pub hints: Vec<ConnectHints>,
    /// The sizes of files that were requested together.
    pub together: Vec<u64>,
    /// The offsets at which reads of files began.
    pub offsets: Vec<u64>,
    /// Offset and length of each digested range.
    pub digested: Vec<(u64, Option<u64>)>,
}

impl Requests {
    /// How often the device received that request.
    pub fn count(&self, request: Request) -> usize {
        self.begun.iter().filter(|begun| **begun == request).count()
    }
}

/// Faults that last until a test clears them. Paths and names are text: no test needs more.
#[derive(Debug, Clone, Default)]
pub struct DeviceFaults {
    /// The session ends at such a request.
    pub ends_at: Option<(Request, FailureClass)>,
    /// The device never replies to such a request.
    pub silent_at: Option<Request>,
    /// Reading a file of one of these names never ends.
    pub silent_over: Vec<&'static str>,
    /// The delay of a listing before each name.
    pub pause_before_each_name: Duration,
    /// A listing repeats this name as fast as the caller reads.
    pub invents: Option<&'static str>,
    /// A listing does not end after its last name.
    pub lists_without_end: bool,
    /// A listing is abandoned after its last name.
    pub gives_up_listing: Option<DeviceFailure>,
    /// The device cannot list this folder.
    pub unlistable: Option<&'static str>,
    /// This folder is another file system.
    pub mounted: Option<&'static str>,
    /// The device refuses every rename, after it has made the folders for it.
    pub refuses_renames: Option<FileFaultKind>,
    /// The device refuses every rename into a withdrawn folder, because the folder belongs to another login.
    pub refuses_folders: bool,
    /// The device refuses to inspect files of this name.
    pub refuses_inspect: Option<(&'static str, FileFaultKind)>,
    /// The device skips a file of this size when it reads files together.
    pub passes_over: Option<u64>,
    /// How many bytes at the end of each file cannot be read.
    pub withholds: usize,
    /// The device cannot digest files.
    pub cannot_digest: bool,
}

impl DeviceFaults {
    /// Why the device refuses this rename.
    pub(in crate::simulator) fn refuses_rename(
        &self,
        from: &RelativePath,
        to: &RelativePath,
    ) -> Option<FileFaultKind> {
        let is_mounted = |path: &RelativePath| is_in(path, self.mounted);
        let crosses = is_mounted(from) != is_mounted(to);
        let crosses = crosses.then_some(FileFaultKind::OtherFileSystem);
        let in_folder = to.components().any(|part| part == WITHDRAWN_FOLDER);
        let refused = (self.refuses_folders && in_folder).then_some(FileFaultKind::Permission);
        self.refuses_renames.or(crosses).or(refused)
    }

    /// Why the device refuses to inspect this file.
    pub(in crate::simulator) fn refuses_inspection(&self, path: &RelativePath) -> Option<FileFaultKind> {
        let (name, kind) = self.refuses_inspect?;
        (path.file_name() == name.as_bytes()).then_some(kind)
    }

    /// Whether reading a file never ends.
    pub(in crate::simulator) fn is_silent_over(&self, path: &RelativePath) -> bool {
        let names = &self.silent_over;
        names.iter().any(|name| path.file_name() == name.as_bytes())
    }

    /// Whether a listing hides this path.
    pub(in crate::simulator) fn hides(&self, path: &[u8]) -> bool {
        RelativePath::new(path).is_ok_and(|path| is_in(&path, self.unlistable))
    }
}

/// Whether a path is in a folder.
fn is_in(path: &RelativePath, folder: Option<&str>) -> bool {
    let below = folder.and_then(|folder| path.as_bytes().strip_prefix(folder.as_bytes()));
    below.is_some_and(|below| below.starts_with(b"/"))
}

/// Why a request gets no reply.
pub(in crate::simulator) enum Unanswered {
    Silent,
    Ended(DeviceFailure),
}
