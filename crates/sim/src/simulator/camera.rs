//! Cameras: they write files on a device in all the ways that writers in the field do.

use std::sync::Arc;
use std::time::Duration;

use engine::ports::WriterCheck;
use tokio::time::sleep;

use super::device::{Device, DeviceState};
use super::naming::original_path;
use super::oracle::Oracle;
use super::rng::Rng;

/// A camera and its settings.
#[derive(Debug, Clone)]
pub struct Camera {
    /// The number of its device.
    pub number: usize,
    /// Its device.
    pub device: Device,
    /// Records what the camera wrote.
    pub oracle: Oracle,
    /// Decides what happens.
    pub rng: Rng,
    /// The upper bound of file sizes in bytes.
    pub largest: u64,
    /// The longest pause of a writer that does not hold its file open. Shorter than `settle`.
    pub unseen_pause: Duration,
    /// The longest pause of a writer that holds its file open.
    pub pause: Duration,
}

/// Names that cameras use repeatedly, on every device.
const NAMES: [&[u8]; 12] = [
    b"photo-1.np",
    b"photo-2.np",
    b"day/photo-1.np",
    b"day/photo-2.np",
    b"day/hour/clip.mp4",
    b"latest.jpg",
    b"\xff\xfe bytes",
    b"with 'quotes' and \"more\"",
    b".gleaner",
    b".Gleaner. /x",
    b"photo-1~0123abcd.np",
    b"deep/deeper/deepest/log.csv",
];

impl Camera {
    /// Makes up to `at_most` recordings, or until it is dropped.
    pub async fn record(mut self, at_most: u64) {
        for _ in 0..at_most {
            match self.rng.below(14) {
                12 => self.replace_many_times().await,
                0..=3 => self.write_and_rename().await,
                4..=6 => self.write_in_place().await,
                7 | 13 => self.append_again().await,
                8 => self.burst(),
                9 => self.tidy_up(),
                10 => self.write_to_withdrawn().await,
                _ => self.backdate(),
            }
            let pause = self
                .rng
                .duration(Duration::from_millis(50), Duration::from_secs(20));
            sleep(pause).await;
        }
    }

    fn content(&mut self) -> Vec<u8> {
        let length = match self.rng.below(10) {
            0 => 0,
            // Often the same size, so that only the content differs.
            1..=3 => 512,
            4..=5 => self.rng.below(600),
            _ => self.rng.below(self.largest),
        };
        self.rng.bytes(usize::try_from(length).unwrap_or_default())
    }

    fn name(&mut self) -> Vec<u8> {
        if self.rng.one_in(3) {
            self.rng
                .choose(&NAMES)
                .map_or_else(Vec::new, |name| name.to_vec())
        } else {
            format!("day/{}.np", self.rng.below(1000)).into_bytes()
        }
    }

    /// Writes a hidden file and renames it. The camera itself replaces an existing file of that name.
    async fn write_and_rename(&mut self) {
        let (name, content) = (self.name(), self.content());
        let hidden = [&name[..], b".part"].concat();
        let (boot, inode) = {
            let mut device = self.device.lock();
            (device.boot, device.create(&hidden))
        };
        let Some(inode) = inode else { return };
        self.device.lock().append(inode, &content);
        sleep(Duration::from_millis(3)).await;
        let mut device = self.device.lock();
        if device.boot != boot {
            return;
        }
        let Some(bytes) = device.close(inode) else { return };
        match device.rename(&hidden, &name) {
            Ok(replaced) => {
                if let Some(replaced) = replaced {
                    self.oracle.record_destroyed(self.number, &replaced);
                }
                self.oracle.record_finished(self.number, &name, &bytes);
            }
            // A folder has that name: the recording is finished under the hidden name.
            Err(_) => self.oracle.record_finished(self.number, &hidden, &bytes),
        }
    }

    /// Writes a file under its final name, with pauses, and holds it open until the end.
    async fn write_in_place(&mut self) {
        let (name, content) = (self.name(), self.content());
        let (boot, inode) = {
            let mut device = self.device.lock();
            (device.boot, device.create(&name))
        };
        let Some(inode) = inode else { return };
        let parts = usize::try_from(self.rng.below(4)).unwrap_or_default() + 1;
        for part in content.chunks((content.len() / parts).max(1)) {
            self.device.lock().append(inode, part);
            let pause = self.rng.duration(Duration::ZERO, self.pause);
            let may_look_settled = {
                let device = self.device.lock();
                device.clock_jumped && device.writer_check() == WriterCheck::Blind
            };
            if !may_look_settled {
                sleep(pause).await;
            }
            if self.device.lock().boot != boot {
                return;
            }
        }
        let mut device = self.device.lock();
        if let (true, Some(bytes)) = (device.boot == boot, device.close(inode)) {
            self.oracle.record_finished(self.number, &name, &bytes);
        }
    }

    /// Writes a file, closes it, and reopens it several times to append. Each time it does so before the file
    /// can have settled.
    async fn append_again(&mut self) {
        // Starts with a header, as many formats do. The oracle could not tell an empty file from any other
        // empty recording of the device.
        let (name, header) = (self.name(), self.rng.bytes(16));
        let boot = {
            let mut device = self.device.lock();
            let Some(inode) = device.create(&name) else { return };
            device.append(inode, &header);
            device.close(inode);
            device.boot
        };
        let last = self.rng.below(6);
        for time in 0..=last {
            let pause = self.rng.duration(Duration::ZERO, self.unseen_pause);
            sleep(pause).await;
            let content = self.content();
            let mut device = self.device.lock();
            if device.boot != boot {
                return;
            }
            // If the file is gone, it was taken too early; the appended bytes then form a file of their own.
            let Some(inode) = device.open(&name).or_else(|| device.create(&name)) else {
                return;
            };
            device.append(inode, &content);
            let clock_jumped = device.clock_jumped;
            match device.close(inode) {
                Some(bytes) if time != last && clock_jumped => {
                    self.oracle.record_content(self.number, &name, &bytes);
                }
                Some(bytes) if time == last => self.oracle.record_finished(self.number, &name, &bytes),
                _ => {}
            }
        }
    }

