use engine::ports::{Ledger as _, Sighting, Unseen};
use model::SourcePath;

use super::{TempLedger, at, begin, identity, path, source};

#[tokio::test]
async fn a_sighting_dates_from_the_first_sight_of_the_same_identity() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let lease = begin(&ledger, "pi1").await;
    let seen = |names: &[(&str, u64)]| -> Vec<Sighting> {
        let sighting = |(name, size): &(&str, u64)| Sighting {
            path: path(*name),
            identity: identity(*size),
        };
        names.iter().map(sighting).collect()
    };
    let record_sightings = async |names: &[(&str, u64)], seconds| {
        ledger
            .record_sightings(&lease, &source(), seen(names), Unseen::Forget, at(seconds))
            .await
            .unwrap()
    };
    assert_eq!(record_sightings(&[("a", 1), ("b", 1)], 0).await, [at(0), at(0)]);
    // b has grown, c is new, and the order differs.
    assert_eq!(
        record_sightings(&[("c", 1), ("b", 2), ("a", 1)], 10).await,
        [at(10), at(10), at(0)]
    );
    // a was not seen: it is forgotten.
    assert_eq!(
        record_sightings(&[("b", 2), ("c", 1)], 20).await,
        [at(10), at(10)]
    );
    assert_eq!(record_sightings(&[("a", 1)], 30).await, [at(30)]);
    // The clock was set back: a later sighting does not count.
    assert_eq!(record_sightings(&[("a", 1)], 5).await, [at(5)]);
    assert_eq!(record_sightings(&[("a", 1)], 6).await, [at(5)]);
}

#[tokio::test]
async fn sightings_of_one_source_say_nothing_about_another() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let lease = begin(&ledger, "pi1").await;
    let other = SourcePath::new("/other").unwrap();
    let one = || {
        vec![Sighting {
            path: path("a"),
            identity: identity(1),
        }]
    };
    ledger
        .record_sightings(&lease, &source(), one(), Unseen::Forget, at(0))
        .await
        .unwrap();
    assert_eq!(
        ledger
            .record_sightings(&lease, &other, one(), Unseen::Forget, at(1))
            .await
            .unwrap(),
        [at(1)]
    );
    ledger
        .record_sightings(&lease, &other, Vec::new(), Unseen::Forget, at(2))
        .await
        .unwrap();
    assert_eq!(
        ledger
            .record_sightings(&lease, &source(), one(), Unseen::Forget, at(3))
            .await
            .unwrap(),
        [at(0)]
    );
}

#[tokio::test]
async fn unseen_sightings_are_retained_only_up_to_the_maximum() {
    let temp = TempLedger::new();
    let ledger = temp.ledger();
    let lease = begin(&ledger, "pi1").await;
    let sighting = |name: &str| Sighting {
        path: path(name),
        identity: identity(1),
    };
    let seen = |name: &str| vec![sighting(name)];
    ledger
        .record_sightings(&lease, &source(), seen("a"), Unseen::Forget, at(0))
        .await
        .unwrap();
    let sql = temp.sql();
    let known_device = crate::lease::device(&sql, &lease).unwrap().unwrap();
    let retain = |name: &str, max, seconds| {
        let seen = seen(name);
        crate::sightings::record(
            &sql,
            known_device,
            &source(),
            &seen,
            Unseen::Retain,
            max,
            at(seconds),
        )
        .unwrap()
    };
    assert_eq!(retain("b", 2, 1), [at(1)]);
    assert_eq!(retain("a", 3, 2), [at(0)], "it was retained");
    assert_eq!(retain("a", 2, 3), [at(0)], "a seen file is never forgotten");
    assert_eq!(retain("b", 9, 4), [at(4)], "it exceeded the maximum");
}
