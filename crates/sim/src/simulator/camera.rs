//! Cameras: what writes on a device, in all the ways that writers in the field do.

use std::sync::Arc;
use std::time::Duration;

use engine::ports::WriterCheck;
use tokio::time::sleep;

use super::device::{Device, DeviceState};
use super::naming::original_path;
use super::oracle::Oracle;
use super::rng::Rng;

/// What a camera does.
#[derive(Debug, Clone)]
pub struct Camera {
    /// The number of its device.
    pub number: usize,
    /// Its device.
    pub device: Device,
    /// Where it is noted what was recorded.
    pub oracle: Oracle,
    /// What happens.
    pub rng: Rng,
    /// The largest file in bytes.
    pub largest: u64,
    /// The longest pause of a writer that does not hold its file open: shorter than files settle.
    pub unseen_pause: Duration,
    /// The longest pause of a writer that holds its file open.
    pub pause: Duration,
}

/// Names that cameras take again and again, on every device.
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
    /// Records until it is dropped.
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
            // Often alike in size, so that only the content tells.
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

    /// Writes a hidden file and renames it: the old file of that name, if any, is replaced by the camera itself.
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
            // A folder has that name: it is finished under the hidden one.
            Err(_) => self.oracle.record_finished(self.number, &hidden, &bytes),
        }
    }

    /// Writes a file under its name, with pauses, and holds it open all the while.
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
            let may_be_taken_for_settled = {
                let device = self.device.lock();
                device.clock_jumped && device.writer_check() == WriterCheck::Blind
            };
            if !may_be_taken_for_settled {
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

    /// Writes a file, closes it, and opens it again to append, several times, always before it can have settled.
    async fn append_again(&mut self) {
        // A header, as many formats have one: to the oracle, a file that is empty for now would stand for every empty recording of its device.
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
            // Whoever took it away took it too early; what is appended then makes a file of its own.
            let Some(inode) = device.open(&name).or_else(|| device.create(&name)) else {
                return;
            };
            device.append(inode, &content);
            let clock_jumped = device.clock_jumped;
            match device.close(inode) {
                Some(bytes) if time != last && clock_jumped => {
                    self.oracle.record_content(self.number, &name, &bytes)
                }
                Some(bytes) if time == last => self.oracle.record_finished(self.number, &name, &bytes),
                _ => {}
            }
        }
    }

    /// Many small files at once, some of them alike.
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

    /// The owner removes or renames one of the files himself.
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

    /// Somebody writes to a file where gleaner has put it: appends, or writes other bytes over it, while it may be on its way.
    async fn write_to_withdrawn(&mut self) {
        // Lies in wait for gleaner: nothing lies withdrawn for long.
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
        // Only a writer that can be seen may hold it open for a while.
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
        // Released since it was opened: it was opened after gleaner's last look, which nobody can prevent.
        let is_there = device.is_named(inode);
        if let (Some(bytes), true) = (device.close(inode), is_there) {
            self.oracle.record_destroyed(self.number, &before);
            self.oracle
                .record_finished(self.number, &original_path(&path), &bytes);
        }
    }

    /// Replaces one name many times within a moment, each time by a file that is old by its time: it is settled whenever somebody looks,
    /// and another one a moment later.
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

    /// A copy that keeps the time of its original: finished just now, and old by its time.
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