    /// Writes many small files at once, some of them identical.
    fn burst(&mut self) {
        let mut device = self.device.lock();
        let many = self.rng.below(40);
        let alike = self.rng.bytes(100);
        for number in 0..many {
            let name = format!("burst/{}/{number}", self.rng.below(1 << 20)).into_bytes();
            let content = if self.rng.one_in(4) {
                alike.clone()
            } else {
                self.rng.bytes(300)
            };
            let Some(inode) = device.create(&name) else {
                continue;
            };
            device.append(inode, &content);
            if let Some(bytes) = device.close(inode) {
                self.oracle.record_finished(self.number, &name, &bytes);
            }
        }
    }

    /// The device's owner removes or renames a file.
    fn tidy_up(&mut self) {
        let mut device = self.device.lock();
        let closed = device.files().filter(|(_, file)| file.writers == 0);
        let paths: Vec<Vec<u8>> = closed.map(|(path, _)| path.clone()).collect();
        let plain: Vec<Vec<u8>> = paths
            .into_iter()
            .filter(|path| original_path(path) == *path)
            .collect();
        let Some(path) = self.rng.choose(&plain) else {
            return;
        };
        if self.rng.one_in(2) {
            if let Some(file) = device.remove(path) {
                self.oracle.record_destroyed(self.number, &file.bytes);
            }
            return;
        }
        let other = [b"kept/", path.as_slice()].concat();
        if let Ok(replaced) = device.rename(path, &other) {
            if let Some(replaced) = replaced {
                self.oracle.record_destroyed(self.number, &replaced);
            }
            if let Some((_, file)) = device.file(&other) {
                self.oracle.record_content(self.number, &other, &file.bytes);
            }
        }
    }

    /// Writes to a withdrawn file, which may be in transfer: appends to it or overwrites it.
    async fn write_to_withdrawn(&mut self) {
        // Waits for gleaner to withdraw a file: files stay withdrawn only briefly.
        let has_withdrawn =
            |device: &DeviceState| device.files().any(|(path, _)| original_path(path) != *path);
        for _ in 0..700 {
            if has_withdrawn(&self.device.lock()) {
                break;
            }
            sleep(Duration::from_millis(60)).await;
        }
        let delay = Duration::from_millis(400);
        sleep(self.rng.duration(Duration::ZERO, delay)).await;
        let (boot, inode, path, before) = {
            let mut device = self.device.lock();
            let withdrawn = device.files().filter(|(path, _)| original_path(path) != **path);
            let paths: Vec<Vec<u8>> = withdrawn.map(|(path, _)| path.clone()).collect();
            let Some(path) = self.rng.choose(&paths).cloned() else {
                return;
            };
            let Some(inode) = device.open(&path) else { return };
            let before = device.node(inode).map(|file| Arc::clone(&file.bytes));
            (device.boot, inode, path, before.unwrap_or_default())
        };
        // Only a visible writer may hold the file open for a while.
        if self.device.lock().writer_check() != WriterCheck::Blind {
            sleep(Duration::from_millis(self.rng.below(200))).await;
        }
        let mut device = self.device.lock();
        if device.boot != boot {
            return;
        }
        if self.rng.one_in(2) {
            device.append(inode, &self.rng.bytes(50));
        } else {
            device.overwrite(inode, &self.rng.bytes(before.len()));
        }
        // If the file was released since, it was opened after gleaner's last inspection, which nothing can
        // prevent.
        let is_there = device.is_named(inode);
        if let (Some(bytes), true) = (device.close(inode), is_there) {
            self.oracle.record_destroyed(self.number, &before);
            self.oracle
                .record_finished(self.number, &original_path(&path), &bytes);
        }
    }

    /// Replaces one name many times within a moment. Each file has an old mtime, so every survey finds it
    /// settled, and a moment later another file has the name.
    async fn replace_many_times(&mut self) {
        let (name, hidden) = (b"latest.jpg".as_slice(), b"latest.jpg.part".as_slice());
        for _ in 0..self.rng.below(1000) {
            {
                let mut device = self.device.lock();
                let Some(inode) = device.create(hidden) else {
                    return;
                };
                let content = self.rng.bytes(512);
                device.append(inode, &content);
                let bytes = device.close(inode);
                device.set_modified(hidden, Duration::from_hours(1));
                let replaced = device.rename(hidden, name);
                if let Ok(Some(replaced)) = &replaced {
                    self.oracle.record_destroyed(self.number, replaced);
                }
                match (replaced, bytes) {
                    (Ok(_), Some(bytes)) => self.oracle.record_finished(self.number, name, &bytes),
                    (Err(_), Some(bytes)) => self.oracle.record_finished(self.number, hidden, &bytes),
                    _ => {}
                }
            }
            sleep(
                self.rng
                    .duration(Duration::from_micros(100), Duration::from_millis(10)),
            )
            .await;
        }
    }

    /// Writes a copy that keeps the mtime of its original: just finished, but with an old mtime.
    fn backdate(&mut self) {
        let (name, content) = (self.name(), self.content());
        let mut device = self.device.lock();
        let Some(inode) = device.create(&name) else { return };
        device.append(inode, &content);
        if let Some(bytes) = device.close(inode) {
            device.set_modified(&name, Duration::from_secs(self.rng.below(1 << 20)));
            self.oracle.record_finished(self.number, &name, &bytes);
        }
    }
}
