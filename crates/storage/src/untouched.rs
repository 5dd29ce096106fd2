//! A store that is only read: for a dry run, and for an audit that moves nothing.

use std::io;

use engine::ports::{Condition, StoreError, StoreProperties, StoreStatus};
use model::names::CONTROL_FOLDER;
use rustix::io::Errno;

use crate::condition::inspect;
use crate::disk::Disk;
use crate::fault::{is, not_writable};
use crate::folder::StoreFolder;
use crate::probe;
use crate::settings::StoreSettings;
use crate::staging_area::{PARTIAL, STAGING};
use crate::store::result_of;

/// A store that is only read. It makes no staging folder.
pub struct UntouchedStore<D: Disk> {
    pub(crate) folder: StoreFolder<D>,
    pub(crate) settings: StoreSettings,
}

impl<D: Disk> UntouchedStore<D> {
    /// Opens and makes nothing.
    pub fn new(folder: StoreFolder<D>, settings: StoreSettings) -> Self {
        Self { folder, settings }
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
        None => Err(label.cannot_publish()),
    }
}

/// The folder in which a sweep would make its first file or folder: this collector's staging, or its nearest
/// folder that exists.
fn innermost<D: Disk>(disk: &D, root: &D::Folder, settings: &StoreSettings) -> io::Result<D::Folder> {
    let mut folder = disk.open_folder(root, CONTROL_FOLDER)?;
    for name in [STAGING, settings.collector.as_str().as_bytes(), PARTIAL] {
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

impl<D: Disk> StoreStatus for UntouchedStore<D> {
    fn properties(&self) -> StoreProperties {
        self.settings.properties()
    }

    async fn condition(&self) -> Result<Condition, StoreError> {
        let (folder, settings) = (self.folder.clone(), self.settings.clone());
        let executor = &self.settings.executor;
        let condition = executor.start(move || condition(&folder, &settings));
        result_of(condition, &self.folder.label).await
    }
}
