//! Cameras that record during the faults, in all the ways in which cameras write files.
//!
//! Each recording is added to the manifest *before* it can appear as finished. From then on gleaner must
//! account for it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::context::SETTLE;
use crate::device::{Device, a_minute_ago};
use crate::recording::{self, Manifest};
use crate::rng::Rng;

/// Longest pause of a writer that keeps its file open. It exceeds `settle`: gleaner must not take the pause
/// for the end of the recording.
const MAX_PAUSE: Duration = SETTLE.saturating_add(Duration::from_millis(400));

/// Names that have broken programs. Each is used once in a round.
const ODD_NAMES: [&[u8]; 14] = [
    b" ",
    b"-rf",
    b"*.jpg",
    b"a\nb\r\tc",
    b"$(touch hacked) `id` ;&|",
    b"'\"\\",
    b"\xff\xfe\x80",
    b"\xf0\x9f\x90\x9d \xc3\xa9t\xc3\xa9",
    b".hidden",
    b"trailing. ",
    b"~",
    b"\x1b[31mred",
    b".gleaner-withdraw",
    b"a~0123abcd.jpg",
];

/// The camera of one device, for one round.
#[derive(Debug)]
pub(crate) struct Camera<'fleet> {
    device: &'fleet Device,
    manifest: &'fleet Manifest,
    rng: Rng,
    /// Makes contents and names unique to this camera and round.
    label: String,
    count: usize,
    /// Bytes that the trial may still record.
    budget: &'fleet AtomicI64,
    /// Whether gleaner cannot see which files are open on this device. Its files are then finished before
    /// they enter the source.
    blind: bool,
}

impl<'fleet> Camera<'fleet> {
    pub(crate) fn new(
        device: &'fleet Device,
        manifest: &'fleet Manifest,
        rng: Rng,
        round: usize,
        budget: &'fleet AtomicI64,
    ) -> Self {
        fs::create_dir_all(incoming(device)).expect("making a folder beside the source");
        Self {
            device,
            manifest,
            label: format!("{} {:x} {round}", device.name, rng.branch(0).next()),
            blind: !device.is_ordinary(),
            rng,
            count: 0,
            budget,
        }
    }

    /// Records the backlog of a sweep: many small files and some larger ones. Returns the path of a file that
    /// a sweep must gather.
    pub(crate) fn record_backlog(&mut self) -> PathBuf {
        let token = PathBuf::from(format!("token_{}.jpg", self.label.replace(' ', "_")));
        self.write_and_rename(&token, 500);
        for _ in 0..self.rng.between(20, 120) {
            self.record_small();
        }
        for _ in 0..self.rng.between(0, 3) {
            self.record_medium();
        }
        if self.rng.one_in(5) {
            self.record_large();
        }
        token
    }

    /// Records until `stop` is set.
    pub(crate) fn record_until(&mut self, stop: &AtomicBool) {
        let mut odd_names = ODD_NAMES.iter();
        while !stop.load(Ordering::Relaxed) {
            match self.rng.below(12) {
                0..4 => (0..self.rng.between(1, 20)).for_each(|_| self.record_small()),
                4 => self.record_medium(),
                5 if self.rng.one_in(6) => self.record_large(),
                6 => self.write_and_rename(Path::new("latest.jpg"), 3_000),
                7 => self.record_clash(),
                8 => {
                    let name = self.new_name("empty");
                    self.write_and_rename(&name, 0);
                }
                9 => {
                    if let Some(name) = odd_names.next() {
                        self.write_and_rename(&Path::new("odd").join(recording::path(*name)), 200);
                    }
                }
                _ if self.blind => self.record_small(),
                10 => self.write_with_pauses(stop),
                _ => self.rename_while_open(),
            }
            thread::sleep(self.rng.time(Duration::from_millis(60)));
        }
    }

    fn record_small(&mut self) {
        let name = self.new_name("small");
        let length = self.rng.between(16, 4_000);
        if self.blind || self.rng.one_in(2) {
            self.write_and_rename(&name, length);
        } else {
            self.write_in_place(&name, length, |_| {});
        }
    }

    fn record_medium(&mut self) {
        let name = self.new_name("medium");
        let length = self.rng.between(100_000, 3_000_000);
        self.write_and_rename(&name, length);
    }

    fn record_large(&mut self) {
        let name = self.new_name("big");
        let length = self.rng.between(8_000_000, 24_000_000);
        self.write_and_rename(&name, length);
    }

