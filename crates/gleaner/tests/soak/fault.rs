//! The kinds of faults, and the random choice of those that are injected.

use std::collections::VecDeque;
use std::time::Duration;

use crate::chance::Chance;
use crate::disk::Medium;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Calm,
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
pub(crate) struct Equipment {
    pub(crate) store: Option<Medium>,
    pub(crate) ledger: Option<Medium>,
    pub(crate) device: Option<Medium>,
}

impl Kind {
    /// `KillGleaner` is here twice: surviving it is the main purpose of the design.
    const DECK: [Self; 29] = [
        Self::Calm,
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
    pub(crate) fn comes_before(self) -> bool {
        matches!(
            self,
            Self::UnmountStoreBefore
                | Self::FillStoreBefore
                | Self::LoseLedgerBefore
                | Self::RestoreLedgerBefore
        )
    }

    /// Whether the fault affects one device only.
    pub(crate) fn is_of_one_device(self) -> bool {
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
    pub(crate) fn is_of_the_home(self) -> bool {
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

    fn can_befall(self, equipment: Equipment) -> bool {
        match self {
            Self::FillStore
            | Self::MakeStoreReadOnly
            | Self::PullStore
            | Self::UnmountStoreBefore
            | Self::FillStoreBefore => equipment.store.is_some(),
            Self::FailStoreDisk => equipment.store == Some(Medium::Image),
            Self::FillLedger => equipment.ledger.is_some(),
            Self::FillDevice => equipment.device.is_some(),
            _ => true,
        }
    }
}

/// When to inject a fault into a run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
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
pub(crate) struct Strike {
    pub(crate) kind: Kind,
    pub(crate) moment: Moment,
    /// The device, counted from 1, that the fault affects, or whose progress it waits for.
    pub(crate) device: usize,
    /// Duration of a fault that ends without a repair.
    pub(crate) lasts: Duration,
    pub(crate) bytes: u64,
    /// Chooses among processes.
    pub(crate) number: u64,
}

/// All kinds in a random order, then again in another, so that no kind is missing for long.
#[derive(Debug)]
pub(crate) struct Deck {
    chance: Chance,
    left: VecDeque<Kind>,
}

impl Deck {
    pub(crate) fn of(chance: Chance) -> Self {
        Self {
            chance,
            left: VecDeque::new(),
        }
    }

    /// Returns the faults of a round: one to three that are possible on these media. Other kinds wait for a
    /// later round.
    pub(crate) fn deal(&mut self, equipment: Equipment, devices: usize) -> Vec<Strike> {
        let mut strikes: Vec<Strike> = Vec::new();
        for _ in 0..self.chance.between(1, 4) {
            let kind = self.next_kind(equipment);
            let strike = self.strike(kind, devices);
            strikes.push(strike);
        }
        // `NoFault` as the first choice makes a round without any fault.
        if strikes.first().is_some_and(|strike| strike.kind == Kind::Calm) {
            strikes.clear();
        }
        strikes.retain(|strike| strike.kind != Kind::Calm);
        strikes
    }

    fn next_kind(&mut self, equipment: Equipment) -> Kind {
        loop {
            if let Some(at) = self.left.iter().position(|kind| kind.can_befall(equipment)) {
                return self.left.remove(at).expect("at that place");
            }
            let mut fresh = Kind::DECK.to_vec();
            while !fresh.is_empty() {
                let at = self.chance.between(0, fresh.len());
                self.left.push_back(fresh.swap_remove(at));
            }
        }
    }

    fn strike(&mut self, kind: Kind, devices: usize) -> Strike {
        let chance = &mut self.chance;
        let moment = match chance.below(8) {
            0..3 => Moment::After(chance.time(Duration::from_millis(2_500))),
            3..5 => Moment::Received(chance.below(3_000_000)),
            5 => Moment::Withdrawn(chance.time(Duration::from_millis(300))),
            _ => Moment::Published(chance.time(Duration::from_millis(300))),
        };
        Strike {
            kind,
            moment,
            device: chance.between(1, devices + 1),
            lasts: Duration::from_millis(50) + chance.time(Duration::from_secs(4)),
            bytes: chance.below(2_000_000),
            number: chance.next(),
        }
    }
}
