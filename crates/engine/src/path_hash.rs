//! Hashes of paths, for sets that hold millions of them in 8 bytes each.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;

use model::{RelativePath, SourcePath};

/// A hash with a key of this process. A device cannot choose names that collide.
pub(crate) fn hash(value: &impl Hash) -> u64 {
    static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    STATE.hash_one(value)
}

/// The hash of a path in a source.
pub(crate) fn hash_in_source(source: &SourcePath, path: &RelativePath) -> u64 {
    hash(&(source.as_bytes(), path.as_bytes()))
}
