//! Cameras write while gleaner runs: no unfinished file is taken, and no finished file is torn.

use std::fs::{self, File};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use testbed::Session;

use crate::context::{Fleet, SETTLE};
use crate::device::a_minute_ago;
use crate::disk::{Disk, Medium};
use crate::recording::{content, digest};

const DAY: Duration = Duration::from_hours(24);

#[test]
fn a_file_that_was_just_touched_waits_until_it_has_settled() {
    let fleet = Fleet::new(1);
    fleet
        .set("defaults.settle", "20s")
        .set("defaults.settle_blind", "20s");
    fleet
        .device(1)
        .record("img.jpg", "picture")
        .set_modified("img.jpg", SystemTime::now());
    fleet.gleaner(["run"]).exits(0);
    assert_eq!(fleet.device(1).paths().len(), 1);
    fleet.assert_waits("device1", "img.jpg", "settling");
    fleet
        .set("defaults.settle", "1s")
        .set("defaults.settle_blind", "1s");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn a_writer_that_pauses_longer_than_settle_keeps_its_file() {
    let fleet = Fleet::new(1);
    let device = fleet.device(1);
    let path = device.folder.join("video.h264");
    let mut writer = File::create(&path).expect("creating");
    writer.write_all(b"header").expect("writing");
    device.set_modified("video.h264", a_minute_ago());
    device.record("other.jpg", "finished");
    fleet.sweep().exits(0);
    assert_eq!(
        device.paths(),
        [std::path::Path::new("video.h264")],
        "only the open file stays, in place"
    );
    fleet.assert_waits("device1", "video.h264", "open");
    writer.write_all(b" and body").expect("writing");
    drop(writer);
    device.count_as_recorded("video.h264");
    fleet.sweep_until_emptied();
    fleet.assert_store_holds(&[
        ("device1/video.h264", "header and body"),
        ("device1/other.jpg", "finished"),
    ]);
}

#[test]
fn a_file_that_is_open_under_another_name_counts_as_open() {
    let fleet = Fleet::new(1);
    let device = fleet.device(1);
    fs::write(device.folder.join("before"), "header").expect("writing");
    let writer = File::options()
        .append(true)
        .open(device.folder.join("before"))
        .expect("opening");
    fs::rename(device.folder.join("before"), device.folder.join("after")).expect("renaming");
    device.set_modified("after", a_minute_ago());
    fleet.sweep().exits(0);
    assert_eq!(device.paths(), [std::path::Path::new("after")]);
    drop(writer);
    device.count_as_recorded("after");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn an_open_file_on_another_file_system_with_the_same_inode_is_ignored() {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    let card = fleet.device(1).folder.parent().expect("the card").to_owned();
    // gleaner runs on the same machine here, and has a part of its ledger mapped as long as it runs. On a
    // fresh ext4 that file has one of the first inodes, and so has one of these files.
    let (Some(_ledger), Some(_card)) = (
        Disk::at(&fleet.path("ledger"), Medium::Image, 16),
        Disk::at(&card, Medium::Memory, 16),
    ) else {
        return;
    };
    fleet.init_store();
    fleet.device(1).record_many("day", 60, 100);
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn a_file_that_a_process_only_reads_is_not_torn() {
    let fleet = Fleet::new(1);
    fleet.device(1).record("img.jpg", "picture");
    let reader = File::open(fleet.device(1).folder.join("img.jpg")).expect("opening");
    fleet.sweep();
    drop(reader);
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn a_file_that_grows_for_seconds_is_stored_whole() {
    let fleet = Fleet::new(1);
    // Longer than a busy machine makes the writer pause.
    fleet
        .set("defaults.settle", "4s")
        .set("defaults.settle_blind", "4s");
    let path = fleet.device(1).folder.join("growing.log");
    fs::write(&path, "0\n").expect("writing");
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            // Opened anew for each line, so that no process has it open between the lines. Never created
            // anew, so that a withdrawn file is not begun again.
            for line in 1..40 {
                let Ok(mut file) = File::options().append(true).open(&path) else {
                    return line;
                };
                writeln!(file, "{line}").expect("writing");
                thread::sleep(Duration::from_millis(100));
            }
            40
        });
        while !writer.is_finished() {
            fleet.gleaner(["run"]).exits(0);
        }
        assert_eq!(
            writer.join().expect("the writer"),
            40,
            "the file was taken while it grew"
        );
    });
    fleet.device(1).count_as_recorded("growing.log");
    fleet
        .set("defaults.settle", "1s")
        .set("defaults.settle_blind", "1s");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

struct SetOnDrop<'flag>(&'flag AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Replaces a name atomically many times a second, with unchanged size and mtime, while gleaner sweeps. Every
/// version that gleaner took, and the last one, must be accounted for. The writer itself has destroyed the
/// others.
fn replaced_while_sweeping(session: Session) {
    let fleet = Fleet::of(&[session]);
    let device = fleet.device(1);
    let (name, spare) = (device.folder.join("latest.jpg"), device.folder.join("../spare"));
    let time = a_minute_ago();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut version = 0;
            let mut current: Option<Vec<u8>> = None;
            while !done.load(Ordering::Relaxed) {
                version += 1;
                let next = format!("version {version:08}").into_bytes();
                fs::remove_file(&spare).unwrap_or_default();
                fs::write(&spare, &next).expect("writing");
                let file = File::options().write(true).open(&spare).expect("opening");
                file.set_modified(time).expect("setting the time");
                // The exchange succeeds if the previous version was still there; the writer then destroys it.
                if renameat_with(CWD, &spare, CWD, &name, RenameFlags::EXCHANGE).is_err() {
                    if let Some(taken) = current.take() {
                        device.record_taken("latest.jpg", &taken);
                    }
                    fs::rename(&spare, &name).expect("renaming");
                }
                current = Some(next);
                thread::sleep(Duration::from_millis(3));
            }
        });
        // Ends the writer even if an assertion fails; otherwise the scope would wait for it indefinitely.
        let _end = SetOnDrop(&done);
        let began = Instant::now();
        // On a busy machine it takes longer until gleaner takes a version.
        let enough = |elapsed: Duration| elapsed >= Duration::from_secs(6) && fleet.manifest.len() > 0;
        while !enough(began.elapsed()) && began.elapsed() < Duration::from_mins(1) {
            fleet.gleaner(["run"]).exits(0);
        }
    });
    assert!(
        fleet.manifest.len() > 0,
        "no version was taken while the writer was at work"
    );
    fleet.device(1).count_as_recorded("latest.jpg");
    fs::remove_file(&spare).unwrap_or_default();
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn a_name_replaced_many_times_a_second_loses_no_version() {
    replaced_while_sweeping(Session::Gnu);
}

