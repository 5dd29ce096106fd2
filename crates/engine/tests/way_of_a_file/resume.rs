//! Which version of a file is gone on with.

use model::FailureClass;

use crate::FakeWorld;

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
