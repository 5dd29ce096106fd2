//! The state of a device, in one word.

use model::FailureClass;

use crate::facts::{DeviceFacts, PassResult};
use crate::remaining::RemainingReason;

/// The state of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// It was served, and nothing on it needs action.
    Ok,
    /// Someone must act.
    NeedsAction(ActionCause),
    /// It cannot be reached; gleaner serves it when it is back.
    Unreachable(FailureClass),
    /// The store or the ledger failed during its last pass: this reports nothing about the device.
    CollectorFailed,
    /// No pass of it has ended yet.
    NeverVisited,
}

/// Why someone must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionCause {
    /// The device as a whole failed.
    Device(FailureClass),
    /// It was served, but some of its files need action. This is the first of their reasons.
    Files(RemainingReason),
    /// Its last pass ended with faults, but the record has no file that needs action.
    LastPass,
}

impl DeviceState {
    /// The state of a device with these facts.
    ///
    /// A failure of the collector in the last pass comes first: everything else would be outdated. Then the
    /// last result about the device decides, and files count only while the device is served.
    pub fn of(facts: &DeviceFacts<'_>) -> Self {
        if facts.collector_failure.is_some() {
            return Self::CollectorFailed;
        }
        let reason = facts.files_needing_action().next().map(|files| files.reason);
        match (facts.last_result, reason) {
            (None, _) => Self::NeverVisited,
            (Some(PassResult::Failed { class, .. }), _) if class.is_unreachable() => Self::Unreachable(class),
            (Some(PassResult::Failed { class, .. }), _) => Self::NeedsAction(ActionCause::Device(class)),
            (Some(_), Some(reason)) => Self::NeedsAction(ActionCause::Files(reason)),
            (Some(PassResult::Partial), None) => Self::NeedsAction(ActionCause::LastPass),
            (Some(PassResult::Served), None) => Self::Ok,
        }
    }

    /// The stable code, as in JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NeedsAction(_) => "needs-you",
            Self::Unreachable(_) => "unreachable",
            Self::CollectorFailed => "collector-failed",
            Self::NeverVisited => "never-visited",
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{Amount, LeaveReason, WaitReason};

    use super::*;
    use crate::remaining::Remaining;

    const SETTLING: RemainingReason = RemainingReason::Wait(WaitReason::Settling);
    const UNPROVED: RemainingReason = RemainingReason::Wait(WaitReason::Unproved);
    const UNREADABLE: RemainingReason = RemainingReason::Leave(LeaveReason::Unreadable);
    const LINK: RemainingReason = RemainingReason::Leave(LeaveReason::Link);

    const fn failed(class: FailureClass) -> PassResult<'static> {
        PassResult::Failed {
            class,
            remedy: class.remedy(),
        }
    }

    const fn files(reason: RemainingReason) -> DeviceState {
        DeviceState::NeedsAction(ActionCause::Files(reason))
    }

    #[test]
    fn the_state_follows_from_last_result_and_remaining_files() {
        use FailureClass::{HostKeyChanged, TunnelDown};
        let (served, partial) = (Some(PassResult::Served), Some(PassResult::Partial));
        let device = |class| DeviceState::NeedsAction(ActionCause::Device(class));
        let last_pass = DeviceState::NeedsAction(ActionCause::LastPass);
        let cases: [(_, &[RemainingReason], _, _); 14] = [
            (None, &[], DeviceState::NeverVisited, "never-visited"),
            (None, &[UNREADABLE], DeviceState::NeverVisited, "never-visited"),
            (served, &[], DeviceState::Ok, "ok"),
            (served, &[SETTLING, LINK], DeviceState::Ok, "ok"),
            (served, &[SETTLING, UNREADABLE], files(UNREADABLE), "needs-you"),
            (served, &[UNPROVED, UNREADABLE], files(UNPROVED), "needs-you"),
            (served, &[UNREADABLE, UNPROVED], files(UNREADABLE), "needs-you"),
            (partial, &[], last_pass, "needs-you"),
            (partial, &[SETTLING], last_pass, "needs-you"),
            (partial, &[UNREADABLE], files(UNREADABLE), "needs-you"),
            (
                Some(failed(HostKeyChanged)),
                &[],
                device(HostKeyChanged),
                "needs-you",
            ),
            (
                Some(failed(HostKeyChanged)),
                &[UNREADABLE],
                device(HostKeyChanged),
                "needs-you",
            ),
            (
                Some(failed(TunnelDown)),
                &[],
                DeviceState::Unreachable(TunnelDown),
                "unreachable",
            ),
            (
                Some(failed(TunnelDown)),
                &[UNREADABLE],
                DeviceState::Unreachable(TunnelDown),
                "unreachable",
            ),
        ];
        for (last_result, reasons, state, code) in cases {
            let remaining = reasons.iter().map(|reason| Remaining {
                reason: *reason,
                amount: Amount::new(1, 1),
            });
            let mut facts = DeviceFacts {
                last_result,
                remaining: remaining.collect(),
                ..DeviceFacts::default()
            };
            assert_eq!(DeviceState::of(&facts), state, "{facts:?}");
            assert_eq!(state.code(), code);
            facts.collector_failure = Some("the store is full");
            assert_eq!(DeviceState::of(&facts), DeviceState::CollectorFailed, "{facts:?}");
        }
        assert_eq!(DeviceState::CollectorFailed.code(), "collector-failed");
    }

    #[test]
    fn every_failure_class_is_either_unreachable_or_needs_action() {
        for class in FailureClass::ALL {
            let facts = DeviceFacts {
                last_result: Some(failed(class)),
                ..DeviceFacts::default()
            };
            let expected = if class.is_unreachable() {
                DeviceState::Unreachable(class)
            } else {
                DeviceState::NeedsAction(ActionCause::Device(class))
            };
            assert_eq!(DeviceState::of(&facts), expected);
        }
    }

    #[test]
    fn disks_and_shortcomings_do_not_change_the_state() {
        let facts = DeviceFacts {
            last_result: Some(PassResult::Served),
            disks: vec![crate::DiskSpace {
                total: 1000,
                available: 0,
            }],
            shortcomings: vec!["no digest tool"],
            is_blind: true,
            ..DeviceFacts::default()
        };
        assert_eq!(DeviceState::of(&facts), DeviceState::Ok);
    }
}
