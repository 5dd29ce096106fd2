//! Resumes a partial file that an earlier transfer left in staging.

use engine::ports::StoreError;
use rustix::io::Errno;

use crate::disk::{Access, Disk, EntryKind};
use crate::fault::is;
use crate::files::read_range;
use crate::open_store::OpenStore;
use crate::partial::PartialName;
use crate::staged::StagedFile;
use crate::stream_hasher::StreamHasher;

impl<D: Disk> StagedFile<D> {
    /// With `resume`, continues the partial file of this key with the most flushed ranges. Removes all others
    /// of the key. The caller must hold the claim on the key, so that none of them is in use.
    pub(crate) fn resume(&mut self, store: &OpenStore<D>, resume: bool) -> Result<(), StoreError> {
        let fault = |error| store.label.fault("list partial files", error);
        let disk = &*store.disk;
        let mut found = Vec::new();
        for entry in disk.entries(&self.area.partial).map_err(fault)? {
            let name = PartialName::parse(&entry.map_err(fault)?.name);
            found.extend(name.filter(|name| name.key == self.key.digest));
        }
        found.sort_by_key(|name| name.ranges);
        let best = if resume {
            found.pop().filter(|name| name.ranges > 0)
        } else {
            None
        };
        if let Some(best) = best
            && !self.resume_from(store, &best)?
        {
            found.push(best);
        }
        for name in found {
            // A file that cannot be removed now is tidied later.
            disk.remove_file(&self.area.partial, &name.to_bytes())
                .unwrap_or_default();
        }
        Ok(())
    }

    /// Returns whether the file was resumed. A file that cannot be opened or read is not: its bytes are
    /// fetched again.
    ///
    /// The file gets this process's name before it is truncated after its counted ranges. Otherwise a process
    /// with the same collector id (a cloned machine) could publish it in between, and gleaner would truncate
    /// what is published. Once the name is gone, that process can no longer seal the file. A crash after
    /// either leaves a partial file that can be resumed: bytes behind the counted ranges are ignored.
    fn resume_from(&mut self, store: &OpenStore<D>, name: &PartialName) -> Result<bool, StoreError> {
        let disk = &*store.disk;
        let range_length = store.settings.range_length;
        let ranges = name.ranges.min(self.key.expected_size / range_length);
        let proved = ranges * range_length;
        let Ok(file) = disk.open_file(&self.area.partial, &name.to_bytes(), Access::ReadAndWrite) else {
            return Ok(false);
        };
        let fits = disk
            .file_status(&file)
            .is_ok_and(|status| status.kind == EntryKind::File && status.size >= proved);
        if !fits || ranges == 0 {
            return Ok(false);
        }
        let Some(hasher) = digest_again(store, &file, ranges, self.key.range_digests) else {
            return Ok(false);
        };
        let fault = |error| store.label.fault("resume a partial file", error);
        let resumed = PartialName {
            key: name.key,
            ranges,
            token: self.token.as_str().to_owned(),
        };
        let partial = &self.area.partial;
        match disk.rename(partial, &name.to_bytes(), partial, &resumed.to_bytes()) {
            Err(error) if is(&error, Errno::NOENT) => return Ok(false),
            renamed => renamed.map_err(fault)?,
        }
        disk.truncate(&file, proved).map_err(fault)?;
        self.hasher = hasher;
        self.proved = proved;
        self.written_out = proved;
        self.use_file(store, file, &resumed.to_bytes());
        self.reserve_room(store)?;
        Ok(true)
    }
}

/// Digests the file from the disk, range by range; `None` if it cannot be read.
fn digest_again<D: Disk>(
    store: &OpenStore<D>,
    file: &D::File,
    ranges: u64,
    range_digests: bool,
) -> Option<StreamHasher> {
    let disk = &*store.disk;
    let length = store.settings.range_length;
    let mut hasher = StreamHasher::new(length, range_digests);
    disk.drop_cache(file, 0, ranges * length);
    for range in 0..ranges {
        let count = read_range(disk, file, range * length, length, |part| hasher.update(part)).ok()?;
        if count != length {
            return None;
        }
        hasher.close_range();
    }
    Some(hasher)
}
