//! The port `Store`.

use bytes::Bytes;
use engine::ports::{
    Chunk, Destination, Obstacle, Placement, Publication, PublishFault, Reproof, Room, SealedFile,
    StagingKey, Store,
};
use model::{Digest, RelativePath, Timestamp};
use sha2::{Digest as _, Sha256};

use super::{Checked, ensure, message, path, same};

/// A place that holds one store from process to process. Its ranges are of [`super::super::collector::RANGE_LENGTH`].
pub trait StoreFixture {
    /// The implementation.
    type Store: Store;

    /// Opens the store as a new process does.
    fn open(&self) -> Self::Store;

    /// What is visible under a name.
    fn visible(&self, name: &str) -> Option<Vec<u8>>;

    /// Somebody else puts a file there.
    fn put(&self, name: &str, bytes: &[u8]);

    /// How many files are in the staging folders.
    fn staged(&self) -> usize;

    /// Sees to it that no link leads from the store's staging to its visible folders; `false` where that
    /// cannot be had.
    fn divide(&self) -> bool;
}

/// Every promise of the port, each in a fresh place.
pub async fn check<P: StoreFixture>(fresh: impl Fn() -> P) -> Vec<String> {
    crate::hold_to!(
        fresh(),
        what_is_sealed_is_told_and_not_visible,
        what_is_published_is_visible_and_whole,
        a_name_that_is_taken_is_never_replaced,
        a_folder_in_the_way_is_told_by_its_depth,
        the_control_folder_is_no_place_for_files,
        of_two_that_want_one_name_one_gets_it,
        only_the_very_same_version_is_resumed_from_whole_ranges,
        what_is_thrown_away_leaves_nothing,
        retiring_leaves_what_is_published,
        a_new_process_tidies_what_an_old_one_left,
        a_stored_copy_is_proved_by_its_bytes,
        a_store_tells_who_it_is,
        what_stands_in_the_way_of_a_file_is_foreseen,
        a_folder_that_cannot_be_linked_to_from_staging_gets_its_files,
    )
}

const MODIFIED: Timestamp = Timestamp::from_seconds(1_700_000_000);
const ALL_LEFTOVERS: Timestamp = Timestamp::EPOCH;

fn digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn content(length: usize) -> Vec<u8> {
    crate::simulator::rng::Rng::new(u64::try_from(length).unwrap_or_default()).bytes(length)
}

fn key(name: &str, size: u64) -> StagingKey {
    StagingKey {
        digest: digest(name.as_bytes()),
        expected_size: size,
        range_digests: false,
        folder: None,
    }
}

fn chunks(bytes: &[u8]) -> Vec<Chunk> {
    bytes
        .chunks(1000)
        .map(|chunk| Chunk::from(Bytes::copy_from_slice(chunk)))
        .collect()
}

async fn seal<S: Store>(store: &S, bytes: &[u8]) -> Result<SealedFile, String> {
    let (staged, there) = store
        .stage(&key("x", length(bytes)), false)
        .await
        .map_err(message)?;
    same("bytes there before", &there, &0)?;
    let (first, last) = bytes.split_at(bytes.len() / 2);
    let staged = store.append(staged, chunks(first)).await.map_err(message)?;
    store.seal(staged, chunks(last), MODIFIED).await.map_err(message)
}

fn publication(sealed: &SealedFile, name: &str) -> Result<Publication, String> {
    Ok(Publication {
        token: sealed.token.clone(),
        size: sealed.size,
        digest: sealed.digest,
        name: path(name)?,
    })
}

async fn publish<S: Store>(
    store: &S,
    bytes: &[u8],
    name: &str,
) -> Result<Result<Placement, PublishFault>, String> {
    let sealed = seal(store, bytes).await?;
    let answers = store
        .publish(vec![publication(&sealed, name)?])
        .await
        .map_err(message)?;
    answers.into_iter().next().ok_or_else(|| "no answer".to_owned())
}

async fn what_is_sealed_is_told_and_not_visible<P: StoreFixture>(fixture: &P) -> Checked {
    let store = fixture.open();
    for size in [0, 1, 4096, 10_000] {
        let bytes = content(size);
        let sealed = seal(&store, &bytes).await?;
        same("size", &sealed.size, &length(&bytes))?;
        same("digest", &sealed.digest, &digest(&bytes))?;
        same("visible", &fixture.visible(&sealed.token), &None)?;
    }
    let wants_ranges = StagingKey {
        range_digests: true,
        ..key("ranges", 5000)
    };
    let (staged, _) = store.stage(&wants_ranges, false).await.map_err(message)?;
    let sealed = store
        .seal(staged, chunks(&content(5000)), MODIFIED)
        .await
        .map_err(message)?;
    let digests: Vec<Digest> = sealed.ranges.iter().map(|range| range.digest).collect();
    let bytes = content(5000);
    let (first, second) = bytes.split_at(4096);
    same("length of ranges", &store.range_length(), &4096)?;
    same(
        "digests of the ranges",
        &digests,
        &vec![digest(first), digest(second)],
    )
}

