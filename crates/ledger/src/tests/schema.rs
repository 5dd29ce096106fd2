use rusqlite::{Connection, named_params};

use super::TempLedger;
use crate::schema::{MIGRATIONS, SCHEMA, VERSION, migrate};
use crate::{reader, records};

/// The schema as text, without differences of spacing and quotes.
fn described(ledger: &Connection) -> String {
    let all = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name";
    let mut statement = ledger.prepare(all).unwrap();
    let object = |row: &rusqlite::Row<'_>| {
        let sql: Option<String> = row.get(3)?;
        // ALTER TABLE adds a column without a line break, and quotes a new name.
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
fn the_migrations_lead_to_the_schema_of_a_new_ledger() {
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
fn every_failure_class_that_an_older_gleaner_recorded_can_be_read() {
    let classes = [
        "alias-unknown",
        "jump-unreachable",
        "jump-refused",
        "tunnel-down",
        "timed-out",
        "starting-up",
        "host-key-unknown",
        "host-key-changed",
        "authentication-refused",
        "no-sftp-server",
        "source-missing",
        "same-device",
        "permission",
        "protocol",
        "stalled",
        "collector-failed",
    ];
    let mut ledger = Connection::open_in_memory().unwrap();
    for step in &MIGRATIONS[..6] {
        ledger.execute_batch(step).unwrap();
    }
    ledger
        .execute("INSERT INTO device (id, name) VALUES (1, 'pi1')", ())
        .unwrap();
    for class in classes {
        let pass = "INSERT INTO pass (device, begun, outcome, class) VALUES (1, 1, 'failed', ?1)";
        ledger.execute(pass, [class]).unwrap();
    }
    migrate(&mut ledger, 6).unwrap();
    let mut read = ledger.prepare("SELECT class FROM pass ORDER BY id").unwrap();
    let read = read.query_map((), |row| row.get::<_, String>(0)).unwrap();
    for (class, read) in classes.iter().zip(read.map(Result::unwrap)) {
        assert!(
            model::FailureClass::from_code(&read).is_some(),
            "{class} became {read}"
        );
    }
}

#[test]
fn the_migration_to_plain_words_keeps_every_row() {
    let mut ledger = Connection::open_in_memory().unwrap();
    for step in &MIGRATIONS[..6] {
        ledger.execute_batch(step).unwrap();
    }
    ledger
        .execute_batch(
            "INSERT INTO device (id, name) VALUES (1, 'pi1');
             INSERT INTO source (id, device, path) VALUES (1, 1, x'2f61');
             INSERT INTO pass (id, device, begun, outcome, message, took, repeats)
             VALUES (1, 1, 10, 'home-failed', 'm', 5, 0), (2, 1, 20, 'well', NULL, 6, 1), (3, 1, 30, NULL, NULL, NULL, 0);
             INSERT INTO file (id, source, path, size, modified, digest, device_digest, store_name, was_there, pass, state,
                 stored_at)
             VALUES (1, 1, x'61', 9, 8, zeroblob(32), 1, x'61', 0, 1, 'stored', 7),
                 (2, 1, x'62', 9, 8, zeroblob(32), 1, x'62', 1, 1, 'kept', 7);
             INSERT INTO standing VALUES (1, 0, 1, 'p', 'settling', 3, NULL);
             INSERT INTO standing_total VALUES (1, 0, 'settling', 1, 3);
             INSERT INTO file_total VALUES (1, 'kept', 1, 9), (1, 'stored', 1, -1);
             INSERT INTO day VALUES (1, 0, 2, -2, 0, 0);",
        )
        .unwrap();
    migrate(&mut ledger, 6).unwrap();
    let text = |query: &str| -> String { ledger.query_row(query, (), |row| row.get(0)).unwrap() };
    let passes =
        "SELECT group_concat(concat_ws(' ', id, begun, outcome, message, took, repeats), ';') FROM pass";
    assert_eq!(text(passes), "1 10 collector-failed m 5 0;2 20 well 6 1;3 30 0");
    assert_eq!(text("SELECT group_concat(already_stored) FROM file"), "0,1");
    let totals = "SELECT group_concat(concat_ws(' ', state, files, bytes), ';') FROM file_total";
    assert_eq!(text(totals), format!("kept 1 9;stored 1 {}", i64::MAX));
    let days =
        "SELECT concat_ws(' ', day, stored_files, stored_bytes, released_files, released_bytes) FROM day";
    assert_eq!(text(days), format!("0 2 {} 0 0", i64::MAX));
    assert_eq!(
        text("SELECT concat_ws(' ', path, reason, size) FROM remaining"),
        "p settling 3"
    );
    assert_eq!(
        text("SELECT concat_ws(' ', reason, files, bytes) FROM remaining_total"),
        "settling 1 3"
    );
}

#[test]
fn a_released_migration_is_never_edited() {
    use sha2::Digest as _;
    let released = [
        "d9f8d07af4f2207698364ee92d605138758e226180d521dfba5d361999e009b7",
        "25f9eccb2c1d503ed25d69f772fff05b32840303394289941c62fddd8d79b4ed",
        "e20f68da34253fc6e8dd5a7be0863d1d6ad8f9c419cd01aa21155f00d1060e11",
        "6c3dacc842acad0f4cf3d84afc72a6d2d349a501c6717bd4202f39ca66fee7be",
        "06ad4cc7ac205d014120de3bd69aa51d312632e8eb37f919ff02d76f07f3ec60",
        "142928e2246c3ae2fa5094c0c2f69f788e88bcbfe1f45ea167bc2c255aa90a8a",
        "e697d3859c0fdacccc221e03544f7cfc26a3bd4ca66e653afd592f5ce9c28f85",
        "6a91d7f6fd4f31127c72ed9ea1254cb7b334a5f68ab9be85869cd3668675dbef",
    ];
    for (number, (step, digest)) in MIGRATIONS.iter().zip(released).enumerate() {
        let found = model::Digest::from_bytes(sha2::Sha256::digest(step).into());
        assert_eq!(
            found.to_hex(),
            digest,
            "migration {}: add a new one instead of editing it",
            number + 1
        );
    }
    assert_eq!(
        released.len(),
        MIGRATIONS.len(),
        "add the digest of the new migration"
    );
}

#[test]
fn a_new_ledger_has_the_schema_of_the_file() {
    let temp = TempLedger::new();
    drop(temp.ledger());
    let fresh = Connection::open_in_memory().unwrap();
    fresh.execute_batch(SCHEMA).unwrap();
    assert_eq!(described(&temp.sql()), described(&fresh));
}

/// SQLite's plan for the query.
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
fn no_query_scans_a_table_that_grows() {
    let ledger = Connection::open_in_memory().unwrap();
    ledger.execute_batch(SCHEMA).unwrap();
    let queries = [
        (
            records::KNOWN_FILE,
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
            include_str!("../sql/read/last_conclusive_pass.sql"),
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
            include_str!("../sql/write/set_state.sql"),
            "SEARCH file USING INTEGER PRIMARY KEY (rowid=?)",
        ),
    ];
    for (query, step) in queries {
        let plan = plan(&ledger, query);
        assert!(plan.contains(step), "{query}\n{plan}");
        assert!(
            !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
            "{query}\n{plan}"
        );
    }
}

#[tokio::test]
async fn a_full_ledger_is_searched_by_the_same_plan_as_an_empty_one() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    for batch in 0..20 {
        let records = (0..5000).map(|number| super::record("pi1", &format!("{batch}/{number}")));
        super::store(&ledger, "pi1", records.collect()).await.unwrap();
    }
    // An operator might run ANALYZE; the statistics must not change the plan.
    temp.sql().execute_batch("ANALYZE").unwrap();
    drop(ledger);
    let ledger = temp.sql();
    let plan = plan(&ledger, records::KNOWN_FILE);
    assert!(
        plan.contains("USING INDEX file_by_path (source=? AND path=?)"),
        "{plan}"
    );
    let known = named_params! { ":source": 1, ":path": &b"19/4999"[..] };
    let row: i64 = ledger
        .query_row(records::KNOWN_FILE, known, |row| row.get("id"))
        .unwrap();
    assert_eq!(row, 100_000);
}
