use rusqlite::{Connection, named_params};

use super::Place;
use crate::schema::{MIGRATIONS, SCHEMA, VERSION, migrate};
use crate::{reader, records};

/// Everything that a schema says, in a form that does not depend on how it was written.
fn described(ledger: &Connection) -> String {
    let all = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";
    let mut statement = ledger.prepare(all).unwrap();
    let object = |row: &rusqlite::Row<'_>| {
        let sql: Option<String> = row.get(3)?;
        // ALTER TABLE adds a column without a line of its own, and puts a new name in quotes.
        let words = [",", "(", ")"].iter().fold(sql.unwrap_or_default(), |sql, mark| {
            sql.replace(mark, &format!(" {mark} "))
        });
        let words = words.replace('"', "");
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(format!(
            "{} {} {} {words}",
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, String>(2)?
        ))
    };
    let objects = statement.query_map((), object).unwrap();
    objects.map(Result::unwrap).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_migrations_together_make_the_schema_of_a_new_ledger() {
    let fresh = Connection::open_in_memory().unwrap();
    fresh.execute_batch(SCHEMA).unwrap();
    let mut grown = Connection::open_in_memory().unwrap();
    migrate(&mut grown, 0).unwrap();
    assert_eq!(described(&grown), described(&fresh));
    let version: i64 = grown
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(
        (version, usize::try_from(VERSION).unwrap()),
        (VERSION, MIGRATIONS.len())
    );
}

#[test]
fn a_migration_that_has_been_released_is_never_edited() {
    use sha2::Digest as _;
    let released = [
        "d9f8d07af4f2207698364ee92d605138758e226180d521dfba5d361999e009b7",
        "25f9eccb2c1d503ed25d69f772fff05b32840303394289941c62fddd8d79b4ed",
        "e20f68da34253fc6e8dd5a7be0863d1d6ad8f9c419cd01aa21155f00d1060e11",
        "6c3dacc842acad0f4cf3d84afc72a6d2d349a501c6717bd4202f39ca66fee7be",
        "06ad4cc7ac205d014120de3bd69aa51d312632e8eb37f919ff02d76f07f3ec60",
        "142928e2246c3ae2fa5094c0c2f69f788e88bcbfe1f45ea167bc2c255aa90a8a",
        "98ad5825f0b7c7dcb10aff66f98934d77a33c72ff4d9e2ea45c7ad582332e213",
    ];
    for (number, (step, digest)) in MIGRATIONS.iter().zip(released).enumerate() {
        let found = model::Digest::from_bytes(sha2::Sha256::digest(step).into());
        assert_eq!(
            found.to_hex(),
            digest,
            "migration {}: add another instead",
            number + 1
        );
    }
    assert_eq!(released.len(), MIGRATIONS.len(), "add the digest of the new one");
}

#[test]
fn a_new_ledger_has_the_schema_of_the_file() {
    let place = Place::new();
    drop(place.ledger());
    let fresh = Connection::open_in_memory().unwrap();
    fresh.execute_batch(SCHEMA).unwrap();
    assert_eq!(described(&place.sql()), described(&fresh));
}

/// How SQLite would go about it.
fn plan(ledger: &Connection, query: &str) -> String {
    let mut statement = ledger.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
    for number in 1..=statement.parameter_count() {
        statement.raw_bind_parameter(number, 1).unwrap();
    }
    let mut rows = statement.raw_query();
    let mut plan = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        plan.push(row.get::<_, String>("detail").unwrap());
    }
    plan.join("\n")
}

#[test]
fn no_question_reads_a_whole_table_that_grows() {
    let ledger = Connection::open_in_memory().unwrap();
    ledger.execute_batch(SCHEMA).unwrap();
    let questions = [
        (
            records::REMEMBERED,
            "USING INDEX file_by_path (source=? AND path=?)",
        ),
        (records::WITHDRAWN_ROWS, "USING INDEX file_withdrawn (source=?)"),
        (
            reader::FILES,
            "USING INDEX file_by_time (source=? AND stored_at>?)",
        ),
        (
            reader::FILES_UNRELEASED,
            "USING INDEX file_unreleased (source=? AND stored_at>?)",
        ),
        (
            reader::STORED_COPIES,
            "USING INDEX file_by_store_name (store_name>?)",
        ),
        (
            include_str!("../sql/read/last_pass.sql"),
            "USING INDEX pass_of_device (device=?)",
        ),
        (
            include_str!("../sql/read/last_verdict.sql"),
            "USING INDEX pass_of_device (device=?)",
        ),
        (
            include_str!("../sql/read/passes.sql"),
            "USING INDEX pass_of_device (device=?)",
        ),
        (
            include_str!("../sql/read/pass_before.sql"),
            "USING INDEX pass_of_device (device=? AND rowid<?)",
        ),
        (
            include_str!("../sql/write/forget_passes.sql"),
            "pass_that_repeats (device=?",
        ),
        (
            include_str!("../sql/read/sighting.sql"),
            "USING PRIMARY KEY (source=? AND path=?)",
        ),
        (
            include_str!("../sql/read/row.sql"),
            "SEARCH file USING INTEGER PRIMARY KEY (rowid=?)",
        ),
        (
            include_str!("../sql/write/settle.sql"),
            "SEARCH file USING INTEGER PRIMARY KEY (rowid=?)",
        ),
    ];
    for (question, way) in questions {
        let plan = plan(&ledger, question);
        assert!(plan.contains(way), "{question}\n{plan}");
        assert!(
            !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
            "{question}\n{plan}"
        );
    }
}

#[tokio::test]
async fn a_full_ledger_is_searched_as_an_empty_one_is() {
    use engine::ports::Ledger as _;
    let place = Place::new();
    let ledger = place.ledger();
    for batch in 0..20 {
        let records = (0..5000).map(|number| super::record("pi1", &format!("{batch}/{number}")));
        ledger.record(records.collect()).await.unwrap();
    }
    // What an administrator might run; statistics must not lead SQLite astray.
    place.sql().execute_batch("ANALYZE").unwrap();
    drop(ledger);
    let ledger = place.sql();
    let plan = plan(&ledger, records::REMEMBERED);
    assert!(
        plan.contains("USING INDEX file_by_path (source=? AND path=?)"),
        "{plan}"
    );
    let known = named_params! { ":source": 1, ":path": &b"19/4999"[..] };
    let row: i64 = ledger
        .query_row(records::REMEMBERED, known, |row| row.get("id"))
        .unwrap();
    assert_eq!(row, 100_000);
}
