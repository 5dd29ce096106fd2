//! What the model of the ledger holds.

use std::collections::BTreeMap;

use engine::ports::{
    Claim, ClockReading, CompressionFinding, DeviceReport, DiskUse, LedgerError, PassEnd, PassLease,
    PassOutcome, Record, Remaining, RowId, Suspicion, WriterCheck,
};
use model::{Amount, DeviceName, FileState, Identity, LeaveReason, RelativePath, SourcePath, Timestamp};
use tokio::time::Instant;

/// The content of a ledger.
#[derive(Debug, Clone, Default)]
pub struct LedgerContent {
    /// Every recorded file; the index is the row's number.
    pub rows: Vec<LedgerRow>,
    /// Every pass that was begun; the index is the row's number.
    pub passes: Vec<LedgerPass>,
    pub(super) devices: BTreeMap<DeviceName, LedgerDevice>,
    pub(super) sightings: BTreeMap<(DeviceName, SourcePath), Sightings>,
    pub(super) suspects: BTreeMap<(DeviceName, SourcePath), Vec<(RelativePath, Suspicion)>>,
    pub(super) suspicions: i64,
}

/// The sightings of one source: identity, and since when it is unchanged.
pub(super) type Sightings = BTreeMap<RelativePath, (Identity, Timestamp)>;

/// A recorded file.
#[derive(Debug, Clone)]
pub struct LedgerRow {
    /// Its device.
    pub device: DeviceName,
    /// What the engine recorded.
    pub record: Record,
    /// Its present state.
    pub state: FileState,
    pub(super) reason: Option<LeaveReason>,
    pub(super) released_at: Option<Timestamp>,
    /// When the row was written, in true time. No clock jump affects it.
    pub(in crate::simulator) written_at: Instant,
}

/// A pass over a device.
#[derive(Debug, Clone)]
pub struct LedgerPass {
    /// The device.
    pub device: DeviceName,
    /// When it began.
    pub begun: Timestamp,
    /// How it ended, once it has.
    pub end: Option<PassEnd>,
}

/// The present status of a device.
#[derive(Debug, Clone, Default)]
pub(super) struct LedgerDevice {
    /// The number of passes that were begun.
    pub(super) token: u64,
    pub(super) last_attempt: Option<Timestamp>,
    pub(super) last_seen: Option<Timestamp>,
    pub(super) failing_since: Option<Timestamp>,
    pub(super) clock: Option<ClockReading>,
    pub(super) compression: Option<CompressionFinding>,
    pub(super) hang_up: Option<Timestamp>,
    pub(super) claims: Vec<(SourcePath, Claim)>,
    pub(super) disks: Vec<(SourcePath, Option<DiskUse>)>,
    pub(super) shortcomings: Vec<String>,
    pub(super) writer_check: Option<WriterCheck>,
    pub(super) remaining: Remaining,
    /// The files stored and released on each day since 1970-01-01 in UTC.
    pub(super) days: BTreeMap<i64, DayTotals>,
}

/// The files stored and released on one day.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DayTotals {
    pub(super) stored: Amount,
    pub(super) released: Amount,
}

/// The day that contains `at`.
pub(super) const fn day(at: Timestamp) -> i64 {
    at.seconds().div_euclid(86_400)
}

fn row_id(at: usize) -> RowId {
    RowId(i64::try_from(at).unwrap_or(i64::MAX))
}

fn index(row: RowId) -> usize {
    usize::try_from(row.0).unwrap_or(usize::MAX)
}

impl LedgerContent {
    /// How passes ended, in the order in which they began.
    pub fn ends(&self) -> Vec<PassEnd> {
        self.passes.iter().filter_map(|pass| pass.end.clone()).collect()
    }

    /// The rows with their numbers.
    pub(super) fn numbered(&self) -> impl DoubleEndedIterator<Item = (RowId, &LedgerRow)> {
        self.rows.iter().enumerate().map(|(at, row)| (row_id(at), row))
    }

