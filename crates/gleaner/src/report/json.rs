//! Events as JSON, one object per line. `docs/reference/json.md` documents the format. It is stable: fields
//! are added; a field is renamed only with a line in the changelog.

use std::io::Write as _;

use engine::event::{Event, PassSummary, Reporter};
use engine::ports::{PassOutcome, Placement, Reason};
use engine::rules::Mode;
use model::{Amount, DeviceName, Timestamp};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

/// Writes events to standard output.
#[derive(Debug, Default)]
pub(super) struct EventLines {
    /// Keeps lines whole while several devices report at once.
    writing: Mutex<()>,
}

impl Reporter for EventLines {
    fn report(&self, at: Timestamp, event: &Event) {
        let Some(Value::Object(mut object)) = object(event) else {
            return;
        };
        // Every time of 64 bits of nanoseconds is one of jiff's.
        let at = jiff::Timestamp::from_nanosecond(at.nanoseconds().into()).unwrap_or_default();
        object.insert("at".into(), at.to_string().into());
        let _writing = self.writing.lock();
        let mut line = Value::Object(object).to_string();
        line.push('\n');
        // A closed pipe does not stop the sweep.
        let mut output = std::io::stdout().lock();
        output
            .write_all(line.as_bytes())
            .and_then(|()| output.flush())
            .unwrap_or_default();
    }
}

/// The object of an event; `None` for events that only show progress.
fn object(event: &Event) -> Option<Value> {
    Some(match event {
        Event::SweepBegan { devices, mode } => {
            json!({"event": "sweep-began", "devices": devices, "dry_run": *mode == Mode::DryRun})
        }
        Event::ForeignStaging { files } => json!({"event": "foreign-staging", "files": files}),
        Event::Connecting { device } => json!({"event": "connecting", "device": device.as_str()}),
        Event::Connected {
            device, shortcomings, ..
        } => {
            json!({"event": "connected", "device": device.as_str(), "shortcomings": shortcomings})
        }
        Event::Surveyed {
            device,
            source,
            ready,
            remaining,
            more,
        } => json!({
            "event": "surveyed", "device": device.as_str(), "source": source.to_string(),
            "ready": amount(*ready), "remaining": amount(*remaining), "more": more,
        }),
        Event::Planned { .. }
        | Event::Received { .. }
        | Event::Resumed { .. }
        | Event::Stored { .. }
        | Event::TimeNotKept { .. }
        | Event::Released { .. }
        | Event::LeftBehind { .. } => return of_file(event),
        Event::FolderReplaced {
            device,
            folder,
            obstacle,
            replacement,
        } => json!({
            "event": "folder-replaced", "device": device.as_str(), "folder": folder.to_string(),
            "obstacle": obstacle.text(), "replacement": replacement.to_string(),
        }),
        Event::PassEnded { device, summary } => pass_ended(device, summary),
        Event::SweepEnded {
            took,
            not_visited,
            ledger_failure,
        } => {
            let not_visited: Vec<_> = not_visited.iter().map(DeviceName::as_str).collect();
            json!({
                "event": "sweep-ended", "seconds": took.as_secs_f64(), "not_visited": not_visited,
                "ledger_failure": ledger_failure,
            })
        }
    })
}

