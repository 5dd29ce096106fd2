//! Passes over devices, and the device's report of each.

use engine::ports::{ClockReading, CompressionFinding, DeviceReport, DiskUse, PassEnd, PassOutcome, RowId};
use model::{DeviceName, FailureClass, SourcePath, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::values::{self, to_signed};
use crate::{claims, names, remaining};

/// How many passes with the same outcome as the pass before are kept for each device: some hours of a daemon
/// that runs passes continuously. Passes with another outcome and the totals of each day are kept
/// indefinitely. Without this limit, 500 devices would add 260 million rows a year.
const REPEATED_PASSES_KEPT: i64 = 200;

/// Ends the pass in row `pass`: writes its outcome, the report of `device` and the remaining files. Fails if
/// the pass was never begun.
pub(crate) fn finish(ledger: &Connection, device: i64, pass: RowId, end: &PassEnd) -> rusqlite::Result<()> {
    write_end(ledger, device, pass, end)?;
    match &end.outcome {
        PassOutcome::Well | PassOutcome::Partial => {
            let row = named_params! { ":device": device };
            ledger
                .prepare_cached(include_str!("sql/write/clear_failing_since.sql"))?
                .execute(row)?;
        }
        PassOutcome::Failed { .. } => {
            let since: i64 = ledger
                .prepare_cached("SELECT begun FROM pass WHERE id = :id")?
                .query_row(named_params! { ":id": pass.0 }, |row| row.get("begun"))?;
            let row = named_params! { ":device": device, ":since": since };
            ledger
                .prepare_cached(include_str!("sql/write/failing_since.sql"))?
                .execute(row)?;
        }
        // These outcomes say nothing about the device.
        PassOutcome::CollectorFailed { .. } | PassOutcome::Interrupted => {}
    }
    if let Some(report) = &end.report {
        write_report(ledger, device, report)?;
    }
    if let Some(remaining) = &end.remaining {
        remaining::replace(ledger, device, remaining)?;
    }
    let row = named_params! { ":device": device, ":keep": REPEATED_PASSES_KEPT };
    ledger
        .prepare_cached(include_str!("sql/write/forget_passes.sql"))?
        .execute(row)?;
    Ok(())
}

fn write_end(ledger: &Connection, device: i64, pass: RowId, end: &PassEnd) -> rusqlite::Result<()> {
    let OutcomeColumns {
        outcome,
        class,
        message,
        remedy,
    } = OutcomeColumns::from(&end.outcome);
    let before: Option<(String, Option<String>)> = ledger
        .prepare_cached(include_str!("sql/read/pass_before.sql"))?
        .query_row(named_params! { ":device": device, ":id": pass.0 }, |row| {
            Ok((row.get("outcome")?, row.get("class")?))
        })
        .optional()?;
    let repeats =
        before.is_some_and(|(before, before_class)| before == outcome && before_class.as_deref() == class);
    let row = named_params! {
        ":id": pass.0,
        ":device": device,
        ":ended": end.at.nanoseconds(),
        ":outcome": outcome,
        ":class": class,
        ":message": message,
        ":remedy": remedy,
        ":released_files": to_signed(end.released.files),
        ":released_bytes": to_signed(end.released.bytes),
        ":stored_files": to_signed(end.stored.files),
        ":stored_bytes": to_signed(end.stored.bytes),
        ":took": values::nanoseconds(end.took),
        ":repeats": repeats,
    };
    match ledger
        .prepare_cached(include_str!("sql/write/finish_pass.sql"))?
        .execute(row)?
    {
        1 => Ok(()),
        _ => Err(rusqlite::Error::QueryReturnedNoRows),
    }
}

/// An outcome as the columns that hold it; [`outcome`] is the reverse.
struct OutcomeColumns<'a> {
    outcome: &'static str,
    class: Option<&'static str>,
    message: Option<&'a str>,
    remedy: Option<&'a str>,
}

impl<'a> From<&'a PassOutcome> for OutcomeColumns<'a> {
    fn from(outcome: &'a PassOutcome) -> Self {
        let (outcome, class, message, remedy) = match outcome {
            PassOutcome::Well => ("well", None, None, None),
            PassOutcome::Partial => ("partial", None, None, None),
            PassOutcome::Failed {
                class,
                message,
                remedy,
            } => (
                "failed",
                Some(class.code()),
                Some(message.as_str()),
                remedy.as_deref(),
            ),
            PassOutcome::CollectorFailed { message } => {
                ("collector-failed", None, Some(message.as_str()), None)
            }
            PassOutcome::Interrupted => ("interrupted", None, None, None),
        };
        Self {
            outcome,
            class,
            message,
            remedy,
        }
    }
}

/// The outcome of these columns; `None` if they are no outcome that gleaner writes.
pub(crate) fn outcome(
    code: &str,
    class: Option<&str>,
    message: String,
    remedy: Option<String>,
) -> Option<PassOutcome> {
    Some(match code {
        "well" => PassOutcome::Well,
        "partial" => PassOutcome::Partial,
        "failed" => PassOutcome::Failed {
            class: FailureClass::from_code(class?)?,
            message,
            remedy,
        },
        "collector-failed" => PassOutcome::CollectorFailed { message },
        "interrupted" => PassOutcome::Interrupted,
        _ => return None,
    })
}

