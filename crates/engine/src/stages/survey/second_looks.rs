//! Files without a trusted timestamp: two surveys decide whether they are settled.

use std::time::Duration;

use model::{Timestamp, WaitReason};

use super::Classifier;
use crate::plan::Candidate;
use crate::plan::oldest::Oldest;
use crate::ports::{Clock as _, Ledger, Reason, Sighting, Unseen};
use crate::recourse::PassError;
use crate::world::World;

impl<W: World> Classifier<'_, '_, W> {
    /// Decides about files without a trusted timestamp.
    ///
    /// Such a file is settled once two surveys, far enough apart, saw the same identity. The time between is
    /// measured by the collector's monotonic clock: if the wall clock were set forward between two surveys, a
    /// file that is being written would seem to have rested. It counts from the latest possible first
    /// sighting to the earliest possible second one.
    pub(super) async fn look_again(&mut self) -> Result<(), PassError> {
        let empty = Oldest::for_second_looks(&self.visit.fleet.plan_room);
        let looks = std::mem::replace(&mut self.second_looks, empty);
        self.second_looks_overflow = looks.overflow();
        let (looks, _) = looks.into_sorted();
        let first_seen = self.record_sightings(&looks).await?;
        let mut settled = Vec::new();
        for ((mut candidate, needed), first_seen) in looks.into_iter().zip(first_seen) {
            let rested = self.context.requested.since(first_seen);
            if self.lease.is_some() && rested >= needed {
                candidate.settled_blind |= rested >= self.context.rules.settle_blind;
                settled.push(candidate);
            } else {
                let reason = self.wait_reason(&candidate);
                self.record_candidate(&candidate, Reason::Wait(reason), None);
            }
        }
        self.decide_all(settled).await
    }

    /// Since when each file was seen with its present identity.
    async fn record_sightings(&self, looks: &[(Candidate, Duration)]) -> Result<Vec<Timestamp>, PassError> {
        let now = self.visit.world.clock().steady();
        // A dry run records nothing, so it settles no file.
        let Some(lease) = self.lease else {
            return Ok(vec![now; looks.len()]);
        };
        let sightings = looks.iter().map(|(candidate, _)| Sighting {
            path: candidate.current_path.clone(),
            identity: candidate.identity,
        });
        let unseen = if self.cut.is_some() {
            Unseen::Retain
        } else {
            Unseen::Forget
        };
        let (ledger, source) = (self.visit.world.ledger(), self.visit.source);
        Ok(ledger
            .record_sightings(lease, source, sightings.collect(), unseen, now)
            .await?)
    }

    fn wait_reason(&self, candidate: &Candidate) -> WaitReason {
        let is_blind = candidate.settled_blind && candidate.identity.changed.is_none();
        if self.context.abilities.tells_time && !is_blind {
            WaitReason::ClockUntrusted
        } else {
            WaitReason::SettlingBlind
        }
    }
}
