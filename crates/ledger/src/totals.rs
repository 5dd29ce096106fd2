//! Totals of files, updated with every change: counting millions of rows takes seconds.

use std::collections::BTreeMap;

use model::{Amount, FileState, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::values;

/// The files stored and released on one day.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DayTotals {
    pub(crate) stored: Amount,
    pub(crate) released: Amount,
}

/// A recorded file, as far as the totals count it.
pub(crate) struct CountedFile {
    pub(crate) device: i64,
    pub(crate) state: FileState,
    pub(crate) size: u64,
}

/// The changes of totals by one transaction, collected so that each total is written once.
#[derive(Debug, Default)]
pub(crate) struct TotalChanges {
    /// By device and state.
    states: BTreeMap<(i64, &'static str), StateChange>,
    /// By device and day.
    days: BTreeMap<(i64, i64), DayTotals>,
}

/// The files that entered and left one state.
#[derive(Debug, Clone, Copy, Default)]
struct StateChange {
    entered: Amount,
    left: Amount,
}

impl TotalChanges {
    /// Adds a newly recorded file. With `already_stored` its content was in the store before, so the day's
    /// total of stored files does not count it.
    pub(crate) fn add_record(&mut self, device: i64, size: u64, already_stored: bool, at: Timestamp) {
        self.enter(device, FileState::Stored, size);
        if !already_stored {
            self.day(device, at).stored.add(Amount::of_file(size));
        }
    }

    /// Adds the change of a recorded file to the state `after`; nothing if that is its state already.
    pub(crate) fn change_state(&mut self, file: &CountedFile, after: FileState, at: Timestamp) {
        if file.state == after {
            return;
        }
        let size = Amount::of_file(file.size);
        self.states
            .entry((file.device, file.state.code()))
            .or_default()
            .left
            .add(size);
        self.enter(file.device, after, file.size);
        if after == FileState::Released {
            self.day(file.device, at).released.add(size);
        }
    }

    fn enter(&mut self, device: i64, state: FileState, size: u64) {
        self.states
            .entry((device, state.code()))
            .or_default()
            .entered
            .add(Amount::of_file(size));
    }

    fn day(&mut self, device: i64, at: Timestamp) -> &mut DayTotals {
        self.days.entry((device, values::day(at))).or_default()
    }

    /// Adds all changes to the totals in the ledger. The statements do the sums, so that two writers cannot
    /// lose each other's changes.
    pub(crate) fn write(self, ledger: &Connection) -> rusqlite::Result<()> {
        for ((device, state), change) in self.states {
            write_state(ledger, device, state, change)?;
        }
        for ((device, day), change) in self.days {
            write_day(ledger, device, day, &change)?;
        }
        Ok(())
    }
}

fn write_state(ledger: &Connection, device: i64, state: &str, change: StateChange) -> rusqlite::Result<()> {
    let row = named_params! {
        ":device": device,
        ":state": state,
        ":entered_files": increment(change.entered.files),
        ":entered_bytes": increment(change.entered.bytes),
        ":left_files": increment(change.left.files),
        ":left_bytes": increment(change.left.bytes),
    };
    ledger
        .prepare_cached(include_str!("sql/write/file_total.sql"))?
        .execute(row)
        .map(drop)
}

fn write_day(ledger: &Connection, device: i64, day: i64, change: &DayTotals) -> rusqlite::Result<()> {
    let row = named_params! {
        ":device": device,
        ":day": day,
        ":stored_files": increment(change.stored.files),
        ":stored_bytes": increment(change.stored.bytes),
        ":released_files": increment(change.released.files),
        ":released_bytes": increment(change.released.bytes),
    };
    ledger
        .prepare_cached(include_str!("sql/write/day.sql"))?
        .execute(row)
        .map(drop)
}

/// The number as an increment of a total, at most `i64::MAX`: a device may report any size.
fn increment(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The totals of a day (see [`values::day`]); zero if nothing was recorded.
pub(crate) fn on_day(ledger: &Connection, device: i64, day: i64) -> rusqlite::Result<DayTotals> {
    let known = ledger
        .prepare_cached("SELECT * FROM day WHERE device = :device AND day = :day")?
        .query_row(named_params! { ":device": device, ":day": day }, |row| {
            let amount = |files, bytes| -> rusqlite::Result<Amount> {
                Ok(Amount::new(
                    values::count(row, files)?,
                    values::count(row, bytes)?,
                ))
            };
            Ok(DayTotals {
                stored: amount("stored_files", "stored_bytes")?,
                released: amount("released_files", "released_bytes")?,
            })
        })
        .optional()?;
    Ok(known.unwrap_or_default())
}
