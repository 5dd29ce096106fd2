//! The resources of all processes of a tool at one moment: memory, sockets, descriptors.

use std::fs;

/// One sample of all processes of a tool, or the maximum of each figure over several samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::bench) struct Census {
    /// Resident memory of all processes.
    pub(in crate::bench) all_kib: u64,
    /// The maximum resident memory of the collector itself so far.
    pub(in crate::bench) collector_kib: u64,
    /// Memory of the helpers that no other process shares.
    pub(in crate::bench) helpers_private_kib: u64,
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
            let Some(memory) = Kibibytes::read(*process) else {
                continue;
            };
            census.processes += 1;
            census.all_kib += memory.resident;
            let descriptors = if counts_descriptors {
                descriptors(*process)
            } else {
                (0, 0)
            };
            census.sockets += descriptors.1;
            if *process == leader {
                census.collector_kib = census.collector_kib.max(memory.most_resident);
                census.collector_descriptors = census.collector_descriptors.max(descriptors.0);
            } else {
                census.helpers_private_kib += memory.private;
            }
        }
        census
    }

    pub(super) fn most(self, other: Self) -> Self {
        Self {
            all_kib: self.all_kib.max(other.all_kib),
            collector_kib: self.collector_kib.max(other.collector_kib),
            helpers_private_kib: self.helpers_private_kib.max(other.helpers_private_kib),
            processes: self.processes.max(other.processes),
            sockets: self.sockets.max(other.sockets),
            collector_descriptors: self.collector_descriptors.max(other.collector_descriptors),
        }
    }
}

/// The memory of one process.
#[derive(Debug, Default, PartialEq, Eq)]
struct Kibibytes {
    resident: u64,
    most_resident: u64,
    private: u64,
}

impl Kibibytes {
    fn read(process: u32) -> Option<Self> {
        Some(Self::from_text(
            &fs::read_to_string(format!("/proc/{process}/status")).ok()?,
        ))
    }

    fn from_text(text: &str) -> Self {
        let mut memory = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            let kib = || value.trim_end_matches(" kB").parse().unwrap_or_default();
            match key {
                "VmRSS" => memory.resident = kib(),
                "VmHWM" => memory.most_resident = kib(),
                "RssAnon" => memory.private = kib(),
                _ => {}
            }
        }
        memory
    }
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
        let text = "Umask:\t0022\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nRssAnon:\t    4096 kB\n";
        let expected = Kibibytes {
            resident: 10_240,
            most_resident: 20_480,
            private: 4096,
        };
        assert_eq!(Kibibytes::from_text(text), expected);
        assert_eq!(Kibibytes::from_text("Threads:\t1\n"), Kibibytes::default());
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let us = std::process::id();
        let as_leader = Census::of(&[us], us, true);
        assert_eq!((as_leader.processes, as_leader.helpers_private_kib), (1, 0));
        assert!(as_leader.collector_kib > 0 && as_leader.collector_descriptors > 0);
        let as_helper = Census::of(&[us], 0, false);
        assert!(as_helper.helpers_private_kib > 0 && as_helper.collector_kib == 0);
    }
}
