//! One source during a visit: what its batches share.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use model::{RelativePath, SourcePath, Timestamp};
use parking_lot::Mutex;

use super::Visit;
use crate::blame::Blame;
use crate::event::Event;
use crate::fleet::FleetContext;
use crate::ports::Reason;
use crate::rules::DeviceRules;
use crate::tally::{LeftFile, Tally};
use crate::world::{SessionOf, World};

/// One source during a visit. The stages work on it.
pub(crate) struct SourceVisit<'a, W: World> {
    pub(crate) device_visit: &'a Visit<'a, W>,
    pub(crate) world: &'a W,
    pub(crate) device: &'a DeviceRules,
    pub(crate) session: &'a SessionOf<W>,
    pub(crate) fleet: &'a FleetContext<'a>,
    pub(crate) tally: &'a Tally,
    pub(crate) blame: &'a Mutex<Blame>,
    /// Its path on the device.
    pub(crate) source: &'a SourcePath,
    /// Withdrawn folders that several batches share. They may be empty once all these batches have ended.
    pub(crate) shared_folders: Mutex<BTreeSet<RelativePath>>,
    /// The batch in progress is the last one and the only one: no other is about to use the folders that it
    /// leaves empty.
    pub(crate) is_last_batch: AtomicBool,
}

impl<'a, W: World> SourceVisit<'a, W> {
    pub(crate) fn new(visit: &'a Visit<'a, W>, source: &'a SourcePath) -> Self {
        Self {
            device_visit: visit,
            fleet: visit.fleet,
            tally: &visit.tally,
            blame: &visit.blame,
            world: visit.world,
            device: visit.device,
            session: visit.session,
            source,
            shared_folders: Mutex::default(),
            is_last_batch: AtomicBool::new(false),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.device_visit.now()
    }

    pub(crate) fn report(&self, event: &Event) {
        self.device_visit.report(event);
    }

    /// Records and reports a file that stays on the device for now.
    pub(crate) fn leave_behind(
        &self,
        original: &RelativePath,
        size: u64,
        reason: Reason,
        detail: Option<String>,
    ) {
        self.device_visit.leave_behind(LeftFile {
            source: self.source,
            original,
            size,
            reason,
            detail,
        });
    }

    /// Records a file that this visit did not reach.
    pub(crate) fn record_not_reached(&self, original: &RelativePath, size: u64) {
        self.tally.record_not_reached(self.source, original, size);
    }
}
