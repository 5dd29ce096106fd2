//! Devices that can do less than a GNU system with a shell: they are emptied too, and gleaner waits longer in
//! place of the proofs that they cannot give.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use testbed::Session;

use crate::context::Fleet;
use crate::device::a_minute_ago;
use crate::names::awkward_names;
use crate::recording::content;

/// Empties a device of files of many sizes, names and depths.
#[track_caller]
fn is_emptied(session: Session) -> Fleet {
    let fleet = Fleet::of(&[session]);
    let device = fleet.device(1);
    device
        .record_many("day", 40, 3_000)
        .record("empty", "")
        .record("a/b/c/d", "deep");
    device
        .record("big", content("big", 9 << 20))
        .record("odd", content("odd", 32_768 * 3 + 1));
    for name in awkward_names() {
        device.record(Path::new("names").join(name), "awkward");
    }
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    assert_eq!(fleet.store_files().len(), fleet.manifest.len());
    fleet.assert_no_ssh_left();
    fleet
}

#[test]
fn a_device_with_a_gnu_shell_is_emptied() {
    is_emptied(Session::Gnu);
}

#[test]
fn a_device_with_busybox_is_emptied() {
    is_emptied(Session::Busybox);
}

#[test]
fn a_device_with_sftp_only_is_emptied() {
    is_emptied(Session::SftpOnly);
}

#[test]
fn a_device_with_sftp_in_a_chroot_is_emptied() {
    if !rustix::process::getuid().is_root() {
        return crate::mounts::skip("needs root to change the root of a session").unwrap_or_default();
    }
    is_emptied(Session::Chroot);
}

#[test]
fn a_device_with_a_noisy_shell_is_emptied() {
    is_emptied(Session::Noisy);
}

#[test]
fn a_device_with_a_login_that_is_not_root_is_emptied() {
    is_emptied(Session::Unprivileged);
}

#[test]
fn status_lists_the_shortcomings_of_a_lesser_device() {
    let fleet = Fleet::of(&[Session::Gnu, Session::SftpOnly, Session::Busybox]);
    fleet.sweep().exits(0);
    let lacks = |device: &str| {
        fleet.status_of(device)["shortcomings"]
            .as_array()
            .map_or(0, Vec::len)
    };
    assert_eq!(lacks("device1"), 0, "{:#}", fleet.status_of("device1"));
    assert!(
        lacks("device2") > lacks("device3"),
        "{:#}",
        fleet.status_of("device2")
    );
    assert!(lacks("device3") > 0, "{:#}", fleet.status_of("device3"));
}

#[test]
fn where_open_files_cannot_be_seen_files_wait_for_settle_blind() {
    let fleet = Fleet::of(&[Session::SftpOnly]);
    fleet.set("defaults.settle_blind", "1h");
    fleet.device(1).record("img.jpg", "picture");
    for _ in 0..2 {
        fleet.sweep().exits(0);
        assert_eq!(fleet.device(1).paths(), [Path::new("img.jpg")]);
    }
    fleet.set("defaults.settle_blind", "1s");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn a_writer_that_pauses_keeps_its_file_on_a_busybox_device() {
    let fleet = Fleet::of(&[Session::Busybox]);
    let device = fleet.device(1);
    let mut writer = File::create(device.folder.join("video.h264")).expect("creating");
    writer.write_all(b"header").expect("writing");
    device.set_modified("video.h264", a_minute_ago());
    fleet.sweep().exits(0);
    fleet.sweep().exits(0);
    assert_eq!(
        device.paths(),
        [Path::new("video.h264")],
        "an open file, by /proc, which BusyBox can read as well"
    );
    writer.write_all(b" and body").expect("writing");
    drop(writer);
    device.count_as_recorded("video.h264");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn a_writer_that_pauses_loses_nothing_where_open_files_cannot_be_seen() {
    let fleet = Fleet::of(&[Session::SftpOnly]);
    let device = fleet.device(1);
    fleet.set("defaults.settle_blind", "1h");
    let mut writer = File::create(device.folder.join("video.h264")).expect("creating");
    writer.write_all(b"header").expect("writing");
    device.set_modified("video.h264", a_minute_ago());
    fleet.sweep().exits(0);
    writer.write_all(b" and body").expect("writing");
    drop(writer);
    assert_eq!(device.paths(), [Path::new("video.h264")]);
    device
        .set_modified("video.h264", a_minute_ago())
        .count_as_recorded("video.h264");
    fleet.set("defaults.settle_blind", "1s");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn both_files_are_kept_if_a_lesser_device_uses_a_name_again() {
    for session in [Session::SftpOnly, Session::Busybox] {
        let fleet = Fleet::of(&[session]);
        let time = a_minute_ago();
        for content in ["first", "other"] {
            fleet
                .device(1)
                .record("img.jpg", content)
                .set_modified("img.jpg", time);
            fleet.sweep_until_emptied();
        }
        fleet.assert_all_gathered();
        assert_eq!(fleet.store_files().len(), 2);
    }
}

#[test]
fn files_on_another_file_system_in_the_source_are_withdrawn_there() {
    let fleet = Fleet::new(1);
    let device = fleet.device(1);
    let Some(_card) = crate::mounts::Mount::tmpfs(&device.folder.join("card"), 16) else {
        return;
    };
    device
        .record("card/img.jpg", "on the card")
        .record("card/day/b.jpg", "deeper")
        .record("c.jpg", "beside");
    fleet.sweep_until_emptied();
    fleet.assert_nothing_lost();
    fleet.assert_store_holds(&[
        ("device1/card/img.jpg", "on the card"),
        ("device1/card/day/b.jpg", "deeper"),
        ("device1/c.jpg", "beside"),
    ]);
    let left = fs::read_dir(device.folder.join("card/.gleaner-withdrawn"));
    assert!(left.is_err(), "a withdrawn folder is left on the card");
}

#[test]
fn tens_of_thousands_of_files_in_one_folder_are_gathered() {
    const FILES: usize = 30_000;
    let fleet = Fleet::without_store(&[Session::Gnu]);
    // In memory where possible: this is about numbers, not about the disk of this machine.
    let _store = crate::mounts::Mount::tmpfs(&fleet.store(), 1_024);
    fleet.init_store();
    let device = fleet.device(1);
    let folder = device.folder.join("day");
    fs::create_dir(&folder).expect("making a folder");
    let time = a_minute_ago();
    for number in 0..FILES {
        let file = File::create(folder.join(format!("{number:06}.jpg"))).expect("creating");
        (&file)
            .write_all(format!("picture {number}").as_bytes())
            .expect("writing");
        file.set_modified(time).expect("the time");
    }
    fleet.wait_until_settled();
    fleet
        .call(["run"])
        .within(std::time::Duration::from_mins(5))
        .run()
        .exits(0);
    fleet.assert_emptied();
    let stored = fleet.store_files();
    assert_eq!(stored.len(), FILES);
    for number in (0..FILES).step_by(997) {
        let path = fleet.store().join(format!("device1/day/{number:06}.jpg"));
        assert_eq!(
            fs::read_to_string(path).expect("stored"),
            format!("picture {number}")
        );
    }
}
