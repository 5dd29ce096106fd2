use engine::ports::{Ledger as _, Record, Sighting, Unseen};
use model::{BatchId, Digest, FileState, Identity, LeaveReason, RelativePath, SourcePath, Timestamp};

use super::{Place, at, device, identity, path, record, source};
use model::Amount;

#[tokio::test]
async fn what_is_recorded_is_remembered_in_the_order_asked_for() {
    let place = Place::new();
    let ledger = place.ledger();
    let rows = ledger
        .record(vec![record("pi1", "a"), record("pi1", "b")])
        .await
        .unwrap();
    let asked = [path("b"), path("missing"), path("a")];
    let remembered = ledger
        .known_files(&device("pi1"), &source(), &asked)
        .await
        .unwrap();
    let found: Vec<_> = remembered
        .iter()
        .map(|known| known.as_ref().map(|known| known.row))
        .collect();
    assert_eq!(found, [Some(rows[1]), None, Some(rows[0])]);
    let first = remembered[2].as_ref().unwrap();
    assert_eq!(first.identity, identity(10));
    assert_eq!(first.digest, Digest::from_bytes([7; 32]));
    assert_eq!(first.store_name, path("pi1/a"));
    assert_eq!(first.state, FileState::Stored);
}

#[tokio::test]
async fn of_several_rows_for_one_path_the_newest_is_remembered() {
    let place = Place::new();
    let ledger = place.ledger();
    let again = Record {
        identity: identity(11),
        // Recorded later by a collector whose clock had been set back.
        at: at(-1000),
        ..record("pi1", "a")
    };
    ledger.record(vec![record("pi1", "a")]).await.unwrap();
    ledger.record(vec![again]).await.unwrap();
    let remembered = ledger
        .known_files(&device("pi1"), &source(), &[path("a")])
        .await
        .unwrap();
    assert_eq!(remembered[0].as_ref().unwrap().identity.size, 11);
}

#[tokio::test]
async fn devices_and_sources_do_not_share_what_is_remembered() {
    let place = Place::new();
    let ledger = place.ledger();
    ledger.record(vec![record("pi1", "a")]).await.unwrap();
    ledger.record(vec![record("pi2", "b")]).await.unwrap();
    let elsewhere = SourcePath::new("/home/pi/videos").unwrap();
    for (name, source) in [("pi2", source()), ("pi1", elsewhere), ("pi3", source())] {
        let remembered = ledger
            .known_files(&device(name), &source, &[path("a")])
            .await
            .unwrap();
        assert_eq!(remembered, [None], "{name}");
    }
}

#[tokio::test]
async fn a_name_of_any_bytes_comes_back_as_it_was() {
    let place = Place::new();
    let ledger = place.ledger();
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
    ledger.record(records.collect()).await.unwrap();
    let remembered = ledger.known_files(&device("pi1"), &odd, &names).await.unwrap();
    for (name, known) in names.iter().zip(remembered) {
        assert_eq!(known.unwrap().store_name, path("pi1").join(name));
    }
    let listed: Vec<_> = place
        .reader()
        .files(crate::FileFilter::default())
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
async fn an_identity_at_the_ends_of_its_range_comes_back_as_it_was() {
    let place = Place::new();
    let ledger = place.ledger();
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
        ledger
            .record(vec![Record {
                identity,
                ..record("pi1", name)
            }])
            .await
            .unwrap();
        let remembered = ledger
            .known_files(&device("pi1"), &source(), &[path(name)])
            .await
            .unwrap();
        assert_eq!(remembered[0].as_ref().unwrap().identity, identity);
    }
    let sighting = Sighting {
        path: path("c"),
        identity: ends[0],
    };
    for time in [at(0), at(1)] {
        let since = ledger
            .record_sightings(
                &device("pi1"),
                &source(),
                vec![sighting.clone()],
                Unseen::Forget,
                time,
            )
            .await
            .unwrap();
        assert_eq!(since, [at(0)]);
    }
}

#[tokio::test]
async fn rows_come_back_in_the_order_of_a_batch_of_any_size() {
    let place = Place::new();
    let ledger = place.ledger();
    assert_eq!(ledger.record(Vec::new()).await.unwrap(), []);
    let records: Vec<_> = (0..1000)
        .map(|number| record("pi1", &format!("{number}")))
        .collect();
    let rows = ledger.record(records.clone()).await.unwrap();
    let paths: Vec<_> = records.iter().map(|record| record.path.clone()).collect();
    let remembered = ledger
        .known_files(&device("pi1"), &source(), &paths)
        .await
        .unwrap();
    let found: Vec<_> = remembered.into_iter().map(|known| known.unwrap().row).collect();
    assert_eq!(found, rows);
}

