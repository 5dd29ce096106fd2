//! Compares stored copies with the record, several at a time.

use std::iter::Peekable;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::ports::history::StoredCopies;
use engine::ports::{HistoryError, StoredCopy};
use parking_lot::Mutex;
use storage::audit::CopyCheck;
use storage::{Disk, StoreFolder};

use super::progress::Bar;

/// Names compared per batch: enough to keep the threads busy, few enough to report findings soon.
const BATCH: usize = 64;

/// A digest takes one core, and a network store is faster with several requests at a time. More threads would
/// make a disk seek.
const MAX_THREADS: usize = 8;

/// A stored copy and the result of its comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CheckedCopy {
    pub(super) copy: StoredCopy,
    pub(super) comparison: Comparison,
}

/// The result of comparing a stored copy with the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Comparison {
    /// As recorded.
    Sound,
    /// No file has that name, or the file has the content of another record.
    Missing,
    /// The file differs from every record.
    Different {
        /// How it differs.
        detail: String,
    },
    /// It cannot be read.
    Unreadable(String),
}

impl Comparison {
    /// Whether there is a copy that matches no record.
    pub(super) fn is_bad_copy(&self) -> bool {
        matches!(self, Self::Different { .. })
    }

    /// The stable code in JSON, also used in the text report.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Missing => "missing",
            Self::Different { .. } => "different",
            Self::Unreadable(_) => "unreadable",
        }
    }

    pub(super) fn detail(&self) -> Option<&str> {
        match self {
            Self::Sound | Self::Missing => None,
            Self::Different { detail } | Self::Unreadable(detail) => Some(detail),
        }
    }
}

/// The records of one name: usually one, or several if the store lost a file and received another.
type CopiesOfName = Vec<StoredCopy>;

/// The copies as a peekable iterator.
pub(super) fn by_name(copies: StoredCopies<'_>) -> Peekable<StoredCopies<'_>> {
    copies.peekable()
}

/// The copies of the next names; empty at the end.
pub(super) fn next_batch(copies: &mut Peekable<StoredCopies<'_>>) -> Result<Vec<CopiesOfName>, HistoryError> {
    let mut batch: Vec<CopiesOfName> = Vec::new();
    let is_wanted = |batch: &[CopiesOfName], next: &Result<StoredCopy, HistoryError>| match next {
        Ok(copy) => batch.len() < BATCH || has_name(batch.last(), copy),
        Err(_) => true,
    };
    while let Some(next) = copies.next_if(|next| is_wanted(&batch, next)) {
        let copy = next?;
        match batch.last_mut() {
            Some(name) if has_name(Some(name), &copy) => name.push(copy),
            _ => batch.push(vec![copy]),
        }
    }
    Ok(batch)
}

fn has_name(name: Option<&CopiesOfName>, copy: &StoredCopy) -> bool {
    name.and_then(|name| name.first())
        .is_some_and(|first| first.store_name == copy.store_name)
}

/// Compares the copies of these names, in their order.
pub(super) fn all<D: Disk>(store: &StoreFolder<D>, names: &[CopiesOfName], bar: &Bar) -> Vec<CheckedCopy> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(names.len()));
    let work = || {
        while let Some((index, name)) = take(names, &next) {
            let compared = one_name(store, name, bar);
            let mut done = done.lock();
            done.push((index, compared));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 1..threads.clamp(2, MAX_THREADS).min(names.len()) {
            // If no further thread can be started, this thread does the work.
            drop(std::thread::Builder::new().spawn_scoped(scope, work));
        }
        work();
    });
    let mut done = done.into_inner();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().flat_map(|(_, compared)| compared).collect()
}

fn take<'a>(names: &'a [CopiesOfName], next: &AtomicUsize) -> Option<(usize, &'a CopiesOfName)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    names.get(index).map(|name| (index, name))
}

fn one_name<D: Disk>(store: &StoreFolder<D>, name: &CopiesOfName, bar: &Bar) -> Vec<CheckedCopy> {
    let mut compared: Vec<CheckedCopy> = name
        .iter()
        .map(|copy| {
            let finding = store.check_copy(&copy.store_name, copy.size, &copy.digest);
            bar.advance(copy.size);
            CheckedCopy {
                copy: copy.clone(),
                comparison: comparison(finding),
            }
        })
        .collect();
    // A copy that matches one record is good; the other record's content is missing.
    if compared
        .iter()
        .any(|compared| compared.comparison == Comparison::Sound)
    {
        for compared in &mut compared {
            if compared.comparison.is_bad_copy() {
                compared.comparison = Comparison::Missing;
            }
        }
    }
    compared
}

fn comparison(finding: CopyCheck) -> Comparison {
    match finding {
        CopyCheck::Same => Comparison::Sound,
        CopyCheck::Missing => Comparison::Missing,
        CopyCheck::Different(detail) => Comparison::Different { detail },
        CopyCheck::Unreadable(reason) => Comparison::Unreadable(reason),
    }
}
