//! The facts that the health of a device depends on.

use model::{Amount, FailureClass};

use crate::remaining::{Remaining, RemainingReason};

/// A file system is nearly full if less than one part in this many is available.
const NEARLY_FULL: u64 = 10;

/// The facts about one device. The default is a device without any ended pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceFacts<'a> {
    /// The message of the store or the ledger, if it failed during the last pass that ended.
    pub collector_failure: Option<&'a str>,
    /// The last pass that ended with a result about the device itself.
    pub last_result: Option<PassResult<'a>>,
    /// The files that the last complete survey left on the device, by reason.
    pub remaining: Vec<Remaining>,
    /// The file systems of its sources, as far as known.
    pub disks: Vec<DiskSpace>,
    /// The capabilities that the device lacks, in words.
    pub shortcomings: Vec<&'a str>,
    /// Whether gleaner cannot see which processes write to a file: such files settle for `settle_blind`.
    pub is_blind: bool,
}

/// How a pass ended, as far as it concerns the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassResult<'a> {
    /// The device was served.
    Served,
    /// The device was served, but some of its files had a fault.
    Partial,
    /// The device failed.
    Failed {
        /// Why.
        class: FailureClass,
        /// What the operator can do about it.
        remedy: &'a str,
    },
}

/// The space of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// Its size.
    pub total: u64,
    /// The space that the login can still write. Excludes the space reserved for root, which does not help
    /// the recording.
    pub available: u64,
}

impl DiskSpace {
    /// Whether less than a tenth is available. A size of 0 is unknown, not full.
    pub const fn is_nearly_full(self) -> bool {
        self.total > 0 && self.available < self.total / NEARLY_FULL
    }
}

impl DeviceFacts<'_> {
    /// The remaining files, the most urgent first. Within one urgency, the order is that of the record.
    pub fn remaining_by_urgency(&self) -> Vec<Remaining> {
        let mut remaining = self.remaining.clone();
        remaining.sort_by_key(|remaining| remaining.reason.urgency());
        remaining
    }

    /// The remaining files that need action, in the order of the record.
    pub fn files_needing_action(&self) -> impl Iterator<Item = Remaining> {
        let remaining = self.remaining.iter().copied();
        remaining.filter(|remaining| remaining.reason.needs_action())
    }

    /// The amount that remains for this reason.
    pub fn remaining_for(&self, reason: RemainingReason) -> Amount {
        let remaining = self.remaining.iter();
        remaining
            .filter(|remaining| remaining.reason == reason)
            .map(|remaining| remaining.amount)
            .fold(Amount::ZERO, Amount::plus)
    }

    /// The nearly full file system with the least available space.
    pub fn fullest_disk(&self) -> Option<DiskSpace> {
        let disks = self.disks.iter().copied();
        disks
            .filter(|disk| disk.is_nearly_full())
            .min_by_key(|disk| disk.available)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_nearly_full_below_a_tenth() {
        for (total, available, expected) in [
            (100, 10, false),
            (100, 9, true),
            (100, 0, true),
            (0, 0, false),
            (9, 0, false),
            (u64::MAX, u64::MAX, false),
            (u64::MAX, 1, true),
        ] {
            let disk = DiskSpace { total, available };
            assert_eq!(disk.is_nearly_full(), expected, "{disk:?}");
        }
    }

    #[test]
    fn the_fullest_disk_is_nearly_full_and_has_the_least_space() {
        let disk = |available| DiskSpace {
            total: 1000,
            available,
        };
        let fullest = |disks: &[DiskSpace]| {
            let facts = DeviceFacts {
                disks: disks.to_vec(),
                ..DeviceFacts::default()
            };
            facts.fullest_disk()
        };
        assert_eq!(fullest(&[]), None);
        assert_eq!(fullest(&[disk(500), disk(100)]), None);
        assert_eq!(fullest(&[disk(500), disk(90), disk(20)]), Some(disk(20)));
    }
}