#[tokio::test]
async fn a_settled_row_says_so_and_keeps_the_time_of_the_first_time() {
    let place = Place::new();
    let ledger = place.ledger();
    let rows = ledger
        .record(vec![record("pi1", "a"), record("pi1", "b")])
        .await
        .unwrap();
    let kept = (rows[1], FileState::Kept, Some(LeaveReason::RemovalRefused));
    ledger
        .set_states(vec![(rows[0], FileState::Released, None), kept], at(10))
        .await
        .unwrap();
    ledger
        .set_states(vec![(rows[0], FileState::Released, None)], at(20))
        .await
        .unwrap();
    let files: Vec<_> = place
        .reader()
        .files(crate::FileFilter::default())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        (files[0].state, files[0].released_at),
        (FileState::Released, Some(at(10)))
    );
    assert_eq!((files[1].state, files[1].released_at), (FileState::Kept, None));
    assert_eq!(files[1].reason, Some(LeaveReason::RemovalRefused));
    let totals = place.reader().device(&device("pi1"), at(30)).unwrap().unwrap();
    assert_eq!(totals.totals.stored, Amount::default());
    assert_eq!(totals.totals.released, Amount { files: 1, bytes: 10 });
    assert_eq!(totals.totals.kept, Amount { files: 1, bytes: 10 });
    assert_eq!(totals.released_today, Amount { files: 1, bytes: 10 });
    assert_eq!(totals.stored_today, Amount { files: 2, bytes: 20 });
}

#[tokio::test]
async fn a_file_that_came_back_after_its_release_is_on_the_device_again() {
    let place = Place::new();
    let ledger = place.ledger();
    let rows = ledger.record(vec![record("pi1", "a")]).await.unwrap();
    ledger
        .set_states(vec![(rows[0], FileState::Released, None)], at(10))
        .await
        .unwrap();
    let refused = (rows[0], FileState::Kept, Some(LeaveReason::RemovalRefused));
    ledger.set_states(vec![refused], at(20)).await.unwrap();
    let file = place
        .reader()
        .files(crate::FileFilter::default())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!((file.state, file.released_at), (FileState::Kept, None));
    ledger
        .set_states(vec![(rows[0], FileState::Released, None)], at(30))
        .await
        .unwrap();
    let file = place
        .reader()
        .files(crate::FileFilter::default())
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
async fn only_rows_that_lie_withdrawn_are_named_as_such() {
    let place = Place::new();
    let ledger = place.ledger();
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
        record("pi2", "other"),
    ];
    let rows = ledger.record(records).await.unwrap();
    ledger
        .set_states(vec![(rows[0], FileState::Released, None)], at(10))
        .await
        .unwrap();
    let refused = (rows[3], FileState::Kept, Some(LeaveReason::RemovalRefused));
    ledger.set_states(vec![refused], at(10)).await.unwrap();
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
async fn what_was_recorded_before_paths_had_a_bound_on_their_depth_is_read_still() {
    let place = Place::new();
    let ledger = place.ledger();
    let half = path([&b"f/".repeat(100)[..], b"f"].concat());
    let deep = half.join(&half);
    let old = Record {
        path: deep.clone(),
        store_name: path("pi1").join(&deep),
        ..record("pi1", "a")
    };
    ledger
        .record(vec![old.clone(), record("pi1", "b")])
        .await
        .unwrap();
    let rows = ledger.withdrawn_rows(&device("pi1"), &source()).await.unwrap();
    let paths: Vec<_> = rows.into_iter().map(|row| row.path).collect();
    assert_eq!(paths, [deep.clone(), path("b")]);
    let asked = [deep.clone()];
    let remembered = ledger
        .known_files(&device("pi1"), &source(), &asked)
        .await
        .unwrap();
    assert_eq!(remembered[0].as_ref().unwrap().store_name, old.store_name);
    let files: Vec<_> = place
        .reader()
        .files(crate::FileFilter::default())
        .unwrap()
        .collect();
    assert_eq!(files.len(), 2);
    assert!(files.iter().any(|file| file.as_ref().unwrap().path == deep));
}
