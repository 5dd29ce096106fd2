//! Devices whose SFTP server shows other folders than their shell, as a NAS does: gleaner uses SFTP alone,
//! and reports that.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::context::Fleet;
use crate::device::a_minute_ago;
use crate::recording::content;

/// A device that shows `other` in the place of `shown` to SFTP, or to its shell if not `to_sftp`. `None`
/// where it cannot be made.
fn two_views(shown: impl Fn(&Fleet) -> PathBuf, to_sftp: bool) -> Option<(Fleet, PathBuf)> {
    two_views_of(shown, to_sftp, "", "")
}

/// Like `two_views`, after some preparation by each login, and with more settings of its sshd.
fn two_views_of(
    shown: impl Fn(&Fleet) -> PathBuf,
    to_sftp: bool,
    preparation: &str,
    settings: &str,
) -> Option<(Fleet, PathBuf)> {
    if !rustix::process::getuid().is_root() {
        return crate::mounts::skip("needs root to mount");
    }
    let fleet = Fleet::new(1);
    let (shown, other) = (shown(&fleet), fleet.path("other"));
    fs::create_dir(&other).expect("making a folder");
    let elsewhere = format!(
        "exec unshare --mount sh -c 'mount --bind {} {} && exec sh -c \"$1\"' sh \"${{SSH_ORIGINAL_COMMAND:-sh}}\"",
        other.display(),
        shown.display()
    );
    let here = "exec sh -c \"${SSH_ORIGINAL_COMMAND:-sh}\"".to_owned();
    let (sftp, shell) = if to_sftp {
        (elsewhere, here)
    } else {
        (here, elsewhere)
    };
    force(
        &fleet,
        &format!(
            "{preparation}\ncase \"$SSH_ORIGINAL_COMMAND\" in *sftp-server*) {sftp} ;; *) {shell} ;; esac"
        ),
        settings,
    );
    Some((fleet, other))
}

/// Makes every login to the device run this script.
fn force(fleet: &Fleet, script: &str, settings: &str) {
    let file = fleet.path("device1/views");
    fs::write(&file, format!("{script}\n")).expect("writing a script");
    let lines = format!("ForceCommand exec sh {}\n{settings}", file.display());
    fleet.device(1).server.reconfigure(&lines);
}

fn source(fleet: &Fleet) -> PathBuf {
    fleet.device(1).folder.clone()
}

fn card(fleet: &Fleet) -> PathBuf {
    fleet.device(1).folder.parent().expect("a card").to_owned()
}

fn shortcomings(fleet: &Fleet) -> String {
    fleet.status_of("device1")["shortcomings"].to_string()
}

#[test]
fn a_source_that_only_the_shell_shows_is_reported_with_the_remedy() {
    let Some((fleet, _)) = two_views(card, true) else {
        return;
    };
    fleet
        .device(1)
        .record("img.raw", content("img", 2 << 20))
        .record("small", "small");
    for _ in 0..2 {
        let outcome = fleet.sweep().exits(1);
        outcome
            .says("does not exist for the device's SFTP server")
            .says("as `sftp` shows it");
        assert_eq!(fleet.class_of("device1").as_deref(), Some("source-missing"));
        assert_eq!(
            fleet.device(1).paths(),
            [Path::new("img.raw"), Path::new("small")]
        );
    }
    fleet.assert_nothing_lost();
}

#[test]
fn a_source_that_only_sftp_shows_is_emptied_by_sftp_alone() {
    let Some((fleet, _)) = two_views(card, false) else {
        return;
    };
    fleet
        .device(1)
        .record("img.raw", content("img", 2 << 20))
        .record("day/small", "small");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    assert!(
        shortcomings(&fleet).contains("other folders than its shell"),
        "{}",
        shortcomings(&fleet)
    );
    fleet.gleaner(["status", "device1"]).says("only SFTP is used");
}

