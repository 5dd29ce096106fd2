//! Sums over files, kept up with every change: counting millions of rows takes seconds.

use std::collections::BTreeMap;

use model::{Amount, FileState, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::values::{self, bits};

/// What came and went on a day.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Day {
    pub(crate) stored: Amount,
    pub(crate) released: Amount,
}

/// What a transaction changes, gathered so that each sum is written once.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Into and out of each state of each device.
    states: BTreeMap<(i64, &'static str), (Amount, Amount)>,
    /// By device and day.
    days: BTreeMap<(i64, i64), Day>,
}

impl Changes {
    /// A file of a device was recorded; `was_there` where its content was in the store before.
    pub(crate) fn recorded(&mut self, device: i64, size: u64, was_there: bool, at: Timestamp) {
        self.enters(device, FileState::Stored, size);
        if !was_there {
            self.days
                .entry((device, values::day(at)))
                .or_default()
                .stored
                .add(Amount::of_file(size));
        }
    }

    /// A recorded file of a device went from one state to another.
    pub(crate) fn moved(
        &mut self,
        device: i64,
        size: u64,
        (from, to): (FileState, FileState),
        at: Timestamp,
    ) {
        if from == to {
            return;
        }
        self.states
            .entry((device, from.code()))
            .or_default()
            .1
            .add(Amount::of_file(size));
        self.enters(device, to, size);
        if to == FileState::Released {
            self.days
                .entry((device, values::day(at)))
                .or_default()
                .released
                .add(Amount::of_file(size));
        }
    }

    fn enters(&mut self, device: i64, state: FileState, size: u64) {
        self.states
            .entry((device, state.code()))
            .or_default()
            .0
            .add(Amount::of_file(size));
    }

    /// Adds all of it to the sums in the ledger.
    pub(crate) fn write(self, ledger: &Connection) -> rusqlite::Result<()> {
        for ((device, state), (more, less)) in self.states {
            write_state(ledger, device, state, more, less)?;
        }
        for ((device, day), more) in self.days {
            write_day(ledger, device, day, &more)?;
        }
        Ok(())
    }
}

fn write_state(
    ledger: &Connection,
    device: i64,
    state: &str,
    more: Amount,
    less: Amount,
) -> rusqlite::Result<()> {
    let key = named_params! { ":device": device, ":state": state };
    let known = ledger
        .prepare_cached("SELECT files, bytes FROM file_total WHERE device = :device AND state = :state")?
        .query_row(key, |row| {
            Ok(Amount::new(
                values::count(row, "files")?,
                values::count(row, "bytes")?,
            ))
        })
        .optional()?;
    let mut sum = known.unwrap_or_default();
    sum = sum.plus(more).minus(less);
    let row = named_params! {
        ":device": device,
        ":state": state,
        ":files": bits(sum.files),
        ":bytes": bits(sum.bytes),
    };
    ledger
        .prepare_cached(include_str!("sql/write/file_total.sql"))?
        .execute(row)
        .map(drop)
}

fn write_day(ledger: &Connection, device: i64, day: i64, more: &Day) -> rusqlite::Result<()> {
    let mut sum = on_day(ledger, device, day)?;
    sum.stored.add(more.stored);
    sum.released.add(more.released);
    let row = named_params! {
        ":device": device,
        ":day": day,
        ":stored_files": bits(sum.stored.files),
        ":stored_bytes": bits(sum.stored.bytes),
        ":released_files": bits(sum.released.files),
        ":released_bytes": bits(sum.released.bytes),
    };
    ledger
        .prepare_cached(include_str!("sql/write/day.sql"))?
        .execute(row)
        .map(drop)
}

/// What came and went on that day (see [`values::day`]).
pub(crate) fn on_day(ledger: &Connection, device: i64, day: i64) -> rusqlite::Result<Day> {
    let known = ledger
        .prepare_cached("SELECT * FROM day WHERE device = :device AND day = :day")?
        .query_row(named_params! { ":device": device, ":day": day }, |row| {
            let amount = |files, bytes| -> rusqlite::Result<Amount> {
                Ok(Amount::new(
                    values::count(row, files)?,
                    values::count(row, bytes)?,
                ))
            };
            Ok(Day {
                stored: amount("stored_files", "stored_bytes")?,
                released: amount("released_files", "released_bytes")?,
            })
        })
        .optional()?;
    Ok(known.unwrap_or_default())
}
