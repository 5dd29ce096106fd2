//! The checkers, one for each promise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::context::Fleet;
use crate::recording::{self, Digest, Recorded, shown};

/// The device name in the manifest for files that were in the store before gleaner.
const STORE: &str = "(the store)";

impl Fleet {
    /// All visible files of the store, by their path in it.
    pub(crate) fn store_files(&self) -> BTreeMap<PathBuf, Digest> {
        let mut files = recording::files_below(&self.store());
        files.retain(|path, _| !path.components().any(|part| part.as_os_str() == ".gleaner"));
        files
    }

    /// Puts a file into the store as another program would.
    pub(crate) fn put_into_store(&self, path: impl AsRef<Path>, content: &[u8]) -> &Self {
        let full = self.store().join(&path);
        std::fs::create_dir_all(full.parent().expect("a parent")).expect("making folders in the store");
        std::fs::write(&full, content).expect("writing into the store");
        self.manifest
            .add(STORE, path.as_ref(), recording::digest(content));
        self
    }

    /// Promise 1: every recorded content is whole on its device or in the store, under any name. Files that
    /// were in the store before gleaner are still at their paths.
    #[track_caller]
    pub(crate) fn assert_nothing_lost(&self) {
        let store = self.store_files();
        let stored: BTreeSet<&Digest> = store.values().collect();
        let mut on_device = BTreeSet::new();
        for device in self.devices() {
            for digest in device.files().into_values().flatten() {
                on_device.insert((device.name.clone(), digest));
            }
        }
        let lost: Vec<String> = self
            .manifest
            .all()
            .into_iter()
            .filter(|Recorded { device, path, digest }| match device.as_str() {
                STORE => store.get(path) != Some(digest),
                _ => !stored.contains(digest) && !on_device.contains(&(device.clone(), digest.clone())),
            })
            .map(|Recorded { device, path, digest }| format!("{device}: {} ({digest})", shown(&path)))
            .collect();
        assert!(
            lost.is_empty(),
            "LOST {} of {}:\n{}",
            lost.len(),
            self.manifest.len(),
            lost.join("\n")
        );
    }

    /// Promise 2: every visible file of the store has complete content that was recorded.
    #[track_caller]
    pub(crate) fn assert_store_true(&self) {
        let admissible = self.manifest.admissible();
        for (path, digest) in self.store_files() {
            assert!(
                admissible.contains(&digest),
                "{} in the store was never recorded so",
                shown(&path)
            );
        }
    }

    /// Promise 3: no regular file is left in any source, and no withdrawn folder.
    #[track_caller]
    pub(crate) fn assert_emptied(&self) {
        assert!(
            self.devices().iter().all(crate::device::Device::is_empty),
            "left:\n{}",
            self.left_files()
        );
        for device in self.devices() {
            let withdrawn = device.folder.join(recording::WITHDRAWN);
            let left = recording::folders_below(&withdrawn);
            assert!(
                !withdrawn.exists(),
                "a withdrawn folder is left on {}: {left:?}",
                device.name
            );
        }
    }

    /// The three promises at the end of a good run: all files are in the store, no others are there, and none
    /// is left behind.
    #[track_caller]
    pub(crate) fn assert_all_gathered(&self) {
        self.assert_nothing_lost();
        self.assert_store_true();
        self.assert_emptied();
    }

    /// Asserts that the store shows exactly these files with these contents.
    #[track_caller]
    pub(crate) fn assert_store_holds<P: AsRef<Path>, C: AsRef<[u8]>>(&self, files: &[(P, C)]) {
        let wanted: BTreeMap<String, Digest> = files
            .iter()
            .map(|(path, content)| (shown(path.as_ref()), recording::digest(content.as_ref())))
            .collect();
        let found: BTreeMap<String, Digest> = self
            .store_files()
            .into_iter()
            .map(|(path, digest)| (shown(&path), digest))
            .collect();
        assert_eq!(found, wanted, "the files of the store");
    }
}