    /// Begins a pass. Every earlier lease of the device is stale then.
    pub(super) fn begin_pass(&mut self, device: &DeviceName, at: Timestamp) -> PassLease {
        let status = self.devices.entry(device.clone()).or_default();
        status.token += 1;
        status.last_attempt = Some(at);
        let lease = PassLease::new(row_id(self.passes.len()), device.clone(), status.token);
        self.passes.push(LedgerPass {
            device: device.clone(),
            begun: at,
            end: None,
        });
        lease
    }

    /// The status of the lease's device, unless the lease is stale.
    pub(super) fn held(&mut self, lease: &PassLease) -> Result<&mut LedgerDevice, LedgerError> {
        let status = self.devices.get_mut(lease.device());
        status
            .filter(|status| status.token == lease.token())
            .ok_or_else(|| LedgerError::LeaseLost {
                device: lease.device().clone(),
            })
    }

    pub(super) fn add_record(&mut self, device: &DeviceName, record: Record) -> RowId {
        if !record.already_stored {
            let size = Amount::of_file(record.identity.size);
            self.day(device, record.at).stored.add(size);
        }
        self.rows.push(LedgerRow {
            device: device.clone(),
            record,
            state: FileState::Stored,
            reason: None,
            released_at: None,
            written_at: Instant::now(),
        });
        row_id(self.rows.len() - 1)
    }

    /// Whether all these rows are of this device.
    pub(super) fn has_rows(&self, device: &DeviceName, rows: impl IntoIterator<Item = RowId>) -> bool {
        let mut rows = rows.into_iter().map(|row| self.rows.get(index(row)));
        rows.all(|row| row.is_some_and(|row| row.device == *device))
    }

    /// Sets the state of a row of this device.
    pub(super) fn set_state(
        &mut self,
        device: &DeviceName,
        row: RowId,
        state: FileState,
        reason: Option<LeaveReason>,
        at: Timestamp,
    ) {
        let Some(row) = self.rows.get_mut(index(row)) else {
            return;
        };
        let is_release = state == FileState::Released;
        let was_released = row.state == FileState::Released;
        let size = Amount::of_file(row.record.identity.size);
        row.state = state;
        row.reason = reason;
        row.released_at = is_release.then(|| row.released_at.unwrap_or(at));
        if is_release && !was_released {
            self.day(device, at).released.add(size);
        }
    }

    fn day(&mut self, device: &DeviceName, at: Timestamp) -> &mut DayTotals {
        let status = self.devices.entry(device.clone()).or_default();
        status.days.entry(day(at)).or_default()
    }

    /// Ends the pass of a lease that is held.
    pub(super) fn finish_pass(&mut self, lease: &PassLease, end: PassEnd) {
        let Some(pass) = self.passes.get_mut(index(lease.row())) else {
            return;
        };
        let status = self.devices.entry(lease.device().clone()).or_default();
        match end.outcome {
            PassOutcome::Well | PassOutcome::Partial => status.failing_since = None,
            PassOutcome::Failed { .. } => {
                status.failing_since.get_or_insert(pass.begun);
            }
            PassOutcome::CollectorFailed { .. } | PassOutcome::Interrupted => {}
        }
        if let Some(report) = &end.report {
            status.take_report(report);
        }
        if let Some(remaining) = &end.remaining {
            status.remaining = remaining.clone();
        }
        pass.end = Some(end);
    }

    pub(super) fn suspects_of(
        &mut self,
        device: &DeviceName,
        source: &SourcePath,
    ) -> &mut Vec<(RelativePath, Suspicion)> {
        self.suspects.entry((device.clone(), source.clone())).or_default()
    }
}

impl LedgerDevice {
    fn take_report(&mut self, report: &DeviceReport) {
        self.last_seen = Some(report.seen_at);
        self.hang_up = report.hung_up_on_command;
        self.claims.clone_from(&report.claims);
        self.disks.clone_from(&report.disks);
        self.shortcomings.clone_from(&report.shortcomings);
        self.clock = report.clock.clone().or(self.clock.take());
        self.compression = report.compression.or(self.compression);
        self.writer_check = report.writer_check.or(self.writer_check);
    }
}
