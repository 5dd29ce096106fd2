//! Compares stored copies with the record, several at a time.

use std::iter::Peekable;

use engine::ports::{CopyCheck, StoreInspection};
use futures_util::stream::{self, StreamExt as _};
use ledger::{ReadError, StoredCopies, StoredCopy};

use super::progress::Bar;

/// Names compared per batch: enough to keep the processors busy, few enough to report findings soon.
const BATCH: usize = 64;

/// Copies that are checked at a time. A digest takes one core, and a network store is faster with several
/// requests at a time. More would make a disk seek.
const MAX_CHECKS: usize = 8;

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
pub(super) fn next_batch(copies: &mut Peekable<StoredCopies<'_>>) -> Result<Vec<CopiesOfName>, ReadError> {
    let mut batch: Vec<CopiesOfName> = Vec::new();
    let is_wanted = |batch: &[CopiesOfName], next: &Result<StoredCopy, ReadError>| match next {
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
pub(super) async fn all<S: StoreInspection>(
    store: &S,
    names: Vec<CopiesOfName>,
    bar: &Bar,
) -> Vec<CheckedCopy> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    stream::iter(names)
        .map(|name| one_name(store, name, bar))
        .buffered(processors.clamp(2, MAX_CHECKS))
        .flat_map(stream::iter)
        .collect()
        .await
}

async fn one_name<S: StoreInspection>(store: &S, name: CopiesOfName, bar: &Bar) -> Vec<CheckedCopy> {
    let mut compared = Vec::with_capacity(name.len());
    for copy in name {
        let check = store.check(&copy.store_name, copy.size, &copy.digest).await;
        bar.advance(copy.size);
        compared.push(CheckedCopy {
            copy,
            comparison: comparison(check),
        });
    }
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

fn comparison(check: CopyCheck) -> Comparison {
    match check {
        CopyCheck::Same => Comparison::Sound,
        CopyCheck::Missing => Comparison::Missing,
        CopyCheck::Different(detail) => Comparison::Different { detail },
        CopyCheck::Unreadable(reason) => Comparison::Unreadable(reason),
    }
}