/// The object of an event about one file.
fn of_file(event: &Event) -> Option<Value> {
    Some(match event {
        Event::Planned {
            device,
            source,
            path,
            size,
            action,
        } => json!({
            "event": "planned", "device": device.as_str(), "source": source.to_string(), "path": path.to_string(),
            "size": size, "action": action,
        }),
        Event::Resumed { device, path, bytes } => {
            json!({"event": "resumed", "device": device.as_str(), "path": path.to_string(), "bytes": bytes})
        }
        Event::TimeNotKept {
            device,
            path,
            store_name,
            modified,
            kept,
        } => json!({
            "event": "time-not-kept", "device": device.as_str(), "path": path.to_string(),
            "store_name": store_name.to_string(), "modified": super::amount::time(*modified), "kept": super::amount::time(*kept),
        }),
        Event::Stored {
            device,
            source,
            path,
            store_name,
            size,
            digest,
            placed,
            conflict,
        } => json!({
            "event": "stored", "device": device.as_str(), "source": source.to_string(), "path": path.to_string(),
            "store_name": store_name.to_string(), "size": size, "sha256": digest.to_hex(),
            "was_there": *placed == Placement::Same, "conflict": conflict,
        }),
        Event::Released {
            device,
            source,
            path,
            size,
        } => json!({
            "event": "released", "device": device.as_str(), "source": source.to_string(), "path": path.to_string(),
            "size": size,
        }),
        Event::LeftBehind {
            device,
            source,
            path,
            reason,
            detail,
        } => json!({
            "event": "left-behind", "device": device.as_str(), "source": source.to_string(), "path": path.to_string(),
            "reason": reason.code(), "text": reason.text(), "detail": detail,
        }),
        _ => return None,
    })
}

fn pass_ended(device: &DeviceName, summary: &PassSummary) -> Value {
    let mut object = Map::new();
    object.insert("event".into(), "pass-ended".into());
    object.insert("device".into(), device.as_str().into());
    object.insert("outcome".into(), outcome(&summary.outcome));
    object.insert("stored".into(), amount(summary.stored));
    object.insert("released".into(), amount(summary.released));
    object.insert("received_bytes".into(), summary.received.into());
    object.insert("seconds".into(), summary.took.as_secs_f64().into());
    if let Some(remaining) = &summary.remaining {
        let totals = remaining
            .totals
            .iter()
            .map(|(reason, amount)| remaining_total(*reason, *amount));
        object.insert("remaining".into(), totals.collect());
    }
    Value::Object(object)
}

fn remaining_total(reason: Reason, amount: Amount) -> Value {
    let kind = match reason {
        Reason::Wait(_) => "waits",
        Reason::Leave(_) => "left",
    };
    json!({
        "kind": kind, "reason": reason.code(), "text": reason.text(), "remedy": reason.remedy(),
        "needs_you": reason.is_fault(), "files": amount.files, "bytes": amount.bytes,
    })
}

pub(crate) fn outcome(outcome: &PassOutcome) -> Value {
    match outcome {
        PassOutcome::Well => json!({"kind": "well"}),
        PassOutcome::Partial => json!({"kind": "partial"}),
        PassOutcome::Failed { class, message, .. } => json!({
            "kind": "failed", "class": class.code(), "meaning": class.meaning(), "message": message, "remedy": outcome.remedy(),
        }),
        PassOutcome::CollectorFailed { message } => json!({"kind": "collector-failed", "message": message}),
        PassOutcome::Interrupted => json!({"kind": "interrupted"}),
    }
}

fn amount(amount: Amount) -> Value {
    json!({"files": amount.files, "bytes": amount.bytes})
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_failed_sweep_reports_the_failure_and_unvisited_devices() {
        let ended = |not_visited: &[&str], ledger_failure: Option<&str>| {
            let names = not_visited.iter().map(|name| DeviceName::new(*name).unwrap());
            object(&Event::SweepEnded {
                took: Duration::from_millis(1500),
                not_visited: names.collect(),
                ledger_failure: ledger_failure.map(str::to_owned),
            })
        };
        assert_eq!(
            ended(&[], None),
            Some(json!({"event": "sweep-ended", "seconds": 1.5, "not_visited": [], "ledger_failure": null}))
        );
        assert_eq!(
            ended(&["bee", "wasp"], Some("the disk is full")),
            Some(json!({
                "event": "sweep-ended", "seconds": 1.5, "not_visited": ["bee", "wasp"], "ledger_failure": "the disk is full",
            }))
        );
    }

    #[test]
    fn files_left_by_other_collectors_are_counted() {
        let reported = object(&Event::ForeignStaging { files: 3 });
        assert_eq!(reported, Some(json!({"event": "foreign-staging", "files": 3})));
    }
}
