//! The record as it is listed, held against how it was listed before.

use std::io;

use engine::ports::{Ledger as _, Record};
use ledger::FileFilter;
use model::{FileState, LeaveReason, RelativePath};

use super::{Form, csv, json, names, print, table};
use crate::Output;
use crate::commands::status::tests::{Past, at, printed, record};

/// Files in every state, with names that try to do harm.
async fn a_record() -> Past {
    let past = Past::new();
    let ledger = past.ledger();
    let conflict = Record {
        store_name: RelativePath::new("raspberry2/day/2~a5a5a5a5.jpg").unwrap(),
        device_digest: false,
        was_there: true,
        ..record("raspberry2", "day/2.jpg")
    };
    let records = vec![
        record("raspberry1", "day/1.jpg"),
        record("raspberry1", &b"a,b \"c\"\n\x1b[2J\xff.jpg"[..]),
        conflict,
        record("camera-on-the-mast", "=cmd()|'x'"),
    ];
    let rows = ledger.record(records).await.unwrap();
    let settled = vec![
        (rows[0], FileState::Released, None),
        (rows[3], FileState::Kept, Some(LeaveReason::KeptByRule)),
    ];
    ledger.set_states(settled, at(-3500)).await.unwrap();
    past
}

fn listed(past: &Past, form: &mut dyn Form) -> String {
    let reader = past.reader();
    printed(|output| print(Some(&reader), FileFilter::default(), form, output))
}

#[track_caller]
fn assert_snapshot(printed: &str, snapshot: &str) {
    assert!(
        printed == snapshot,
        "it prints:\n{printed}\nand was to print:\n{snapshot}"
    );
}

#[tokio::test]
async fn the_table_has_a_line_for_each_file() {
    let past = a_record().await;
    let reader = past.reader();
    let names = names(&FileFilter::default(), &past.config, Some(&reader)).unwrap();
    let printed = listed(&past, &mut table::Table::for_names(names));
    assert_snapshot(&printed, include_str!("tests/table.txt"));
}

#[tokio::test]
async fn the_lines_for_programs_are_stable() {
    let past = a_record().await;
    let printed = listed(&past, &mut json::Lines);
    assert_snapshot(&printed, include_str!("tests/lines.json"));
    for line in printed.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        let path = object["path"].as_str().unwrap();
        let bytes = model::escape::unescaped(path).unwrap();
        let given = object
            .get("path_bytes")
            .map(|given| given.as_str().unwrap().to_owned());
        let needed = (bytes != path.as_bytes()).then(|| json::hexadecimal(&bytes));
        assert_eq!(given, needed);
    }
}

#[tokio::test]
async fn comma_separated_values_have_a_heading_and_one_line_for_each_file() {
    let past = a_record().await;
    let printed = listed(&past, &mut csv::Rows);
    assert!(
        printed
            .lines()
            .all(|line| printed.contains(&format!("{line}\r\n")))
    );
    assert_snapshot(&printed.replace("\r\n", "\n"), include_str!("tests/rows.csv"));
}

#[test]
fn without_a_ledger_there_is_nothing_to_list() {
    let printed = printed(|output| print(None, FileFilter::default(), &mut json::Lines, output));
    assert_eq!(printed, "");
}

/// Counts the files, and writes each at once.
struct Counting(u32);

impl Form for Counting {
    fn begin(&mut self, _: &mut Output) -> io::Result<()> {
        Ok(())
    }
    fn file(&mut self, _: &ledger::FileRow, output: &mut Output) -> io::Result<()> {
        self.0 += 1;
        output.line("x".repeat(100))?;
        output.flush()
    }
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_ends_the_list() {
    let past = Past::new();
    let ledger = past.ledger();
    let records = (0..5000).map(|number| record("raspberry1", format!("{number}")));
    ledger.record(records.collect()).await.unwrap();

    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut counting = Counting(0);
    print(
        Some(&past.reader()),
        FileFilter::default(),
        &mut counting,
        &mut Output::to(writer),
    )
    .unwrap();
    assert_eq!(counting.0, 1);
}