    /// Records `clash` as a file or as a folder, at random. One of them must get another name in the store.
    fn record_clash(&mut self) {
        let folder = Path::new("clash");
        if self.rng.one_in(2) {
            drop(fs::remove_dir(self.device.folder.join(folder)));
            self.write_and_rename(folder, 700);
        } else {
            let name = folder.join(format!("inner{}.jpg", self.rng.below(3)));
            self.write_and_rename(&name, 700);
        }
    }

    /// Writes a file at its final path, and holds it open with pauses.
    fn write_with_pauses(&mut self, stop: &AtomicBool) {
        let name = self.new_name("growing");
        let length = self.rng.between(1_000, 400_000);
        let mut rng = self.rng.branch(1);
        self.write_in_place(&name, length, |_| {
            if !stop.load(Ordering::Relaxed) {
                thread::sleep(rng.time(MAX_PAUSE));
            }
        });
    }

    /// Writes a file under another name in the source, and keeps it open until it has its final name.
    fn rename_while_open(&mut self) {
        let (part, name) = (self.new_name("now.part"), self.new_name("then"));
        let content = self.content(20_000);
        let digest = recording::digest(&content);
        let Ok(mut file) = self.create(&part) else { return };
        if file.write_all(&content).is_err() {
            return self.give_up(&part, &file);
        }
        thread::sleep(self.rng.time(MAX_PAUSE));
        self.manifest.add(&self.device.name, &name, digest.clone());
        if self.move_in(&self.device.folder.join(&part), &name).is_err() {
            self.manifest.forget(&self.device.name, &name, &digest);
            self.manifest.add(&self.device.name, &part, digest);
        }
    }

    /// Writes a file outside the source, then renames it into the source if the name is free. The name is
    /// free once the previous file has been withdrawn.
    fn write_and_rename(&mut self, name: &Path, length: usize) {
        let content = self.content(length);
        let digest = recording::digest(&content);
        let part = incoming(self.device).join("part");
        if fs::write(&part, &content).is_ok() {
            if self.rng.one_in(3) {
                let file = File::options().write(true).open(&part).expect("opening");
                file.set_modified(a_minute_ago()).expect("setting the time");
            }
            self.manifest.add(&self.device.name, name, digest.clone());
            if self.move_in(&part, name).is_err() {
                self.manifest.forget(&self.device.name, name, &digest);
            }
        }
        drop(fs::remove_file(&part));
    }

    /// Writes a file at its final path, piece by piece, and adds it to the manifest before closing it.
    fn write_in_place(&mut self, name: &Path, length: usize, mut between: impl FnMut(usize)) {
        let content = self.content(length);
        let Ok(mut file) = self.create(name) else { return };
        for (number, piece) in content.chunks(length.div_ceil(4).max(1)).enumerate() {
            if file.write_all(piece).is_err() {
                return self.give_up(name, &file);
            }
            between(number);
        }
        self.manifest
            .add(&self.device.name, name, recording::digest(&content));
        drop(file);
    }

    /// Leaves an empty file, as a camera does on a full card.
    fn give_up(&self, name: &Path, file: &File) {
        file.set_len(0).expect("cutting short");
        self.manifest.add(&self.device.name, name, recording::digest(b""));
    }

    fn create(&self, name: &Path) -> io::Result<File> {
        let full = self.device.folder.join(name);
        fs::create_dir_all(full.parent().expect("a folder"))?;
        File::create_new(full)
    }

    /// Fails if the name is taken: a camera that overwrites destroys its own recording.
    fn move_in(&self, part: &Path, name: &Path) -> io::Result<()> {
        let full = self.device.folder.join(name);
        fs::create_dir_all(full.parent().expect("a folder"))?;
        Ok(renameat_with(CWD, part, CWD, &full, RenameFlags::NOREPLACE)?)
    }

    fn new_name(&mut self, kind: &str) -> PathBuf {
        self.count += 1;
        let label = self.label.replace(' ', "_");
        PathBuf::from(label).join(format!("{kind}_{:05}.jpg", self.count))
    }

    /// Returns content that no other file has. It is short once the trial has recorded enough.
    fn content(&mut self, length: usize) -> Vec<u8> {
        self.count += 1;
        let wanted = i64::try_from(length).expect("a length");
        let length = if self.budget.fetch_sub(wanted, Ordering::Relaxed) < wanted {
            length.min(200)
        } else {
            length
        };
        recording::content(&format!("{} {}", self.label, self.count), length)
    }
}

/// A folder outside the source, on the same file system.
fn incoming(device: &Device) -> PathBuf {
    device.folder.with_file_name("incoming")
}
