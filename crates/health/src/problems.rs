//! The problems of a fleet: each problem once, with the devices that have it.

use std::collections::BTreeMap;

use model::FailureClass;

use crate::facts::{DeviceFacts, PassResult};
use crate::remaining::RemainingReason;
use crate::state::{ActionCause, DeviceState};

/// A problem that devices can share. The order is that of urgency: first the collector itself, then problems
/// that need action, then problems that may resolve automatically, then conditions to know about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem<'a> {
    /// The store or the ledger failed.
    CollectorFailed {
        /// The message of the store or the ledger.
        message: &'a str,
    },
    /// The device as a whole needs action.
    DeviceFailed {
        /// Why.
        class: FailureClass,
        /// What the operator can do about it. Failures of one class with different remedies are different
        /// problems.
        remedy: &'a str,
    },
    /// Files need action.
    Files {
        /// Why they remain on the device.
        reason: RemainingReason,
    },
    /// The device cannot be reached; gleaner serves it when it is back.
    Unreachable {
        /// Why.
        class: FailureClass,
        /// What the operator can do about it.
        remedy: &'a str,
    },
    /// The file system of a source is nearly full: a full device stops recording.
    DiskNearlyFull,
    /// The device lacks a capability; gleaner compensates by waiting.
    Shortcoming {
        /// The shortcoming, in words.
        text: &'a str,
    },
    /// gleaner cannot see which processes write to a file; gleaner compensates by waiting.
    Blind,
}

/// All problems of one device, the most urgent first.
///
/// Files that need action are a problem of their own, even while the device fails or is unreachable.
pub fn of_device<'a>(facts: &DeviceFacts<'a>) -> Vec<Problem<'a>> {
    let mut problems = Vec::new();
    if let Some(message) = facts.collector_failure {
        problems.push(Problem::CollectorFailed { message });
    }
    let remedy = match facts.last_result {
        Some(PassResult::Failed { remedy, .. }) => remedy,
        Some(PassResult::Served | PassResult::Partial) | None => "",
    };
    match DeviceState::of(facts) {
        DeviceState::NeedsAction(ActionCause::Device(class)) => {
            problems.push(Problem::DeviceFailed { class, remedy });
        }
        DeviceState::Unreachable(class) => problems.push(Problem::Unreachable { class, remedy }),
        DeviceState::Ok
        | DeviceState::NeedsAction(ActionCause::Files(_) | ActionCause::LastPass)
        | DeviceState::CollectorFailed
        | DeviceState::NeverVisited => {}
    }
    let files = facts.files_needing_action();
    problems.extend(files.map(|files| Problem::Files { reason: files.reason }));
    if facts.fullest_disk().is_some() {
        problems.push(Problem::DiskNearlyFull);
    }
    let shortcomings = facts.shortcomings.iter().copied();
    problems.extend(shortcomings.map(|text| Problem::Shortcoming { text }));
    if facts.is_blind {
        problems.push(Problem::Blind);
    }
    problems.sort();
    problems
}

/// The problems of a fleet, the most urgent first, each with the devices that have it, in the order given.
pub fn group<'a, D: Copy>(
    devices: impl IntoIterator<Item = (D, &'a DeviceFacts<'a>)>,
) -> BTreeMap<Problem<'a>, Vec<D>> {
    let mut grouped: BTreeMap<Problem<'a>, Vec<D>> = BTreeMap::new();
    for (device, facts) in devices {
        for problem in of_device(facts) {
            grouped.entry(problem).or_default().push(device);
        }
    }
    grouped
}

#[cfg(test)]
mod tests {
    use model::{Amount, LeaveReason, WaitReason};

    use super::*;
    use crate::facts::DiskSpace;
    use crate::remaining::Remaining;

    const UNREADABLE: RemainingReason = RemainingReason::Leave(LeaveReason::Unreadable);
    const UNPROVED: RemainingReason = RemainingReason::Wait(WaitReason::Unproved);
    const SETTLING: RemainingReason = RemainingReason::Wait(WaitReason::Settling);

