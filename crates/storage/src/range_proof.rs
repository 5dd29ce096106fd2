//! The proof that one range of a large file is on the disk, made while the next range is received.

use std::sync::Arc;

use engine::ports::StoreError;

use crate::disk::Disk;
use crate::files::checksum_range;
use crate::open_store::{Claim, OpenStore, Token};
use crate::partial::PartialName;
use crate::staging_area::StagingArea;
use crate::stream_hasher::ClosedRange;

/// A received range whose bytes are written but not yet flushed.
pub(crate) struct RangeProof<D: Disk> {
    pub(crate) store: Arc<OpenStore<D>>,
    pub(crate) area: Arc<StagingArea<D>>,
    pub(crate) file: Arc<D::File>,
    pub(crate) range: ClosedRange,
    /// The name of the partial file before and after the proof.
    pub(crate) before: PartialName,
    pub(crate) after: PartialName,
    /// Held until the end, so that the file is neither resumed nor tidied meanwhile.
    pub(crate) claim: Option<Arc<Claim>>,
    pub(crate) token: Arc<Token>,
}

impl<D: Disk> RangeProof<D> {
    /// Flushes the range, reads it back and compares it, then renames the file to count it. Removes the file
    /// on a failure.
    ///
    /// The rename is not flushed. A crash that undoes it leaves the old name, which counts fewer ranges:
    /// still true, and one range is fetched again.
    pub(crate) fn prove(self) -> Result<(), StoreError> {
        let proved = self.flush_and_compare();
        if proved.is_err() {
            for name in [&self.before, &self.after] {
                self.store
                    .disk
                    .remove_file(&self.area.partial, &name.to_bytes())
                    .unwrap_or_default();
            }
        }
        drop((self.claim, self.token));
        proved
    }

    fn flush_and_compare(&self) -> Result<(), StoreError> {
        let (disk, label) = (&*self.store.disk, &self.store.label);
        let token = &self.before.token;
        let fault = |operation: &str, error| self.area.fault(label, operation, token, error);
        disk.flush_bytes(&self.file)
            .map_err(|error| fault("flush", error))?;
        disk.drop_cache(&self.file, self.range.offset, self.range.length);
        let is_on_disk = is_on_disk(disk, &self.file, self.range);
        if !is_on_disk.map_err(|error| fault("read back", error))? {
            return Err(StoreError::ReadBack {
                location: label.location(),
                name: token.clone(),
            });
        }
        let partial = &self.area.partial;
        disk.rename(partial, &self.before.to_bytes(), partial, &self.after.to_bytes())
            .map_err(|error| fault("rename", error))
    }
}

/// Whether reading a range of the file returns the bytes that were received.
pub(crate) fn is_on_disk<D: Disk>(disk: &D, file: &D::File, range: ClosedRange) -> std::io::Result<bool> {
    let found = checksum_range(disk, file, range.offset, range.length)?;
    Ok(found == (range.checksum, range.length))
}
