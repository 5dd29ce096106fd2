//! The kinds of faults, and the random choice of those that are injected.

use std::collections::VecDeque;
use std::time::Duration;

use crate::disk::Medium;
use crate::rng::Rng;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    NoFault,
    KillGleaner,
    KillGleanerGroup,
    KillSsh,
    KillGuard,
    KillDeviceListener,
    KillDeviceSession,
    KillDeviceServer,
    KillJumpListener,
    KillJumpSession,
    KillJumpServer,
    CutLink,
    SilenceLink,
    FreezeGleaner,
    FreezeSsh,
    FreezeDevice,
    FreezeJump,
    SecondGleaner,
    FillStore,
    MakeStoreReadOnly,
    PullStore,
    UnmountStoreBefore,
    FillStoreBefore,
    FailStoreDisk,
    FillLedger,
    LoseLedgerBefore,
    RestoreLedgerBefore,
    FillDevice,
}

/// The media that can be broken. `None` where a folder has no file system of its own.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Media {
    pub(crate) store: Option<Medium>,
    pub(crate) ledger: Option<Medium>,
    pub(crate) device: Option<Medium>,
}

impl FaultKind {
    /// `KillGleaner` is here twice: surviving it is the main purpose of the design.
    const ALL: [Self; 29] = [
        Self::NoFault,
        Self::KillGleaner,
        Self::KillGleaner,
        Self::KillGleanerGroup,
        Self::KillSsh,
        Self::KillGuard,
        Self::KillDeviceListener,
        Self::KillDeviceSession,
        Self::KillDeviceServer,
        Self::KillJumpListener,
        Self::KillJumpSession,
        Self::KillJumpServer,
        Self::CutLink,
        Self::SilenceLink,
        Self::FreezeGleaner,
        Self::FreezeSsh,
        Self::FreezeDevice,
        Self::FreezeJump,
        Self::SecondGleaner,
        Self::FillStore,
        Self::MakeStoreReadOnly,
        Self::PullStore,
        Self::UnmountStoreBefore,
        Self::FillStoreBefore,
        Self::FailStoreDisk,
        Self::FillLedger,
        Self::LoseLedgerBefore,
        Self::RestoreLedgerBefore,
        Self::FillDevice,
    ];

    /// Whether the fault is injected between two runs, not during one.
    pub(crate) fn is_between_runs(self) -> bool {
        matches!(
            self,
            Self::UnmountStoreBefore
                | Self::FillStoreBefore
                | Self::LoseLedgerBefore
                | Self::RestoreLedgerBefore
        )
    }

    /// Whether the fault affects one device only.
    pub(crate) fn affects_one_device(self) -> bool {
        matches!(
            self,
            Self::KillDeviceListener
                | Self::KillDeviceSession
                | Self::KillDeviceServer
                | Self::CutLink
                | Self::SilenceLink
                | Self::FreezeDevice
                | Self::FillDevice
        )
    }

    /// Whether the fault affects the store or the ledger. Only then may gleaner refuse to begin.
    pub(crate) fn affects_store_or_ledger(self) -> bool {
        matches!(
            self,
            Self::FillStore
                | Self::MakeStoreReadOnly
                | Self::PullStore
                | Self::UnmountStoreBefore
                | Self::FillStoreBefore
                | Self::FailStoreDisk
                | Self::FillLedger
        )
    }

    fn is_possible_on(self, media: Media) -> bool {
        match self {
            Self::FillStore
            | Self::MakeStoreReadOnly
            | Self::PullStore
            | Self::UnmountStoreBefore
            | Self::FillStoreBefore => media.store.is_some(),
            Self::FailStoreDisk => media.store == Some(Medium::Image),
            Self::FillLedger => media.ledger.is_some(),
            Self::FillDevice => media.device.is_some(),
            _ => true,
        }
    }
}

/// When to inject a fault into a run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trigger {
    After(Duration),
    /// After this number of bytes has come from the device.
    Received(u64),
    /// This time after gleaner has withdrawn something on the device.
    Withdrawn(Duration),
    /// This time after the store shows something new.
    Published(Duration),
}

/// A fault that was chosen, with all its random parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlannedFault {
    pub(crate) kind: FaultKind,
    pub(crate) trigger: Trigger,
    /// The device, counted from 1, that the fault affects, or whose progress it waits for.
    pub(crate) device: usize,
    /// Duration of a fault that ends without a repair.
    pub(crate) duration: Duration,
    pub(crate) bytes: u64,
    /// Chooses among processes.
    pub(crate) number: u64,
}

/// All kinds in a random order, then again in another, so that no kind is missing for long.
#[derive(Debug)]
pub(crate) struct FaultPicker {
    rng: Rng,
    left: VecDeque<FaultKind>,
}

impl FaultPicker {
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            rng,
            left: VecDeque::new(),
        }
    }

    /// Returns the faults of a round: one to three that are possible on these media. Other kinds wait for a
    /// later round.
    pub(crate) fn next_round(&mut self, media: Media, devices: usize) -> Vec<PlannedFault> {
        let mut planned: Vec<PlannedFault> = Vec::new();
        for _ in 0..self.rng.between(1, 4) {
            let kind = self.next_kind(media);
            let fault = self.plan(kind, devices);
            planned.push(fault);
        }
        // `NoFault` as the first choice makes a round without any fault.
        if planned
            .first()
            .is_some_and(|fault| fault.kind == FaultKind::NoFault)
        {
            planned.clear();
        }
        planned.retain(|fault| fault.kind != FaultKind::NoFault);
        planned
    }

    fn next_kind(&mut self, media: Media) -> FaultKind {
        loop {
            if let Some(at) = self.left.iter().position(|kind| kind.is_possible_on(media)) {
                return self.left.remove(at).expect("at that place");
            }
            let mut kinds = FaultKind::ALL.to_vec();
            while !kinds.is_empty() {
                let at = self.rng.between(0, kinds.len());
                self.left.push_back(kinds.swap_remove(at));
            }
        }
    }

    fn plan(&mut self, kind: FaultKind, devices: usize) -> PlannedFault {
        let rng = &mut self.rng;
        let trigger = match rng.below(8) {
            0..3 => Trigger::After(rng.time(Duration::from_millis(2_500))),
            3..5 => Trigger::Received(rng.below(3_000_000)),
            5 => Trigger::Withdrawn(rng.time(Duration::from_millis(300))),
            _ => Trigger::Published(rng.time(Duration::from_millis(300))),
        };
        PlannedFault {
            kind,
            trigger,
            device: rng.between(1, devices + 1),
            duration: Duration::from_millis(50) + rng.time(Duration::from_secs(4)),
            bytes: rng.below(2_000_000),
            number: rng.next(),
        }
    }
}
