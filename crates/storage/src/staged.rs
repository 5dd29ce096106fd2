//! A file being received into staging, until it is sealed.
//!
//! # Order of effects
//!
//! A file is stored by these effects, in this order. A crash before the first leaves nothing.
//!
//! | effect | a crash after it leaves |
//! |---|---|
//! | create `partial/<key>.0.<token>` | an empty partial file; the next sweep removes it |
//! | append | some of its bytes, possibly not flushed; removed likewise |
//! | flush a full range (`range_proof`) | the same: the name does not count the range yet |
//! | read the range back and compare it | the same |
//! | rename to `partial/<key>.<ranges>.<token>` | a partial file that is resumed after its counted ranges |
//! | flush the file | a whole partial file, treated as an unfinished one |
//! | read it back and compare it | the same |
//! | rename to `sealed/<token>` | a sealed file; the next sweep removes it, and the file is fetched again |
//! | flush `partial`, if ranges were counted | the same, and the partial name cannot return |
//! | make missing folders (`folders`) | the same, and empty folders, which stay |
//! | link to the final name (`publish`) | the final name, absent or whole, and the sealed name |
//! | flush the folder of the final name (`folders`) | the final name, unless a new folder above it is lost |
//! | flush the parent of each new folder | the durable name, unrecorded; fetched again and found equal |
//! | record in the ledger (the engine) | the recorded file, and its sealed name until the next sweep |
//! | unlink the sealed name (`tidy`) | the recorded file |
//!
//! All folders of one publication are flushed at the same time: the file system commits them together. Where
//! links do not work, a rename that never replaces gives the final name, and the sealed name is gone.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use engine::ports::{Chunk, SealedFile, StagingKey, StoreError};
use model::Timestamp;
use rustix::io::Errno;
use tokio::sync::OwnedSemaphorePermit;

use crate::aligned::BLOCK;
use crate::block_writer::TailBuffer;
use crate::disk::Disk;
use crate::executor::JobHandle;
use crate::fault::errno;
use crate::files::{begins_with, write_all};
use crate::open_store::{Claim, OpenStore, Token};
use crate::partial::PartialName;
use crate::range_proof::{RangeProof, is_on_disk};
use crate::staging_area::StagingArea;
use crate::stream_hasher::StreamHasher;

/// Files of this size and more have room reserved: that keeps them contiguous and shows early that the disk
/// is full. For smaller files it costs more than it gains.
const MIN_PREALLOCATED: u64 = 8 << 20;

/// Files of this size and more are written in whole blocks, past the system's cache where that is fast.
/// Smaller files gain nothing by it.
const MIN_IN_BLOCKS: u64 = 256 << 10;

/// Files up to this size stay in memory until they are read back, and are compared byte by byte.
const MAX_COMPARED: u64 = 64 << 10;

/// The system is asked to start writing out after this many bytes, so that a flush has little left to do.
const WRITE_OUT_INTERVAL: u64 = 8 << 20;

/// A file that is being received. Dropping it leaves its partial file in staging, as a crash would.
pub struct StagedFile<D: Disk> {
    pub(crate) key: StagingKey,
    pub(crate) area: Arc<StagingArea<D>>,
    pub(crate) token: Arc<Token>,
    pub(crate) hasher: StreamHasher,
    /// `None` before the first byte: a small file is created, written and sealed in one job.
    pub(crate) file: Option<Arc<D::File>>,
    /// Bytes, in whole ranges, that were flushed and read back equal.
    pub(crate) proved: u64,
    /// The proof of the last closed range, which runs while the open one is received.
    pub(crate) proving: Option<JobHandle<Result<(), StoreError>>>,
    pub(crate) claim: Option<Arc<Claim>>,
    pub(crate) written_out: u64,
    in_blocks: bool,
    /// Bytes that were received and are not written yet; empty at the end of a range.
    tail: TailBuffer,
}

impl<D: Disk> fmt::Debug for StagedFile<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StagedFile")
            .field("key", &self.key)
            .field("received", &self.hasher.length())
            .finish_non_exhaustive()
    }
}

impl<D: Disk> StagedFile<D> {
    /// A file of which no byte was received.
    pub(crate) fn new(
        store: &OpenStore<D>,
        key: StagingKey,
        area: Arc<StagingArea<D>>,
        claim: Option<Claim>,
    ) -> Self {
        let blocks_fill_ranges = store.settings.range_length.is_multiple_of(BLOCK as u64);
        Self {
            in_blocks: blocks_fill_ranges && key.expected_size >= MIN_IN_BLOCKS,
            tail: TailBuffer::default(),
            hasher: StreamHasher::new(store.settings.range_length, key.range_digests),
            key,
            area,
            token: Arc::new(store.new_token()),
            file: None,
            proved: 0,
            proving: None,
            claim: claim.map(Arc::new),
            written_out: 0,
        }
    }

