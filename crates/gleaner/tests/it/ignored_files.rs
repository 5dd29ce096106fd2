//! Entries that are not recordings are not errors: those of the file system itself, and those that the
//! configuration excludes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use testbed::Session;

use crate::context::Fleet;
use crate::mounts::Mount;

const NOBODY: u32 = 65_534;

/// Makes a folder that only root may enter.
fn close_to_others(fleet: &Fleet, path: &str) {
    let folder = fleet.device(1).folder.join(path);
    fs::create_dir_all(&folder).expect("making a folder");
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).expect("closing the folder");
    if rustix::process::getuid().is_root() {
        chown(&folder, Some(0), Some(0)).expect("giving the folder to root");
    } else {
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o000)).expect("closing the folder");
    }
}

#[test]
fn folders_of_the_file_system_itself_are_not_an_error() {
    let fleet = Fleet::of(&[Session::Unprivileged]);
    let device = fleet.device(1);
    device.record("day/img.jpg", "picture");
    device.write("System Volume Information/WPSettings.dat", b"windows");
    close_to_others(&fleet, "lost+found");
    for _ in 0..2 {
        fleet.sweep().exits(0);
    }
    fleet.assert_nothing_lost();
    fleet.assert_store_holds(&[("device1/day/img.jpg", "picture")]);
    assert_eq!(device.paths().len(), 1, "{:?}", device.paths());
    fleet.assert_left("device1", "lost+found", "file-system");
}

#[test]
fn a_source_that_is_the_root_of_an_ext4_disk_is_emptied() {
    let fleet = Fleet::of(&[Session::Unprivileged]);
    let device = fleet.device(1);
    let Some(_card) = Mount::ext4(&device.folder, 16) else {
        return;
    };
    chown(&device.folder, Some(NOBODY), Some(NOBODY)).expect("giving the card to the login");
    assert!(device.folder.join("lost+found").exists());
    fleet.set("defaults.prune_empty", true);
    device.record("img.jpg", "picture");
    fleet.sweep().exits(0);
    assert!(device.is_empty() && device.folder.join("lost+found").exists());
    fleet.assert_all_gathered();
}

#[test]
fn exclude_applies_to_a_folder_that_cannot_be_listed() {
    let fleet = Fleet::of(&[Session::Unprivileged]);
    fleet.device(1).record("img.jpg", "picture");
    close_to_others(&fleet, ".Trash-0/files");
    close_to_others(&fleet, "day/secret");
    fleet.sweep().exits(1).says("day/secret").says("exclude");
    fleet.set("defaults.exclude", vec![".Trash-*", "/day/secret/"]);
    fleet.sweep().exits(0);
    fleet.assert_all_gathered();
}

#[test]
fn exclude_applies_to_names_that_cannot_be_stored() {
    let fleet = Fleet::new(1);
    let mut folder = fleet.device(1).folder.join("deep");
    for _ in 0..130 {
        folder.push("d");
    }
    fs::create_dir_all(&folder).expect("making folders");
    fs::write(folder.join("cache"), "cache").expect("writing");
    fleet.sweep().exits(1);
    fleet.set("defaults.exclude", vec!["/deep/"]);
    fleet.sweep().exits(0);
}
