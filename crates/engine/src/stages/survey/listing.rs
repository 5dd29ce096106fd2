//! Listing a source for as long as that leads anywhere.

use std::time::Duration;

use futures_util::future;
use model::{FailureClass, FileState, Identity, RelativePath, SourcePath};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::ports::{DeviceFailure, EntryKind, Ledger, ListingEnd, Session, SurveyItem, SurveySender};
use crate::recourse::PassError;
use crate::visit::Visit;
use crate::withdrawn;
use crate::world::World;

/// How many batches of survey items may wait for being judged.
const ITEMS_IN_FLIGHT: usize = 16;

/// What a name counts at least: a device that invents names faster than they are judged is never waited for. Nine million names, by default.
const NEW_NAME: Duration = Duration::from_micros(100);
/// The same for a name that leads to nothing new.
const KNOWN_NAME: Duration = Duration::from_micros(10);

/// Runs a survey and hands its items on as they come. One that goes on and on is cut off, and why is returned.
pub(super) async fn listed<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    mut take: impl AsyncFnMut(Vec<SurveyItem>) -> Result<(), PassError>,
) -> Result<Option<DeviceFailure>, PassError> {
    let (sender, mut items): (SurveySender, _) = mpsc::channel(ITEMS_IN_FLIGHT);
    let listing = async {
        let listed = visit.session.survey(source, sender).await;
        listed.map_err(|failure| Ended::Failed(failure.into()))
    };
    let limit = visit.device.rules.max_listing_time;
    let mut allowance = Allowance::of(limit);
    let taking = async {
        loop {
            let asked = Instant::now();
            let batch = match timeout(allowance.left(), items.recv()).await {
                Ok(Some(batch)) => batch,
                Ok(None) => return Ok(()),
                Err(_) => return Err(Ended::TooLong),
            };
            let waited = asked.elapsed();
            let known = match allowance.is_scarce(waited) {
                true => known_among(visit, source, &batch).await?,
                false => 0,
            };
            allowance.spend(waited, (batch.len(), known));
            take(batch).await?;
            if allowance.left().is_zero() {
                return Err(Ended::TooLong);
            }
        }
    };
    match future::try_join(listing, taking).await {
        Ok((ListingEnd::Whole, ())) => Ok(None),
        Ok((ListingEnd::Cut(failure), ())) => Ok(Some(failure)),
        // Neither side waits any more: the session ends what it has asked.
        Err(Ended::TooLong) => Ok(Some(no_end_of(source, limit))),
        Err(Ended::Failed(error)) => Err(error),
    }
}

/// Why a listing ends before its end.
enum Ended {
    TooLong,
    Failed(PassError),
}

impl From<PassError> for Ended {
    fn from(error: PassError) -> Self {
        Self::Failed(error)
    }
}

fn no_end_of(source: &SourcePath, limit: Duration) -> DeviceFailure {
    DeviceFailure {
        class: FailureClass::Stalled,
        message: format!(
            "the listing of {source} had not come to its end after {} s (15 times stall_timeout)",
            limit.as_secs_f64()
        ),
        remedy: None,
    }
}

/// The time that a device may yet take to name things.
///
/// Only waiting for it counts: our own store and ledger may be slow. When half of it is spent, only what leads to something new counts. Files that
/// stay on their device by rule are named first in every pass; if they used up all of it, those behind them would never be seen.
struct Allowance {
    limit: Duration,
    spent: Duration,
}

impl Allowance {
    const fn of(limit: Duration) -> Self {
        let spent = Duration::ZERO;
        Self { limit, spent }
    }

    const fn left(&self) -> Duration {
        self.limit.saturating_sub(self.spent)
    }

    /// Whether it matters what is known of the things that were waited for so long. It takes a question to the ledger.
    fn is_scarce(&self, waited: Duration) -> bool {
        self.spent + waited > self.limit / 2
    }

    /// Notes how long some things were waited for, and how many of them are known.
    fn spend(&mut self, waited: Duration, (all, known): (usize, usize)) {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (all, known) = (number(all), number(known));
        let new = all.saturating_sub(known);
        let for_new = waited.saturating_mul(new) / all.max(1);
        let least = NEW_NAME.saturating_mul(new) + KNOWN_NAME.saturating_mul(known);
        self.spent = self.spent.saturating_add(for_new.max(least));
    }
}

/// How many of these things lead to nothing new: files that stay by rule, that the ledger knows as they are, and markers of files that it knows.
/// A device cannot invent what the ledger knows; if it repeats it, or invents what is excluded, the session ends it after a day.
async fn known_among<W: World>(
    visit: &Visit<'_, W>,
    source: &SourcePath,
    items: &[SurveyItem],
) -> Result<usize, PassError> {
    let rules = &visit.device.rules;
    let (mut known, mut paths, mut identities) = (0, Vec::new(), Vec::new());
    for item in items {
        let SurveyItem::Entry(entry) = item else { continue };
        if entry.kind != EntryKind::File || withdrawn::is_within(&entry.path) {
            continue;
        }
        if rules.exclude.excludes(entry.path.as_bytes()) {
            known += 1;
            continue;
        }
        let marked = rules
            .done_suffix
            .as_ref()
            .and_then(|suffix| entry.path.as_bytes().strip_suffix(&suffix[..]));
        match marked.and_then(|name| RelativePath::new(name).ok()) {
            Some(marked) => {
                paths.push(marked);
                identities.push(None);
            }
            None => {
                paths.push(entry.path.clone());
                identities.push(Some(entry.identity));
            }
        }
    }
    let ledger = visit.world.ledger();
    let remembered = ledger.known_files(&visit.device.name, source, &paths).await?;
    let is_known =
        |(row, identity): &(Option<crate::ports::KnownFile>, Option<Identity>)| match (row, identity) {
            (Some(row), Some(identity)) => row.identity == *identity && row.state != FileState::Released,
            (row, None) => row.is_some(),
            (None, Some(_)) => false,
        };
    Ok(known + remembered.into_iter().zip(identities).filter(is_known).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn half_of_the_time_counts_whatever_is_named_and_the_other_half_what_is_new() {
        let mut allowance = Allowance::of(SECOND * 100);
        assert!(!allowance.is_scarce(SECOND * 50) && allowance.is_scarce(SECOND * 51));
        allowance.spend(SECOND * 50, (10, 0));
        allowance.spend(SECOND * 40, (4, 1));
        assert_eq!(allowance.left(), SECOND * 20);
        allowance.spend(SECOND * 1000, (4, 4));
        assert!(allowance.left() > SECOND * 19);
        allowance.spend(SECOND * 21, (4, 0));
        assert_eq!(allowance.left(), Duration::ZERO);
    }

    #[test]
    fn names_that_nobody_had_to_wait_for_count_too() {
        let mut allowance = Allowance::of(SECOND);
        allowance.spend(Duration::ZERO, (10_000, 10_000));
        assert_eq!(allowance.left(), SECOND * 9 / 10);
        allowance.spend(Duration::ZERO, (9_000, 0));
        assert_eq!(allowance.left(), Duration::ZERO);
    }
}
