//! What an audit needs: the listing, the check of a copy, and the quarantine.

use engine::ports::{CopyCheck, ListedFile, StoreInspection, Unlisted};
use tokio::sync::mpsc;

use super::fixture::{StoreFixture, digest, length, publish, seal};
use crate::simulator::conformance::{Checked, ensure, message, path, same};

type Listed = Vec<Result<ListedFile, Unlisted>>;

/// The listing in the order of names, received through a channel with room for few entries.
async fn listing<S: StoreInspection>(store: &S) -> Listed {
    let (sender, mut receiver) = mpsc::channel(2);
    let receive = async {
        let mut listed = Vec::new();
        while let Some(entry) = receiver.recv().await {
            listed.push(entry);
        }
        listed
    };
    let ((), mut listed) = tokio::join!(store.list(sender), receive);
    listed.sort_by_key(|entry| entry.as_ref().map(|file| file.name.to_string()).ok());
    listed
}

pub(super) async fn every_visible_file_is_listed_once<P: StoreFixture>(fixture: &P) -> Checked {
    let store = fixture.open();
    same("an empty store", &listing(&store).await, &Vec::new())?;
    let mut expected = Vec::new();
    for number in 0..600_usize {
        let (name, bytes) = (format!("day-{}/{number:03}", number % 7), vec![b'x'; number]);
        fixture.put(&name, &bytes);
        expected.push((name, length(&bytes)));
    }
    let published = publish(&store, b"what", "night/hour/a").await?;
    ensure(published.is_ok(), || format!("{published:?}"))?;
    expected.push(("night/hour/a".to_owned(), 4));
    // Sealed and without a name: not visible.
    seal(&store, b"sealed").await?;
    expected.sort();
    let expected: Result<Listed, String> = expected
        .into_iter()
        .map(|(name, size)| path(name).map(|name| Ok(ListedFile { name, size })))
        .collect();
    same("the listing", &listing(&store).await, &expected?)
}

pub(super) async fn a_listing_ends_with_its_receiver<P: StoreFixture>(fixture: &P) -> Checked {
    let store = fixture.open();
    for number in 0..10 {
        fixture.put(&number.to_string(), b"x");
    }
    let (sender, mut receiver) = mpsc::channel(1);
    let receive_one = async {
        let received = receiver.recv().await;
        receiver.close();
        received.is_some()
    };
    let ((), is_received) = tokio::join!(store.list(sender), receive_one);
    ensure(is_received, || "nothing is listed".to_owned())
}

pub(super) async fn a_copy_is_compared_with_its_record<P: StoreFixture>(fixture: &P) -> Checked {
    let store = fixture.open();
    fixture.put("day/a", b"what");
    let check = async |name: &str, bytes: &[u8]| -> Result<CopyCheck, String> {
        Ok(store.check(&path(name)?, length(bytes), &digest(bytes)).await)
    };
    same("the same", &check("day/a", b"what").await?, &CopyCheck::Same)?;
    for absent in ["day/b", "night/a", "day/a/b"] {
        same(absent, &check(absent, b"what").await?, &CopyCheck::Missing)?;
    }
    for (name, bytes) in [
        ("day/a", &b"that"[..]),
        ("day/a", b"whatever"),
        ("day/a", b""),
        ("day", b"what"),
    ] {
        let found = check(name, bytes).await?;
        ensure(matches!(found, CopyCheck::Different(_)), || {
            format!("{name}: {found:?}")
        })?;
    }
    same(
        "what is there",
        &fixture.visible("day/a"),
        &Some(b"what".to_vec()),
    )
}

pub(super) async fn an_unreadable_copy_is_not_called_missing<P: StoreFixture>(fixture: &P) -> Checked {
    let store = fixture.open();
    fixture.put("day/a", b"what");
    fixture.make_unreadable("day/a");
    let found = store.check(&path("day/a")?, 4, &digest(b"what")).await;
    ensure(matches!(found, CopyCheck::Unreadable(_)), || format!("{found:?}"))
}

pub(super) async fn a_quarantined_copy_is_not_visible_and_replaces_nothing<P: StoreFixture>(
    fixture: &P,
) -> Checked {
    let store = fixture.open();
    let name = path("day/a")?;
    same("before", &store.quarantined(&name).await, &None)?;
    let mut locations = Vec::new();
    for bytes in [&b"one"[..], b"other"] {
        fixture.put("day/a", bytes);
        store.quarantine(&name).await.map_err(message)?;
        same("visible", &fixture.visible("day/a"), &None)?;
        let found = store.check(&name, length(bytes), &digest(bytes)).await;
        same("its check", &found, &CopyCheck::Missing)?;
        same("the listing", &listing(&store).await, &Vec::new())?;
        let location = store.quarantined(&name).await;
        locations.push(location.ok_or("a quarantined copy is not found")?);
    }
    for (location, bytes) in locations.iter().zip([&b"one"[..], b"other"]) {
        same(location, &fixture.visible(location), &Some(bytes.to_vec()))?;
    }
    let again = store.quarantine(&name).await;
    ensure(again.is_err(), || "a missing copy was set aside".to_owned())?;
    same("another name", &store.quarantined(&path("day/b")?).await, &None)
}
