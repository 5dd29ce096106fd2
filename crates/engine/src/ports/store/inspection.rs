//! Reads the visible store, for an audit.

use model::{Digest, RelativePath};
use tokio::sync::mpsc;

use super::StoreStatus;
use super::fault::StoreError;

/// The store of an audit. All methods may run at the same time.
///
/// Only [`StoreInspection::quarantine`] changes a visible file.
pub trait StoreInspection: StoreStatus {
    /// Lists all visible files into a bounded channel, in any order. Waits while the channel is full, and
    /// ends when its receiver is dropped. Memory does not grow with the number of files.
    ///
    /// A part of the store that cannot be read is sent as [`Unlisted`], and the listing continues behind it.
    fn list(&self, files: ListingSender) -> impl Future<Output = ()> + Send;

    /// Reads a stored copy again and compares it with the record. Changes nothing and follows no links.
    fn check(
        &self,
        name: &RelativePath,
        size: u64,
        digest: &Digest,
    ) -> impl Future<Output = CopyCheck> + Send;

    /// Sets a damaged stored copy aside: it leaves the visible store and keeps its bytes. Replaces nothing.
    /// Only `audit --quarantine` requests this.
    ///
    /// A crash leaves the copy either visible or set aside.
    fn quarantine(&self, name: &RelativePath) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Where the latest copy of this name is that was set aside, as messages show it. `None` if there is
    /// none, or if that cannot be determined.
    fn quarantined(&self, name: &RelativePath) -> impl Future<Output = Option<String>> + Send;
}

/// Takes the listing of the store. The channel is bounded: the listing waits until earlier entries are
/// received.
pub type ListingSender = mpsc::Sender<Result<ListedFile, Unlisted>>;

/// A visible file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Its name in the store.
    pub name: RelativePath,
    /// Its size in bytes.
    pub size: u64,
}

/// A part of the visible store that could not be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlisted {
    /// The folder or file, escaped; empty for the store itself.
    pub name: String,
    /// Why not.
    pub reason: String,
}

/// How a stored copy compares with the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyCheck {
    /// The recorded size and digest.
    Same,
    /// Nothing has that name.
    Missing,
    /// The name has something else: what.
    Different(String),
    /// The copy cannot be read: why.
    Unreadable(String),
}
