//! Bounded views of an unbounded listing.

use std::collections::{BTreeMap, BinaryHeap};

use model::{SourcePath, Timestamp};

use crate::plan::Candidate;
use crate::ports::{Reason, Standing, StandingFile};

/// How many files one plan holds. At some 170 bytes a file this is 9 MB; what does not fit is surveyed again when
/// these are done.
pub const PLAN_LENGTH: usize = 50_000;

/// How many bytes of names one plan holds: 160 for each path of a full plan. Names may be 4096 bytes long.
const PLAN_NAME_BYTES: usize = 16 << 20;

/// How many files of one reason are named one by one; the totals count all.
const NAMED_PER_REASON: usize = 200;

/// The oldest files of a listing, at most so many.
#[derive(Debug)]
pub struct Oldest<T> {
    capacity: usize,
    name_bytes: usize,
    heap: BinaryHeap<Aged<T>>,
    overflow: (u64, u64),
}

#[derive(Debug)]
struct Aged<T> {
    candidate: Candidate,
    with: T,
}

impl<T> Oldest<T> {
    /// Holds at most `capacity` files.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            name_bytes: 0,
            heap: BinaryHeap::new(),
            overflow: (0, 0),
        }
    }

    /// Takes a file, and lets the youngest go if there are too many.
    pub fn push(&mut self, candidate: Candidate, with: T) {
        self.name_bytes += name_bytes(&candidate);
        self.heap.push(Aged { candidate, with });
        while (self.heap.len() > self.capacity || self.name_bytes > PLAN_NAME_BYTES)
            && let Some(youngest) = self.heap.pop()
        {
            self.name_bytes -= name_bytes(&youngest.candidate);
            self.overflow.0 += 1;
            self.overflow.1 = self.overflow.1.saturating_add(youngest.candidate.identity.size);
        }
    }

    /// How many files were let go, and how many bytes.
    pub fn overflow(&self) -> (u64, u64) {
        self.overflow
    }

    /// How many files, and how many bytes.
    pub fn count(&self) -> (u64, u64) {
        let files = u64::try_from(self.heap.len()).unwrap_or(u64::MAX);
        (
            files,
            self.heap
                .iter()
                .fold(0, |sum, aged| sum.saturating_add(aged.candidate.identity.size)),
        )
    }

    /// The files, oldest first.
    pub fn into_sorted(self) -> impl Iterator<Item = (Candidate, T)> {
        self.heap
            .into_sorted_vec()
            .into_iter()
            .map(|aged| (aged.candidate, aged.with))
    }
}

fn name_bytes(candidate: &Candidate) -> usize {
    candidate.original.as_bytes().len() + candidate.lies_at.as_bytes().len()
}

impl<T> Aged<T> {
    /// Files of the same age are in the order of their paths, so that a plan depends on the listing only.
    fn key(&self) -> (Timestamp, &model::RelativePath) {
        (self.candidate.identity.modified, &self.candidate.lies_at)
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

/// What is left on a device, as it is found out.
#[derive(Debug, Clone, Default)]
pub struct StandingBook {
    files: Vec<StandingFile>,
    totals: BTreeMap<Reason, (u64, u64)>,
}

impl StandingBook {
    /// Notes a file that is left. `path` is escaped.
    pub fn note(
        &mut self,
        source: &SourcePath,
        path: String,
        reason: Reason,
        size: u64,
        detail: Option<String>,
    ) {
        let total = self.totals.entry(reason).or_default();
        total.0 += 1;
        total.1 = total.1.saturating_add(size);
        if total.0 <= u64::try_from(NAMED_PER_REASON).unwrap_or(u64::MAX) {
            self.files.push(StandingFile {
                source: source.clone(),
                path,
                reason,
                size,
                detail,
            });
        }
    }

    /// Counts files that cannot be named.
    pub fn add(&mut self, reason: Reason, (files, bytes): (u64, u64)) {
        if files > 0 {
            let total = self.totals.entry(reason).or_default();
            *total = (total.0 + files, total.1.saturating_add(bytes));
        }
    }

    /// Adds what another book says.
    pub fn merge(&mut self, other: Self) {
        for (reason, (files, bytes)) in other.totals {
            let total = self.totals.entry(reason).or_default();
            *total = (total.0 + files, total.1.saturating_add(bytes));
        }
        self.files.extend(other.files);
    }

    /// All files and bytes.
    pub fn count(&self) -> (u64, u64) {
        self.totals.values().fold((0, 0), |sum, total| {
            (sum.0 + total.0, sum.1.saturating_add(total.1))
        })
    }

    /// Whether any file needs somebody to act.
    pub fn has_faults(&self) -> bool {
        self.totals.keys().any(|reason| reason.is_fault())
    }

    /// As the ledger takes it.
    pub fn into_standing(self) -> Standing {
        let totals = self
            .totals
            .into_iter()
            .map(|(reason, (files, bytes))| (reason, files, bytes))
            .collect();
        Standing {
            files: self.files,
            totals,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Decision;
    use model::{Identity, RelativePath};

    #[test]
    fn long_names_make_a_short_plan() {
        let mut oldest = Oldest::new(PLAN_LENGTH);
        for age in 0..3_000 {
            let path = RelativePath::new(format!("{age:04000}")).unwrap();
            let identity = Identity {
                device_number: None,
                inode: None,
                size: u64::MAX,
                modified: Timestamp::from_seconds(age),
                changed: None,
            };
            oldest.push(
                Candidate {
                    original: path.clone(),
                    lies_at: path,
                    identity,
                },
                (),
            );
        }
        assert_eq!(oldest.count(), (2_097, u64::MAX));
        assert_eq!(oldest.overflow(), (903, u64::MAX));
    }

    #[test]
    fn a_planned_file_takes_little_more_than_its_name() {
        // A pass over a million files holds 50,000 of these, whatever is to be done with them.
        assert!(size_of::<(Candidate, Decision)>() <= 128);
        assert!(size_of::<Aged<Decision>>() <= 128);
    }

    #[test]
    fn the_oldest_files_are_kept_and_the_rest_is_known_to_exist() {
        let mut oldest = Oldest::new(3);
        for age in [5, 1, 4, 2, 3] {
            let path = RelativePath::new(format!("f{age}")).unwrap();
            let identity = Identity {
                device_number: None,
                inode: None,
                size: 10,
                modified: Timestamp::from_seconds(age),
                changed: None,
            };
            oldest.push(
                Candidate {
                    original: path.clone(),
                    lies_at: path,
                    identity,
                },
                (),
            );
        }
        assert_eq!(oldest.overflow(), (2, 20));
        assert_eq!(oldest.count(), (3, 30));
        let order: Vec<String> = oldest
            .into_sorted()
            .map(|(candidate, ())| candidate.lies_at.to_string())
            .collect();
        assert_eq!(order, ["f1", "f2", "f3"]);
    }
}
