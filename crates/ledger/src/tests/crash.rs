use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use engine::ports::Ledger as _;

use super::{Place, device, opened, path, record, source};

/// Where the child process writes; without it, the child's part is no test.
const LEDGER: &str = "LEDGER_OF_THE_CRASH_TEST";

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_what_was_not_is_there_whole_or_not_at_all() {
    let place = Place::new();
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::crash::the_part_of_the_child", "--nocapture"])
            .env(LEDGER, place.path())
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
        // What it managed to say before it died counts too; its last line may be cut off.
        let rest: Vec<_> = lines.map_while(Result::ok).collect();
        let whole = rest.iter().filter(|line| line.ends_with('.'));
        acknowledged.extend(
            whole
                .filter_map(|line| line.strip_prefix("acknowledged "))
                .map(str::to_owned),
        );

        let ledger = opened(&place.path());
        for batch in acknowledged {
            let batch = batch.trim_end_matches('.');
            let paths: Vec<_> = (0..10).map(|file| path(format!("{batch}/{file}"))).collect();
            let remembered = ledger
                .known_files(&device("pi1"), &source(), &paths)
                .await
                .unwrap();
            assert!(remembered.iter().all(Option::is_some), "{batch}");
        }
        drop(ledger);
        let sql = place.sql();
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
async fn the_part_of_the_child() {
    let Some(ledger) = std::env::var_os(LEDGER) else {
        return;
    };
    let ledger = opened(&PathBuf::from(ledger));
    for number in 0..1_000_000 {
        let batch = format!("{}-{number}", std::process::id());
        let records = (0..10).map(|file| record("pi1", &format!("{batch}/{file}")));
        ledger.record(records.collect()).await.unwrap();
        // One write of a whole line: the kill cuts between lines, or after the full stop is missing.
        let line = format!("acknowledged {batch}.\n");
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    }
}