#[test]
fn where_both_show_a_folder_the_one_of_sftp_is_emptied() {
    // The device permits SFTP and one shell channel.
    let Some((fleet, other)) = two_views_of(source, true, "", "MaxSessions 2") else {
        return;
    };
    let device = fleet.device(1);
    // gleaner distinguishes the folders by their modification times.
    fs::write(other.join("img.raw"), content("of sftp", 2 << 20)).expect("writing");
    let files = [
        (other.join("img.raw"), a_minute_ago()),
        (other.clone(), SystemTime::UNIX_EPOCH),
    ];
    for (path, time) in files {
        fs::File::open(path)
            .expect("opening")
            .set_modified(time)
            .expect("setting the time");
    }
    device.write("img.raw", &content("of the shell", 2 << 20));
    fleet.sweep().exits(0);
    std::thread::sleep(crate::context::SETTLE);
    fleet.sweep().exits(0);
    fleet.assert_store_holds(&[("device1/img.raw", content("of sftp", 2 << 20))]);
    assert_eq!(
        device.paths(),
        [Path::new("img.raw")],
        "what the shell shows is not touched"
    );
    assert!(fs::read_dir(&device.folder).expect("the source").count() == 1);
    assert!(shortcomings(&fleet).contains("other folders than its shell"));
}

/// Gives both folders one modification time, as in images that are built reproducibly.
fn modified_together(folders: [&Path; 2]) {
    for folder in folders {
        let folder = fs::File::open(folder).expect("opening");
        folder
            .set_modified(SystemTime::UNIX_EPOCH)
            .expect("setting the time");
    }
}

#[test]
fn two_folders_of_one_second_are_distinguished_before_a_file_is_renamed() {
    let Some((fleet, other)) = two_views(source, true) else {
        return;
    };
    let device = fleet.device(1);
    fs::write(other.join("of sftp"), content("of sftp", 2 << 20)).expect("writing");
    let file = fs::File::open(other.join("of sftp")).expect("opening");
    file.set_modified(a_minute_ago()).expect("setting the time");
    device.record("img.raw", content("img", 2 << 20));
    modified_together([&device.folder, &other]);
    for _ in 0..2 {
        fleet.sweep().exits(0);
        std::thread::sleep(crate::context::SETTLE);
        assert_eq!(device.paths(), [Path::new("img.raw")]);
        assert!(!device.folder.join(".gleaner-withdrawn").exists());
        // The trial has modified the folder that SFTP shows. Its time is set back, as if the next pass came a
        // minute later.
        let folder = fs::File::open(&other).expect("the folder of SFTP");
        folder.set_modified(a_minute_ago()).expect("setting the time");
    }
    fleet.assert_store_holds(&[("device1/of sftp", content("of sftp", 2 << 20))]);
    assert_eq!(fs::read_dir(&other).expect("the folder of SFTP").count(), 0);
    assert!(shortcomings(&fleet).contains("other folders than its shell"));
}

#[test]
fn views_are_compared_where_sftp_lists_and_the_shell_only_inspects() {
    // GNU stat with BusyBox find, as on many NAS devices.
    let tools = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink("/usr/bin/busybox", tools.path().join("find")).expect("a link");
    let preparation = format!("PATH={}:$PATH; export PATH", tools.path().display());
    let Some((fleet, other)) = two_views_of(source, true, &preparation, "") else {
        return;
    };
    let device = fleet.device(1);
    device.write("img.raw", &content("of the shell", 2 << 20));
    fs::write(other.join("img.raw"), content("of sftp", 2 << 20)).expect("writing");
    let file = fs::File::open(other.join("img.raw")).expect("opening");
    file.set_modified(a_minute_ago()).expect("setting the time");
    modified_together([&device.folder, &other]);
    fleet.sweep();
    std::thread::sleep(crate::context::SETTLE);
    fleet.sweep().exits(0);
    fleet.assert_store_holds(&[("device1/img.raw", content("of sftp", 2 << 20))]);
    assert_eq!(device.paths(), [Path::new("img.raw")]);
    assert!(shortcomings(&fleet).contains("other folders than its shell"));
}

#[test]
fn a_source_that_changes_all_the_time_is_not_another_view() {
    let fleet = Fleet::new(1);
    let device = fleet.device(1);
    device.record_many("day", 30, 2_000);
    let folder = fs::File::open(&device.folder).expect("the source");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut seconds = 1_000_000_000;
            while !done.load(Ordering::Relaxed) {
                seconds += 1;
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
                folder.set_modified(time).expect("setting the time");
                std::thread::yield_now();
            }
        });
        fleet.sweep().exits(0);
        done.store(true, Ordering::Relaxed);
    });
    fleet.assert_all_gathered();
    assert_eq!(shortcomings(&fleet), "[]");
}