    fn failed(class: FailureClass, remedy: &str) -> DeviceFacts<'_> {
        DeviceFacts {
            last_result: Some(PassResult::Failed { class, remedy }),
            ..DeviceFacts::default()
        }
    }

    fn with_files(facts: DeviceFacts<'static>, reasons: &[RemainingReason]) -> DeviceFacts<'static> {
        let remaining = reasons.iter().map(|reason| Remaining {
            reason: *reason,
            amount: Amount::new(1, 1),
        });
        DeviceFacts {
            remaining: remaining.collect(),
            ..facts
        }
    }

    fn served() -> DeviceFacts<'static> {
        DeviceFacts {
            last_result: Some(PassResult::Served),
            ..DeviceFacts::default()
        }
    }

    #[test]
    fn a_device_has_these_problems() {
        use FailureClass::{HostKeyChanged, TunnelDown};
        let tunnel = Problem::Unreachable {
            class: TunnelDown,
            remedy: "wait",
        };
        let key = Problem::DeviceFailed {
            class: HostKeyChanged,
            remedy: "check",
        };
        let unreadable = Problem::Files { reason: UNREADABLE };
        let unproved = Problem::Files { reason: UNPROVED };
        let collector = Problem::CollectorFailed { message: "full" };
        let lacking = DeviceFacts {
            disks: vec![DiskSpace {
                total: 1000,
                available: 1,
            }],
            shortcomings: vec!["no perl", "no digest tool"],
            is_blind: true,
            ..served()
        };
        let cases: [(DeviceFacts<'_>, &[Problem<'_>]); 9] = [
            (DeviceFacts::default(), &[]),
            (served(), &[]),
            (with_files(served(), &[SETTLING]), &[]),
            (
                with_files(served(), &[UNREADABLE, SETTLING, UNPROVED]),
                &[unproved, unreadable],
            ),
            (failed(TunnelDown, "wait"), &[tunnel]),
            (failed(HostKeyChanged, "check"), &[key]),
            (
                with_files(failed(TunnelDown, "wait"), &[UNREADABLE]),
                &[unreadable, tunnel],
            ),
            (
                DeviceFacts {
                    collector_failure: Some("full"),
                    ..failed(HostKeyChanged, "check")
                },
                &[collector],
            ),
            (
                lacking,
                &[
                    Problem::DiskNearlyFull,
                    Problem::Shortcoming {
                        text: "no digest tool",
                    },
                    Problem::Shortcoming { text: "no perl" },
                    Problem::Blind,
                ],
            ),
        ];
        for (facts, problems) in cases {
            assert_eq!(of_device(&facts), problems, "{facts:?}");
        }
    }

    #[test]
    fn problems_are_grouped_by_cause_in_order_of_urgency() {
        use FailureClass::{HostKeyChanged, TunnelDown};
        let fleet = [
            ("a", failed(TunnelDown, "wait")),
            ("b", with_files(served(), &[UNREADABLE])),
            ("c", failed(HostKeyChanged, "remove the key")),
            ("d", failed(HostKeyChanged, "check")),
            ("e", with_files(failed(TunnelDown, "wait"), &[UNREADABLE])),
            ("f", served()),
        ];
        let grouped = group(fleet.iter().map(|(name, facts)| (*name, facts)));
        let grouped: Vec<_> = grouped.into_iter().collect();
        assert_eq!(
            grouped,
            [
                (
                    Problem::DeviceFailed {
                        class: HostKeyChanged,
                        remedy: "check"
                    },
                    vec!["d"]
                ),
                (
                    Problem::DeviceFailed {
                        class: HostKeyChanged,
                        remedy: "remove the key"
                    },
                    vec!["c"]
                ),
                (Problem::Files { reason: UNREADABLE }, vec!["b", "e"]),
                (
                    Problem::Unreachable {
                        class: TunnelDown,
                        remedy: "wait"
                    },
                    vec!["a", "e"]
                ),
            ]
        );
    }
}
