use engine::ports::{FileFilter, History as _, Ledger as _, Record, Sighting, Unseen};
use model::{BatchId, Digest, FileState, Identity, LeaveReason, RelativePath, SourcePath, Timestamp};

use super::{TempLedger, at, begin, device, identity, path, record, set_states, source, store};
use model::Amount;

#[tokio::test]
async fn known_files_are_returned_in_the_order_of_the_paths() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let rows = store(&ledger, "pi1", vec![record("pi1", "a"), record("pi1", "b")])
        .await
        .unwrap();
    let asked = [path("b"), path("missing"), path("a")];
    let known = ledger
        .known_files(&device("pi1"), &source(), &asked)
        .await
        .unwrap();
    let found: Vec<_> = known
        .iter()
        .map(|known| known.as_ref().map(|known| known.row))
        .collect();
    assert_eq!(found, [Some(rows[1]), None, Some(rows[0])]);
    let first = known[2].as_ref().unwrap();
    assert_eq!(first.identity, identity(10));
    assert_eq!(first.digest, Digest::from_bytes([7; 32]));
    assert_eq!(first.store_name, path("pi1/a"));
    assert_eq!(first.state, FileState::Stored);
}

#[tokio::test]
async fn of_several_rows_for_one_path_the_newest_counts() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let again = Record {
        identity: identity(11),
        // Recorded later, by a collector whose clock was set back.
        at: at(-1000),
        ..record("pi1", "a")
    };
    store(&ledger, "pi1", vec![record("pi1", "a")]).await.unwrap();
    store(&ledger, "pi1", vec![again]).await.unwrap();
    let known = ledger
        .known_files(&device("pi1"), &source(), &[path("a")])
        .await
        .unwrap();
    assert_eq!(known[0].as_ref().unwrap().identity.size, 11);
}

#[tokio::test]
async fn devices_and_sources_do_not_share_known_files() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    store(&ledger, "pi1", vec![record("pi1", "a")]).await.unwrap();
    store(&ledger, "pi2", vec![record("pi2", "b")]).await.unwrap();
    let elsewhere = SourcePath::new("/home/pi/videos").unwrap();
    for (name, source) in [("pi2", source()), ("pi1", elsewhere), ("pi3", source())] {
        let known = ledger
            .known_files(&device(name), &source, &[path("a")])
            .await
            .unwrap();
        assert_eq!(known, [None], "{name}");
    }
}

#[tokio::test]
async fn a_name_of_any_bytes_is_read_as_it_was_written() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let odd = SourcePath::new(&b"/srv/caf\xe9 'x'"[..]).unwrap();
    let names: Vec<RelativePath> = [
        &b"\xff\xfe\x01"[..],
        b"a'b\"c;--",
        b"new\nline",
        "Bi\u{eb}ne/\u{1f41d}".as_bytes(),
    ]
    .map(path)
    .into();
    let records = names.iter().map(|name| Record {
        source: odd.clone(),
        path: name.clone(),
        store_name: path("pi1").join(name),
        ..record("pi1", "x")
    });
    store(&ledger, "pi1", records.collect()).await.unwrap();
    let known = ledger.known_files(&device("pi1"), &odd, &names).await.unwrap();
    for (name, known) in names.iter().zip(known) {
        assert_eq!(known.unwrap().store_name, path("pi1").join(name));
    }
    let listed: Vec<_> = temp
        .reader()
        .files(FileFilter::default())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        listed.iter().map(|file| file.path.clone()).collect::<Vec<_>>(),
        names
    );
    assert!(listed.iter().all(|file| file.source == odd));
}

#[tokio::test]
async fn an_identity_at_the_ends_of_its_range_is_read_as_it_was_written() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let ends = [
        Identity {
            device_number: Some(u64::MAX),
            inode: Some(1 << 63),
            size: u64::MAX,
            modified: Timestamp::from_nanoseconds(i64::MIN),
            changed: Some(Timestamp::from_nanoseconds(i64::MAX)),
        },
        Identity {
            device_number: None,
            inode: None,
            size: 0,
            modified: Timestamp::from_nanoseconds(-1),
            changed: None,
        },
    ];
    for (name, identity) in ["a", "b"].into_iter().zip(ends) {
        store(
            &ledger,
            "pi1",
            vec![Record {
                identity,
                ..record("pi1", name)
            }],
        )
        .await
        .unwrap();
        let known = ledger
            .known_files(&device("pi1"), &source(), &[path(name)])
            .await
            .unwrap();
        assert_eq!(known[0].as_ref().unwrap().identity, identity);
    }
    let sighting = Sighting {
        path: path("c"),
        identity: ends[0],
    };
    let lease = begin(&ledger, "pi1").await;
    for time in [at(0), at(1)] {
        let seen = vec![sighting.clone()];
        let since = ledger
            .record_sightings(&lease, &source(), seen, Unseen::Forget, time)
            .await
            .unwrap();
        assert_eq!(since, [at(0)]);
    }
}

