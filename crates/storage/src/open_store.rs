//! What all jobs of one open store share.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock};

use engine::ports::StoreError;
use model::names::CONTROL_FOLDER;
use model::{Digest, LedgerId, StoreId};

use crate::disk::Disk;
use crate::durable_folders::DurableFolders;
use crate::fault::StoreLabel;
use crate::files::open_or_make_folder;
use crate::marker::PublishMethod;
use crate::settings::StoreSettings;
use crate::staging_area::{STAGING, StagingArea, StagingAreas};

/// What all jobs of one open store share.
pub(crate) struct OpenStore<D: Disk> {
    pub(crate) disk: Arc<D>,
    pub(crate) path: PathBuf,
    pub(crate) label: StoreLabel,
    pub(crate) id: StoreId,
    pub(crate) method: PublishMethod,
    pub(crate) settings: StoreSettings,
    pub(crate) durable_folders: DurableFolders,
    pub(crate) areas: StagingAreas<D>,
    handles: RwLock<Arc<Handles<D>>>,
    run: u64,
    next_token: AtomicU64,
    staged_keys: Arc<Mutex<HashSet<Digest>>>,
    naming_lock: Mutex<()>,
    tokens_in_use: Arc<Mutex<HashSet<String>>>,
}

impl<D: Disk> OpenStore<D> {
    pub(crate) fn new(
        store: crate::StoreFolder<D>,
        handles: Handles<D>,
        method: PublishMethod,
        settings: StoreSettings,
    ) -> Self {
        Self {
            run: store.disk.unique_number(),
            disk: store.disk,
            path: store.path,
            label: store.label,
            id: store.marker.id,
            method,
            settings,
            durable_folders: DurableFolders::default(),
            areas: StagingAreas::default(),
            handles: RwLock::new(Arc::new(handles)),
            next_token: AtomicU64::new(0),
            staged_keys: Arc::default(),
            naming_lock: Mutex::default(),
            tokens_in_use: Arc::default(),
        }
    }

    /// The folders of the store, as they were when it was last found fit.
    pub(crate) fn handles(&self) -> Arc<Handles<D>> {
        Arc::clone(&self.handles.read())
    }

    /// Goes over to the folders of the same store mounted anew.
    pub(crate) fn replace_handles(&self, handles: Handles<D>) {
        self.forget_areas();
        *self.handles.write() = Arc::new(handles);
    }

    /// Makes, renames or removes a name in the staging folders, which all threads share.
    ///
    /// Linux lets one thread at a time change a folder, and the others spin until it is done: 32 threads on 2 cores that make, flush and
    /// read back 10,000 small files cost 4.4 s of CPU, and 2.1 s when they take turns here, where those that wait sleep.
    pub(crate) fn with_naming_lock<T>(&self, change: impl FnOnce() -> T) -> T {
        let _turn = self.naming_lock.lock();
        change()
    }

    /// A name in staging that no other process and no other file of this process has.
    pub(crate) fn new_token(&self) -> Token {
        let number = self.next_token.fetch_add(1, Ordering::Relaxed);
        let text = format!("{:016x}-{number:x}", self.run);
        lock(&self.tokens_in_use).insert(text.clone());
        Token {
            text,
            in_use: Arc::clone(&self.tokens_in_use),
        }
    }

    /// Whether a file of this process is still being received under that token.
    pub(crate) fn is_in_use(&self, token: &str) -> bool {
        lock(&self.tokens_in_use).contains(token)
    }

    /// Whether a name in staging was made by this process.
    pub(crate) fn is_own_token(&self, token: &[u8]) -> bool {
        token.starts_with(format!("{:016x}-", self.run).as_bytes())
    }

    /// Claims a key for a file that can be resumed; `None` while another file of this process has it (perhaps one whose
    /// job goes on although nobody waits for it any more).
    pub(crate) fn claim(&self, key: Digest) -> Option<Claim> {
        let keys = Arc::clone(&self.staged_keys);
        let claimed = lock(&keys).insert(key);
        claimed.then(|| Claim { keys, key })
    }
}

/// The only right of this process to resume a key; given back when dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    keys: Arc<Mutex<HashSet<Digest>>>,
    key: Digest,
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.keys).remove(&self.key);
    }
}

/// The name of a file in staging, in use until this is dropped.
#[derive(Debug)]
pub(crate) struct Token {
    text: String,
    in_use: Arc<Mutex<HashSet<String>>>,
}

impl Token {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        lock(&self.in_use).remove(&self.text);
    }
}

fn lock<T>(set: &Mutex<HashSet<T>>) -> MutexGuard<'_, HashSet<T>> {
    set.lock()
}

/// The folders that every file passes through, held open: they also pin the file system, so that no file can ever go to
/// what lies under the mount point.
pub(crate) struct Handles<D: Disk> {
    pub(crate) root: Arc<D::Folder>,
    pub(crate) control: D::Folder,
    /// `.gleaner/staging`: those of all collectors.
    pub(crate) staging: D::Folder,
    /// That of this ledger in it.
    pub(crate) own_folder: D::Folder,
    /// Where files are received that are bound for the file system of the store.
    pub(crate) own: Arc<StagingArea<D>>,
}

impl<D: Disk> Handles<D> {
    /// Opens them, making the staging of this collector if it is not there. Its names need not be durable: what is lost
    /// with them is fetched again.
    pub(crate) fn open(
        disk: &D,
        root: Arc<D::Folder>,
        ledger: &LedgerId,
        label: &StoreLabel,
    ) -> Result<Self, StoreError> {
        let fault = |error| label.fault("open the staging folder", error);
        let control = disk.open_folder(&root, CONTROL_FOLDER).map_err(fault)?;
        let staging = open_or_make_folder(disk, &control, STAGING).map_err(fault)?;
        Ok(Self {
            own: Arc::new(StagingArea::open(disk, &staging, ledger, None).map_err(fault)?),
            own_folder: disk
                .open_folder(&staging, ledger.as_str().as_bytes())
                .map_err(fault)?,
            root,
            control,
            staging,
        })
    }
}