    /// Whether the open range is full. It must be closed before more can be written.
    pub(crate) fn is_range_full(&self) -> bool {
        self.hasher.room() == 0
    }

    /// Whether all of these chunks fit into the open range.
    pub(crate) fn has_room_for(&self, chunks: &VecDeque<Chunk>) -> bool {
        let length: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        u64::try_from(length).is_ok_and(|length| length <= self.hasher.room())
    }

    /// Writes chunks up to the end of the open range and leaves the remaining ones in `chunks`.
    ///
    /// The first call creates the partial file. A crash leaves it with some of its bytes, and the next sweep
    /// removes it unless it has counted ranges.
    pub(crate) fn write(
        &mut self,
        store: &OpenStore<D>,
        chunks: &mut VecDeque<Chunk>,
    ) -> Result<(), StoreError> {
        let file = self.open(store)?;
        let disk = &*store.disk;
        let begin = self.hasher.length() - self.tail.length();
        let hasher = &mut self.hasher;
        let mut pieces = std::iter::from_fn(|| next_piece(hasher, chunks));
        let written = if self.in_blocks {
            self.tail
                .write_with(begin, pieces, |block, at| write_all(disk, &file, block, at))
        } else {
            let mut at = begin;
            pieces.try_for_each(|piece| {
                write_all(disk, &file, &piece, at)?;
                at += u64::try_from(piece.len()).unwrap_or(u64::MAX);
                Ok(())
            })
        };
        written.map_err(|error| self.fault(store, "write", error))?;
        self.write_out(store, &file);
        Ok(())
    }

    fn write_tail(&mut self, store: &OpenStore<D>, file: &D::File) -> Result<(), StoreError> {
        let at = self.hasher.length() - self.tail.length();
        write_all(&*store.disk, file, &self.tail.take(), at)
            .map_err(|error| self.fault(store, "write", error))
    }

    fn write_out(&mut self, store: &OpenStore<D>, file: &D::File) {
        let length = self.hasher.length() - self.written_out;
        if length >= WRITE_OUT_INTERVAL {
            store.disk.start_write_out(file, self.written_out, length);
            self.written_out += length;
        }
    }

