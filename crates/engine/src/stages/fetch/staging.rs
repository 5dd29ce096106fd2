//! The key under which a file is staged, which identifies one version of it.

use std::sync::atomic::Ordering;

use model::{Digest, RelativePath};
use sha2::{Digest as _, Sha256};

use super::digests::is_digested_in_ranges;
use crate::ports::{Session, StagingKey};
use crate::stages::store_name::store_name;
use crate::stages::withdraw::Withdrawn;
use crate::visit::SourceVisit;
use crate::world::World;

/// Whether a partial file of an earlier pass may be resumed.
///
/// Only a complete identity proves that it is the same version, and only a digest of the device proves the
/// bytes that are there.
pub(super) fn may_resume<W: World>(visit: &SourceVisit<'_, W>, file: &Withdrawn) -> bool {
    file.identity().is_complete() && visit.session.abilities().digests
}

/// The staging key of a file. Two versions never share one: every part of the identity is in it.
pub(super) fn staging_key<W: World>(visit: &SourceVisit<'_, W>, file: &Withdrawn) -> StagingKey {
    let mut hasher = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(u64::try_from(bytes.len()).unwrap_or(0).to_le_bytes());
        hasher.update(bytes);
    };
    let identity = file.identity();
    part(visit.device.name.as_str().as_bytes());
    part(visit.source.as_bytes());
    part(file.current_path().as_bytes());
    for number in [identity.device_number, identity.inode] {
        part(&number.map(u64::to_le_bytes).unwrap_or_default());
    }
    part(&identity.size.to_le_bytes());
    part(&identity.modified.nanoseconds().to_le_bytes());
    part(
        &identity
            .changed
            .map(|changed| changed.nanoseconds().to_le_bytes())
            .unwrap_or_default(),
    );
    let is_bound = visit.device_visit.receives_beside.load(Ordering::Relaxed);
    StagingKey {
        digest: Digest::from_bytes(hasher.finalize().into()),
        expected_size: identity.size,
        range_digests: is_digested_in_ranges(visit, identity.size),
        folder: is_bound.then(|| store_folder(visit, file)).flatten(),
    }
}

/// The folder of the store that a file is bound for, if nothing is in its way.
fn store_folder<W: World>(visit: &SourceVisit<'_, W>, file: &Withdrawn) -> Option<RelativePath> {
    let digest = Digest::from_bytes([0; 32]);
    let modified = file.identity().modified;
    let name = store_name(visit, file.original(), modified, &digest).ok()?;
    name.parent()
}
