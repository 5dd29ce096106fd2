//! Files that can have no name in the store, and files that the ledger names deeper than a path may be.

use engine::placement::LayoutPart;
use engine::ports::{Reason, Record, RowId};
use model::{Digest, FileState, LeaveReason, PassId, RelativePath};

use crate::FakeWorld;
use crate::home::Row;

fn deep(folders: usize) -> String {
    format!("{}name", "f/".repeat(folders))
}

fn world_with_folders_by_device(files: &[(&str, &[u8])]) -> FakeWorld {
    let mut world = FakeWorld::with_files(files);
    world.rules.rules.layout.parts = vec![
        LayoutPart::Device,
        LayoutPart::Literal("/".into()),
        LayoutPart::Path,
    ];
    world
}

#[test]
fn a_file_that_can_have_no_name_in_the_store_stays_where_it_is_and_says_why() {
    let (deepest, too_deep) = (deep(126), deep(127));
    let world = world_with_folders_by_device(&[(&deepest, b"one"), (&too_deep, b"two")]);
    let summary = world.sweep();
    assert_eq!(world.on_device(), [too_deep.as_str()]);
    assert_eq!(FakeWorld::reasons(&summary), [Reason::Leave(LeaveReason::Name)]);
    let standing = summary.passes[0].1.standing.as_ref().unwrap();
    assert_eq!(
        (
            standing.files[0].path.as_str(),
            standing.files[0].detail.as_deref()
        ),
        (
            too_deep.as_str(),
            Some("its name in the store: the path is more than 127 folders deep")
        )
    );
    world.devices.state().requests.clear();
    world.sweep();
    assert_eq!(
        world.devices.state().requests,
        ["connect", "survey"],
        "it is not touched"
    );
}

#[test]
fn a_file_that_was_withdrawn_and_can_have_no_name_is_not_fetched_in_every_pass() {
    let withdrawn = format!("{}.gleaner-withdrawn~ours~p-1~name", "f/".repeat(127));
    let world = world_with_folders_by_device(&[(&withdrawn, b"one")]);
    let summary = world.sweep();
    assert_eq!(world.devices.state().requests, ["connect", "survey"]);
    let standing = summary.passes[0].1.standing.as_ref().unwrap();
    assert_eq!(standing.files[0].path, deep(127), "it is told by its own name");
}

#[test]
fn a_file_that_lies_deeper_than_a_listing_tells_is_not_taken_for_gone() {
    let world = FakeWorld::with_files(&[("a", b"one")]);
    let half = RelativePath::new(deep(100)).unwrap();
    let record = Record {
        pass: RowId(0),
        device: world.rules.name.clone(),
        source: world.rules.sources[0].clone(),
        path: half.join(&half),
        identity: world.devices.state().files["a"].identity,
        digest: Digest::from_bytes([7; 32]),
        device_digest: true,
        store_name: half.join(&half),
        was_there: false,
        withdrawn: PassId::new("p-1"),
        at: model::Timestamp::from_seconds(0),
    };
    let state = FileState::Stored;
    world.ledger.rows.lock().unwrap().push(Row { record, state });
    world.sweep();
    assert_eq!(world.states(), [FileState::Stored, FileState::Released]);
}