#[test]
fn with_times_in_whole_seconds_a_name_replaced_often_loses_no_version() {
    replaced_while_sweeping(Session::SftpOnly);
}

#[test]
fn a_file_from_the_future_is_gathered_after_a_second_survey() {
    let fleet = Fleet::new(1);
    fleet
        .device(1)
        .record("img.jpg", "picture")
        .set_modified("img.jpg", SystemTime::now() + 3 * DAY);
    fleet.sweep().exits(0);
    fleet.assert_nothing_lost();
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn a_file_from_before_the_device_started_is_gathered() {
    let fleet = Fleet::new(1);
    fleet
        .device(1)
        .record("old.jpg", "old")
        .set_modified("old.jpg", SystemTime::UNIX_EPOCH + 365 * DAY);
    fleet
        .device(1)
        .record("epoch.jpg", "epoch")
        .set_modified("epoch.jpg", SystemTime::UNIX_EPOCH);
    fleet
        .device(1)
        .record("earlier.jpg", "earlier")
        .set_modified("earlier.jpg", SystemTime::UNIX_EPOCH - DAY);
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn files_that_appear_vanish_or_are_cut_short_during_a_sweep_do_no_harm() {
    let fleet = Fleet::new(1);
    let device = fleet.device(1);
    device.record_many("stable", 200, 20_000);
    for number in 0..200 {
        let name = format!("volatile/{number:03}");
        device.write(&name, &content(&name, 20_000));
        fleet.manifest.allow(digest(&content(&name, 20_000)));
        fleet.manifest.allow(digest(&content(&name, 10)));
    }
    fleet.wait_until_settled();
    let running = fleet.start(["run"]);
    for number in 0..200 {
        let name = format!("volatile/{number:03}");
        let path = device.folder.join(&name);
        match number % 2 {
            0 => drop(fs::remove_file(&path)),
            // Cuts only a file in place: through a handle that is closed at once.
            _ => drop(
                File::options()
                    .write(true)
                    .open(&path)
                    .and_then(|file| file.set_len(10)),
            ),
        }
        device.record(
            format!("new/{number:03}"),
            content(&format!("new {number}"), 5_000),
        );
        thread::sleep(Duration::from_millis(5));
    }
    let outcome = running.wait();
    assert!(matches!(outcome.code(), Some(0 | 1)), "{}", outcome.transcript());
    fleet.assert_nothing_lost();
    fleet.assert_store_true();
    thread::sleep(SETTLE);
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
}

#[test]
fn empty_and_sparse_files_arrive_as_they_are() {
    let fleet = Fleet::new(1);
    let device = fleet.device(1);
    device.record("empty", "");
    let sparse = device.folder.join("sparse");
    let file = File::create(&sparse).expect("creating");
    file.set_len(40 << 20).expect("sizing");
    drop(file);
    device
        .set_modified("sparse", a_minute_ago())
        .count_as_recorded("sparse");
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    assert_eq!(
        fs::metadata(fleet.store().join("device1/sparse"))
            .expect("stored")
            .len(),
        40 << 20
    );
    assert_eq!(
        fs::metadata(fleet.store().join("device1/empty"))
            .expect("stored")
            .len(),
        0
    );
}

#[test]
fn where_a_done_suffix_is_set_files_wait_for_their_marker() {
    let fleet = Fleet::new(1);
    fleet.set("defaults.done_suffix", ".done");
    fleet
        .device(1)
        .record("a.jpg", "a")
        .record("b.jpg", "b")
        .write("a.jpg.done", b"");
    fleet.manifest.allow(digest(b""));
    fleet.sweep();
    assert!(
        fleet
            .store_files()
            .contains_key(std::path::Path::new("device1/a.jpg"))
    );
    assert!(
        !fleet
            .store_files()
            .contains_key(std::path::Path::new("device1/b.jpg"))
    );
    fleet.assert_waits("device1", "b.jpg", "not-marked-done");
    fleet.assert_nothing_lost();
}

#[test]
fn excluded_files_stay_where_they_are() {
    let fleet = Fleet::new(1);
    fleet.set("defaults.exclude", vec!["*.tmp", "/thumbnails/"]);
    fleet
        .device(1)
        .record("a.jpg", "a")
        .record("b.tmp", "b")
        .record("thumbnails/c.jpg", "c");
    fleet.sweep().exits(0);
    fleet.assert_store_holds(&[("device1/a.jpg", "a")]);
    fleet.assert_nothing_lost();
    assert_eq!(fleet.device(1).paths().len(), 2);
}
