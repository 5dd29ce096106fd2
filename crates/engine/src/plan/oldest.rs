//! A bounded heap of the oldest files of a listing, with memory accounting: the content of one plan.

use std::collections::BinaryHeap;
use std::time::Duration;

use model::{Amount, RelativePath, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::plan::{Candidate, Decision};

/// The memory limits for the plans of a sweep, in bytes.
///
/// Files that do not fit into a plan are surveyed again after it, so a small limit costs listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanBytes {
    /// Reserved for each plan.
    pub own: usize,
    /// Shared by all plans of a sweep on top of that. A plan returns its part when its work is done.
    pub shared: usize,
    /// Reserved for the files of a source that need a second look, for want of a trusted timestamp. These
    /// never use the shared memory: they wait anyway.
    pub second_looks: usize,
}

impl Default for PlanBytes {
    /// A plan takes about 180 bytes a file: room for 58,000 files of each source, and 310,000 more of the
    /// sweep. One device with a million waiting files is listed 1.9 times. Sixteen such devices take 214 MiB.
    fn default() -> Self {
        Self {
            own: 10 << 20,
            shared: 54 << 20,
            second_looks: 10 << 20,
        }
    }
}

/// The memory that the plans of a sweep may use.
#[derive(Debug)]
pub(crate) struct PlanRoom {
    own: usize,
    second_looks: usize,
    /// One permit for each byte.
    shared: Semaphore,
}

/// A plan borrows this many bytes at a time.
const LOAN_BYTES: u32 = 64 << 10;

impl PlanRoom {
    pub(crate) fn new(bytes: PlanBytes) -> Self {
        Self {
            own: bytes.own,
            second_looks: bytes.second_looks,
            shared: Semaphore::new(bytes.shared.min(Semaphore::MAX_PERMITS)),
        }
    }
}

/// The memory that a plan borrowed. Returned when dropped.
#[derive(Debug)]
pub(crate) struct Loan<'r>(#[expect(dead_code, reason = "held, never read")] Option<SemaphorePermit<'r>>);

/// The oldest files of a listing: as many as the limit allows, and at least one.
#[derive(Debug)]
pub(crate) struct Oldest<'r, T> {
    /// The limit, in bytes.
    limit: usize,
    shared: Option<&'r Semaphore>,
    borrowed: Option<SemaphorePermit<'r>>,
    bytes: usize,
    heap: BinaryHeap<HeapEntry<T>>,
    overflow: Amount,
}

/// A file in the heap, ordered by age.
#[derive(Debug)]
struct HeapEntry<T> {
    candidate: Candidate,
    payload: T,
}

impl<'r, T: HeapSize> Oldest<'r, T> {
    /// For the work of a plan.
    pub(crate) fn for_a_plan(room: &'r PlanRoom) -> Self {
        Self::within(room.own, Some(&room.shared))
    }

    /// For files that need a second look.
    pub(crate) fn for_second_looks(room: &PlanRoom) -> Self {
        Self::within(room.second_looks, None)
    }

    fn within(limit: usize, shared: Option<&'r Semaphore>) -> Self {
        Self {
            limit,
            shared,
            borrowed: None,
            bytes: 0,
            heap: BinaryHeap::new(),
            overflow: Amount::ZERO,
        }
    }

    /// Adds a file. Beyond the limit, drops the youngest file and counts it as overflow.
    pub(crate) fn push(&mut self, candidate: Candidate, payload: T) {
        self.bytes += bytes_of(&candidate, &payload);
        self.heap.push(HeapEntry { candidate, payload });
        while self.bytes > self.limit && self.heap.len() > 1 && !self.borrow() {
            let Some(youngest) = self.heap.pop() else { break };
            self.bytes -= bytes_of(&youngest.candidate, &youngest.payload);
            self.overflow
                .add(Amount::of_file(youngest.candidate.identity.size));
        }
    }

    fn borrow(&mut self) -> bool {
        let loan = self
            .shared
            .and_then(|shared| shared.try_acquire_many(LOAN_BYTES).ok());
        let Some(loan) = loan else { return false };
        self.limit += loan.num_permits();
        match &mut self.borrowed {
            Some(borrowed) => borrowed.merge(loan),
            none => *none = Some(loan),
        }
        true
    }

    /// The files that were dropped, and their size.
    pub(crate) fn overflow(&self) -> Amount {
        self.overflow
    }

    /// The files, oldest first, and the memory borrowed for them.
    pub(crate) fn into_sorted(self) -> (Vec<(Candidate, T)>, Loan<'r>) {
        let sorted = self.heap.into_sorted_vec().into_iter();
        let files = sorted.map(|entry| (entry.candidate, entry.payload)).collect();
        (files, Loan(self.borrowed))
    }
}

/// The heap memory that a value owns, in bytes.
pub(crate) trait HeapSize {
    fn heap_size(&self) -> usize;
}

