//! The oldest files of a listing, in bounded memory: what one plan holds.

use std::collections::BinaryHeap;
use std::time::Duration;

use model::{Amount, RelativePath, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::plan::{Candidate, Decision};

/// How much memory the plans of a sweep may take. What does not fit into a plan is surveyed again when that is done, so a small room costs listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanBytes {
    /// What each plan has for itself.
    pub own: usize,
    /// What all plans of a sweep share beyond that. A plan that borrowed of it gives it back when it is done.
    pub shared: usize,
    /// What the files of a source have that are looked at a second time, because their clock does not tell. They never borrow: they wait anyway.
    pub second_looks: usize,
}

impl Default for PlanBytes {
    /// A plan takes some 180 bytes a file: 58,000 files for each source, and 310,000 more for the sweep. One device with a million files waiting has them listed
    /// 1.9 times; sixteen with as many take 214 MiB.
    fn default() -> Self {
        Self {
            own: 10 << 20,
            shared: 54 << 20,
            second_looks: 10 << 20,
        }
    }
}

/// The room that the plans of a sweep have.
#[derive(Debug)]
pub(crate) struct PlanRoom {
    own: usize,
    second_looks: usize,
    /// One permit for each byte.
    shared: Semaphore,
}

/// So much is borrowed at a time.
const LOAN: u32 = 64 << 10;

impl PlanRoom {
    pub(crate) fn new(bytes: PlanBytes) -> Self {
        Self {
            own: bytes.own,
            second_looks: bytes.second_looks,
            shared: Semaphore::new(bytes.shared.min(Semaphore::MAX_PERMITS)),
        }
    }
}

/// What a plan borrowed, until it is dropped.
#[derive(Debug)]
pub(crate) struct Loan<'r>(#[expect(dead_code, reason = "held, not looked at")] Option<SemaphorePermit<'r>>);

/// The oldest files of a listing, as many as there is room for, and at least one.
#[derive(Debug)]
pub(crate) struct Oldest<'r, T> {
    room: usize,
    shared: Option<&'r Semaphore>,
    borrowed: Option<SemaphorePermit<'r>>,
    bytes: usize,
    heap: BinaryHeap<Aged<T>>,
    overflow: Amount,
}

#[derive(Debug)]
struct Aged<T> {
    candidate: Candidate,
    with: T,
}

impl<'r, T: OnTheHeap> Oldest<'r, T> {
    /// For what is to be done.
    pub(crate) fn for_a_plan(room: &'r PlanRoom) -> Self {
        Self::within(room.own, Some(&room.shared))
    }

    /// For what is to be looked at a second time.
    pub(crate) fn for_second_looks(room: &PlanRoom) -> Self {
        Self::within(room.second_looks, None)
    }

    fn within(room: usize, shared: Option<&'r Semaphore>) -> Self {
        Self {
            room,
            shared,
            borrowed: None,
            bytes: 0,
            heap: BinaryHeap::new(),
            overflow: Amount::ZERO,
        }
    }

    /// Takes a file, and lets the youngest go if there are too many.
    pub(crate) fn push(&mut self, candidate: Candidate, with: T) {
        self.bytes += bytes_of(&candidate, &with);
        self.heap.push(Aged { candidate, with });
        while self.bytes > self.room && self.heap.len() > 1 && !self.borrow() {
            let Some(youngest) = self.heap.pop() else { break };
            self.bytes -= bytes_of(&youngest.candidate, &youngest.with);
            self.overflow
                .add(Amount::of_file(youngest.candidate.identity.size));
        }
    }

    fn borrow(&mut self) -> bool {
        let loan = self.shared.and_then(|shared| shared.try_acquire_many(LOAN).ok());
        let Some(loan) = loan else { return false };
        self.room += loan.num_permits();
        match &mut self.borrowed {
            Some(borrowed) => borrowed.merge(loan),
            none => *none = Some(loan),
        }
        true
    }

