//! The list of recorded files, compared with snapshots.

use std::io;

use engine::ports::{FileFilter, FileRow, Ledger as _, Record};
use model::{FileState, LeaveReason, RelativePath};

use super::{FileFormat, csv, json, names, print, table};
use crate::commands::status::tests::{LedgerFixture, at, printed, record, record_files};
use crate::output::Output;

/// Files in every state, with hostile names.
async fn a_record() -> LedgerFixture {
    let fixture = LedgerFixture::new();
    let ledger = fixture.ledger();
    let conflict = Record {
        store_name: RelativePath::new("raspberry2/day/2~a5a5a5a5.jpg").unwrap(),
        device_digest: false,
        already_stored: true,
        ..record("raspberry2", "day/2.jpg")
    };
    let odd = record("raspberry1", &b"a,b \"c\"\n\x1b[2J\xff.jpg"[..]);
    let ours = vec![record("raspberry1", "day/1.jpg"), odd];
    let (lease, rows) = record_files(&ledger, "raspberry1", ours).await;
    let released = vec![(rows[0], FileState::Released, None)];
    ledger.set_states(&lease, released, at(-3500)).await.unwrap();
    record_files(&ledger, "raspberry2", vec![conflict]).await;
    let (name, formula) = ("camera-on-the-mast", "=cmd()|'x'");
    let (lease, rows) = record_files(&ledger, name, vec![record(name, formula)]).await;
    let kept = vec![(rows[0], FileState::Kept, Some(LeaveReason::KeptByRule))];
    ledger.set_states(&lease, kept, at(-3500)).await.unwrap();
    fixture
}

fn listed(fixture: &LedgerFixture, format: &mut dyn FileFormat) -> String {
    let reader = fixture.reader();
    printed(|output| print(Some(&reader), FileFilter::default(), format, output))
}

#[track_caller]
fn assert_snapshot(printed: &str, snapshot: &str) {
    assert!(printed == snapshot, "printed:\n{printed}\nexpected:\n{snapshot}");
}

#[tokio::test]
async fn the_table_has_a_line_for_each_file() {
    let fixture = a_record().await;
    let reader = fixture.reader();
    let names = names(&FileFilter::default(), &fixture.config, Some(&reader)).unwrap();
    let printed = listed(&fixture, &mut table::FileTable::for_names(names));
    assert_snapshot(&printed, include_str!("tests/table.txt"));
}

#[tokio::test]
async fn the_json_lines_are_stable() {
    let fixture = a_record().await;
    let printed = listed(&fixture, &mut json::JsonLines);
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
async fn csv_has_a_heading_and_one_line_for_each_file() {
    let fixture = a_record().await;
    let printed = listed(&fixture, &mut csv::CsvRows);
    assert!(
        printed
            .lines()
            .all(|line| printed.contains(&format!("{line}\r\n")))
    );
    assert_snapshot(&printed.replace("\r\n", "\n"), include_str!("tests/rows.csv"));
}

#[test]
fn without_a_ledger_the_list_is_empty() {
    let printed = printed(|output| print(None, FileFilter::default(), &mut json::JsonLines, output));
    assert_eq!(printed, "");
}

/// Counts the files, and writes each immediately.
struct Counting(u32);

impl FileFormat for Counting {
    fn begin(&mut self, _: &mut Output) -> io::Result<()> {
        Ok(())
    }
    fn file(&mut self, _: &FileRow, output: &mut Output) -> io::Result<()> {
        self.0 += 1;
        output.line("x".repeat(100))?;
        output.flush()
    }
}

#[tokio::test]
async fn a_closed_pipe_ends_the_list() {
    let fixture = LedgerFixture::new();
    let ledger = fixture.ledger();
    let records = (0..5000).map(|number| record("raspberry1", format!("{number}")));
    record_files(&ledger, "raspberry1", records.collect()).await;

    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut counting = Counting(0);
    print(
        Some(&fixture.reader()),
        FileFilter::default(),
        &mut counting,
        &mut Output::to(writer),
    )
    .unwrap();
    assert_eq!(counting.0, 1);
}
