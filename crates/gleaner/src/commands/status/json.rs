//! The status as JSON. `docs/reference/json.md` documents the format. It is stable: fields are added, never
//! renamed.

use std::io::Write as _;

use engine::ports::{ClockReading, DiskUse, PastPass, Reason, RemainingFile, WriterCheck};
use model::{Amount, SourcePath, Timestamp};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::output::Output;
use crate::report;

use super::StatusQuery;
use super::times::rfc3339;
use super::view::DeviceView;

/// Prints one document, one device at a time: a large fleet with a large backlog need not fit into memory.
pub(super) fn print(
    query: &StatusQuery<'_>,
    devices: &[DeviceView],
    output: &mut Output,
) -> Result<(), Failure> {
    let ledger = query.reader.map(|reader| {
        let path = query.config.ledger.as_os_str().as_encoded_bytes();
        json!({
            "path": model::escaped(path),
            "id": reader.id().as_str(),
            "store": reader.store().map(model::StoreId::as_str),
        })
    });
    let ledger = ledger.unwrap_or(Value::Null);
    write!(
        output,
        "{{\"at\":\"{}\",\"ledger\":{ledger},\"devices\":[",
        rfc3339(query.now)
    )?;
    for (number, shown) in devices.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let remaining = query.remaining(shown)?;
        write!(output, "{comma}\n{}", device(shown, &remaining))?;
    }
    output.line("\n]}")?;
    Ok(())
}

pub(super) fn device(device: &DeviceView, remaining: &[RemainingFile]) -> Value {
    let known = device.known.as_ref();
    let time = |time: Option<Timestamp>| time.map(rfc3339);
    let last_pass = known.and_then(|known| known.last_pass.as_ref());
    json!({
        "name": device.name.as_str(),
        "configured": device.configured,
        "state": device.state().code(),
        "last_seen": time(known.and_then(|known| known.last_seen)),
        "last_attempt": time(known.and_then(|known| known.last_attempt)),
        "failing_since": time(known.and_then(|known| known.failing_since)),
        "last_outcome": last_pass.and_then(|pass| pass.outcome.as_ref()).map(report::outcome_json),
        "last_pass": last_pass.map(pass),
        "today": known.map(|known| json!({
            "stored": count(known.stored_today), "released": count(known.released_today),
        })),
        "recorded": known.map(|known| json!({
            "stored": count(known.totals.stored), "released": count(known.totals.released), "kept": count(known.totals.kept),
        })),
        "waiting": waiting(device),
        "remaining": remaining.iter().map(remaining_file).collect::<Value>(),
        "disks": known.map(|known| known.disks.iter().map(|(source, use_of)| disk(source, *use_of)).collect::<Value>()).unwrap_or(json!([])),
        "clock": known.and_then(|known| known.clock.as_ref()).map(clock),
        "shortcomings": known.map(|known| known.shortcomings.clone()).unwrap_or_default(),
        "writer_check": known.and_then(|known| known.writer_check).map(WriterCheck::code),
    })
}

fn count(count: Amount) -> Value {
    json!({"files": count.files, "bytes": count.bytes})
}

fn pass(pass: &PastPass) -> Value {
    json!({
        "begun": rfc3339(pass.begun),
        "ended": pass.ended.map(rfc3339),
        "seconds": pass.took.map(|took| took.as_secs_f64()),
        "stored": count(pass.stored),
        "released": count(pass.released),
    })
}

fn waiting(device: &DeviceView) -> Value {
    let remaining = device.remaining();
    let total = remaining
        .iter()
        .map(|(_, count)| *count)
        .fold(Amount::default(), Amount::plus);
    let by_reason = remaining.iter().map(|(reason, count)| {
        json!({
            "kind": kind(*reason), "reason": reason.code(), "text": reason.text(), "remedy": reason.remedy(),
            "needs_you": reason.is_fault(), "files": count.files, "bytes": count.bytes,
        })
    });
    json!({"files": total.files, "bytes": total.bytes, "by_reason": by_reason.collect::<Value>()})
}

const fn kind(reason: Reason) -> &'static str {
    match reason {
        Reason::Wait(_) => "waits",
        Reason::Leave(_) => "left",
    }
}

fn remaining_file(file: &RemainingFile) -> Value {
    json!({
        "source": file.source.to_string(), "path": file.path, "reason": file.reason.code(), "text": file.reason.text(),
        "remedy": file.reason.remedy(), "size": file.size, "detail": file.detail,
    })
}

fn disk(source: &SourcePath, disk: Option<DiskUse>) -> Value {
    json!({
        "source": source.to_string(),
        "total": disk.map(|disk| disk.total),
        "available": disk.map(|disk| disk.available),
    })
}

#[allow(
    clippy::cast_precision_loss,
    reason = "an offset in seconds; nanoseconds do not matter beyond 104 days"
)]
fn clock(clock: &ClockReading) -> Value {
    json!({
        "offset_seconds": clock.offset as f64 / 1e9,
        "boot_id": clock.boot_id,
        "at": rfc3339(clock.at),
    })
}
