//! The folders whose names are known to be durable.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::disk::NodeIdentity;

/// The folders whose names this process has flushed, in every folder up to the store.
///
/// A folder that another process made under a known name, or that is on another mount, has another identity
/// and does not count. Nor do folders that an earlier process made: it may have died before the flush.
#[derive(Debug, Default)]
pub(crate) struct DurableFolders(Mutex<HashMap<Vec<u8>, NodeIdentity>>);

/// Folders remembered at most. Beyond this number all are forgotten, which costs one flush each to learn
/// again.
const MAX_FOLDERS: usize = 50_000;

impl DurableFolders {
    pub(crate) fn contains(&self, folder: &[u8], identity: NodeIdentity) -> bool {
        self.0.lock().get(folder) == Some(&identity)
    }

    pub(crate) fn extend(&self, folders: impl IntoIterator<Item = (Vec<u8>, NodeIdentity)>) {
        let mut known = self.0.lock();
        for (folder, identity) in folders {
            if known.len() >= MAX_FOLDERS {
                known.clear();
            }
            known.insert(folder, identity);
        }
    }
}