impl HeapSize for Decision {
    fn heap_size(&self) -> usize {
        match self {
            Self::ProveAgain(row) => size_of_val(&**row) + path_bytes(&row.store_name),
            _ => 0,
        }
    }
}

impl HeapSize for Duration {
    fn heap_size(&self) -> usize {
        0
    }
}

fn path_bytes(path: &RelativePath) -> usize {
    /// Reference counts, and rounding by the allocator.
    const OVERHEAD: usize = 32;
    path.as_bytes().len() + OVERHEAD
}

/// The memory that a file of a plan takes.
fn bytes_of<T: HeapSize>(candidate: &Candidate, payload: &T) -> usize {
    let original = if candidate.is_withdrawn() {
        path_bytes(&candidate.original)
    } else {
        // Both paths share their bytes.
        0
    };
    size_of::<HeapEntry<T>>() + path_bytes(&candidate.current_path) + original + payload.heap_size()
}

impl<T> HeapEntry<T> {
    /// Files of the same age are ordered by path, so that a plan depends on the listing alone.
    fn key(&self) -> (Timestamp, &RelativePath) {
        (self.candidate.identity.modified, &self.candidate.current_path)
    }
}

impl<T> PartialEq for HeapEntry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for HeapEntry<T> {}

impl<T> PartialOrd for HeapEntry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for HeapEntry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Identity;

    const NEEDED: Duration = Duration::ZERO;

    fn candidate(name: &str, age: i64, size: u64) -> Candidate {
        let path = RelativePath::new(name).unwrap();
        Candidate {
            original: path.clone(),
            current_path: path,
            identity: Identity {
                device_number: None,
                inode: None,
                size,
                modified: Timestamp::from_seconds(age),
                changed: None,
            },
            settled_blind: false,
        }
    }

    /// The memory of a file with a name of two letters.
    fn one() -> usize {
        bytes_of(&candidate("f0", 0, 0), &NEEDED)
    }

    fn room(own: usize, shared: usize) -> PlanRoom {
        PlanRoom::new(PlanBytes {
            own,
            shared,
            second_looks: own,
        })
    }

    fn sorted_names(oldest: Oldest<'_, Duration>) -> Vec<String> {
        let (files, _) = oldest.into_sorted();
        files
            .into_iter()
            .map(|(candidate, _)| candidate.current_path.to_string())
            .collect()
    }

    #[test]
    fn the_oldest_files_are_kept_and_the_rest_is_counted() {
        let room = room(3 * one(), 0);
        let mut oldest = Oldest::for_a_plan(&room);
        for age in [5, 1, 4, 2, 3] {
            oldest.push(candidate(&format!("f{age}"), age, 10), NEEDED);
        }
        assert_eq!(oldest.overflow(), Amount::new(2, 20));
        assert_eq!(sorted_names(oldest), ["f1", "f2", "f3"]);
    }

    #[test]
    fn long_names_make_a_short_plan_but_never_an_empty_one() {
        let room = room(10 * one(), 0);
        let mut oldest = Oldest::for_a_plan(&room);
        for age in [2, 1, 3] {
            oldest.push(candidate(&format!("{age:04000}"), age, u64::MAX), NEEDED);
        }
        assert_eq!(oldest.overflow(), Amount::new(2, u64::MAX));
        assert_eq!(sorted_names(oldest), [format!("{:04000}", 1)]);
    }

    #[test]
    fn a_plan_borrows_free_memory_and_returns_it() {
        let room = room(one(), LOAN_BYTES as usize + 1);
        let in_a_loan = LOAN_BYTES as usize / one();
        let fill = || {
            let mut oldest = Oldest::for_a_plan(&room);
            for age in 0..2000 {
                oldest.push(candidate("f0", age, 1), NEEDED);
            }
            oldest
        };
        let (first, second) = (fill().into_sorted(), fill().into_sorted());
        assert_eq!((first.0.len(), second.0.len()), (1 + in_a_loan, 1));
        drop(first);
        assert_eq!(fill().into_sorted().0.len(), 1 + in_a_loan);
        let mut looks = Oldest::for_second_looks(&room);
        (0..5).for_each(|age| looks.push(candidate("f0", age, 1), NEEDED));
        assert_eq!(looks.overflow(), Amount::new(4, 4));
    }

    #[test]
    fn a_planned_file_takes_little_more_than_its_name() {
        // A pass over a million files holds 370,000 of these, whatever the decision.
        assert!(size_of::<(Candidate, Decision)>() <= 128);
        assert!(size_of::<HeapEntry<Decision>>() <= 128);
        let bytes = bytes_of(
            &candidate("2026-11-29/img-0000000.jpg", 0, 0),
            &Decision::Withdraw(None),
        );
        assert!(bytes <= 188, "{bytes}");
    }
}
