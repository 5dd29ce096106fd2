//! Sightings of files without a trusted timestamp.

use engine::ports::Unseen;

use super::fixture::{LedgerFixture, at, begin, record_sightings, record_sightings_among};
use crate::simulator::conformance::{Checked, same};

pub(super) async fn a_sighting_dates_from_when_its_identity_was_first_seen<P: LedgerFixture>(
    fixture: &P,
) -> Checked {
    let ledger = fixture.open();
    let lease = begin(&ledger).await?;
    same(
        "new",
        &record_sightings(&ledger, &lease, "/photos", &[("a", 1), ("b", 1)], 0).await?,
        &vec![at(0), at(0)],
    )?;
    let found = record_sightings(&ledger, &lease, "/photos", &[("c", 1), ("b", 2), ("a", 1)], 10).await?;
    same(
        "another, a changed one and an old one",
        &found,
        &vec![at(10), at(10), at(0)],
    )?;
    let found = record_sightings(&ledger, &lease, "/photos", &[("a", 1)], -5).await?;
    same("after the clock was set back", &found, &vec![at(-5)])?;
    same(
        "from then on",
        &record_sightings(&ledger, &lease, "/photos", &[("a", 1)], 6).await?,
        &vec![at(-5)],
    )
}

pub(super) async fn unrepeated_sightings_are_forgotten<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    let lease = begin(&ledger).await?;
    record_sightings(&ledger, &lease, "/photos", &[("a", 1), ("b", 1)], 0).await?;
    record_sightings(&ledger, &lease, "/photos", &[("b", 1)], 1).await?;
    record_sightings(&ledger, &lease, "/videos", &[], 2).await?;
    let found = record_sightings(&ledger, &lease, "/photos", &[("a", 1), ("b", 1)], 3).await?;
    same(
        "one that was gone and one that was not",
        &found,
        &vec![at(3), at(0)],
    )
}

pub(super) async fn unrepeated_sightings_are_kept_after_a_cut_listing<P: LedgerFixture>(
    fixture: &P,
) -> Checked {
    let ledger = fixture.open();
    let lease = begin(&ledger).await?;
    record_sightings(&ledger, &lease, "/photos", &[("a", 1), ("b", 1)], 0).await?;
    let found = record_sightings_among(
        &ledger,
        &lease,
        "/photos",
        &[("b", 2), ("c", 1)],
        Unseen::Retain,
        1,
    )
    .await?;
    same("a changed one and a new one", &found, &vec![at(1), at(1)])?;
    let found = record_sightings(&ledger, &lease, "/photos", &[("a", 1), ("b", 2), ("c", 1)], 2).await?;
    same("all of them", &found, &vec![at(0), at(1), at(1)])
}
