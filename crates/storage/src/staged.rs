//! A file that is being received into staging, until it is sealed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use engine::ports::{Chunk, SealedFile, StagingKey, StoreError};
use model::Timestamp;
use rustix::io::Errno;
use tokio::sync::OwnedSemaphorePermit;

use crate::aligned::BLOCK;
use crate::areas::Area;
use crate::blocks::Rest;
use crate::disk::Disk;
use crate::executor::Pending;
use crate::fault::errno;
use crate::files::{begins_with, checksum_range, write_all};
use crate::partial::PartialName;
use crate::received::{Range, Received};
use crate::shared::{Claim, Shared, Token};

/// Room is reserved for files from this size on: it keeps them in one piece, and tells early that there is none. Below, it costs
/// more than it gives.
const PREALLOCATED_FROM: u64 = 8 << 20;

/// Files of this size are written in whole blocks, past the system's cache where that is well done. Smaller ones gain nothing by it.
const IN_BLOCKS_FROM: u64 = 256 << 10;

/// Files of up to this size stay in memory until they are read back, to be compared byte by byte.
const COMPARED_UP_TO: u64 = 64 << 10;

/// The system is asked to begin writing out this often, so that a flush finds little left to do.
const WRITE_OUT_EVERY: u64 = 8 << 20;

/// A file that is being received. Dropping it leaves its partial file in staging, as a crash would.
pub struct Staged<D: Disk> {
    pub(crate) key: StagingKey,
    pub(crate) area: Arc<Area<D>>,
    pub(crate) token: Arc<Token>,
    pub(crate) received: Received,
    /// Made with the first byte: a small file is made, written and sealed in one job.
    pub(crate) file: Option<Arc<D::File>>,
    /// How many bytes, in whole ranges, are flushed and were read back equal.
    pub(crate) proved: u64,
    /// The proof of the range before the open one, which goes on while this one is received.
    pub(crate) proving: Option<Pending<Result<(), StoreError>>>,
    pub(crate) claim: Option<Arc<Claim>>,
    pub(crate) written_out: u64,
    in_blocks: bool,
    /// What has come and is not written yet; nothing at the end of a range.
    rest: Rest,
}

impl<D: Disk> fmt::Debug for Staged<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Staged")
            .field("key", &self.key)
            .field("received", &self.received.length())
            .finish_non_exhaustive()
    }
}

impl<D: Disk> Staged<D> {
    /// A file of which nothing is there yet.
    pub(crate) fn new(shared: &Shared<D>, key: StagingKey, area: Arc<Area<D>>, claim: Option<Claim>) -> Self {
        let blocks_fill_ranges = shared.settings.range_length.is_multiple_of(BLOCK as u64);
        Self {
            in_blocks: blocks_fill_ranges && key.expected_size >= IN_BLOCKS_FROM,
            rest: Rest::default(),
            received: Received::new(shared.settings.range_length, key.range_digests),
            key,
            area,
            token: Arc::new(shared.new_token()),
            file: None,
            proved: 0,
            proving: None,
            claim: claim.map(Arc::new),
            written_out: 0,
        }
    }

    /// Whether the open range is full: it is to be proved before more can be written.
    pub(crate) fn is_range_full(&self) -> bool {
        self.received.room() == 0
    }

    /// Whether the open range takes all of these chunks.
    pub(crate) fn has_room_for(&self, chunks: &VecDeque<Chunk>) -> bool {
        let length: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        u64::try_from(length).is_ok_and(|length| length <= self.received.room())
    }

    /// Writes chunks up to the end of the open range. What is left of them is for the next.
    pub(crate) fn write(
        &mut self,
        shared: &Shared<D>,
        chunks: &mut VecDeque<Chunk>,
    ) -> Result<(), StoreError> {
        let file = self.open(shared)?;
        let disk = &*shared.disk;
        let begin = self.received.length() - self.rest.length();
        let received = &mut self.received;
        let mut pieces = std::iter::from_fn(|| next_piece(received, chunks));
        let written = if self.in_blocks {
            self.rest
                .write_with(begin, pieces, |block, at| write_all(disk, &file, block, at))
        } else {
            let mut at = begin;
            pieces.try_for_each(|piece| {
                write_all(disk, &file, &piece, at)?;
                at += u64::try_from(piece.len()).unwrap_or(u64::MAX);
                Ok(())
            })
        };
        written.map_err(|error| self.fault(shared, "write", error))?;
        self.write_out(shared, &file);
        Ok(())
    }

    fn write_rest(&mut self, shared: &Shared<D>, file: &D::File) -> Result<(), StoreError> {
        let at = self.received.length() - self.rest.length();
        write_all(&*shared.disk, file, &self.rest.take(), at)
            .map_err(|error| self.fault(shared, "write", error))
    }

    fn write_out(&mut self, shared: &Shared<D>, file: &D::File) {
        let length = self.received.length() - self.written_out;
        if length >= WRITE_OUT_EVERY {
            shared.disk.start_write_out(file, self.written_out, length);
            self.written_out += length;
        }
    }