    fn open(&mut self, store: &OpenStore<D>) -> Result<Arc<D::File>, StoreError> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let name = self.name();
        let file = store
            .with_naming_lock(|| store.disk.create_file(&self.area.partial, &name))
            .map_err(|error| self.fault(store, "create", error))?;
        let file = self.use_file(store, file, &name);
        self.reserve_room(store)?;
        Ok(file)
    }

    /// Writes to this file, which has that name, from now on.
    pub(crate) fn use_file(&mut self, store: &OpenStore<D>, mut file: D::File, name: &[u8]) -> Arc<D::File> {
        if self.in_blocks {
            store.disk.avoid_cache(&mut file, &self.area.partial, name);
        }
        let file = Arc::new(file);
        self.file = Some(Arc::clone(&file));
        file
    }

    /// Fails only for a full disk or a size that no file can have: many file systems cannot reserve room.
    pub(crate) fn reserve_room(&self, store: &OpenStore<D>) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        if self.key.expected_size < MIN_PREALLOCATED {
            return Ok(());
        }
        match store.disk.preallocate(file, self.key.expected_size) {
            Err(error) if matches!(errno(&error), Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                Err(self.fault(store, "reserve room for", error))
            }
            _ => Ok(()),
        }
    }

    /// Closes the open range, which is full. Returns the job that proves it, which can run while the next
    /// range is received.
    pub(crate) fn close_range(
        &mut self,
        store: &Arc<OpenStore<D>>,
    ) -> Result<impl FnOnce() -> Result<(), StoreError> + Send + use<D>, StoreError> {
        let proof = RangeProof {
            store: Arc::clone(store),
            area: Arc::clone(&self.area),
            file: self.open(store)?,
            range: self.hasher.close_range(),
            before: self.partial_name(self.proved),
            after: self.partial_name(self.hasher.length()),
            claim: self.claim.clone(),
            token: Arc::clone(&self.token),
        };
        Ok(move || proof.prove())
    }

    /// Writes the last chunks, which fit into the open range, and seals the file.
    ///
    /// A crash before the rename at the end leaves a partial file, a crash after it a sealed one. A failed
    /// flush is never repeated. After a successful flush, closing the file has nothing left to report.
    pub(crate) fn seal(
        &mut self,
        store: &OpenStore<D>,
        mut last: VecDeque<Chunk>,
        modified: Timestamp,
    ) -> Result<SealedFile, StoreError> {
        let whole = self.whole(&mut last);
        self.write(store, &mut last)?;
        drop(last);
        let file = self.open(store)?;
        self.write_tail(store, &file)?;
        let size = self.hasher.length();
        self.flush(store, &file, size, modified)?;

        let range_length = self.hasher.range_length();
        let hasher = std::mem::replace(&mut self.hasher, StreamHasher::new(range_length, false));
        let digests = hasher.finish();
        let last_range = digests.last_range;
        let disk = &*store.disk;
        if let Some(range) = &last_range {
            disk.drop_cache(&file, range.offset, range.length);
        }
        let is_on_disk = match (&whole, &last_range) {
            // All bytes are still in memory.
            (Some(whole), _) => begins_with(disk, &file, &whole.bytes),
            (None, Some(range)) => is_on_disk(disk, &file, *range),
            (None, None) => Ok(true),
        };
        let is_on_disk = is_on_disk.map_err(|error| self.fault(store, "read back", error))?;
        let status = disk.file_status(&file);
        let status = status.map_err(|error| self.fault(store, "inspect", error))?;
        if !is_on_disk || status.size != size {
            return Err(self.differs(store));
        }
        let (partial, sealed) = (&self.area.partial, &self.area.sealed);
        let (name, token) = (self.name(), self.token.as_str().as_bytes());
        store
            .with_naming_lock(|| disk.rename(partial, &name, sealed, token))
            .map_err(|error| self.fault(store, "seal", error))?;
        if self.proved > 0 {
            // Not every file system renames atomically. If a power cut brought the partial name back, the
            // next pass would resume and truncate the file, which may be visible in the store under its final
            // name.
            disk.flush_folder(partial)
                .map_err(|error| self.fault(store, "flush the folder of", error))?;
        }
        Ok(SealedFile {
            token: self.area.token(self.token.as_str()),
            size,
            digest: digests.whole,
            modified: status.modified,
            ranges: digests.ranges,
        })
    }

    /// The bytes of a small file that arrived all at once; `None` for any other file.
    fn whole(&self, last: &mut VecDeque<Chunk>) -> Option<WholeFile> {
        if self.hasher.length() > 0 || self.key.expected_size > MAX_COMPARED {
            return None;
        }
        Some(WholeFile {
            _credit: last.iter_mut().filter_map(|chunk| chunk.credit.take()).collect(),
            bytes: last.iter().map(|chunk| chunk.bytes.clone()).collect(),
        })
    }

    /// Sets the size and attributes of the written file and flushes it.
    fn flush(
        &self,
        store: &OpenStore<D>,
        file: &D::File,
        size: u64,
        modified: Timestamp,
    ) -> Result<(), StoreError> {
        let disk = &*store.disk;
        let fault = |operation: &str, error| self.fault(store, operation, error);
        if size != self.key.expected_size && self.key.expected_size >= MIN_PREALLOCATED {
            disk.truncate(file, size)
                .map_err(|error| fault("truncate", error))?;
        }
        if let Some(mode) = store.settings.file_mode {
            disk.set_file_mode(file, mode)
                .map_err(|error| fault("set the mode of", error))?;
        }
        disk.set_modified(file, modified)
            .map_err(|error| fault("set the time of", error))?;
        disk.flush_file(file).map_err(|error| fault("flush", error))
    }

    /// Removes the partial file. A failure is ignored: the next sweep removes what remains.
    pub(crate) fn discard(&self, store: &OpenStore<D>) {
        if self.file.is_some() {
            store
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
            ranges: proved / self.hasher.range_length(),
            token: self.token.as_str().to_owned(),
        }
    }

    fn fault(&self, store: &OpenStore<D>, operation: &str, error: std::io::Error) -> StoreError {
        self.area
            .fault(&store.label, operation, self.token.as_str(), error)
    }

    fn differs(&self, store: &OpenStore<D>) -> StoreError {
        StoreError::ReadBack {
            location: store.label.location(),
            name: self.token.as_str().to_owned(),
        }
    }
}

/// The bytes of a small file, with their credit: memory that is still occupied stays counted.
struct WholeFile {
    bytes: Vec<Bytes>,
    _credit: Vec<OwnedSemaphorePermit>,
}

/// Takes the next bytes for the open range from `chunks` and digests them; `None` if the range is full or no
/// bytes are left. The credit of a chunk returns when the chunk is used up.
fn next_piece(hasher: &mut StreamHasher, chunks: &mut VecDeque<Chunk>) -> Option<Bytes> {
    let room = usize::try_from(hasher.room()).unwrap_or(usize::MAX);
    if room == 0 {
        return None;
    }
    let mut chunk = chunks.pop_front()?;
    let bytes = chunk.bytes.split_to(room.min(chunk.bytes.len()));
    hasher.update(&bytes);
    if !chunk.bytes.is_empty() {
        chunks.push_front(chunk);
    }
    Some(bytes)
}
