//! One batch on its whole way, and how large batches are.

use std::collections::VecDeque;

use model::SourcePath;

use crate::plan::{Candidate, Decision};
use crate::recourse::PassError;
use crate::stages::{fetch, foresee, publish, record, release, verify, withdraw};
use crate::visit::Visit;
use crate::world::World;

/// A batch, as planned.
pub(crate) type Batch = Vec<(Candidate, Decision)>;

/// How many bytes the files of a batch have.
pub(crate) fn bytes(batch: &Batch) -> u64 {
    let sizes = batch.iter().map(|(candidate, _)| candidate.identity.size);
    sizes.fold(0, u64::saturating_add)
}

/// Takes one batch through all stages.
pub(crate) async fn run<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    batch: Batch,
) -> Result<(), PassError> {
    let (to_prove, mut to_gather) = divided(batch);
    // What is stored already needs no room.
    let proved = record::prove_again(visit, to_prove).await?;
    to_gather.extend(
        proved
            .to_fetch
            .into_iter()
            .map(|candidate| (candidate, Decision::Resume)),
    );

    let fitting = foresee::foresee(visit, source, to_gather).await?;
    let withdrawn = withdraw::withdraw(visit, source, fitting).await?;
    let fetched = fetch::fetch(visit, source, withdrawn).await?;
    let verified = verify::verify(visit, source, fetched).await?;
    let published = publish::publish(visit, source, verified).await?;
    let mut recorded = record::record(visit, source, published).await?;
    recorded.extend(proved.recorded);
    release::release(visit, source, recorded).await
}

fn divided(batch: Batch) -> (Vec<(Candidate, crate::ports::KnownFile)>, Batch) {
    let (mut to_prove, mut to_gather) = (Vec::new(), Vec::new());
    for (candidate, decision) in batch {
        match decision {
            Decision::ProveAgain(row) => to_prove.push((candidate, *row)),
            decision => to_gather.push((candidate, decision)),
        }
    }
    (to_prove, to_gather)
}

/// How large the next batch is.
///
/// A pass begins small and grows with every batch that succeeds: a link that fails every minute still gets something home, and a good one
/// soon carries batches that are large beside their round trips.
#[derive(Debug)]
pub(crate) struct Size {
    files: usize,
    bytes: u64,
}

/// The first batch of a pass: some ten seconds on a link of 5 Mbit/s.
const FIRST: Size = Size {
    files: 512,
    bytes: 8 << 20,
};

/// Bytes of the names of all folders that the files of a batch are in, each folder counted for each file. Files that lie in a hundred folders
/// would else cost as much memory as they have folders; ordinary ones come to a quarter of this.
const MAX_FOLDER_BYTES: usize = 4 << 20;

/// No batch is larger: three times so much is withdrawn at a time, and waits for its record.
const LARGEST: Size = Size {
    files: 2048,
    bytes: 128 << 20,
};

impl Size {
    pub(crate) const fn first() -> Self {
        FIRST
    }

    /// Each batch that succeeds makes those after it four times larger.
    pub(crate) fn grow(&mut self) {
        self.files = (self.files * 4).min(LARGEST.files);
        self.bytes = (self.bytes * 4).min(LARGEST.bytes);
    }

    /// Takes the next batch off the front: at least one file.
    pub(crate) fn take(&self, work: &mut VecDeque<(Candidate, Decision)>) -> Batch {
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

    fn work(sizes: &[u64]) -> VecDeque<(Candidate, Decision)> {
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
    fn a_batch_grows_with_success_and_never_without_bound() {
        let mut size = Size::first();
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
    fn a_batch_is_filled_to_its_last_byte_and_four_times_as_many_after_a_success() {
        const MEBIBYTE: u64 = 1 << 20;
        let mut size = Size::first();
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
        assert_eq!(Size::first().take(&mut files).len(), 1);
        assert_eq!(Size::first().take(&mut files).len(), 1);
        assert_eq!(Size::first().take(&mut files).len(), 1);
    }
}
