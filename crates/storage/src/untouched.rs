//! A store for a dry run: it reports its condition and changes nothing visible.

use std::convert::Infallible;
use std::io;

use engine::ports::{
    Chunk, Condition, Destination, Placement, Publication, PublishFault, Reproof, Room, SealedFile,
    StagingKey, Store, StoreError,
};
use model::names::CONTROL_FOLDER;
use model::{Digest, RelativePath, Timestamp};
use rustix::io::Errno;

use crate::condition::inspect;
use crate::disk::Disk;
use crate::fault::{is, not_writable};
use crate::folder::StoreFolder;
use crate::probe;
use crate::settings::StoreSettings;
use crate::staging_area::{PARTIAL, STAGING};
use crate::store::result_of;

/// The store of a dry run. It reports its condition and refuses every other request. It makes no staging for
/// its ledger.
pub struct UntouchedStore<D: Disk> {
    folder: StoreFolder<D>,
    settings: StoreSettings,
}

impl<D: Disk> UntouchedStore<D> {
    /// Opens and makes nothing.
    pub fn new(folder: StoreFolder<D>, settings: StoreSettings) -> Self {
        Self { folder, settings }
    }

    fn refusal(&self) -> StoreError {
        StoreError::NotWritable {
            path: self.folder.label.path(),
            source: io::Error::other("it was opened for a dry run"),
        }
    }
}

/// Inspects the store by its path, and tries the calls that a sweep needs there.
fn condition<D: Disk>(store: &StoreFolder<D>, settings: &StoreSettings) -> Result<Condition, StoreError> {
    let (disk, label) = (&*store.disk, &store.label);
    let (root, condition) = inspect(disk, &store.path, label, store.id(), settings.min_free)?;
    let trying = |error| not_writable(label.fault("try links and renames in .gleaner", error));
    let folder = innermost(disk, &root, settings).map_err(trying)?;
    // Permission bits alone do not tell, least of all on network file systems. The probes are removed at
    // once. A crash leaves one or two empty files in the control folder, which do no harm.
    match probe::publish_method(disk, &folder).map_err(trying)? {
        Some(_) => Ok(condition),
        None => Err(StoreError::CannotPublish { path: label.path() }),
    }
}

/// The folder in which a sweep would make its first file or folder: this ledger's staging, or its nearest
/// folder that exists.
fn innermost<D: Disk>(disk: &D, root: &D::Folder, settings: &StoreSettings) -> io::Result<D::Folder> {
    let mut folder = disk.open_folder(root, CONTROL_FOLDER)?;
    for name in [STAGING, settings.ledger.as_str().as_bytes(), PARTIAL] {
        match disk.open_folder(&folder, name) {
            Err(error) if is(&error, Errno::NOENT) => break,
            opened => folder = opened?,
        }
    }
    Ok(folder)
}

impl<D: Disk> std::fmt::Debug for UntouchedStore<D> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("UntouchedStore")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl<D: Disk> Store for UntouchedStore<D> {
    /// A dry run stages no file.
    type Staged = Infallible;

    fn range_length(&self) -> u64 {
        self.settings.range_length
    }

    async fn condition(&self) -> Result<Condition, StoreError> {
        let (folder, settings) = (self.folder.clone(), self.settings.clone());
        let executor = &self.settings.executor;
        let looking = executor.start(move || condition(&folder, &settings));
        result_of(looking, &self.folder.label).await
    }

    async fn tidy_staging(&self, _keep_partial_since: Timestamp) -> Result<u64, StoreError> {
        Err(self.refusal())
    }

    /// Refused: it would probe names and sizes in staging.
    async fn foresee(
        &self,
        _wanted: Vec<Destination>,
    ) -> Result<Vec<Result<Room, PublishFault>>, StoreError> {
        Err(self.refusal())
    }

    async fn stage(&self, _key: &StagingKey, _resume: bool) -> Result<(Infallible, u64), StoreError> {
        Err(self.refusal())
    }

    async fn append(&self, staged: Infallible, _chunks: Vec<Chunk>) -> Result<Infallible, StoreError> {
        match staged {}
    }

    async fn seal(
        &self,
        staged: Infallible,
        _last: Vec<Chunk>,
        _modified: Timestamp,
    ) -> Result<SealedFile, StoreError> {
        match staged {}
    }

    async fn discard(&self, staged: Infallible) {
        match staged {}
    }

    async fn retire(&self, _sealed: Vec<SealedFile>) -> Result<(), StoreError> {
        Err(self.refusal())
    }

    async fn publish(
        &self,
        _publications: Vec<Publication>,
    ) -> Result<Vec<Result<Placement, PublishFault>>, StoreError> {
        Err(self.refusal())
    }

    /// Refused: it would flush the copy and its folders.
    async fn reprove(
        &self,
        _name: &RelativePath,
        _size: u64,
        _digest: &Digest,
    ) -> Result<Reproof, StoreError> {
        Err(self.refusal())
    }

    async fn quarantine(&self, _name: &RelativePath) -> Result<(), StoreError> {
        Err(self.refusal())
    }
}
