//! Which folders are known to be durable under their names.

use std::collections::HashMap;

use parking_lot::{Mutex, MutexGuard};

use crate::disk::NodeIdentity;

/// The folders whose names this process has flushed, up to the store. A folder that somebody made anew under a known name, or one of
/// another mount, has another identity, and is not among them. What a process before this one made is not either: it may have died before it could flush.
#[derive(Debug, Default)]
pub(crate) struct Flushed(Mutex<HashMap<Vec<u8>, NodeIdentity>>);

/// Beyond this many, all are forgotten: they cost a flush each to learn again, and memory stays bounded.
const MAXIMUM: usize = 50_000;

impl Flushed {
    pub(crate) fn knows(&self, folder: &[u8], identity: NodeIdentity) -> bool {
        self.lock().get(folder) == Some(&identity)
    }

    pub(crate) fn learn(&self, folders: impl IntoIterator<Item = (Vec<u8>, NodeIdentity)>) {
        let mut known = self.lock();
        for (folder, identity) in folders {
            if known.len() >= MAXIMUM {
                known.clear();
            }
            known.insert(folder, identity);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, NodeIdentity>> {
        self.0.lock()
    }
}
