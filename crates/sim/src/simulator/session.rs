//! Sessions with simulated devices: the port `Devices`.
//!
//! What is asked goes over the link, is done on the device by a task of its own, and is answered over the link. Whoever asked may be dead by
//! then: what is on its way is done all the same, later.

mod reach;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::ports::device::Wanted;
use engine::ports::{
    Abilities, ChunkSender, DeviceFacts, DeviceFailure, Devices, DigestRequest, FileFault, FileFaultKind,
    Inspection, Listed, Looked, Move, Moved, Session, SurveyItem, SurveySender,
};
use model::{DeviceName, Digest, FailureClass, RelativePath, SourcePath};
use tokio::time::sleep;

use super::book::Book;
use super::device::{Device, DeviceState, Kind, Refusal, openness};
use super::disk::ForgetfulDisk;
use super::ledger::ModelLedger;
use super::link::{Condition, Link};
use super::power::Power;
use super::turns::Turns;
use reach::Reach;

/// How long a device may keep silent.
pub const STALL_TIMEOUT: Duration = Duration::from_mins(1);

/// How long it may take to let somebody in.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one step of many takes on a device: cameras get their turn between two.
const STEP: Duration = Duration::from_micros(200);

/// A device and the link to it.
#[derive(Debug, Clone)]
pub struct Station {
    /// Its number in the fleet.
    pub number: usize,
    /// The device.
    pub device: Device,
    /// The way to it.
    pub link: Link,
}

/// The fleet, as one process of a collector sees it.
#[derive(Debug, Clone)]
pub struct SimulatedDevices {
    /// The stations by their name.
    pub stations: BTreeMap<String, Station>,
    /// That of the collector's machine: nobody without power asks for anything.
    pub power: Power,
    /// Where removals are checked.
    pub book: Book,
    /// What the collector has recorded before it asks for a removal.
    pub ledger: ModelLedger,
    /// Where it is noted when each device is connected.
    pub turns: Turns,
    /// The disk that removals are checked against.
    pub disk: ForgetfulDisk,
    /// Whether a device stops in the midst of what it was asked when the connection is gone; else it does all of it, later.
    pub stops_with_connection: bool,
}

/// A session with a simulated device.
#[derive(Debug)]
pub struct SimulatedSession {
    reach: Reach,
    kind: Kind,
    facts: DeviceFacts,
    /// A listing that was asked for while connecting, where the device has a shell.
    early: Mutex<Option<Listing>>,
}

/// A listing under way. Which files are open is found out first; then it comes as far as somebody listens.
#[derive(Debug)]
struct Listing {
    open: Option<BTreeSet<u64>>,
    /// The entries that were looked at before anybody listened.
    ahead: Vec<SurveyItem>,
    /// The rest.
    names: Vec<Vec<u8>>,
}

impl Listing {
    fn begin(state: &DeviceState, ahead: usize) -> Self {
        let (open, mut ahead_names) = (state.open_files(), state.listing());
        let names = ahead_names.split_off(ahead.min(ahead_names.len()));
        let entries = ahead_names
            .iter()
            .filter_map(|path| state.entry(path, open.as_ref()));
        Self {
            ahead: entries.collect(),
            names,
            open,
        }
    }
}

/// So many entries of a listing are on their way before anybody listens, and then at a time.
const ENTRIES: usize = 32;

fn failure(class: FailureClass, message: &str) -> DeviceFailure {
    DeviceFailure {
        class,
        message: message.to_owned(),
    }
}

impl Devices for SimulatedDevices {
    type Session = SimulatedSession;