#[tokio::test]
async fn rows_are_returned_in_the_order_of_the_records_for_any_batch_size() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    assert_eq!(store(&ledger, "pi1", Vec::new()).await.unwrap(), []);
    let records: Vec<_> = (0..1000)
        .map(|number| record("pi1", &format!("{number}")))
        .collect();
    let rows = store(&ledger, "pi1", records.clone()).await.unwrap();
    let paths: Vec<_> = records.iter().map(|record| record.path.clone()).collect();
    let known = ledger
        .known_files(&device("pi1"), &source(), &paths)
        .await
        .unwrap();
    let found: Vec<_> = known.into_iter().map(|known| known.unwrap().row).collect();
    assert_eq!(found, rows);
}

#[tokio::test]
async fn setting_a_state_again_keeps_the_time_of_the_first_release() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let rows = store(&ledger, "pi1", vec![record("pi1", "a"), record("pi1", "b")])
        .await
        .unwrap();
    let kept = (rows[1], FileState::Kept, Some(LeaveReason::RemovalRefused));
    set_states(
        &ledger,
        "pi1",
        vec![(rows[0], FileState::Released, None), kept],
        at(10),
    )
    .await
    .unwrap();
    set_states(&ledger, "pi1", vec![(rows[0], FileState::Released, None)], at(20))
        .await
        .unwrap();
    let files: Vec<_> = temp
        .reader()
        .files(FileFilter::default())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        (files[0].state, files[0].released_at),
        (FileState::Released, Some(at(10)))
    );
    assert_eq!((files[1].state, files[1].released_at), (FileState::Kept, None));
    assert_eq!(files[1].reason, Some(LeaveReason::RemovalRefused));
    let totals = temp.reader().device(&device("pi1"), at(30)).unwrap().unwrap();
    assert_eq!(totals.totals.stored, Amount::default());
    assert_eq!(totals.totals.released, Amount { files: 1, bytes: 10 });
    assert_eq!(totals.totals.kept, Amount { files: 1, bytes: 10 });
    assert_eq!(totals.released_today, Amount { files: 1, bytes: 10 });
    assert_eq!(totals.stored_today, Amount { files: 2, bytes: 20 });
}

#[tokio::test]
async fn a_released_file_that_exists_again_is_no_longer_released() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let rows = store(&ledger, "pi1", vec![record("pi1", "a")]).await.unwrap();
    set_states(&ledger, "pi1", vec![(rows[0], FileState::Released, None)], at(10))
        .await
        .unwrap();
    let refused = (rows[0], FileState::Kept, Some(LeaveReason::RemovalRefused));
    set_states(&ledger, "pi1", vec![refused], at(20)).await.unwrap();
    let file = temp
        .reader()
        .files(FileFilter::default())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!((file.state, file.released_at), (FileState::Kept, None));
    set_states(&ledger, "pi1", vec![(rows[0], FileState::Released, None)], at(30))
        .await
        .unwrap();
    let file = temp
        .reader()
        .files(FileFilter::default())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(
        (file.state, file.reason, file.released_at),
        (FileState::Released, None, Some(at(30)))
    );
}

#[tokio::test]
async fn withdrawn_rows_are_those_of_withdrawn_unreleased_files() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let in_place = Record {
        withdrawn: None,
        ..record("pi1", "in-place")
    };
    let second = Record {
        withdrawn: BatchId::new("b2"),
        ..record("pi1", "second")
    };
    let records = vec![
        record("pi1", "released"),
        in_place,
        record("pi1", "first"),
        second,
    ];
    let rows = store(&ledger, "pi1", records).await.unwrap();
    store(&ledger, "pi2", vec![record("pi2", "other")]).await.unwrap();
    set_states(&ledger, "pi1", vec![(rows[0], FileState::Released, None)], at(10))
        .await
        .unwrap();
    let refused = (rows[3], FileState::Kept, Some(LeaveReason::RemovalRefused));
    set_states(&ledger, "pi1", vec![refused], at(10)).await.unwrap();
    let withdrawn = ledger.withdrawn_rows(&device("pi1"), &source()).await.unwrap();
    let found: Vec<_> = withdrawn
        .iter()
        .map(|it| (it.row, it.path.clone(), it.withdrawn.as_str()))
        .collect();
    assert_eq!(
        found,
        [(rows[2], path("first"), "b1"), (rows[3], path("second"), "b2")]
    );
    assert_eq!(
        ledger.withdrawn_rows(&device("pi9"), &source()).await.unwrap(),
        []
    );
}

#[tokio::test]
async fn a_path_recorded_before_paths_had_a_maximum_depth_is_still_read() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let half = path([&b"f/".repeat(100)[..], b"f"].concat());
    let deep = half.join(&half);
    let old = Record {
        path: deep.clone(),
        store_name: path("pi1").join(&deep),
        ..record("pi1", "a")
    };
    store(&ledger, "pi1", vec![old.clone(), record("pi1", "b")])
        .await
        .unwrap();
    let rows = ledger.withdrawn_rows(&device("pi1"), &source()).await.unwrap();
    let paths: Vec<_> = rows.into_iter().map(|row| row.path).collect();
    assert_eq!(paths, [deep.clone(), path("b")]);
    let asked = [deep.clone()];
    let known = ledger
        .known_files(&device("pi1"), &source(), &asked)
        .await
        .unwrap();
    assert_eq!(known[0].as_ref().unwrap().store_name, old.store_name);
    let files: Vec<_> = temp.reader().files(FileFilter::default()).unwrap().collect();
    assert_eq!(files.len(), 2);
    assert!(files.iter().any(|file| file.as_ref().unwrap().path == deep));
}
