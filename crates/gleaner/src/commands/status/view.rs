//! A device as it is judged: from what configuration and ledger say to one word.

use std::collections::BTreeMap;

use engine::ports::{PassOutcome, Reason};
use ledger::DeviceStatus;
use model::{Amount, DeviceName, FailureClass, Timestamp};

/// A device with what is known of it.
#[derive(Debug)]
pub(super) struct DeviceView {
    pub(super) name: DeviceName,
    /// Whether the configuration has it.
    pub(super) configured: bool,
    /// `None` if it was never visited.
    pub(super) known: Option<DeviceStatus>,
}

/// How a device is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It was served, and nothing on it needs anybody.
    Well,
    /// Somebody has to act on the device as a whole.
    Failing(FailureClass),
    /// It was served, but files of it need somebody; the first of the reasons.
    Faults(Reason),
    /// Its last pass ended with faults, of which the record says no more.
    Partial,
    /// It cannot be reached; it will be served when it can.
    Unreachable(FailureClass),
    /// The store or the ledger failed it.
    CollectorFailed,
    /// No pass over it has ended yet.
    NeverVisited,
}

impl State {
    /// The code in JSON.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Failing(_) | Self::Faults(_) | Self::Partial => "needs-you",
            Self::Unreachable(_) => "unreachable",
            Self::CollectorFailed => "collector-failed",
            Self::NeverVisited => "never-visited",
        }
    }
}

/// How a device failed.
#[derive(Debug)]
pub(super) struct Failure<'a> {
    /// What the device or the system said.
    pub(super) message: &'a str,
    /// What a person can do about it.
    pub(super) remedy: &'a str,
    pub(super) since: Option<Timestamp>,
}

impl DeviceView {
    /// The configured devices in their order, then the others by name.
    pub(super) fn all<'a>(
        configured: impl Iterator<Item = &'a DeviceName>,
        known: Vec<DeviceStatus>,
    ) -> Vec<Self> {
        let mut known: BTreeMap<_, _> = known
            .into_iter()
            .map(|status| (status.name.clone(), status))
            .collect();
        let mut all: Vec<Self> = configured
            .map(|name| Self {
                name: name.clone(),
                configured: true,
                known: known.remove(name),
            })
            .collect();
        all.extend(known.into_values().map(|status| Self {
            name: status.name.clone(),
            configured: false,
            known: Some(status),
        }));
        all
    }

    pub(super) fn state(&self) -> State {
        let Some(known) = &self.known else {
            return State::NeverVisited;
        };
        if matches!(&known.last_pass, Some(pass) if matches!(pass.outcome, Some(PassOutcome::CollectorFailed { .. })))
        {
            return State::CollectorFailed;
        }
        let verdict = known
            .last_conclusive_pass
            .as_ref()
            .and_then(|pass| pass.outcome.as_ref());
        match (verdict, self.faults().next()) {
            (Some(PassOutcome::Failed { class, .. }), _) if class.is_unreachable() => {
                State::Unreachable(*class)
            }
            (Some(PassOutcome::Failed { class, .. }), _) => State::Failing(*class),
            (Some(_), Some((reason, _))) => State::Faults(reason),
            (Some(PassOutcome::Partial), None) => State::Partial,
            (Some(_), None) => State::Well,
            (None, _) => State::NeverVisited,
        }
    }

    /// How it failed, where the last verdict is a failure.
    pub(super) fn failure(&self) -> Option<Failure<'_>> {
        let known = self.known.as_ref()?;
        let outcome = known.last_conclusive_pass.as_ref()?.outcome.as_ref()?;
        match outcome {
            PassOutcome::Failed { message, .. } => Some(Failure {
                message,
                remedy: outcome.remedy().unwrap_or_default(),
                since: known.failing_since,
            }),
            PassOutcome::Well
            | PassOutcome::Partial
            | PassOutcome::CollectorFailed { .. }
            | PassOutcome::Interrupted => None,
        }
    }

    /// What is left on it, what needs somebody first.
    pub(super) fn remaining(&self) -> Vec<(Reason, Amount)> {
        let mut remaining = self
            .known
            .as_ref()
            .map(|known| known.remaining.clone())
            .unwrap_or_default();
        remaining.sort_by_key(|(reason, _)| urgency(*reason));
        remaining
    }

    /// The reasons for which files of it need somebody.
    pub(super) fn faults(&self) -> impl Iterator<Item = (Reason, Amount)> {
        self.remaining()
            .into_iter()
            .filter(|(reason, _)| reason.is_fault())
    }
}

/// Faults, then what waits, then what stays by intention.
fn urgency(reason: Reason) -> u8 {
    match reason {
        _ if reason.is_fault() => 0,
        Reason::Wait(_) => 1,
        Reason::Leave(_) => 2,
    }
}
