use std::fmt::Write as _;

use engine::ports::{Ledger as _, LedgerError, PassOutcome, RowId};
use model::FileState;

use super::{TempLedger, at, begin, device, pass_end, path, record, source, store};
use crate::worker::{commit, new_request};

/// Everything that the ledger holds, as text, table by table.
fn dump(temp: &TempLedger) -> String {
    let sql = temp.sql();
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut tables = sql.prepare(tables).unwrap();
    let tables = tables.query_map((), |row| row.get::<_, String>(0)).unwrap();
    let mut text = String::new();
    for table in tables.map(Result::unwrap) {
        let mut rows = sql.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query(()).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values = (0..columns).map(|column| row.get::<_, rusqlite::types::Value>(column));
            let values: Vec<_> = values.map(Result::unwrap).collect();
            writeln!(text, "{table} {values:?}").unwrap();
        }
    }
    text
}

#[tokio::test]
async fn a_stale_lease_changes_no_byte_of_any_table() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let rows = store(&ledger, "pi1", vec![record("pi1", "a")]).await.unwrap();
    let stale = begin(&ledger, "pi1").await;
    begin(&ledger, "pi1").await;
    let before = dump(&temp);
    let released = vec![(rows[0], FileState::Released, None)];
    let lost = [
        ledger.record(&stale, vec![record("pi1", "b")]).await.map(drop),
        ledger.set_states(&stale, released, at(9)).await,
        ledger.record_suspects(&stale, &source(), vec![path("s")]).await,
        ledger.clear_suspects(&stale, &source(), vec![path("s")]).await,
        ledger.finish_pass(&stale, pass_end(PassOutcome::Well)).await,
    ];
    for result in lost {
        let Err(LedgerError::LeaseLost { device: lost }) = result else {
            panic!("{result:?}")
        };
        assert_eq!(lost, device("pi1"));
    }
    assert_eq!(dump(&temp), before);
}

#[test]
fn a_stale_lease_does_not_undo_the_other_writes_of_its_group() {
    let temp = TempLedger::new();
    let mut opened = crate::open::open(&temp.path(), &super::options()).unwrap();
    let begin =
        |ledger: &rusqlite::Connection, name| crate::lease::begin(ledger, &device(name), at(0)).unwrap();
    let stale = begin(&opened.connection, "pi1");
    let leases = [
        begin(&opened.connection, "pi1"),
        stale,
        begin(&opened.connection, "pi2"),
    ];
    let mut runs = Vec::new();
    let (mut group, mut replies) = (Vec::new(), Vec::new());
    for lease in leases {
        let (run, ran) = std::sync::mpsc::channel();
        let (request, reply) = new_request(move |ledger| {
            run.send(()).unwrap();
            crate::lease::device(ledger, &lease)
        });
        group.push(request);
        replies.push(reply);
        runs.push(ran);
    }
    commit(&mut opened.connection, group, &opened.path);
    let held: Vec<bool> = replies
        .into_iter()
        .map(|reply| reply.blocking_recv().unwrap().unwrap().is_some())
        .collect();
    assert_eq!(held, [true, false, true]);
    // One transaction: no request was repeated.
    assert!(runs.iter().all(|ran| ran.try_iter().count() == 1));
}

#[tokio::test]
async fn a_lease_changes_no_file_of_another_device() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let rows = store(&ledger, "pi2", vec![record("pi2", "a")]).await.unwrap();
    let lease = begin(&ledger, "pi1").await;
    let before = dump(&temp);
    for row in [rows[0], RowId(1_000_000)] {
        let released = vec![(row, FileState::Released, None)];
        let error = ledger.set_states(&lease, released, at(9)).await.unwrap_err();
        assert!(matches!(error, LedgerError::Failed { .. }), "{error}");
    }
    assert_eq!(dump(&temp), before);
}
