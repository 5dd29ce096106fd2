use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use engine::ports::Ledger as _;

use super::{TempLedger, begin, device, opened, path, record, source};

/// Names the ledger that the child process writes. Without it, the child's part does nothing.
const LEDGER: &str = "LEDGER_OF_THE_CRASH_TEST";

#[tokio::test]
async fn a_kill_loses_no_acknowledged_batch_and_splits_no_other() {
    let temp = TempLedger::new();
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "tests::crash::child_records_until_killed",
                "--nocapture",
            ])
            .env(LEDGER, temp.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = Vec::new();
        while acknowledged.len() < 20 + 7 * round {
            let line = lines.next().unwrap().unwrap();
            acknowledged.extend(line.strip_prefix("acknowledged ").map(str::to_owned));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // Lines that the child wrote before it died count, too; the last line may be incomplete.
        let rest: Vec<_> = lines.map_while(Result::ok).collect();
        let whole = rest.iter().filter(|line| line.ends_with('.'));
        acknowledged.extend(
            whole
                .filter_map(|line| line.strip_prefix("acknowledged "))
                .map(str::to_owned),
        );

        let ledger = opened(&temp.path());
        for batch in acknowledged {
            let batch = batch.trim_end_matches('.');
            let paths: Vec<_> = (0..10).map(|file| path(format!("{batch}/{file}"))).collect();
            let known = ledger
                .known_files(&device("pi1"), &source(), &paths)
                .await
                .unwrap();
            assert!(known.iter().all(Option::is_some), "{batch}");
        }
        drop(ledger);
        let sql = temp.sql();
        let integrity: String = sql
            .query_row("PRAGMA integrity_check", (), |row| row.get(0))
            .unwrap();
        assert_eq!(integrity, "ok");
        let files: i64 = sql
            .query_row("SELECT count(*) FROM file", (), |row| row.get(0))
            .unwrap();
        let counted: i64 = sql
            .query_row("SELECT sum(files) FROM file_total", (), |row| row.get(0))
            .unwrap();
        assert_eq!((files % 10, files), (0, counted));
    }
}

#[tokio::test]
async fn child_records_until_killed() {
    let Some(ledger) = std::env::var_os(LEDGER) else {
        return;
    };
    let ledger = opened(&PathBuf::from(ledger));
    let lease = begin(&ledger, "pi1").await;
    for number in 0..1_000_000 {
        let batch = format!("{}-{number}", std::process::id());
        let records = (0..10).map(|file| record("pi1", &format!("{batch}/{file}")));
        ledger.record(&lease, records.collect()).await.unwrap();
        // One write per line: an incomplete line lacks its full stop.
        let line = format!("acknowledged {batch}.\n");
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    }
}