async fn what_is_published_is_visible_and_whole<P: StoreFixture>(fixture: &P) -> Checked {
    let store = fixture.open();
    for (name, size) in [("empty", 0), ("day/small", 10), ("day/hour/large", 10_000)] {
        same(
            name,
            &publish(&store, &content(size), name).await?,
            &Ok(Placement::New),
        )?;
        same(name, &fixture.visible(name), &Some(content(size)))?;
    }
    Ok(())
}

async fn a_name_that_is_taken_is_never_replaced<P: StoreFixture>(fixture: &P) -> Checked {
    let store = fixture.open();
    fixture.put("a", b"what was there before");
    same(
        "the same",
        &publish(&store, b"what was there before", "a").await?,
        &Ok(Placement::Same),
    )?;
    same(
        "other content",
        &publish(&store, b"what comes now......!", "a").await?,
        &Err(PublishFault::Taken),
    )?;
    same(
        "other size",
        &publish(&store, b"what", "a").await?,
        &Err(PublishFault::Taken),
    )?;
    fixture.put("folder/in", b"x");
    same(
        "a folder",
        &publish(&store, b"what", "folder").await?,
        &Err(PublishFault::Taken),
    )?;
    same(
        "what is there",
        &fixture.visible("a"),
        &Some(b"what was there before".to_vec()),
    )
}

async fn a_folder_in_the_way_is_told_by_its_depth<P: StoreFixture>(fixture: &P) -> Checked {
    let store = fixture.open();
    fixture.put("day/file", b"x");
    let found = publish(&store, b"what", "day/file/a").await?;
    same(
        "a file for a folder",
        &found,
        &Err(PublishFault::Obstructed {
            depth: 1,
            by: Obstacle::File,
        }),
    )
}

async fn the_control_folder_is_no_place_for_files<P: StoreFixture>(fixture: &P) -> Checked {
    let store = fixture.open();
    for name in [".gleaner", ".gleaner/store.toml", ".GLEANER/x", ".gleaner. /x"] {
        let found = publish(&store, b"what", name).await?;
        ensure(matches!(found, Err(PublishFault::Unacceptable(_))), || {
            format!("{name}: {found:?}")
        })?;
    }
    store.condition().await.map_err(message).map(drop)
}

async fn of_two_that_want_one_name_one_gets_it<P: StoreFixture>(fixture: &P) -> Checked {
    let store = fixture.open();
    let (one, other) = (seal(&store, b"one").await?, seal(&store, b"other").await?);
    let wanted = vec![publication(&one, "a")?, publication(&other, "a")?];
    let mut answers = store.publish(wanted).await.map_err(message)?;
    answers.sort_by_key(Result::is_err);
    same(
        "answers",
        &answers,
        &vec![Ok(Placement::New), Err(PublishFault::Taken)],
    )
}

async fn only_the_very_same_version_is_resumed_from_whole_ranges<P: StoreFixture>(fixture: &P) -> Checked {
    let bytes = content(10_000);
    let first = fixture.open();
    let (staged, _) = first.stage(&key("a", 10_000), true).await.map_err(message)?;
    let staged = first
        .append(staged, chunks(bytes.get(..9000).unwrap_or_default()))
        .await
        .map_err(message)?;
    drop(staged);
    drop(first);
    let second = fixture.open();
    second.tidy_staging(ALL_LEFTOVERS).await.map_err(message)?;
    let (_, there) = second.stage(&key("b", 10_000), true).await.map_err(message)?;
    same("bytes there of another version", &there, &0)?;
    let (staged, there) = second.stage(&key("a", 10_000), true).await.map_err(message)?;
    // How much was proved when the first process ended is its own affair, as long as it is whole ranges of what was appended.
    ensure(there % 4096 == 0 && there <= 8192, || {
        format!("{there} bytes are there")
    })?;
    let rest = bytes
        .get(usize::try_from(there).map_err(message)?..)
        .unwrap_or_default();
    let sealed = second
        .seal(staged, chunks(rest), MODIFIED)
        .await
        .map_err(message)?;
    same("digest of the whole", &sealed.digest, &digest(&bytes))?;
    drop(second);
    let third = fixture.open();
    let (_, there) = third.stage(&key("a", 10_000), false).await.map_err(message)?;
    same("bytes there where nothing is to be resumed", &there, &0)
}

