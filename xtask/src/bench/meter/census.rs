//! The resources of all processes of a tool at one moment: memory, sockets, descriptors.

use std::fs;

/// One sample of all processes of a tool, or the maximum of each figure over several samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::bench) struct Census {
    /// Memory of all processes. A page that processes share counts once, divided among them (PSS).
    pub(in crate::bench) all_kib: u64,
    /// The maximum resident memory of the collector itself so far.
    pub(in crate::bench) collector_kib: u64,
    /// Memory of the helpers, without that of their programs.
    pub(in crate::bench) helpers_kib: u64,
    pub(in crate::bench) processes: u64,
    pub(in crate::bench) sockets: u64,
    /// Open files, pipes and sockets of the collector itself.
    pub(in crate::bench) collector_descriptors: u64,
}

impl Census {
    /// `leader` is the collector's own process. Descriptors are counted on demand: with a thousand processes,
    /// that takes longer than everything else.
    pub(super) fn of(processes: &[u32], leader: u32, counts_descriptors: bool) -> Self {
        let mut census = Self::default();
        for process in processes {
            // A process that has just ended has no figures.
            let Some(memory) = Memory::read(*process) else {
                continue;
            };
            census.processes += 1;
            census.all_kib += memory.proportional;
            let descriptors = if counts_descriptors {
                descriptors(*process)
            } else {
                (0, 0)
            };
            census.sockets += descriptors.1;
            if *process == leader {
                census.collector_kib = census.collector_kib.max(most_resident_kib(*process));
                census.collector_descriptors = census.collector_descriptors.max(descriptors.0);
            } else {
                census.helpers_kib += memory.anonymous;
            }
        }
        census
    }

    pub(super) fn most(self, other: Self) -> Self {
        Self {
            all_kib: self.all_kib.max(other.all_kib),
            collector_kib: self.collector_kib.max(other.collector_kib),
            helpers_kib: self.helpers_kib.max(other.helpers_kib),
            processes: self.processes.max(other.processes),
            sockets: self.sockets.max(other.sockets),
            collector_descriptors: self.collector_descriptors.max(other.collector_descriptors),
        }
    }
}

/// The memory of one process, with its part of what it shares.
#[derive(Debug, PartialEq, Eq)]
struct Memory {
    proportional: u64,
    anonymous: u64,
}

impl Memory {
    /// `None` if the process has ended.
    fn read(process: u32) -> Option<Self> {
        Self::from_text(&fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(Self {
            proportional: kib(text, "Pss")?,
            anonymous: kib(text, "Pss_Anon")?,
        })
    }
}

fn most_resident_kib(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    kib(&text, "VmHWM").unwrap_or_default()
}

/// A value of the kernel's texts about memory, in KiB.
fn kib(text: &str, wanted: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key == wanted).then_some(value)
    });
    value?.trim().trim_end_matches(" kB").parse().ok()
}

/// The number of a process's descriptors, and how many of them are sockets.
fn descriptors(process: u32) -> (u64, u64) {
    let (mut all, mut sockets) = (0, 0);
    let entries = fs::read_dir(format!("/proc/{process}/fd"));
    for entry in entries.into_iter().flatten().flatten() {
        all += 1;
        let target = fs::read_link(entry.path()).unwrap_or_default();
        sockets += u64::from(target.to_string_lossy().starts_with("socket:"));
    }
    (all, sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_about_a_process_are_understood() {
        let text = "00400000-7ffc0000 ---p 00000000 00:00 0    [rollup]\n\
                    Rss:               10240 kB\nPss:                4096 kB\nPss_Anon:           1024 kB\n";
        let expected = Memory {
            proportional: 4096,
            anonymous: 1024,
        };
        assert_eq!(Memory::from_text(text), Some(expected));
        assert_eq!(Memory::from_text(""), None, "a process that is ending");
        assert_eq!(kib("Name:\tcat\nVmHWM:\t   20480 kB\n", "VmHWM"), Some(20_480));
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let us = std::process::id();
        let as_leader = Census::of(&[us], us, true);
        assert_eq!((as_leader.processes, as_leader.helpers_kib), (1, 0));
        assert!(as_leader.collector_kib >= as_leader.all_kib && as_leader.all_kib > 0);
        assert!(as_leader.collector_descriptors > 0);
        let as_helper = Census::of(&[us], 0, false);
        assert!(as_helper.helpers_kib > 0 && as_helper.collector_kib == 0);
    }
}
