//! Files that are staged, sealed and tidied.

use engine::ports::{Placement, StagingKey, Store, StoreStatus};
use model::Digest;

use super::fixture::{
    ALL_LEFTOVERS, MODIFIED, StoreFixture, chunks, content, digest, key, length, publication, seal,
};
use crate::simulator::conformance::{Checked, ensure, message, same};

pub(super) async fn a_sealed_file_is_described_and_not_visible<P: StoreFixture>(fixture: &P) -> Checked {
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
    same("length of ranges", &store.properties().range_length, &4096)?;
    same(
        "digests of the ranges",
        &digests,
        &vec![digest(first), digest(second)],
    )
}

pub(super) async fn only_the_same_version_is_resumed_from_whole_ranges<P: StoreFixture>(
    fixture: &P,
) -> Checked {
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
    // How much was proved before the first process ended is up to the store, as long as it is whole ranges of
    // the appended bytes.
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

pub(super) async fn discarded_files_leave_nothing<P: StoreFixture>(fixture: &P) -> Checked {
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

pub(super) async fn retiring_keeps_the_published_file<P: StoreFixture>(fixture: &P) -> Checked {
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

pub(super) async fn a_new_process_tidies_leftovers_of_the_last<P: StoreFixture>(fixture: &P) -> Checked {
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
