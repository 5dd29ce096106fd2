//! The works: which files wait on which devices.

use clap::ValueEnum;
use serde::Deserialize;

use super::contents::{Noise, Shape};
use super::goals::Goal;

/// A fleet and the files recorded there.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Work {
    pub(super) name: String,
    /// Description for the page, as a noun phrase.
    pub(super) about: String,
    /// Devices that work.
    live: usize,
    /// Devices whose connections are refused.
    refusing: usize,
    /// Devices that accept a connection and then stay silent.
    pub(super) silent: usize,
    pub(super) files_per_device: usize,
    folders_per_device: usize,
    smallest_bytes: u64,
    largest_bytes: u64,
    pub(super) shape: Shape,
    /// Files that the ledger is filled with before anything is measured.
    #[serde(skip)]
    pub(super) recorded_files: usize,
    /// Whether each connection to a device gets its own processes, as on a real device (for root). Otherwise
    /// code that inspects all processes of a device would see those of all devices.
    pub(super) devices_apart: bool,
    /// The part of one core that the device gets, for all its processes together. Without it, it shares the
    /// machine with all others.
    pub(super) device_percent_of_core: Option<u64>,
    /// Programs that the devices do not have.
    pub(super) device_lacks: Vec<String>,
    /// Each file is in another folder than the one before it. Otherwise one folder is filled after the other,
    /// as with the days of a camera.
    folders_in_turn: bool,
    /// The part that grows, so that the work is measured at several sizes.
    #[serde(skip)]
    pub(super) grows: Option<Subject>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            name: String::new(),
            about: String::new(),
            live: 1,
            refusing: 0,
            silent: 0,
            files_per_device: 1,
            folders_per_device: 1,
            smallest_bytes: 0,
            largest_bytes: 0,
            shape: Shape::Random,
            recorded_files: 0,
            devices_apart: false,
            device_percent_of_core: None,
            device_lacks: Vec::new(),
            folders_in_turn: true,
            grows: None,
        }
    }
}

/// The part of a work that may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Subject {
    Files,
    Ledger,
    Fleet,
}

/// A work of several sizes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Growth {
    pub(super) name: String,
    pub(super) of: Subject,
    pub(super) tools: Vec<String>,
    pub(super) sizes: Vec<usize>,
    /// Larger sizes are measured only on request.
    pub(super) usual_most: Option<usize>,
    /// Larger sizes are measured once.
    pub(super) repeated_up_to: Option<usize>,
    /// The columns of its table in the page.
    pub(super) columns: String,
    #[serde(default)]
    pub(super) goals: Vec<Goal>,
    /// For a fleet: the number of files that wait on each device, or on all devices together.
    #[serde(default)]
    files: usize,
    #[serde(default)]
    files_are_shared: bool,
    #[serde(default)]
    bytes: u64,
    /// For a fleet: one device of this many stays silent.
    one_silent_of: Option<usize>,
}

/// Number of devices of a growing ledger.
pub(super) const LEDGER_DEVICES: usize = 50;

impl Growth {
    pub(super) fn work(&self, size: usize) -> Work {
        let work = match self.of {
            Subject::Files => Work::waiting(size, self.bytes),
            Subject::Ledger => Work {
                recorded_files: size,
                ..Work::devices(LEDGER_DEVICES, 0, 0, 0)
            },
            Subject::Fleet => {
                let silent = self.one_silent_of.map_or(0, |one| size / one);
                let share = if self.files_are_shared { size } else { 1 };
                Work::devices(size, silent, self.files / share, self.bytes)
            }
        };
        Work {
            name: self.name.clone(),
            grows: Some(self.of),
            ..work
        }
    }
}

/// One recorded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recorded {
    /// The path below the source.
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) seed: u64,
}

/// How a device answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Live,
    Refusing,
    Silent,
}

/// The number of files that a camera makes on a busy day.
const FILES_IN_A_FOLDER: usize = 10_000;

