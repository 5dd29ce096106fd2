//! Files that remain on a device, and how urgent they are.

use model::{Amount, LeaveReason, WaitReason};

/// The files that remain on a device for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remaining {
    /// The reason.
    pub reason: RemainingReason,
    /// How many files, and how many bytes.
    pub amount: Amount,
}

/// Why files remain on a device. The order is that of the reports: waiting files before files left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RemainingReason {
    /// gleaner retries them automatically.
    Wait(WaitReason),
    /// They stay until someone acts, or on purpose.
    Leave(LeaveReason),
}

/// How urgent remaining files are; the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Someone must act.
    Action,
    /// gleaner retries them automatically.
    Waiting,
    /// They stay on purpose.
    Intended,
}

impl RemainingReason {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Wait(reason) => reason.code(),
            Self::Leave(reason) => reason.code(),
        }
    }

    /// The text for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Wait(reason) => reason.text(),
            Self::Leave(reason) => reason.text(),
        }
    }

    /// What the operator can do; empty if there is nothing to do.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Wait(reason) => reason.remedy(),
            Self::Leave(reason) => reason.remedy(),
        }
    }

    /// Whether someone must act on such files.
    pub const fn needs_action(self) -> bool {
        match self {
            Self::Wait(reason) => reason.is_fault(),
            Self::Leave(reason) => reason.is_fault(),
        }
    }

    /// How urgent such files are.
    pub const fn urgency(self) -> Urgency {
        match self {
            _ if self.needs_action() => Urgency::Action,
            Self::Wait(_) => Urgency::Waiting,
            Self::Leave(_) => Urgency::Intended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_urgent_that_need_action_then_those_that_wait() {
        for (reason, urgency) in [
            (RemainingReason::Leave(LeaveReason::Unreadable), Urgency::Action),
            (RemainingReason::Wait(WaitReason::Unproved), Urgency::Action),
            (RemainingReason::Wait(WaitReason::Settling), Urgency::Waiting),
            (RemainingReason::Leave(LeaveReason::Link), Urgency::Intended),
        ] {
            assert_eq!(reason.urgency(), urgency, "{reason:?}");
        }
        assert!(Urgency::Action < Urgency::Waiting && Urgency::Waiting < Urgency::Intended);
    }

    #[test]
    fn every_reason_that_needs_action_has_a_remedy() {
        let waits = WaitReason::ALL.into_iter().map(RemainingReason::Wait);
        let leaves = LeaveReason::ALL.into_iter().map(RemainingReason::Leave);
        for reason in waits.chain(leaves).filter(|reason| reason.needs_action()) {
            assert!(!reason.remedy().is_empty(), "{reason:?}");
        }
    }
}
