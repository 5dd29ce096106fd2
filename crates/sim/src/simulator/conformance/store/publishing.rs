//! Files that become visible.

use engine::ports::{Obstacle, Placement, PublishFault, StagingKey, Store, StoreStatus};

use super::fixture::{
    ALL_LEFTOVERS, MODIFIED, StoreFixture, chunks, content, foresee, key, length, publication, publish, seal,
};
use crate::simulator::conformance::{Checked, ensure, message, path, same};

pub(super) async fn a_published_file_is_visible_and_whole<P: StoreFixture>(fixture: &P) -> Checked {
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

pub(super) async fn a_taken_name_is_never_replaced<P: StoreFixture>(fixture: &P) -> Checked {
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

pub(super) async fn an_obstructed_folder_is_reported_by_its_depth<P: StoreFixture>(fixture: &P) -> Checked {
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

pub(super) async fn nothing_is_published_into_the_control_folder<P: StoreFixture>(fixture: &P) -> Checked {
    let store = fixture.open();
    for name in [".gleaner", ".gleaner/store.toml", ".GLEANER/x", ".gleaner. /x"] {
        let found = publish(&store, b"what", name).await?;
        ensure(matches!(found, Err(PublishFault::Unacceptable(_))), || {
            format!("{name}: {found:?}")
        })?;
    }
    store.condition().await.map_err(message).map(drop)
}

pub(super) async fn of_two_files_with_one_name_exactly_one_is_published<P: StoreFixture>(
    fixture: &P,
) -> Checked {
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

pub(super) async fn a_folder_that_staging_cannot_link_to_gets_its_files<P: StoreFixture>(
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