async fn what_is_thrown_away_leaves_nothing<P: StoreFixture>(fixture: &P) -> Checked {
    let store = fixture.open();
    let (staged, _) = store.stage(&key("a", 10_000), true).await.map_err(message)?;
    let staged = store
        .append(staged, chunks(&content(9000)))
        .await
        .map_err(message)?;
    store.discard(staged).await;
    let sealed = seal(&store, b"what").await?;
    store.retire(vec![sealed]).await.map_err(message)?;
    same("files in staging", &fixture.staged(), &0)
}

async fn retiring_leaves_what_is_published<P: StoreFixture>(fixture: &P) -> Checked {
    let store = fixture.open();
    let sealed = seal(&store, b"what").await?;
    let answers = store
        .publish(vec![publication(&sealed, "a")?])
        .await
        .map_err(message)?;
    same("answers", &answers, &vec![Ok(Placement::New)])?;
    store.retire(vec![sealed]).await.map_err(message)?;
    same("what is there", &fixture.visible("a"), &Some(b"what".to_vec()))?;
    same("files in staging", &fixture.staged(), &0)
}

async fn a_new_process_tidies_what_an_old_one_left<P: StoreFixture>(fixture: &P) -> Checked {
    let first = fixture.open();
    let sealed = seal(&first, b"sealed").await?;
    first
        .publish(vec![publication(&sealed, "a")?])
        .await
        .map_err(message)?;
    let (staged, _) = first.stage(&key("small", 10), false).await.map_err(message)?;
    drop(first.append(staged, chunks(b"12345")).await.map_err(message)?);
    drop(first);
    let second = fixture.open();
    same(
        "foreign leftovers",
        &second.tidy_staging(ALL_LEFTOVERS).await.map_err(message)?,
        &0,
    )?;
    same("files in staging", &fixture.staged(), &0)?;
    same("what is there", &fixture.visible("a"), &Some(b"sealed".to_vec()))
}

async fn a_stored_copy_is_proved_by_its_bytes<P: StoreFixture>(fixture: &P) -> Checked {
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

async fn a_store_tells_who_it_is<P: StoreFixture>(fixture: &P) -> Checked {
    let first = fixture.open().condition().await.map_err(message)?;
    let second = fixture.open().condition().await.map_err(message)?;
    same("id", &first.id, &second.id)?;
    ensure(first.room > 0, || "there is no room".to_owned())
}

async fn foresee<S: Store>(
    store: &S,
    name: &str,
    folder: Option<&str>,
) -> Result<Result<Room, PublishFault>, String> {
    let name = match folder {
        Some(folder) => path(format!("{folder}/{name}"))?,
        None => path(name)?,
    };
    let answers = store.foresee(vec![Destination { name, size: 5000 }]).await;
    answers
        .map_err(message)?
        .into_iter()
        .next()
        .ok_or_else(|| "no answer".to_owned())
}

async fn what_stands_in_the_way_of_a_file_is_foreseen<P: StoreFixture>(fixture: &P) -> Checked {
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
    let long = "l".repeat(256);
    let found = foresee(&store, &long, None).await?;
    ensure(matches!(found, Err(PublishFault::Unacceptable(_))), || {
        format!("a long name: {found:?}")
    })?;
    same("what is there", &fixture.visible("night/hour"), &None)?;
    same("files in staging", &fixture.staged(), &0)
}

async fn a_folder_that_cannot_be_linked_to_from_staging_gets_its_files<P: StoreFixture>(
    fixture: &P,
) -> Checked {
    if !fixture.divide() {
        return Ok(());
    }
    for process in ["first", "second"] {
        let store = fixture.open();
        store.tidy_staging(ALL_LEFTOVERS).await.map_err(message)?;
        for size in [0, 10, 10_000] {
            let name = format!("{process}-{size}");
            let found = foresee(&store, &name, Some("day/hour")).await?;
            ensure(found.is_ok(), || format!("foreseen: {found:?}"))?;
            let bound = StagingKey {
                folder: Some(path("day/hour")?),
                ..key(&name, length(&content(size)))
            };
            let (staged, _) = store.stage(&bound, false).await.map_err(message)?;
            let sealed = store
                .seal(staged, chunks(&content(size)), MODIFIED)
                .await
                .map_err(message)?;
            let wanted = publication(&sealed, &format!("day/hour/{name}"))?;
            let answers = store.publish(vec![wanted]).await.map_err(message)?;
            same("answers", &answers, &vec![Ok(Placement::New)])?;
            store.retire(vec![sealed]).await.map_err(message)?;
            same(
                "what is there",
                &fixture.visible(&format!("day/hour/{name}")),
                &Some(content(size)),
            )?;
        }
        same("files in staging", &fixture.staged(), &0)?;
    }
    Ok(())
}
