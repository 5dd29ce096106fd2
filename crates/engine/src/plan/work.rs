//! The work of a survey, and how it is divided into batches.

use std::collections::VecDeque;

use crate::plan::{Candidate, Decision};

/// The files to handle, each with its decision, oldest first.
pub(crate) type Work = VecDeque<(Candidate, Decision)>;

/// Files that go through the stages together.
pub(crate) type Batch = Vec<(Candidate, Decision)>;

/// The size of all files of a batch, in bytes.
pub(crate) fn bytes(batch: &Batch) -> u64 {
    let sizes = batch.iter().map(|(candidate, _)| candidate.identity.size);
    sizes.fold(0, u64::saturating_add)
}

/// The limits of the next batch.
///
/// The first batch is small, and each success makes the next ones larger. A link that fails every minute
/// still completes some batches. A good link soon carries batches that are large compared to their round
/// trips.
#[derive(Debug)]
pub(crate) struct BatchSize {
    files: usize,
    bytes: u64,
}

/// The first batch: about ten seconds on a link of 5 Mbit/s.
const FIRST: BatchSize = BatchSize {
    files: 512,
    bytes: 8 << 20,
};

/// The most bytes of folder names in a batch. Each folder counts once for each file in it.
///
/// This bounds the memory for files that are hundreds of folders deep. Ordinary files need a quarter of it.
const MAX_FOLDER_BYTES: usize = 4 << 20;

/// The largest batch. Up to three times as much may be withdrawn and not yet recorded at a time.
const LARGEST: BatchSize = BatchSize {
    files: 2048,
    bytes: 128 << 20,
};

impl BatchSize {
    pub(crate) const fn first() -> Self {
        FIRST
    }

    /// Makes the next batches four times larger, after a success.
    pub(crate) fn grow(&mut self) {
        self.files = (self.files * 4).min(LARGEST.files);
        self.bytes = (self.bytes * 4).min(LARGEST.bytes);
    }

    /// Takes the next batch from the front of the work: at least one file.
    pub(crate) fn take(&self, work: &mut Work) -> Batch {
        let mut batch = Vec::new();
        let (mut bytes, mut folder_bytes): (u64, usize) = (0, 0);
        while let Some((candidate, decision)) = work.pop_front() {
            bytes = bytes.saturating_add(candidate.identity.size);
            let name = candidate.current_path.as_bytes();
            folder_bytes += name.len() * candidate.current_path.components().count();
            let is_full = batch.len() >= self.files || bytes > self.bytes || folder_bytes > MAX_FOLDER_BYTES;
            if !batch.is_empty() && is_full {
                work.push_front((candidate, decision));
                break;
            }
            batch.push((candidate, decision));
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Identity, RelativePath, Timestamp};

    fn work(sizes: &[u64]) -> Work {
        let candidate = |(number, size): (usize, &u64)| {
            let path = RelativePath::new(format!("f{number}")).unwrap();
            let identity = Identity {
                device_number: None,
                inode: None,
                size: *size,
                modified: Timestamp::EPOCH,
                changed: None,
            };
            (
                Candidate {
                    original: path.clone(),
                    current_path: path,
                    identity,
                    settled_blind: false,
                },
                Decision::Resume,
            )
        };
        sizes.iter().enumerate().map(candidate).collect()
    }

    #[test]
    fn a_batch_grows_with_success_up_to_a_limit() {
        let mut size = BatchSize::first();
        let mut files = work(&vec![10; 5000]);
        let mut lengths = Vec::new();
        while !files.is_empty() {
            lengths.push(size.take(&mut files).len());
            size.grow();
        }
        assert_eq!(lengths, [512, 2048, 2048, 392]);
    }

    #[test]
    fn files_in_many_folders_make_small_batches() {
        let mut files = work(&vec![10; 2000]);
        for (number, (candidate, _)) in files.iter_mut().enumerate() {
            let deep = [&b"folder/".repeat(100)[..], number.to_string().as_bytes()].concat();
            candidate.current_path = RelativePath::new(deep).unwrap();
        }
        let batch = LARGEST.take(&mut files);
        assert!(batch.len() < 100, "{}", batch.len());
    }

    #[test]
    fn a_batch_is_filled_to_its_last_byte_and_grows_fourfold() {
        const MEBIBYTE: u64 = 1 << 20;
        let mut size = BatchSize::first();
        let mut files = work(&[MEBIBYTE; 200]);
        let mut lengths = Vec::new();
        while !files.is_empty() {
            lengths.push(size.take(&mut files).len());
            size.grow();
        }
        assert_eq!(lengths, [8, 32, 128, 32]);
    }

    #[test]
    fn a_file_larger_than_any_batch_is_a_batch_of_its_own() {
        let mut files = work(&[1 << 40, 1 << 40, 5]);
        assert_eq!(BatchSize::first().take(&mut files).len(), 1);
        assert_eq!(BatchSize::first().take(&mut files).len(), 1);
        assert_eq!(BatchSize::first().take(&mut files).len(), 1);
    }
}