impl Work {
    /// Files of one size on one device.
    fn waiting(files: usize, bytes: u64) -> Self {
        Self {
            files_per_device: files,
            folders_per_device: files.div_ceil(FILES_IN_A_FOLDER),
            smallest_bytes: bytes,
            largest_bytes: bytes,
            folders_in_turn: false,
            ..Self::default()
        }
    }

    /// Devices with the same number of files of one size each. The silent devices are among them.
    fn devices(all: usize, silent: usize, files_each: usize, bytes: u64) -> Self {
        Self {
            live: all.saturating_sub(silent),
            silent,
            folders_per_device: 1,
            devices_apart: true,
            ..Self::waiting(files_each, bytes)
        }
    }

    /// Gibibytes for the sources, one store, the same again, and the ledger.
    pub(super) fn disk_gibibytes(&self) -> u64 {
        /// The minimum size of a file on a disk.
        const BLOCK_BYTES: u64 = 4096;
        /// A row takes about half a kilobyte with its indexes, and the journal may take as much.
        const ROW_BYTES: u64 = 1024;
        let bytes = self.waiting_files() * self.largest_bytes.next_multiple_of(BLOCK_BYTES);
        let rows = u64::try_from(self.recorded_files).unwrap_or_default();
        4 + ((bytes * 3 + rows * ROW_BYTES) >> 30)
    }

    /// The number of inodes: twice the waiting files, and a margin. Not more, because the whole inode table
    /// is written.
    pub(super) fn disk_files(&self) -> u64 {
        200_000 + self.waiting_files() * 3
    }

    fn waiting_files(&self) -> u64 {
        u64::try_from(self.live * self.files_per_device).unwrap_or_default()
    }

    /// The work with `percent` of everything, but at least two of each item that it has several of.
    pub(super) fn scaled(&self, percent: u64) -> Self {
        if percent == 100 {
            return self.clone();
        }
        let count = |whole: usize| match whole {
            0 | 1 => whole,
            _ => usize::try_from(u64::try_from(whole).unwrap_or(u64::MAX) * percent / 100)
                .unwrap_or(usize::MAX)
                .max(2),
        };
        let bytes = |whole: u64| match self.files_per_device {
            1 => whole * percent / 100,
            _ => whole,
        };
        Self {
            live: count(self.live),
            refusing: count(self.refusing).min(self.refusing),
            silent: count(self.silent).min(self.silent),
            files_per_device: count(self.files_per_device),
            folders_per_device: count(self.folders_per_device),
            smallest_bytes: bytes(self.smallest_bytes),
            largest_bytes: bytes(self.largest_bytes),
            ..self.clone()
        }
    }

    /// How each device answers; device 1 is the first. The dead devices are among the living ones, as in the
    /// field.
    pub(super) fn fates(&self) -> Vec<Fate> {
        let dead = self.refusing + self.silent;
        let all = self.live + dead;
        let stride = all.checked_div(dead).unwrap_or(usize::MAX);
        let mut refusing = self.refusing;
        let mut silent = self.silent;
        (1..=all)
            .map(|number| {
                if number % stride != 0 || refusing + silent == 0 {
                    Fate::Live
                } else if refusing > silent || silent == 0 {
                    refusing -= 1;
                    Fate::Refusing
                } else {
                    silent -= 1;
                    Fate::Silent
                }
            })
            .collect()
    }

    /// The numbers of the devices that work.
    pub(super) fn live_devices(&self) -> Vec<usize> {
        (1..)
            .zip(self.fates())
            .filter(|(_, fate)| *fate == Fate::Live)
            .map(|(number, _)| number)
            .collect()
    }

    pub(super) fn has_dead_devices(&self) -> bool {
        self.refusing + self.silent > 0
    }

