//! Partial files: their names, and how one is taken up again.

use engine::ports::StoreError;
use model::Digest;
use rustix::io::Errno;

use crate::disk::{Access, Disk, EntryKind};
use crate::fault::is;
use crate::files::read_range;
use crate::received::Received;
use crate::shared::Shared;
use crate::staged::Staged;

/// The name of a partial file: `<key>.<flushed ranges>.<token>`. The token keeps files apart that stand for the same key: one that
/// a job still writes although nobody waits for it any more, and the one that came after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartialName {
    pub(crate) key: Digest,
    /// How many ranges are flushed, and were read back.
    pub(crate) ranges: u64,
    pub(crate) token: String,
}

impl PartialName {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        format!("{}.{}.{}", self.key, self.ranges, self.token).into_bytes()
    }

    pub(crate) fn parse(name: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(name).ok()?;
        let mut parts = text.split('.');
        let (key, ranges, token) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let read = Self {
            key: Digest::from_hex(key.as_bytes())?,
            ranges: ranges.parse().ok()?,
            token: token.to_owned(),
        };
        // Written in another way, it would be the name of another file, which might be removed in its place.
        (read.to_bytes() == name).then_some(read)
    }
}

impl<D: Disk> Staged<D> {
    /// Takes up the partial file of this key that has the most flushed ranges, if `resume`, and removes all others of the key. Must hold
    /// the claim on the key, so that none of them is in use.
    pub(crate) fn take_up(&mut self, shared: &Shared<D>, resume: bool) -> Result<(), StoreError> {
        let fault = |error| shared.place.fault("list partial files", error);
        let disk = &*shared.disk;
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
            && !self.take_up_one(shared, &best)?
        {
            found.push(best);
        }
        for name in found {
            // What cannot be removed now is tidied later.
            disk.remove_file(&self.area.partial, &name.to_bytes())
                .unwrap_or_default();
        }
        Ok(())
    }

    /// Whether there was something to take up. A file that cannot be opened or read is none: its bytes are fetched again.
    fn take_up_one(&mut self, shared: &Shared<D>, name: &PartialName) -> Result<bool, StoreError> {
        let disk = &*shared.disk;
        let range_length = shared.settings.range_length;
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
        let Some(received) = digest_again(shared, &file, ranges, self.key.range_digests) else {
            return Ok(false);
        };
        let fault = |error| shared.place.fault("take up a partial file", error);
        disk.truncate(&file, proved).map_err(fault)?;
        let taken = PartialName {
            key: name.key,
            ranges,
            token: self.token.as_str().to_owned(),
        };
        let partial = &self.area.partial;
        match disk.rename(partial, &name.to_bytes(), partial, &taken.to_bytes()) {
            Err(error) if is(&error, Errno::NOENT) => return Ok(false),
            renamed => renamed.map_err(fault)?,
        }
        self.received = received;
        self.proved = proved;
        self.written_out = proved;
        self.take_file(shared, file, &taken.to_bytes());
        self.reserve_room(shared)?;
        Ok(true)
    }
}

/// Digests what is on the disk, range by range; `None` where it cannot be read.
fn digest_again<D: Disk>(
    shared: &Shared<D>,
    file: &D::File,
    ranges: u64,
    range_digests: bool,
) -> Option<Received> {
    let disk = &*shared.disk;
    let length = shared.settings.range_length;
    let mut received = Received::new(length, range_digests);
    disk.drop_cache(file, 0, ranges * length);
    for range in 0..ranges {
        let count = read_range(disk, file, range * length, length, |part| received.take(part)).ok()?;
        if count != length {
            return None;
        }
        received.close_range();
    }
    Some(received)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_name_is_read_as_it_was_written_and_nothing_else_is_one() {
        let name = PartialName {
            key: Digest::from_bytes([0xab; 32]),
            ranges: 17,
            token: "00ff-1".to_owned(),
        };
        assert_eq!(PartialName::parse(&name.to_bytes()), Some(name.clone()));
        let key = name.key.to_hex();
        for other in [
            "",
            "a.1.b",
            &key,
            &format!("{key}.1"),
            &format!("{key}.+1.a"),
            &format!("{key}.1.a.b"),
            // Read as names that we write, these would be the names of other files.
            &format!("{key}.01.a"),
            &format!("{}.1.a", key.to_uppercase()),
        ] {
            assert_eq!(PartialName::parse(other.as_bytes()), None, "{other}");
        }
    }
}
