//! Two configured names that lead to one source folder: only the first is served, and nothing is stored under
//! the other.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;

use testbed::Session;

use crate::context::{Fleet, SETTLE};

/// Makes the alias of the first device lead to the second, as a wrong `Port` does. On real devices the
/// sources have one path.
fn with_wrong_port(fleet: &Fleet) {
    let (one, two) = (fleet.device(1), fleet.device(2));
    let [wrong, right] = [one, two].map(|device| device.server.port().to_string());
    let config = fs::read_to_string(fleet.path("ssh_config")).expect("ssh_config");
    fs::write(fleet.path("ssh_config"), config.replace(&wrong, &right)).expect("ssh_config");
    fleet.set("device1.source", two.source.as_str());
}

fn folders_in_store(fleet: &Fleet) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(fleet.store())
        .expect("the store")
        .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

#[test]
fn a_name_that_leads_to_a_known_device_touches_nothing_there() {
    for session in [Session::Gnu, Session::Busybox] {
        let fleet = Fleet::of(&[session, session]);
        fleet.sweep().exits(0);
        with_wrong_port(&fleet);
        fleet.device(2).record("img.jpg", "of the second");
        fleet.wait_until_settled();
        for dry in [true, false] {
            let call = ["run", "--device", "device1"];
            let outcome = fleet
                .gleaner(call.into_iter().chain(dry.then_some("--dry-run")))
                .exits(1);
            outcome
                .says("device1 leads to the folder that device2 led to")
                .says("ssh -G");
        }
        assert_eq!(fleet.class_of("device1").as_deref(), Some("same-device"));
        assert_eq!(fleet.device(2).paths().len(), 1);
        fleet.sweep().exits(1).says("Port");
        assert_eq!(fleet.class_of("device2"), None);
        if session == Session::Busybox {
            // gleaner must survey the file a second time.
            thread::sleep(SETTLE);
            fleet.sweep().exits(1);
        }
        fleet.assert_all_gathered();
        assert_eq!(folders_in_store(&fleet), ["device2"]);
        fleet
            .gleaner(["status", "device1"])
            .says("same-device")
            .says("device2");
    }
}

#[test]
fn in_one_sweep_two_names_of_one_folder_store_each_file_once() {
    let fleet = Fleet::new(2);
    with_wrong_port(&fleet);
    fleet.device(2).record_many("day", 20, 2_000);
    for _ in 0..2 {
        fleet.sweep().exits(1);
        let refused = ["device1", "device2"].map(|name| fleet.class_of(name));
        let expected = Some("same-device".to_owned());
        assert_eq!(
            refused.iter().filter(|class| **class == expected).count(),
            1,
            "{refused:?}"
        );
        assert_eq!(
            refused.iter().filter(|class| class.is_none()).count(),
            1,
            "{refused:?}"
        );
        assert_eq!(folders_in_store(&fleet).len(), 1);
        assert_eq!(fleet.store_files().len(), 20);
    }
    assert!(fleet.device(2).is_empty());
}

#[test]
fn once_the_port_is_right_both_names_are_served() {
    let fleet = Fleet::new(2);
    let config = fs::read_to_string(fleet.path("ssh_config")).expect("ssh_config");
    fleet.sweep().exits(0);
    with_wrong_port(&fleet);
    fleet.sweep().exits(1);
    fs::write(fleet.path("ssh_config"), config).expect("ssh_config");
    fleet.set("device1.source", fleet.device(1).source.as_str());
    fleet.device(1).record("img.jpg", "of the first");
    fleet.device(2).record("img.jpg", "of the second");
    fleet.sweep().exits(0);
    fleet.assert_all_gathered();
    assert_eq!(folders_in_store(&fleet), ["device1", "device2"]);
}

#[test]
fn a_corrected_port_refuses_no_device_while_its_own_device_is_off() {
    let fleet = Fleet::new(2);
    let config = fs::read_to_string(fleet.path("ssh_config")).expect("ssh_config");
    with_wrong_port(&fleet);
    fleet.gleaner(["run", "--device", "device1"]).exits(0);
    fleet
        .gleaner(["run", "--device", "device2"])
        .exits(1)
        .says("device2 leads to the folder that device1 led to");
    // Both sources keep their one path, as on real devices.
    fs::write(fleet.path("ssh_config"), config).expect("ssh_config");
    fleet.device(1).server.stop();
    fleet.device(2).record("img.jpg", "of the second");
    fleet.sweep().exits(5);
    assert_eq!(fleet.class_of("device2"), None);
    assert!(fleet.device(2).is_empty());
    assert_eq!(folders_in_store(&fleet), ["device2"]);

    // The second device keeps its claim, even if the other name leads there again.
    with_wrong_port(&fleet);
    fleet.device(2).record("other.jpg", "of the second");
    fleet.sweep().exits(1);
    assert_eq!(fleet.class_of("device1").as_deref(), Some("same-device"));
    assert_eq!(folders_in_store(&fleet), ["device2"]);
}

#[test]
fn a_source_that_is_a_link_to_another_source_is_refused_by_name() {
    let fleet = Fleet::new(1);
    let device = fleet.device(1);
    device.record("img.jpg", "picture");
    let link = fleet.path("device1/link");
    symlink(&device.folder, &link).expect("a link");
    let link = link.to_str().expect("a plain path").to_owned();
    fleet.set("device1.source", vec![device.source.clone(), link.clone()]);
    fleet.sweep().exits(1).says(&link).says("are one folder");
    assert_eq!(fleet.class_of("device1").as_deref(), Some("same-device"));
    fleet.assert_all_gathered();
    assert_eq!(fleet.store_files().len(), 1);
}