    async fn connect(
        &self,
        name: &DeviceName,
        _: &[SourcePath],
        _: Option<bool>,
    ) -> Result<SimulatedSession, DeviceFailure> {
        let station = self.stations.get(name.as_str());
        let station = station
            .ok_or_else(|| failure(FailureClass::AliasUnknown, "no such device"))?
            .clone();
        // A connection takes some round trips before anything can be asked.
        sleep(station.link.round_trip() * 8).await;
        match station.link.condition() {
            Condition::Refusing => return Err(failure(FailureClass::TunnelDown, "nobody listens")),
            Condition::BlackHole | Condition::HalfOpen => {
                sleep(CONNECT_TIMEOUT).await;
                return Err(failure(FailureClass::TimedOut, "no answer"));
            }
            Condition::Well | Condition::Silent => {}
        }
        self.turns.connected(name);
        if self.power.is_off() {
            return std::future::pending().await;
        }
        let (facts, kind, boot, early) = {
            let state = station.device.lock();
            let early = state.facts().clock.map(|_| Listing::begin(&state, ENTRIES));
            (state.facts(), state.kind, state.boot, early)
        };
        let reach = Reach {
            generation: station.link.generation(),
            station,
            boot,
            power: self.power.clone(),
            book: self.book.clone(),
            ledger: self.ledger.clone(),
            disk: self.disk.clone(),
            stops_with_connection: self.stops_with_connection,
            arrivals: Arc::default(),
        };
        Ok(SimulatedSession {
            reach,
            kind,
            facts,
            early: Mutex::new(early),
        })
    }
}

fn fault(kind: FileFaultKind) -> FileFault {
    FileFault {
        kind,
        message: format!("{kind:?}"),
    }
}

fn from_refusal(refusal: Refusal) -> FileFault {
    fault(match refusal {
        Refusal::Missing => FileFaultKind::Missing,
        Refusal::Full | Refusal::Obstructed => FileFaultKind::Other,
    })
}

impl Reach {
    /// Looks which files are open, and a step later at some of them.
    async fn look_at(&self, paths: &[RelativePath]) -> Vec<Looked> {
        let open = self.on_device(|state| state.open_files()).await;
        sleep(STEP).await;
        let look = |state: &mut DeviceState| {
            let mut inspect = |path: &RelativePath| {
                let (inode, file) = state
                    .file(path.as_bytes())
                    .ok_or_else(|| fault(FileFaultKind::Missing))?;
                let identity = state.identity(inode, file);
                state.look_at(inode);
                Ok(Inspection {
                    identity,
                    openness: openness(open.as_ref(), inode),
                })
            };
            paths.iter().map(&mut inspect).collect()
        };
        self.on_device(look).await
    }
}

impl Session for SimulatedSession {
    fn abilities(&self) -> Abilities {
        self.kind.abilities()
    }

    fn facts(&self) -> &DeviceFacts {
        &self.facts
    }

    fn has_ended(&self) -> bool {
        self.reach.has_ended()
    }

    fn has_early_listing(&self, _: &SourcePath) -> bool {
        let early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        early.is_some()
    }

    async fn survey(&self, _: &SourcePath, items: SurveySender) -> Result<Listed, DeviceFailure> {
        let reach = self.reach.clone();
        let early = {
            let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
            early.take()
        };
        self.reach
            .ask(64, async move {
                let listing = match early {
                    Some(listing) => listing,
                    None => reach.on_device(|state| Listing::begin(state, 0)).await,
                };
                if items.send(listing.ahead).await.is_err() {
                    return Listed::Whole;
                }
                for names in listing.names.chunks(ENTRIES) {
                    sleep(STEP).await;
                    let entries = reach.on_device(|state| {
                        let entry = |path: &Vec<u8>| state.entry(path, listing.open.as_ref());
                        names.iter().filter_map(entry).collect::<Vec<SurveyItem>>()
                    });
                    let entries = entries.await;
                    if items.send(entries).await.is_err() {
                        return Listed::Whole;
                    }
                }
                Listed::Whole
            })
            .await
    }