    /// The files that wait on a device.
    pub(super) fn files(&self, device: usize) -> impl Iterator<Item = Recorded> + use<> {
        let (smallest, spread) = (self.smallest_bytes, self.largest_bytes - self.smallest_bytes + 1);
        let folders = self.folders_per_device.max(1);
        let in_a_folder = self.files_per_device.div_ceil(folders).max(1);
        let (in_turn, shape) = (self.folders_in_turn, self.shape);
        (0..self.files_per_device).map(move |number| {
            let folder = if in_turn {
                number % folders
            } else {
                number / in_a_folder
            };
            let seed = u64::try_from(device * 100_000_000 + number).unwrap_or_default();
            let name = match shape {
                // As the field's cameras name them: day, time and exposure.
                Shape::Frames => format!("20260612+{number:07}+0500.pickle"),
                Shape::Random | Shape::HalfCompressible => format!("record{number:07}.np"),
            };
            Recorded {
                path: format!("day{folder:03}/{name}"),
                size: smallest + Noise::from_seed(!seed).next() % spread,
                seed,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::Catalogue;
    use super::*;

    fn work(name: &str) -> Work {
        let works = Catalogue::load().unwrap().works;
        works.into_iter().find(|work| work.name == name).unwrap()
    }

    #[test]
    fn dead_devices_are_among_the_living_ones() {
        let fates = work("fleet").fates();
        let count = |fate| fates.iter().filter(|it| **it == fate).count();
        assert_eq!(
            [count(Fate::Live), count(Fate::Refusing), count(Fate::Silent)],
            [15, 3, 2]
        );
        assert_eq!(fates[3], Fate::Refusing);
        assert_eq!(work("fleet").live_devices()[..4], [1, 2, 3, 5]);
        assert_eq!(work("idle").live_devices().len(), 50);
    }

    #[test]
    fn the_sizes_stay_in_their_bounds_and_the_names_are_unique() {
        let small = work("small");
        let files: Vec<_> = small.files(1).collect();
        assert_eq!(files.len(), 10_000);
        assert!(files.iter().all(|file| (2_000..=40_000).contains(&file.size)));
        let names: std::collections::BTreeSet<_> = files.iter().map(|file| &file.path).collect();
        assert_eq!(names.len(), 10_000);
        let total: u64 = files.iter().map(|file| file.size).sum();
        assert!((190_000_000..230_000_000).contains(&total), "{total}");
    }

    #[test]
    fn a_frame_has_the_size_and_a_name_of_the_fields() {
        let frames: Vec<_> = work("frames").files(1).collect();
        assert_eq!(frames.len(), 200);
        assert!(frames.iter().all(|file| file.size == 3_146_107));
        assert_eq!(frames[7].path, "day000/20260612+0000007+0500.pickle");
    }

    #[test]
    fn a_work_with_a_slow_device_has_no_other() {
        let mut works = Catalogue::load().unwrap().works.into_iter();
        assert!(works.all(|work| work.device_percent_of_core.is_none() || work.fates().len() == 1));
    }

    #[test]
    fn a_scaled_work_keeps_its_kind() {
        let fleet = work("fleet").scaled(1);
        assert_eq!(fleet.live_devices().len(), 2);
        assert!(fleet.fates().contains(&Fate::Silent) && fleet.fates().contains(&Fate::Refusing));
        assert_eq!(work("idle").scaled(1).files(1).count(), 0);
        assert_eq!(work("backlog").scaled(1).files(1).count(), 10_000);
        let big: Vec<_> = work("big").scaled(1).files(1).collect();
        assert_eq!((big.len(), big[0].size), (1, 10_737_418));
    }

    #[test]
    fn waiting_files_fill_one_folder_after_the_other() {
        let files: Vec<_> = Work::waiting(25_000, 10).files(0).collect();
        assert_eq!(files[8_333].path, "day000/record0008333.np");
        assert_eq!(files[8_334].path, "day001/record0008334.np");
        assert_eq!(files[24_999].path, "day002/record0024999.np");
    }
}
