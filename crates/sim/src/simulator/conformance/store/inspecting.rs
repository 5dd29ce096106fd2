//! What the store reports about itself and about stored files.

use engine::ports::{Obstacle, PublishFault, Reproof, Room, Store, StoreStatus};
use model::RelativePath;

use super::fixture::{StoreFixture, digest, foresee, length};
use crate::simulator::conformance::{Checked, ensure, message, path, same};

pub(super) async fn a_stored_copy_is_proved_by_its_bytes<P: StoreFixture>(fixture: &P) -> Checked {
    let store = fixture.open();
    fixture.put("day/a", b"what");
    let reprove = async |name: &str, bytes: &[u8]| -> Result<Reproof, String> {
        let name: RelativePath = path(name)?;
        store
            .reprove(&name, length(bytes), &digest(bytes))
            .await
            .map_err(message)
    };
    same("the same", &reprove("day/a", b"what").await?, &Reproof::Same)?;
    same("other bytes", &reprove("day/a", b"that").await?, &Reproof::Other)?;
    same(
        "another size",
        &reprove("day/a", b"whatever").await?,
        &Reproof::Other,
    )?;
    same(
        "another name",
        &reprove("day/b", b"what").await?,
        &Reproof::Missing,
    )?;
    same(
        "another folder",
        &reprove("night/a", b"what").await?,
        &Reproof::Missing,
    )
}

pub(super) async fn a_store_reports_its_id<P: StoreFixture>(fixture: &P) -> Checked {
    let first = fixture.open().condition().await.map_err(message)?;
    let second = fixture.open().condition().await.map_err(message)?;
    same("id", &first.id, &second.id)?;
    ensure(first.room != Some(0), || "there is no room".to_owned())
}

pub(super) async fn the_longest_component_is_accepted_and_no_longer_one<P: StoreFixture>(
    fixture: &P,
) -> Checked {
    let store = fixture.open();
    let longest = store.properties().max_component;
    let found = foresee(&store, &"l".repeat(longest), None).await?;
    same("the longest name", &found, &Ok(Room::OfStore))?;
    let found = foresee(&store, &"l".repeat(longest + 1), None).await?;
    ensure(matches!(found, Err(PublishFault::Unacceptable(_))), || {
        format!("a longer name: {found:?}")
    })
}

pub(super) async fn obstacles_to_a_file_are_foreseen<P: StoreFixture>(fixture: &P) -> Checked {
    let store = fixture.open();
    fixture.put("day/file", b"x");
    for free in ["a", "day/a", "night/hour/a", "day/file", "odd: \u{e9}"] {
        let found = foresee(&store, free, None).await?;
        same(free, &found, &Ok(Room::OfStore))?;
    }
    let obstructed = PublishFault::Obstructed {
        depth: 1,
        by: Obstacle::File,
    };
    same(
        "a file for a folder",
        &foresee(&store, "a", Some("day/file")).await?,
        &Err(obstructed),
    )?;
    for name in [".gleaner/x", "a/.Gleaner/x"] {
        let found = foresee(&store, name, None).await?;
        ensure(matches!(found, Err(PublishFault::Unacceptable(_))), || {
            format!("{name}: {found:?}")
        })?;
    }
    same("what is there", &fixture.visible("night/hour"), &None)?;
    same("files in staging", &fixture.staged(), &0)
}
