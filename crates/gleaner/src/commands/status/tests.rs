//! The output for people and programs, compared with snapshots.

mod fixture;

use std::io;
use std::sync::{Arc, Mutex};

use engine::ports::History;
use model::Timestamp;

use super::{Colors, StatusQuery, detail, json, overview, times};
use crate::output::Output;

use fixture::ledger_with_every_state;
pub(in crate::commands) use fixture::{LedgerFixture, at, record, record_files};

/// The printed text.
pub(in crate::commands) fn printed<E: std::fmt::Debug>(
    print: impl FnOnce(&mut Output) -> Result<(), E>,
) -> String {
    #[derive(Clone, Default)]
    struct SharedBuffer(Arc<Mutex<Vec<u8>>>);
    impl io::Write for SharedBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let shared = SharedBuffer::default();
    let mut output = Output::to(shared.clone());
    print(&mut output).unwrap();
    output.flush().unwrap();
    let bytes = shared.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn overview_of(fixture: &LedgerFixture, reader: Option<&dyn History>, colours: bool) -> String {
    let query = StatusQuery {
        reader,
        config: &fixture.config,
        now: at(0),
    };
    let devices = query.devices().unwrap();
    printed(|output| overview::print(&query, &devices, Colors::with(colours), output))
}

#[track_caller]
fn assert_snapshot(printed: &str, snapshot: &str) {
    assert!(printed == snapshot, "printed:\n{printed}\nexpected:\n{snapshot}");
}

#[tokio::test]
async fn the_overview_shows_every_device_and_what_to_do() {
    let fixture = ledger_with_every_state().await;
    let printed = overview_of(&fixture, Some(&fixture.reader()), false);
    assert_snapshot(&printed, include_str!("tests/overview.txt"));
}

#[tokio::test]
async fn colours_carry_no_information_of_their_own() {
    let fixture = ledger_with_every_state().await;
    let coloured = overview_of(&fixture, Some(&fixture.reader()), true);
    assert!(coloured.contains("\x1b[32mok"));
    let mut plain = coloured;
    for code in ["0", "1", "2", "32", "33", "1;31"] {
        plain = plain.replace(&format!("\x1b[{code}m"), "");
    }
    assert_snapshot(&plain, include_str!("tests/overview.txt"));
}

#[test]
fn before_the_first_sweep_every_configured_device_is_listed() {
    let fixture = LedgerFixture::new();
    assert_snapshot(
        &overview_of(&fixture, None, false),
        include_str!("tests/before.txt"),
    );
}

#[tokio::test]
async fn the_detail_lists_files_and_passes() {
    let fixture = ledger_with_every_state().await;
    let reader = fixture.reader();
    let query = StatusQuery {
        reader: Some(&reader),
        config: &fixture.config,
        now: at(0),
    };
    let mut all = String::new();
    for device in query.devices().unwrap() {
        let remaining = query.remaining(&device).unwrap();
        let passes = reader.passes(&device.name, 10).unwrap();
        let colors = Colors::with(false);
        all += &printed(|output| detail::print(&device, &remaining, &passes, at(0), colors, output));
        all += "--------\n";
    }
    assert_snapshot(&all, include_str!("tests/detail.txt"));
}

#[tokio::test]
async fn the_json_document_is_stable() {
    let fixture = ledger_with_every_state().await;
    let reader = fixture.reader();
    let query = StatusQuery {
        reader: Some(&reader),
        config: &fixture.config,
        now: at(0),
    };
    let devices = query.devices().unwrap();
    let text = printed(|output| json::print(&query, &devices, output));
    let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
    document["ledger"]["path"] = "ledger.db".into();
    let printed = serde_json::to_string_pretty(&document).unwrap() + "\n";
    assert_snapshot(&printed, include_str!("tests/status.json"));
}

/// All keys, however deep.
fn keys(value: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            found.extend(fields.keys().cloned());
            fields.values().for_each(|field| keys(field, found));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn every_json_field_is_in_the_reference() {
    let reference = include_str!("../../../../../docs/reference/json.md");
    let mut found = std::collections::BTreeSet::new();
    let lines = include_str!("../files/tests/lines.json").lines();
    for document in lines.chain([include_str!("tests/status.json")]) {
        keys(&serde_json::from_str(document).unwrap(), &mut found);
    }
    assert!(found.len() > 40, "{found:?}");
    for key in found {
        assert!(
            reference.contains(&format!("`{key}`")),
            "docs/reference/json.md does not mention `{key}`"
        );
    }
}

#[test]
fn without_a_ledger_the_json_document_is_valid() {
    let fixture = LedgerFixture::new();
    let query = StatusQuery {
        reader: None,
        config: &fixture.config,
        now: at(0),
    };
    let devices = query.devices().unwrap();
    let text = printed(|output| json::print(&query, &devices, output));
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(document["ledger"].is_null());
    assert_eq!(document["devices"].as_array().unwrap().len(), 7);
    assert_eq!(document["devices"][0]["state"], "never-visited");
}

#[test]
fn times_have_a_form_for_people() {
    for (seconds, text) in [
        (0, "0 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7199, "1 h ago"),
        (200_000, "2 days ago"),
    ] {
        assert_eq!(times::ago(at(-seconds), at(0)), text);
    }
    assert_eq!(times::ago(at(1), at(0)), "in the future");
    assert_eq!(times::rfc3339(at(0)), "2026-05-01T12:00:00Z");
    let ends = [i64::MIN, i64::MAX].map(Timestamp::from_nanoseconds);
    assert_eq!(
        ends.map(times::to_the_second),
        ["1677-09-21 00:12:43", "2262-04-11 23:47:16"]
    );
    assert_eq!(times::from_jiff(jiff::Timestamp::MAX), ends[1]);
    assert_eq!(times::from_jiff(jiff::Timestamp::MIN), ends[0]);
}
