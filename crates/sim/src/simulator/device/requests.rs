//! What a device was asked, and what a test has happen before it answers, or has go wrong with its answers.

use std::time::Duration;

use engine::ports::device::ConnectHints;
use engine::ports::{DeviceFailure, FileFaultKind};
use model::names::WITHDRAWN_FOLDER;
use model::{FailureClass, RelativePath};

/// What a device does when it is asked. A rename ends with a look; of files that are read together each is read;
/// folders go after files.
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

/// What was asked, in order, and what is to happen before the next ones are answered.
#[derive(Debug, Default)]
pub struct Requests {
    /// Every request.
    pub begun: Vec<Request>,
    /// What was known of the device, whenever somebody connected.
    pub hints: Vec<ConnectHints>,
    /// The sizes of files that were to be read together.
    pub together: Vec<u64>,
    /// From which byte on files were read.
    pub offsets: Vec<u64>,
    /// Offset and length of what was digested.
    pub digested: Vec<(u64, Option<u64>)>,
}

impl Requests {
    /// How often it was asked for that.
    pub fn count(&self, request: Request) -> usize {
        self.begun.iter().filter(|begun| **begun == request).count()
    }
}

/// What goes wrong for as long as a test wants it to. Paths and names are text: no test needs more.
#[derive(Debug, Clone, Default)]
pub struct DeviceFaults {
    /// The session ends with such a request.
    pub ends_at: Option<(Request, FailureClass)>,
    /// Such a request is never answered.
    pub silent_at: Option<Request>,
    /// Reading a file of one of these names never ends.
    pub silent_over: Vec<&'static str>,
    /// A listing takes so long before each name.
    pub pause_before_each_name: Duration,
    /// A listing names this again and again, as fast as anybody listens.
    pub invents: Option<&'static str>,
    /// A listing does not end once all is named.
    pub lists_without_end: bool,
    /// A listing is given up once all is named.
    pub gives_up_listing: Option<DeviceFailure>,
    /// This folder cannot be listed.
    pub unlistable: Option<&'static str>,
    /// This folder is another file system.
    pub mounted: Option<&'static str>,
    /// Every rename is refused, after the folders for it were made.
    pub refuses_renames: Option<FileFaultKind>,
    /// Every rename into a withdrawn folder is refused: it is another login's.
    pub refuses_folders: bool,
    /// A look at files of this name is refused.
    pub refuses_inspect: Option<(&'static str, FileFaultKind)>,
    /// A file of this size is not read together with others.
    pub passes_over: Option<u64>,
    /// So many bytes at the end of a file cannot be read.
    pub withholds: usize,
    /// Nothing can be digested.
    pub cannot_digest: bool,
}

impl DeviceFaults {
    /// Why a rename is refused.
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

    /// Why a look is refused.
    pub(in crate::simulator) fn refuses_inspection(&self, path: &RelativePath) -> Option<FileFaultKind> {
        let (name, kind) = self.refuses_inspect?;
        (path.file_name() == name.as_bytes()).then_some(kind)
    }

    /// Whether reading a file never ends.
    pub(in crate::simulator) fn is_silent_over(&self, path: &RelativePath) -> bool {
        let names = &self.silent_over;
        names.iter().any(|name| path.file_name() == name.as_bytes())
    }

    /// Whether a listing cannot name something.
    pub(in crate::simulator) fn hides(&self, path: &[u8]) -> bool {
        RelativePath::new(path).is_ok_and(|path| is_in(&path, self.unlistable))
    }
}

/// Whether something is in a folder.
fn is_in(path: &RelativePath, folder: Option<&str>) -> bool {
    let below = folder.and_then(|folder| path.as_bytes().strip_prefix(folder.as_bytes()));
    below.is_some_and(|below| below.starts_with(b"/"))
}

/// How a request ends that is not answered.
pub(in crate::simulator) enum Unanswered {
    Silent,
    Ended(DeviceFailure),
}