    fn open(&mut self, shared: &Shared<D>) -> Result<Arc<D::File>, StoreError> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let name = self.name();
        let file = shared
            .in_turn(|| shared.disk.create_file(&self.area.partial, &name))
            .map_err(|error| self.fault(shared, "make", error))?;
        let file = self.take_file(shared, file, &name);
        self.reserve_room(shared)?;
        Ok(file)
    }

    /// Writes to this file from now on, which has that name.
    pub(crate) fn take_file(&mut self, shared: &Shared<D>, mut file: D::File, name: &[u8]) -> Arc<D::File> {
        if self.in_blocks {
            shared.disk.avoid_cache(&mut file, &self.area.partial, name);
        }
        let file = Arc::new(file);
        self.file = Some(Arc::clone(&file));
        file
    }

    /// Only a lack of room is a failure, and a size that no file can have: many file systems cannot reserve
    /// any.
    pub(crate) fn reserve_room(&self, shared: &Shared<D>) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        if self.key.expected_size < PREALLOCATED_FROM {
            return Ok(());
        }
        match shared.disk.preallocate(file, self.key.expected_size) {
            Err(error) if matches!(errno(&error), Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                Err(self.fault(shared, "reserve room for", error))
            }
            _ => Ok(()),
        }
    }

    /// The proof of the open range, which is full: a job that can run while the next range is received.
    pub(crate) fn close_range(
        &mut self,
        shared: &Arc<Shared<D>>,
    ) -> Result<impl FnOnce() -> Result<(), StoreError> + Send + use<D>, StoreError> {
        let range = RangeProof {
            shared: Arc::clone(shared),
            area: Arc::clone(&self.area),
            file: self.open(shared)?,
            range: self.received.close_range(),
            before: self.partial_name(self.proved),
            after: self.partial_name(self.received.length()),
            claim: self.claim.clone(),
            token: Arc::clone(&self.token),
        };
        Ok(move || range.prove())
    }

    /// Writes the last chunks, which fit into the open range, and seals the file.
    ///
    /// A crash before the rename at the end leaves a partial file, one after it a sealed one. A flush that fails is never
    /// repeated; closing after a flush has nothing left to report.
    pub(crate) fn seal(
        &mut self,
        shared: &Shared<D>,
        mut last: VecDeque<Chunk>,
        modified: Timestamp,
    ) -> Result<SealedFile, StoreError> {
        let whole = self.whole(&mut last);
        self.write(shared, &mut last)?;
        drop(last);
        let file = self.open(shared)?;
        self.write_rest(shared, &file)?;
        let size = self.received.length();
        self.flush(shared, &file, size, modified)?;

        let range_length = self.received.range_length();
        let received = std::mem::replace(&mut self.received, Received::new(range_length, false));
        let (digest, ranges, last_range) = received.finish();
        let disk = &*shared.disk;
        if let Some(range) = &last_range {
            disk.drop_cache(&file, range.offset, range.length);
        }
        let is_on_disk = match (&whole, &last_range) {
            // All of it is still at hand.
            (Some((whole, _)), _) => begins_with(disk, &file, whole),
            (None, Some(range)) => range.is_in(disk, &file),
            (None, None) => Ok(true),
        };
        let is_on_disk = is_on_disk.map_err(|error| self.fault(shared, "read back", error))?;
        let status = disk.file_status(&file);
        let status = status.map_err(|error| self.fault(shared, "look at", error))?;
        if !is_on_disk || status.size != size {
            return Err(self.differs(shared));
        }
        let (partial, sealed) = (&self.area.partial, &self.area.sealed);
        let (name, token) = (self.name(), self.token.as_str().as_bytes());
        shared
            .in_turn(|| disk.rename(partial, &name, sealed, token))
            .map_err(|error| self.fault(shared, "seal", error))?;
        if self.proved > 0 {
            // Were the partial name there again after a power cut (not every file system renames in one step), the file would be taken
            // up under it and cut short, while the same file may be visible in the store by then.
            disk.flush_folder(partial)
                .map_err(|error| self.fault(shared, "flush the folder of", error))?;
        }
        Ok(SealedFile {
            token: self.area.token(self.token.as_str()),
            size,
            digest,
            modified: status.modified,
            ranges,
        })
    }

    /// The bytes of a small file that has come at once, and their credit, which they hold as long as they are held.
    fn whole(&self, last: &mut VecDeque<Chunk>) -> Option<(Vec<Bytes>, Vec<OwnedSemaphorePermit>)> {
        if self.received.length() > 0 || self.key.expected_size > COMPARED_UP_TO {
            return None;
        }
        let credit = last.iter_mut().filter_map(|chunk| chunk.credit.take()).collect();
        Some((last.iter().map(|chunk| chunk.bytes.clone()).collect(), credit))
    }

    /// Gives the file, which is written, its size and attributes, and makes it durable.
    fn flush(
        &self,
        shared: &Shared<D>,
        file: &D::File,
        size: u64,
        modified: Timestamp,
    ) -> Result<(), StoreError> {
        let disk = &*shared.disk;
        let fault = |operation: &str, error| self.fault(shared, operation, error);
        if size != self.key.expected_size && self.key.expected_size >= PREALLOCATED_FROM {
            disk.truncate(file, size).map_err(|error| fault("cut", error))?;
        }
        if let Some(mode) = shared.settings.file_mode {
            disk.set_file_mode(file, mode)
                .map_err(|error| fault("set the mode of", error))?;
        }
        disk.set_modified(file, modified)
            .map_err(|error| fault("set the time of", error))?;
        disk.flush_file(file).map_err(|error| fault("flush", error))
    }

    /// Removes what is in staging. Nothing can be done about a failure; tidying finds what is left.
    pub(crate) fn discard(&self, shared: &Shared<D>) {
        if self.file.is_some() {
            shared
                .disk
                .remove_file(&self.area.partial, &self.name())
                .unwrap_or_default();
        }
    }

    fn name(&self) -> Vec<u8> {
        self.partial_name(self.proved).to_bytes()
    }

    fn partial_name(&self, proved: u64) -> PartialName {
        PartialName {
            key: self.key.digest,
            ranges: proved / self.received.range_length(),
            token: self.token.as_str().to_owned(),
        }
    }

    fn fault(&self, shared: &Shared<D>, operation: &str, error: std::io::Error) -> StoreError {
        fault(shared, &self.area, operation, self.token.as_str(), error)
    }

    fn differs(&self, shared: &Shared<D>) -> StoreError {
        StoreError::ReadBack {
            path: shared.place.path(),
            name: self.token.as_str().to_owned(),
        }
    }
}

