//! Files without an admissible name in the store, and rows with paths too deep for any listing.

use engine::placement::LayoutPart;
use engine::ports::{Ledger as _, Reason, Record};
use model::{BatchId, Digest, FileState, Identity, LeaveReason, RelativePath, Timestamp};
use sim::simulator::device::Request::{Connect, Survey};

use crate::world::{TestWorld, reasons};

fn deep(folders: usize) -> String {
    format!("{}name", "f/".repeat(folders))
}

fn world_with_folders_by_device(files: &[(&str, &[u8])]) -> TestWorld {
    let mut world = TestWorld::with_files(files);
    world.rules.rules.layout.parts = vec![
        LayoutPart::Device,
        LayoutPart::Literal("/".into()),
        LayoutPart::Path,
    ];
    world
}

#[tokio::test(start_paused = true)]
async fn a_file_without_an_admissible_store_name_stays_and_says_why() {
    let (deepest, too_deep) = (deep(126), deep(127));
    let world = world_with_folders_by_device(&[(&deepest, b"one"), (&too_deep, b"two")]);
    let summary = world.sweep().await;
    assert_eq!(world.on_device(), [too_deep.as_str()]);
    assert_eq!(reasons(&summary), [Reason::Leave(LeaveReason::Name)]);
    let remaining = summary.passes[0].1.remaining.as_ref().unwrap();
    assert_eq!(
        (
            remaining.files[0].path.as_str(),
            remaining.files[0].detail.as_deref()
        ),
        (
            too_deep.as_str(),
            Some("its name in the store: the path is more than 127 folders deep")
        )
    );
    world.device().requests.begun.clear();
    world.sweep().await;
    let requests = world.device().requests.begun.clone();
    assert_eq!(requests, [Connect, Survey], "it is not touched");
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_file_without_an_admissible_name_is_not_fetched() {
    let withdrawn = format!("{}.gleaner-withdrawn~ledger0~p-1~name", "f/".repeat(127));
    let world = world_with_folders_by_device(&[(&withdrawn, b"one")]);
    let summary = world.sweep().await;
    assert_eq!(world.device().requests.begun, [Connect, Survey]);
    let remaining = summary.passes[0].1.remaining.as_ref().unwrap();
    assert_eq!(remaining.files[0].path, deep(127), "it is listed by its own name");
}

#[tokio::test(start_paused = true)]
async fn a_row_deeper_than_any_listing_is_not_considered_gone() {
    let world = TestWorld::with_files(&[("a", b"one")]);
    let half = RelativePath::new(deep(100)).unwrap();
    let record = Record {
        source: world.rules.sources[0].clone(),
        path: half.join(&half),
        identity: Identity {
            device_number: Some(1),
            inode: Some(7),
            size: 3,
            modified: Timestamp::EPOCH,
            changed: Some(Timestamp::EPOCH),
        },
        digest: Digest::from_bytes([7; 32]),
        device_digest: true,
        store_name: half.join(&half),
        already_stored: false,
        withdrawn: BatchId::new("p-1"),
        at: Timestamp::EPOCH,
    };
    let lease = world.begin_pass().await;
    world.ledger().record(&lease, vec![record]).await.unwrap();
    world.sweep().await;
    assert_eq!(world.states(), [FileState::Stored, FileState::Released]);
}
