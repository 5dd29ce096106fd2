//! Which version of a file is gone on with.

use engine::ports::Abilities;
use model::FailureClass;

use crate::FakeWorld;
use crate::device::all_abilities;

#[test]
fn what_is_gone_on_with_is_the_very_same_version() {
    let world = FakeWorld::with_files(&[("a.np", b"first")]);
    world.devices.state().fails_at = Some(("fetch_together", FailureClass::Stalled));
    world.sweep();
    world.sweep();
    // Written to where it lies, with the same size and mtime: only its ctime tells.
    world.devices.state().write("a.np", b"other");
    world.devices.state().fails_at = None;
    world.sweep();
    let keys = world.store.keys.lock().unwrap().clone();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], keys[1], "an untouched file is gone on with");
    assert_ne!(keys[1], keys[2], "another version begins anew");
    assert_eq!(world.in_store(), [crate::pair("a.np", "other")]);
}

#[test]
fn only_what_the_device_digests_and_identifies_is_gone_on_with() {
    let alone = Abilities {
        reads_together: false,
        ..all_abilities()
    };
    for (abilities, is_gone_on_with) in [
        (alone, true),
        (
            Abilities {
                digests: false,
                ..alone
            },
            false,
        ),
    ] {
        let world = FakeWorld::with_files(&[("a.np", b"first")]);
        world.devices.state().abilities = Some(abilities);
        world.sweep();
        let keys = world.store.keys.lock().unwrap().clone();
        assert_eq!(
            keys.iter().map(|(_, resume)| *resume).collect::<Vec<_>>(),
            [is_gone_on_with]
        );
    }
}

#[test]
fn a_file_that_is_opened_after_it_was_verified_is_not_released() {
    let world = FakeWorld::with_files(&[("a.np", b"first")]);
    {
        let mut state = world.devices.state();
        // The looks after the withdrawal and after the fetch, and the one before the release.
        state.before_next("inspect", |_| {});
        state.before_next("inspect", |_| {});
        state.before_next("inspect", |state| {
            let open = state
                .files
                .values()
                .filter_map(|file| file.identity.inode)
                .collect();
            state.open = open;
        });
    }
    world.sweep();
    assert_eq!(world.on_device().len(), 1, "somebody has it open");
    assert_eq!(
        world.in_store(),
        [crate::pair("a.np", "first")],
        "what was verified is stored"
    );
    world.devices.state().open.clear();
    world.sweep();
    assert!(world.on_device().is_empty());
}