/// The next bytes for the open range, which then counts them in; none when it is full or they are at an end. Credit goes back with the
/// chunk.
fn next_piece(received: &mut Received, chunks: &mut VecDeque<Chunk>) -> Option<Bytes> {
    let room = usize::try_from(received.room()).unwrap_or(usize::MAX);
    if room == 0 {
        return None;
    }
    let mut chunk = chunks.pop_front()?;
    let bytes = chunk.bytes.split_to(room.min(chunk.bytes.len()));
    received.take(&bytes);
    if !chunk.bytes.is_empty() {
        chunks.push_front(chunk);
    }
    Some(bytes)
}

impl Range {
    fn is_in<D: Disk>(&self, disk: &D, file: &D::File) -> std::io::Result<bool> {
        let found = checksum_range(disk, file, self.offset, self.length)?;
        Ok(found == (self.checksum, self.length))
    }
}

fn fault<D: Disk>(
    shared: &Shared<D>,
    area: &Area<D>,
    operation: &str,
    token: &str,
    error: std::io::Error,
) -> StoreError {
    let operation = format!("{operation} the staged file {token}");
    if area.beside.is_some() {
        shared.place.fault_beside(&operation, error)
    } else {
        shared.place.fault(operation, error)
    }
}

/// All that is needed to prove a range while the next one is being received.
struct RangeProof<D: Disk> {
    shared: Arc<Shared<D>>,
    area: Arc<Area<D>>,
    file: Arc<D::File>,
    range: Range,
    before: PartialName,
    after: PartialName,
    /// Nobody may resume or tidy the file while this is at work.
    claim: Option<Arc<Claim>>,
    token: Arc<Token>,
}

impl<D: Disk> RangeProof<D> {
    /// Flushes the range, reads it back, and only then lets the name say that it is there. The new name is not flushed: the old one stands
    /// for fewer ranges, which is as true. On a failure the file is removed.
    fn prove(self) -> Result<(), StoreError> {
        let proved = self.flush_and_compare();
        if proved.is_err() {
            for name in [&self.before, &self.after] {
                self.shared
                    .disk
                    .remove_file(&self.area.partial, &name.to_bytes())
                    .unwrap_or_default();
            }
        }
        drop((self.claim, self.token));
        proved
    }

    fn flush_and_compare(&self) -> Result<(), StoreError> {
        let disk = &*self.shared.disk;
        let fault =
            |operation: &str, error| fault(&self.shared, &self.area, operation, &self.before.token, error);
        disk.flush_bytes(&self.file)
            .map_err(|error| fault("flush", error))?;
        disk.drop_cache(&self.file, self.range.offset, self.range.length);
        let is_on_disk = self.range.is_in(disk, &self.file);
        if !is_on_disk.map_err(|error| fault("read back", error))? {
            return Err(StoreError::ReadBack {
                path: self.shared.place.path(),
                name: self.before.token.clone(),
            });
        }
        let partial = &self.area.partial;
        disk.rename(partial, &self.before.to_bytes(), partial, &self.after.to_bytes())
            .map_err(|error| fault("rename", error))
    }
}