    /// How many files were let go, and how many bytes they have.
    pub(crate) fn overflow(&self) -> Amount {
        self.overflow
    }

    /// The files, oldest first, and what was borrowed for them.
    pub(crate) fn into_sorted(self) -> (Vec<(Candidate, T)>, Loan<'r>) {
        let sorted = self.heap.into_sorted_vec().into_iter();
        let files = sorted.map(|aged| (aged.candidate, aged.with)).collect();
        (files, Loan(self.borrowed))
    }
}

/// What something has on the heap, in bytes.
pub(crate) trait OnTheHeap {
    fn on_the_heap(&self) -> usize;
}

impl OnTheHeap for Decision {
    fn on_the_heap(&self) -> usize {
        match self {
            Self::ProveAgain(row) => size_of_val(&**row) + of_a_name(&row.store_name),
            _ => 0,
        }
    }
}

impl OnTheHeap for Duration {
    fn on_the_heap(&self) -> usize {
        0
    }
}

fn of_a_name(path: &RelativePath) -> usize {
    const COUNTS_AND_ROUNDING: usize = 32;
    path.as_bytes().len() + COUNTS_AND_ROUNDING
}

/// What a file of a plan takes.
fn bytes_of<T: OnTheHeap>(candidate: &Candidate, with: &T) -> usize {
    let other_name = match candidate.is_withdrawn() {
        true => of_a_name(&candidate.original),
        // Both names share their bytes.
        false => 0,
    };
    size_of::<Aged<T>>() + of_a_name(&candidate.current_path) + other_name + with.on_the_heap()
}

impl<T> Aged<T> {
    /// Files of the same age are in the order of their paths, so that a plan depends on the listing only.
    fn key(&self) -> (Timestamp, &RelativePath) {
        (self.candidate.identity.modified, &self.candidate.current_path)
    }
}

impl<T> PartialEq for Aged<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Aged<T> {}

impl<T> PartialOrd for Aged<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Aged<T> {
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

    /// What a file with a name of two letters takes.
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

    fn names((files, _): (Vec<(Candidate, Duration)>, Loan<'_>)) -> Vec<String> {
        let names = files.into_iter();
        names
            .map(|(candidate, _)| candidate.current_path.to_string())
            .collect()
    }

    #[test]
    fn the_oldest_files_are_kept_and_the_rest_is_known_to_exist() {
        let room = room(3 * one(), 0);
        let mut oldest = Oldest::for_a_plan(&room);
        for age in [5, 1, 4, 2, 3] {
            oldest.push(candidate(&format!("f{age}"), age, 10), NEEDED);
        }
        assert_eq!(oldest.overflow(), Amount::new(2, 20));
        assert_eq!(names(oldest.into_sorted()), ["f1", "f2", "f3"]);
    }

    #[test]
    fn long_names_make_a_short_plan_but_never_an_empty_one() {
        let room = room(10 * one(), 0);
        let mut oldest = Oldest::for_a_plan(&room);
        for age in [2, 1, 3] {
            oldest.push(candidate(&format!("{age:04000}"), age, u64::MAX), NEEDED);
        }
        assert_eq!(oldest.overflow(), Amount::new(2, u64::MAX));
        assert_eq!(names(oldest.into_sorted()), [format!("{:04000}", 1)]);
    }

    #[test]
    fn a_plan_borrows_what_nobody_has_and_gives_it_back() {
        let room = room(one(), LOAN as usize + 1);
        let in_a_loan = LOAN as usize / one();
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
        // A pass over a million files holds 370,000 of these, whatever is to be done with them.
        assert!(size_of::<(Candidate, Decision)>() <= 128);
        assert!(size_of::<Aged<Decision>>() <= 128);
        let bytes = bytes_of(
            &candidate("2026-11-29/img-0000000.jpg", 0, 0),
            &Decision::Withdraw(None),
        );
        assert!(bytes <= 188, "{bytes}");
    }
}
