use engine::ports::{History as _, Record, RowId};
use model::{Amount, FileState};

use super::{TempLedger, at, device, identity, record};
use crate::totals::{CountedFile, TotalChanges};

/// The totals of the only device: stored, released, stored today, released today.
fn totals(temp: &TempLedger) -> [Amount; 4] {
    let status = temp.reader().device(&device("pi1"), at(0)).unwrap().unwrap();
    [
        status.totals.stored,
        status.totals.released,
        status.stored_today,
        status.released_today,
    ]
}

/// Files that each of two writers stores and releases.
const FILES: u64 = 200;

/// Stores and releases `FILES` files by a connection of its own, each statement in its own transaction.
fn write_totals(temp: &TempLedger, id: i64) {
    let sql = temp.sql();
    sql.pragma_update(None, "synchronous", "off").unwrap();
    for _ in 0..FILES {
        let mut changes = TotalChanges::default();
        changes.add_record(id, 10, false, at(0));
        let file = CountedFile {
            device: id,
            state: FileState::Stored,
            size: 10,
        };
        changes.change_state(&file, FileState::Released, at(0));
        changes.write(&sql).unwrap();
    }
}

#[test]
fn two_writers_do_not_lose_each_others_changes_of_a_total() {
    let temp = TempLedger::new();
    drop(temp.ledger());
    let id = crate::names::device(&temp.sql(), &device("pi1")).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| write_totals(&temp, id));
        }
    });
    let all = Amount::new(2 * FILES, 20 * FILES);
    assert_eq!(totals(&temp), [Amount::ZERO, all, all, all]);
}

#[tokio::test]
async fn a_total_ends_at_zero_and_at_the_largest_integer() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let huge = |name: &str| Record {
        identity: identity(u64::MAX),
        ..record("pi1", name)
    };
    let max = u64::try_from(i64::MAX).unwrap();
    let rows = super::store(&ledger, "pi1", vec![huge("a")]).await.unwrap();
    super::store(&ledger, "pi1", vec![huge("b"), record("pi1", "c")])
        .await
        .unwrap();
    assert_eq!(totals(&temp)[0], Amount::new(3, max));
    assert_eq!(totals(&temp)[2], Amount::new(3, max));
    // The total no longer has the bytes of the other files: it must not become negative.
    let released = |row: RowId| vec![(row, FileState::Released, None)];
    super::set_states(&ledger, "pi1", released(rows[0]), at(0))
        .await
        .unwrap();
    super::set_states(&ledger, "pi1", released(RowId(rows[0].0 + 1)), at(0))
        .await
        .unwrap();
    assert_eq!(totals(&temp)[0], Amount::new(1, 0));
    assert_eq!(totals(&temp)[1], Amount::new(2, max));
    assert_eq!(totals(&temp)[3], Amount::new(2, max));
}
