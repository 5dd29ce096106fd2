//! The model of the ledger as the port `History`.

use std::collections::BTreeSet;

use engine::ports::history::{FileRows, StoredCopies};
use engine::ports::{
    DeviceStatus, FileFilter, FileRow, History, HistoryError, PassOutcome, PastPass, RemainingFile,
    StateTotals, StoredCopy,
};
use model::{Amount, DeviceName, FileState, LedgerId, StoreId, Timestamp};

use super::ModelLedger;
use super::content::{LedgerContent, LedgerPass, LedgerRow, day};

impl History for ModelLedger {
    fn id(&self) -> &LedgerId {
        &self.id
    }

    fn store(&self) -> Option<&StoreId> {
        None
    }

    fn devices(&self, now: Timestamp) -> Result<Vec<DeviceStatus>, HistoryError> {
        let content = self.lock();
        let names = content.devices.keys();
        Ok(names.filter_map(|name| status(&content, name, now)).collect())
    }

    fn device(&self, name: &DeviceName, now: Timestamp) -> Result<Option<DeviceStatus>, HistoryError> {
        Ok(status(&self.lock(), name, now))
    }

    fn passes(&self, device: &DeviceName, limit: usize) -> Result<Vec<PastPass>, HistoryError> {
        Ok(passes(&self.lock(), device).take(limit).collect())
    }

    fn remaining(&self, device: &DeviceName, limit: usize) -> Result<Vec<RemainingFile>, HistoryError> {
        let content = self.lock();
        let files = content.devices.get(device).map(|status| &status.remaining.files);
        Ok(files.into_iter().flatten().take(limit).cloned().collect())
    }

    fn files(&self, filter: FileFilter) -> Result<FileRows<'_>, HistoryError> {
        let content = self.lock();
        let mut rows: Vec<FileRow> = content
            .rows
            .iter()
            .filter(|row| filter.selects_device(&row.device) && filter.selects_state(row.state))
            .filter(|row| filter.since.is_none_or(|since| row.record.at >= since))
            .map(file_row)
            .collect();
        // The sort is stable: rows of one time stay in the order in which they were recorded.
        rows.sort_by(|one, other| {
            let key = |row: &FileRow| (row.device.clone(), row.source.clone(), row.stored_at);
            key(one).cmp(&key(other))
        });
        Ok(Box::new(rows.into_iter().map(Ok)))
    }

    fn stored_copies(&self) -> StoredCopies<'_> {
        let content = self.lock();
        let mut seen = BTreeSet::new();
        let mut copies: Vec<StoredCopy> = Vec::new();
        for row in &content.rows {
            let (record, size) = (&row.record, row.record.identity.size);
            if seen.insert((record.store_name.clone(), size, record.digest)) {
                copies.push(StoredCopy {
                    store_name: record.store_name.clone(),
                    size,
                    digest: record.digest,
                });
            }
        }
        copies.sort_by(|one, other| one.store_name.cmp(&other.store_name));
        Box::new(copies.into_iter().map(Ok))
    }
}

fn status(content: &LedgerContent, name: &DeviceName, now: Timestamp) -> Option<DeviceStatus> {
    let status = content.devices.get(name)?;
    let today = status.days.get(&day(now)).copied().unwrap_or_default();
    let says_something = |pass: &PastPass| {
        let outcome = pass.outcome.as_ref();
        outcome.is_some_and(|outcome| {
            !matches!(
                outcome,
                PassOutcome::CollectorFailed { .. } | PassOutcome::Interrupted
            )
        })
    };
    Some(DeviceStatus {
        name: name.clone(),
        last_attempt: status.last_attempt,
        last_seen: status.last_seen,
        failing_since: status.failing_since,
        clock: status.clock.clone(),
        disks: status.disks.clone(),
        shortcomings: status.shortcomings.clone(),
        writer_check: status.writer_check,
        last_pass: passes(content, name).find(|pass| pass.outcome.is_some()),
        last_conclusive_pass: passes(content, name).find(says_something),
        totals: totals(content, name),
        released_today: today.released,
        stored_today: today.stored,
        remaining: status.remaining.totals.clone(),
    })
}

/// The passes over a device, newest first.
fn passes<'c>(content: &'c LedgerContent, device: &'c DeviceName) -> impl Iterator<Item = PastPass> + 'c {
    let passes = content.passes.iter().rev();
    passes.filter(move |pass| pass.device == *device).map(past_pass)
}

fn past_pass(pass: &LedgerPass) -> PastPass {
    let end = pass.end.as_ref();
    PastPass {
        begun: pass.begun,
        ended: end.map(|end| end.at),
        outcome: end.map(|end| end.outcome.clone()),
        released: end.map_or(Amount::ZERO, |end| end.released),
        stored: end.map_or(Amount::ZERO, |end| end.stored),
        took: end.map(|end| end.took),
    }
}

fn totals(content: &LedgerContent, device: &DeviceName) -> StateTotals {
    let mut totals = StateTotals::default();
    for row in content.rows.iter().filter(|row| row.device == *device) {
        let total = match row.state {
            FileState::Stored => &mut totals.stored,
            FileState::Released => &mut totals.released,
            FileState::Kept => &mut totals.kept,
        };
        total.add(Amount::of_file(row.record.identity.size));
    }
    totals
}

fn file_row(row: &LedgerRow) -> FileRow {
    let record = &row.record;
    FileRow {
        device: row.device.clone(),
        source: record.source.clone(),
        path: record.path.clone(),
        identity: record.identity,
        digest: record.digest,
        device_digest: record.device_digest,
        store_name: record.store_name.clone(),
        already_stored: record.already_stored,
        withdrawn: record.withdrawn.clone(),
        state: row.state,
        reason: row.reason,
        stored_at: record.at,
        released_at: row.released_at,
    }
}