    async fn rename(&self, _: &SourcePath, moves: &[Move]) -> Result<Vec<Moved>, DeviceFailure> {
        let (reach, moves) = (self.reach.clone(), moves.to_vec());
        let work = async move {
            let mut renamed = Vec::with_capacity(moves.len());
            for step in &moves {
                let (from, to) = (step.from.as_bytes(), step.to.as_bytes());
                renamed.push(
                    reach
                        .effect("withdraw", from, |state, reach| match state.rename(from, to) {
                            Ok(Some(_)) => {
                                reach
                                    .book
                                    .breach(format!("a rename replaced {}", to.escape_ascii()));
                                Ok(())
                            }
                            Ok(None) => Ok(()),
                            Err(refusal) => Err(from_refusal(refusal)),
                        })
                        .await,
                );
                sleep(STEP).await;
            }
            let done = moves.iter().zip(&renamed).filter(|(_, renamed)| renamed.is_ok());
            let paths: Vec<RelativePath> = done.map(|(step, _)| step.to.clone()).collect();
            let mut looks = reach.look_at(&paths).await.into_iter();
            let missing = || Err(fault(FileFaultKind::Missing));
            let with_look =
                |renamed: Result<(), FileFault>| renamed.map(|()| looks.next().unwrap_or_else(missing));
            renamed.into_iter().map(with_look).collect()
        };
        self.reach.ask(256, work).await
    }

    async fn inspect(&self, _: &SourcePath, paths: &[RelativePath]) -> Result<Vec<Looked>, DeviceFailure> {
        let (reach, paths) = (self.reach.clone(), paths.to_vec());
        let work = async move { reach.look_at(&paths).await };
        self.reach.ask(256, work).await
    }

    async fn fetch(
        &self,
        _: &SourcePath,
        path: &RelativePath,
        offset: u64,
        expected_size: u64,
        chunks: ChunkSender,
    ) -> Result<Result<u64, FileFault>, DeviceFailure> {
        let (reach, path) = (self.reach.clone(), path.clone());
        let work = async move { reach.read(&path, offset, expected_size, &chunks).await };
        self.reach.ask(64, work).await
    }

    async fn fetch_together(&self, _: &SourcePath, files: Vec<Wanted>) -> Result<(), DeviceFailure> {
        let reach = self.reach.clone();
        let work = async move {
            for file in files {
                let outcome = reach.read(&file.path, 0, file.expected_size, &file.chunks).await;
                let is_passed_over = matches!(&outcome, Err(fault) if fault.kind == FileFaultKind::Missing);
                drop(file.chunks);
                if !is_passed_over {
                    file.outcome.send(outcome).unwrap_or_default();
                }
            }
        };
        self.reach.ask(256, work).await
    }

    async fn digest(
        &self,
        _: &SourcePath,
        requests: &[DigestRequest],
    ) -> Result<Vec<Option<Digest>>, DeviceFailure> {
        let (reach, requests) = (self.reach.clone(), requests.to_vec());
        let work = async move {
            let mut digests = Vec::with_capacity(requests.len());
            for request in requests {
                digests.push(reach.on_device(|state| state.digest(&request)).await);
                sleep(STEP).await;
            }
            digests
        };
        self.reach.ask(256, work).await
    }

    async fn remove(
        &self,
        _: &SourcePath,
        files: &[RelativePath],
        folders: &[RelativePath],
    ) -> Result<Vec<Result<(), FileFault>>, DeviceFailure> {
        let (reach, folders) = (self.reach.clone(), folders.to_vec());
        // What the ledger says now, not when the device comes to it: whoever asked may be dead by then, and his ledger lost.
        let removals: Vec<_> = files
            .iter()
            .map(|path| (path.clone(), reach.removal(path)))
            .collect();
        let work = async move {
            let mut answers = Vec::with_capacity(removals.len());
            for (path, removal) in removals {
                let effect = reach.effect("release", path.as_bytes(), |state, reach| {
                    if let Some(file) = state.remove(path.as_bytes()) {
                        reach.book.check_removal(removal, state, &file, &reach.disk);
                    }
                    Ok(())
                });
                answers.push(effect.await);
                sleep(STEP).await;
            }
            for path in folders {
                reach
                    .on_device(|state| state.remove_folder(path.as_bytes()))
                    .await;
            }
            answers
        };
        self.reach.ask(256, work).await
    }

    fn compression_paid(&self) -> Option<bool> {
        None
    }

    fn bytes_received(&self) -> u64 {
        0
    }

    async fn close(self) {}
}
