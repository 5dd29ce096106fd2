//! Lists a source, within a bounded time.

use std::time::Duration;

use futures_util::future;
use model::{FileState, Identity, RelativePath};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::ports::{
    DeviceFailure, EntryKind, KnownFile, Ledger, ListingEnd, Session, SurveyItem, SurveySender,
};
use crate::recourse::PassError;
use crate::visit::SourceVisit;
use crate::withdrawn;
use crate::world::World;

/// Groups of survey items that may wait to be classified.
const ITEMS_IN_FLIGHT: usize = 16;

/// The least time that a name counts. It bounds a device that invents names faster than they are classified:
/// nine million names, by default.
const NEW_NAME: Duration = Duration::from_micros(100);
/// The same for a file that the ledger knows.
const KNOWN_NAME: Duration = Duration::from_micros(10);

/// Runs a survey and passes its items on as they arrive. A listing without end is cut off: the failure says
/// so.
pub(super) async fn list<W: World>(
    visit: &SourceVisit<'_, W>,
    mut take: impl AsyncFnMut(Vec<SurveyItem>) -> Result<(), PassError>,
) -> Result<Option<DeviceFailure>, PassError> {
    let (sender, mut items): (SurveySender, _) = mpsc::channel(ITEMS_IN_FLIGHT);
    let listing = async {
        let listed = visit.session.survey(visit.source, sender).await;
        listed.map_err(|failure| Ended::Failed(failure.into()))
    };
    let limit = visit.device.rules.max_listing_time;
    let mut allowance = Allowance::of(limit);
    let taking = async {
        loop {
            let requested = Instant::now();
            let batch = match timeout(allowance.left(), items.recv()).await {
                Ok(Some(batch)) => batch,
                Ok(None) => return Ok(()),
                Err(_) => return Err(Ended::TooLong),
            };
            let waited = requested.elapsed();
            let known = if allowance.is_scarce(waited) {
                count_known(visit, &batch).await?
            } else {
                0
            };
            allowance.spend(waited, batch.len(), known);
            take(batch).await?;
            if allowance.left().is_zero() {
                return Err(Ended::TooLong);
            }
        }
    };
    match future::try_join(listing, taking).await {
        Ok((ListingEnd::Whole, ())) => Ok(None),
        Ok((ListingEnd::Cut(failure), ())) => Ok(Some(failure)),
        // Both futures are dropped: the session ends the listing.
        Err(Ended::TooLong) => Ok(Some(DeviceFailure::endless_listing(visit.source, limit))),
        Err(Ended::Failed(error)) => Err(error),
    }
}

/// Why a listing was given up.
enum Ended {
    TooLong,
    Failed(PassError),
}

impl From<PassError> for Ended {
    fn from(error: PassError) -> Self {
        Self::Failed(error)
    }
}

/// The time that a device may still take for a listing.
///
/// Only waiting for the device counts, because the store and the ledger may be slow. Once half of it is
/// spent, only files that are new count in full. Files that stay by rule are listed first in every pass; if
/// they used up all the time, the files after them would never be seen.
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

    /// Whether it matters how many of the items are known. Finding out takes a request to the ledger.
    fn is_scarce(&self, waited: Duration) -> bool {
        self.spent + waited > self.limit / 2
    }

    /// Spends the time that was waited for `all` items, of which `known` are known.
    fn spend(&mut self, waited: Duration, all: usize, known: usize) {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (all, known) = (number(all), number(known));
        let new = all.saturating_sub(known);
        let for_new = waited.saturating_mul(new) / all.max(1);
        let least = NEW_NAME.saturating_mul(new) + KNOWN_NAME.saturating_mul(known);
        self.spent = self.spent.saturating_add(for_new.max(least));
    }
}

/// How many of these items are nothing new: files that stay by rule, files that the ledger knows unchanged,
/// and markers of files that it knows.
///
/// A device cannot invent files that the ledger knows. If it repeats them, or invents excluded ones, the
/// session ends after a day.
async fn count_known<W: World>(visit: &SourceVisit<'_, W>, items: &[SurveyItem]) -> Result<usize, PassError> {
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
    let known_rows = ledger
        .known_files(&visit.device.name, visit.source, &paths)
        .await?;
    let is_known = |(row, identity): &(Option<KnownFile>, Option<Identity>)| match (row, identity) {
        (Some(row), Some(identity)) => row.identity == *identity && row.state != FileState::Released,
        (row, None) => row.is_some(),
        (None, Some(_)) => false,
    };
    Ok(known + known_rows.into_iter().zip(identities).filter(is_known).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn half_of_the_time_counts_for_all_names_and_the_rest_for_new_ones() {
        let mut allowance = Allowance::of(SECOND * 100);
        assert!(!allowance.is_scarce(SECOND * 50) && allowance.is_scarce(SECOND * 51));
        allowance.spend(SECOND * 50, 10, 0);
        allowance.spend(SECOND * 40, 4, 1);
        assert_eq!(allowance.left(), SECOND * 20);
        allowance.spend(SECOND * 1000, 4, 4);
        assert!(allowance.left() > SECOND * 19);
        allowance.spend(SECOND * 21, 4, 0);
        assert_eq!(allowance.left(), Duration::ZERO);
    }

    #[test]
    fn names_that_took_no_waiting_count_too() {
        let mut allowance = Allowance::of(SECOND);
        allowance.spend(Duration::ZERO, 10_000, 10_000);
        assert_eq!(allowance.left(), SECOND * 9 / 10);
        allowance.spend(Duration::ZERO, 9_000, 0);
        assert_eq!(allowance.left(), Duration::ZERO);
    }
}
