//! What can go wrong, and the choice of what does.

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

/// What is there to be broken.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Equipment {
    pub(crate) store: Option<Medium>,
    pub(crate) ledger: Option<Medium>,
    pub(crate) device: Option<Medium>,
}

impl Kind {
    /// Killing gleaner stands here twice: it is what all is made for.
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

    /// Whether it befalls between two runs rather than in one.
    pub(crate) fn comes_before(self) -> bool {
        matches!(
            self,
            Self::UnmountStoreBefore
                | Self::FillStoreBefore
                | Self::LoseLedgerBefore
                | Self::RestoreLedgerBefore
        )
    }

    /// Whether it befalls one device only.
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

    /// Whether it befalls the store or the ledger: only then may gleaner refuse to begin.
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

/// When a fault befalls, in a run that has begun.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    After(Duration),
    /// When so many bytes have come from the device.
    Received(u64),
    /// So long after gleaner has withdrawn something on the device.
    Withdrawn(Duration),
    /// So long after the store shows something new.
    Published(Duration),
}

/// A fault that was chosen, with all that is left to chance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strike {
    pub(crate) kind: Kind,
    pub(crate) moment: Moment,
    /// The device, from 1, that it befalls, or whose progress it waits for.
    pub(crate) device: usize,
    /// For what lasts a while, and comes to its end by itself.
    pub(crate) lasts: Duration,
    pub(crate) bytes: u64,
    /// Chooses among processes.
    pub(crate) number: u64,
}

/// All kinds in a random order, again and again: so that no kind is left to luck for long.
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

    /// The faults of a round: one to three that can befall with this equipment. What cannot stays for another round.
    pub(crate) fn deal(&mut self, equipment: Equipment, devices: usize) -> Vec<Strike> {
        let mut strikes: Vec<Strike> = Vec::new();
        for _ in 0..self.chance.between(1, 4) {
            let kind = self.next_kind(equipment);
            let strike = self.strike(kind, devices);
            strikes.push(strike);
        }
        // Calm is a round without any fault.
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