fn write_report(ledger: &Connection, device: i64, report: &DeviceReport) -> rusqlite::Result<()> {
    let row = named_params! {
        ":device": device,
        ":at": report.seen_at.nanoseconds(),
        ":hung_up": report.hung_up_on_command.map(Timestamp::nanoseconds),
    };
    ledger
        .prepare_cached(include_str!("sql/write/last_seen.sql"))?
        .execute(row)?;
    if let Some(clock) = &report.clock {
        let row = named_params! {
            ":device": device,
            ":offset": clock.offset,
            ":boot_id": clock.boot_id,
            ":at": clock.at.nanoseconds(),
        };
        ledger
            .prepare_cached(include_str!("sql/write/clock.sql"))?
            .execute(row)?;
    }
    if let Some(found) = &report.compression {
        let row = named_params! { ":device": device, ":paid": found.paid, ":at": found.at.nanoseconds() };
        ledger
            .prepare_cached(include_str!("sql/write/compression.sql"))?
            .execute(row)?;
    }
    if let Some(check) = report.writer_check {
        ledger
            .prepare_cached("UPDATE device SET writer_check = :check WHERE id = :device")?
            .execute(named_params! { ":device": device, ":check": check.code() })?;
    }
    write_disks(ledger, device, &report.disks)?;
    claims::replace(ledger, device, &report.claims)?;
    write_shortcomings(ledger, device, &report.shortcomings)
}

fn write_disks(
    ledger: &Connection,
    device: i64,
    disks: &[(SourcePath, Option<DiskUse>)],
) -> rusqlite::Result<()> {
    let row = named_params! { ":device": device };
    ledger
        .prepare_cached(include_str!("sql/write/forget_disks.sql"))?
        .execute(row)?;
    for (source, disk) in disks {
        let row = named_params! {
            ":source": names::source(ledger, device, source)?,
            ":total": disk.map(|disk| to_signed(disk.total)),
            ":available": disk.map(|disk| to_signed(disk.available)),
        };
        ledger
            .prepare_cached(include_str!("sql/write/disk.sql"))?
            .execute(row)?;
    }
    Ok(())
}

fn write_shortcomings(ledger: &Connection, device: i64, shortcomings: &[String]) -> rusqlite::Result<()> {
    ledger
        .prepare_cached("DELETE FROM shortcoming WHERE device = :device")?
        .execute(named_params! { ":device": device })?;
    let mut insert = ledger.prepare_cached(
        "INSERT INTO shortcoming (device, position, text) VALUES (:device, :position, :text)",
    )?;
    for (position, text) in (0_i64..).zip(shortcomings) {
        insert.execute(named_params! { ":device": device, ":position": position, ":text": text })?;
    }
    Ok(())
}

/// The device's clock as the last survey read it; `None` if no survey has read it.
pub(crate) fn last_clock(ledger: &Connection, device: &DeviceName) -> rusqlite::Result<Option<ClockReading>> {
    let reading = ledger
        .prepare_cached("SELECT clock_offset, boot_id, clock_read FROM device WHERE name = :name")?
        .query_row(named_params! { ":name": device.as_str() }, clock_row)
        .optional()?;
    Ok(reading.flatten())
}

/// The last finding about compression on the link to the device; `None` if there is none.
pub(crate) fn last_compression(
    ledger: &Connection,
    device: &DeviceName,
) -> rusqlite::Result<Option<CompressionFinding>> {
    let found = ledger
        .prepare_cached("SELECT compression_paid, compression_found FROM device WHERE name = :name")?
        .query_row(named_params! { ":name": device.as_str() }, |row| {
            let at = values::optional_time(row, "compression_found")?;
            let paid: Option<bool> = row.get("compression_paid")?;
            Ok(paid.zip(at).map(|(paid, at)| CompressionFinding { paid, at }))
        })
        .optional()?;
    Ok(found.flatten())
}

/// When the device was found to end the whole connection because of a command; `None` if the last report did
/// not.
pub(crate) fn last_hang_up_on_command(
    ledger: &Connection,
    device: &DeviceName,
) -> rusqlite::Result<Option<Timestamp>> {
    let found = ledger
        .prepare_cached("SELECT hung_up_on_command FROM device WHERE name = :name")?
        .query_row(named_params! { ":name": device.as_str() }, |row| {
            values::optional_time(row, "hung_up_on_command")
        })
        .optional()?;
    Ok(found.flatten())
}

/// The clock columns of a row of `device`; `None` if no survey has read the clock.
pub(crate) fn clock_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<ClockReading>> {
    let (Some(offset), Some(at)) = (
        row.get("clock_offset")?,
        values::optional_time(row, "clock_read")?,
    ) else {
        return Ok(None);
    };
    Ok(Some(ClockReading {
        offset,
        boot_id: row.get("boot_id")?,
        at,
    }))
}
