//! A device with its record in the ledger, and the facts that its health depends on.

use std::collections::BTreeMap;

use engine::ports::{DeviceStatus, DiskUse, PassOutcome, PastPass, Reason, WriterCheck};
use health::{DeviceFacts, DeviceState, DiskSpace, PassResult, Remaining, RemainingReason};
use model::{Amount, DeviceName, SourcePath, Timestamp};

/// A device and its record.
#[derive(Debug)]
pub(super) struct DeviceView {
    pub(super) name: DeviceName,
    /// Whether it is configured.
    pub(super) configured: bool,
    /// `None` if it was never visited.
    pub(super) known: Option<DeviceStatus>,
}

/// The failure of a device.
#[derive(Debug)]
pub(super) struct DeviceFailure<'a> {
    /// The message of the device or the system.
    pub(super) message: &'a str,
    /// The remedy.
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

    /// Its state, in one word.
    pub(super) fn state(&self) -> DeviceState {
        DeviceState::of(&self.facts())
    }

    /// The facts that its health depends on.
    pub(super) fn facts(&self) -> DeviceFacts<'_> {
        let Some(known) = &self.known else {
            return DeviceFacts::default();
        };
        let collector_failure = match outcome(known.last_pass.as_ref()) {
            Some(PassOutcome::CollectorFailed { message }) => Some(message.as_str()),
            _ => None,
        };
        let remaining = known.remaining.iter().map(|(reason, amount)| Remaining {
            reason: remaining_reason(*reason),
            amount: *amount,
        });
        let disk = |(_, disk): &(SourcePath, Option<DiskUse>)| {
            disk.map(|disk| DiskSpace {
                total: disk.total,
                available: disk.available,
            })
        };
        DeviceFacts {
            collector_failure,
            last_result: outcome(known.last_conclusive_pass.as_ref()).map(pass_result),
            remaining: remaining.collect(),
            disks: known.disks.iter().filter_map(disk).collect(),
            shortcomings: known.shortcomings.iter().map(String::as_str).collect(),
            is_blind: known.writer_check == Some(WriterCheck::Blind),
        }
    }

    /// Its failure, if the last result is a failure.
    pub(super) fn failure(&self) -> Option<DeviceFailure<'_>> {
        let known = self.known.as_ref()?;
        let outcome = outcome(known.last_conclusive_pass.as_ref())?;
        let PassOutcome::Failed { message, .. } = outcome else {
            return None;
        };
        Some(DeviceFailure {
            message,
            remedy: outcome.remedy().unwrap_or_default(),
            since: known.failing_since,
        })
    }

    /// The remaining files by reason, the most urgent first.
    pub(super) fn remaining(&self) -> Vec<(Reason, Amount)> {
        let mut remaining = self
            .known
            .as_ref()
            .map(|known| known.remaining.clone())
            .unwrap_or_default();
        remaining.sort_by_key(|(reason, _)| remaining_reason(*reason).urgency());
        remaining
    }
}

fn outcome(pass: Option<&PastPass>) -> Option<&PassOutcome> {
    pass.and_then(|pass| pass.outcome.as_ref())
}

fn pass_result(outcome: &PassOutcome) -> PassResult<'_> {
    match outcome {
        PassOutcome::Failed { class, .. } => PassResult::Failed {
            class: *class,
            remedy: outcome.remedy().unwrap_or_default(),
        },
        PassOutcome::Partial => PassResult::Partial,
        PassOutcome::Well | PassOutcome::CollectorFailed { .. } | PassOutcome::Interrupted => {
            PassResult::Served
        }
    }
}

const fn remaining_reason(reason: Reason) -> RemainingReason {
    match reason {
        Reason::Wait(reason) => RemainingReason::Wait(reason),
        Reason::Leave(reason) => RemainingReason::Leave(reason),
    }
}
