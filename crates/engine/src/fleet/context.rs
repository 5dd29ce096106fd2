//! What the passes of a fleet share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::event::Event;
use crate::fleet::{Bounds, Claims, Slots};
use crate::plan::oldest::PlanRoom;
use crate::ports::{Clock, Ledger, LedgerError, Store, StoreError, StoreStatus};
use crate::rules::{DeviceRules, Mode};
use crate::world::{Stop, World};

/// Partial files in staging are kept this long for a resume, and files of other collectors are reported once
/// they are older.
const STAGING_KEPT: Duration = Duration::from_hours(7 * 24);

/// Which devices are visited.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'a> {
    /// The devices to visit.
    pub visited: &'a [DeviceRules],
    /// All configured devices. Their folders may not be gathered under the name of another device.
    pub configured: &'a [DeviceRules],
}

/// Why no device was visited. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The store is not fit.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger is not fit.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What the passes of a fleet share: slots, memory for plans, claims on folders, and the wish to stop.
#[derive(Debug)]
pub struct FleetContext<'a> {
    pub(crate) stop: &'a Stop,
    pub(crate) bounds: Bounds,
    pub(crate) slots: Slots,
    pub(crate) plan_room: PlanRoom,
    pub(crate) claims: Claims,
    /// Some device has been worked on.
    touched: AtomicBool,
}

impl<'a> FleetContext<'a> {
    /// Checks the store, reads the claims from the ledger and, if `mode` acts, tidies this collector's
    /// staging.
    ///
    /// Fails if the store or the ledger is not fit: then no device may be connected to.
    pub async fn open<W: World>(
        world: &W,
        chosen: Chosen<'_>,
        bounds: Bounds,
        mode: Mode,
        stop: &'a Stop,
    ) -> Result<Self, SweepError> {
        world.store().condition().await?;
        let claims = world.ledger().claims().await?;
        let foreign_files = if mode == Mode::Act {
            let since = world.clock().now().minus(STAGING_KEPT);
            world.store().tidy_staging(since).await?
        } else {
            0
        };
        world.report(&Event::SweepBegan {
            devices: chosen.visited.len(),
            mode,
        });
        if foreign_files > 0 {
            world.report(&Event::ForeignStaging { files: foreign_files });
        }
        Ok(Self {
            stop,
            bounds,
            slots: Slots::new(bounds.parallel),
            plan_room: PlanRoom::new(bounds.plans),
            claims: Claims::from_ledger(claims, chosen.visited, chosen.configured),
            touched: AtomicBool::new(false),
        })
    }

    /// Notes that a device is being worked on.
    pub(crate) fn touch(&self) {
        self.touched.store(true, Ordering::Relaxed);
    }

    /// Whether any device has been worked on.
    pub(crate) fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }
}
