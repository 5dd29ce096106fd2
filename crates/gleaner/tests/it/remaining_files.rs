//! Files that cannot leave their device are stored once and remain, with the true cause and a remedy that
//! helps. All others leave, even if timers or other logins act on the device.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use testbed::{Session, Tap};

use crate::context::Fleet;
use crate::mounts::{Mount, skip};
use crate::recording::content;

const NOBODY: u32 = 65_534;

fn chattr(flag: &str, path: &Path) {
    let done = Command::new("chattr")
        .arg(flag)
        .arg(path)
        .status()
        .expect("running chattr");
    assert!(done.success(), "chattr {flag} {}", path.display());
}

/// A device whose source is a file system of its own, so that files that cannot be removed disappear with it.
fn with_ext4(session: Session) -> Option<(Fleet, Mount)> {
    let fleet = Fleet::of(&[session]);
    let card = Mount::ext4(&fleet.device(1).folder, 16)?;
    if session == Session::Unprivileged {
        chown(&fleet.device(1).folder, Some(NOBODY), Some(NOBODY)).expect("giving the card to the login");
    }
    Some((fleet, card))
}

/// Sweeps twice, and asserts that these files are stored, stay in place, and are reported with the remedy.
#[track_caller]
fn assert_remain(fleet: &Fleet, paths: &[&str], reason: &str, remedy: &str) {
    for _ in 0..2 {
        fleet.sweep().exits(1).says(remedy);
        for path in paths {
            fleet.assert_left("device1", path, reason);
        }
        assert_eq!(fleet.store_files().len(), paths.len());
        assert_eq!(
            fleet.device(1).paths().len(),
            paths.len(),
            "{}",
            fleet.left_files()
        );
        assert!(
            fleet
                .device(1)
                .paths()
                .iter()
                .all(|path| paths.iter().any(|left| path == Path::new(left)))
        );
    }
    fleet.gleaner(["status", "device1"]).says(remedy);
}

#[test]
fn immutable_and_append_only_files_are_reported_with_the_remedy() {
    for session in [Session::Gnu, Session::Unprivileged] {
        let Some((fleet, _card)) = with_ext4(session) else {
            return;
        };
        let device = fleet.device(1);
        device
            .record("fixed.jpg", "fixed")
            .record("day/log.txt", "log")
            .record("kept/in.jpg", "in");
        let marks = [("i", "fixed.jpg"), ("a", "day/log.txt"), ("i", "kept")];
        for (flag, path) in marks {
            chattr(&format!("+{flag}"), &device.folder.join(path));
        }
        assert_remain(
            &fleet,
            &["fixed.jpg", "day/log.txt", "kept/in.jpg"],
            "immutable",
            "chattr -i -a",
        );
        for (flag, path) in marks {
            chattr(&format!("-{flag}"), &device.folder.join(path));
        }
        fleet.sweep_until_emptied();
        fleet.assert_all_gathered();
        assert_eq!(fleet.store_files().len(), 3);
    }
}

#[test]
fn files_of_others_in_a_sticky_folder_are_reported_with_the_remedy() {
    if !rustix::process::getuid().is_root() {
        return skip("needs root to make files of others").unwrap_or_default();
    }
    let fleet = Fleet::of(&[Session::Unprivileged]);
    let device = fleet.device(1);
    device.record("shared/theirs.jpg", "theirs");
    let folder = device.folder.join("shared");
    chown(folder.join("theirs.jpg"), Some(1234), None).expect("giving a file away");
    chown(&folder, Some(0), Some(0)).expect("giving the folder away");
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o1777)).expect("the sticky bit");
    assert_remain(&fleet, &["shared/theirs.jpg"], "sticky", "chmod -t");
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).expect("no sticky bit");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn an_unwritable_folder_is_distinguished_from_immutable_files() {
    let fleet = Fleet::of(&[Session::Unprivileged]);
    fleet.device(1).record("locked/a.jpg", "a");
    let folder = fleet.device(1).folder.join("locked");
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o555)).expect("locking the folder");
    assert_remain(
        &fleet,
        &["locked/a.jpg"],
        "folder-unwritable",
        "let the login user write the folder",
    );
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).expect("unlocking the folder");
}

#[test]
fn after_root_another_login_releases_files_and_names_roots_folder() {
    if !rustix::process::getuid().is_root() {
        return skip("needs root to serve as root first").unwrap_or_default();
    }
    let fleet = Fleet::of(&[Session::Unprivileged]);
    let device = fleet.device(1);
    fleet.tap(1);
    device.server.reconfigure("ForceCommand none");
    device.record_many("old", 60, 200_000);
    device.link(|tap| tap.cut_after(3_000_000));
    fleet.sweep();
    device.link(Tap::heal);
    let withdrawn = device.folder.join(".gleaner-withdrawn");
    assert!(withdrawn.exists() && fs::read_dir(&withdrawn).expect("root's folder").count() > 0);
    let login = format!("ForceCommand exec sh {}", fleet.path("device1/login").display());
    device.server.reconfigure(&login);
    let left_by_root = device.paths().len();
    device.record("new.jpg", "new").record("day/new.jpg", "also new");
    let outcome = fleet
        .sweep()
        .exits(1)
        .says("chown -R")
        .says("unknown number of files");
    fleet.assert_left("device1", ".gleaner-withdrawn", "withdrawn-unreadable");
    assert!(
        !device.folder.join("new.jpg").exists(),
        "{}",
        outcome.transcript()
    );
    assert!(
        !device.folder.join("day/new.jpg").exists(),
        "{}",
        outcome.transcript()
    );
    let in_place = device
        .paths()
        .iter()
        .filter(|path| !path.starts_with(".gleaner-withdrawn"))
        .count();
    assert_eq!(
        in_place,
        0,
        "{left_by_root} were left by root\n{}",
        fleet.left_files()
    );
    fleet.assert_nothing_lost();
    let given = Command::new("chown")
        .args(["-R", "65534:65534"])
        .arg(&withdrawn)
        .status()
        .expect("chown");
    assert!(given.success());
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn a_timer_that_removes_empty_folders_causes_no_error() {
    for session in [Session::Gnu, Session::SftpOnly] {
        let fleet = Fleet::of(&[session]);
        let device = fleet.device(1);
        for number in 0..40 {
            device.record(
                format!("{}/{number:02}/img.jpg", number % 5),
                content(&number.to_string(), 2_000),
            );
        }
        device.record("img.jpg", "in the source itself");
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let find = Command::new("find")
                            .arg(&device.folder)
                            .args(["-mindepth", "1", "-depth", "-type", "d", "-empty", "-delete"])
                            .output()
                            .expect("find");
                        drop(find);
                    }
                });
            }
            let sweeps = if session == Session::SftpOnly { 2 } else { 1 };
            for _ in 0..sweeps {
                fleet.sweep().exits(0);
                thread::sleep(crate::context::SETTLE);
            }
            done.store(true, Ordering::Relaxed);
        });
        fleet.sweep_until_emptied();
        fleet.assert_all_gathered();
    }
}
