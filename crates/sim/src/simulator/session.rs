//! Sessions with simulated devices: the port `Devices`.
//!
//! What is asked goes over the link, is done on the device by a task of its own, and is answered over the link. Whoever asked may be dead by
//! then: what is on its way is done all the same, later.

mod listing;
mod reach;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use engine::ports::device::{ConnectHints, SmallFileRequest};
use engine::ports::{
    Abilities, ChunkSender, DeviceFacts, DeviceFailure, Devices, DigestRequest, FileFault, FileFaultKind,
    FolderNumbers, InspectResult, Inspection, ListingEnd, Move, RenameResult, Session, SurveySender,
};
use model::{DeviceName, Digest, FailureClass, RelativePath, SourcePath};
use tokio::time::sleep;

use super::book::Book;
use super::device::{Device, DeviceState, Refusal, Request, Unanswered, openness};
use super::disk::ForgetfulDisk;
use super::ledger::ModelLedger;
use super::link::{Condition, Link};
use super::power::Power;
use super::turns::Turns;
use super::world::SOURCE;
use listing::Listing;
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
    abilities: Abilities,
    facts: DeviceFacts,
    /// A listing that was asked for while connecting, where the device has a shell.
    early: Mutex<Option<Listing>>,
}

/// A station is one device, whatever names lead to it. Devices boot alike: their boot ids tell nobody apart,
/// as those of containers.
fn folders(station: &Station, sources: &[SourcePath]) -> Vec<(SourcePath, Option<FolderNumbers>)> {
    let device_number = u64::try_from(station.number).unwrap_or(u64::MAX);
    let numbers = FolderNumbers {
        device_number,
        inode: 2,
    };
    let folder = |source: &SourcePath| {
        let is_there = source.as_bytes() == SOURCE.as_bytes();
        (source.clone(), is_there.then_some(numbers))
    };
    sources.iter().map(folder).collect()
}

fn failure(class: FailureClass, message: &str) -> DeviceFailure {
    DeviceFailure {
        class,
        message: message.to_owned(),
        remedy: None,
    }
}

impl Devices for SimulatedDevices {
    type Session = SimulatedSession;

    async fn connect(
        &self,
        name: &DeviceName,
        facts_for: &[SourcePath],
        hints: ConnectHints,
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
        let begun = station.device.lock().begin(Request::Connect);
        match begun {
            Ok(()) => {}
            Err(Unanswered::Ended(failure)) => return Err(failure),
            Err(Unanswered::Silent) => {
                sleep(CONNECT_TIMEOUT).await;
                return Err(failure(FailureClass::TimedOut, "no answer"));
            }
        }
        let (facts, abilities, boot, early) = {
            let mut state = station.device.lock();
            state.requests.hints.push(hints);
            let early = state.facts().clock.map(|_| Listing::ahead(&state));
            let mut facts = state.facts();
            if state.abilities.tells_time {
                facts.folders = folders(&station, facts_for);
            }
            (facts, state.abilities, state.boot, early)
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
            abilities,
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
    fn withdraw(&self, state: &mut DeviceState, step: &Move) -> Result<(), FileFault> {
        let (from, to) = (step.from.as_bytes(), step.to.as_bytes());
        if state.is_known_to_be_open(from) {
            return Err(fault(FileFaultKind::Open));
        }
        if let Some(kind) = state.faults.refuses_rename(&step.from, &step.to) {
            state.make_parents(to);
            return Err(fault(kind));
        }
        if state.rename(from, to).map_err(from_refusal)?.is_some() {
            self.book
                .breach(format!("a rename replaced {}", to.escape_ascii()));
        }
        Ok(())
    }

    /// Looks which files are open, and a step later at some of them.
    async fn look_at(&self, paths: &[RelativePath]) -> Result<Vec<InspectResult>, DeviceFailure> {
        if !paths.is_empty() {
            self.begin(Request::Inspect).await?;
        }
        let open = self.on_device(|state| state.open_files()).await;
        sleep(STEP).await;
        let look = |state: &mut DeviceState| {
            let mut inspect = |path: &RelativePath| {
                if let Some(kind) = state.faults.refuses_look(path) {
                    return Err(fault(kind));
                }
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
        Ok(self.on_device(look).await)
    }
}

impl Session for SimulatedSession {
    fn abilities(&self) -> Abilities {
        self.abilities
    }

    fn facts(&self) -> &DeviceFacts {
        &self.facts
    }

    fn has_ended(&self) -> bool {
        self.reach.has_ended()
    }

    fn has_early_listing(&self, source: &SourcePath) -> bool {
        let early = self.early.lock();
        early.is_some() && source.as_bytes() == SOURCE.as_bytes()
    }

    async fn survey(&self, source: &SourcePath, items: SurveySender) -> Result<ListingEnd, DeviceFailure> {
        let (reach, is_there) = (self.reach.clone(), source.as_bytes() == SOURCE.as_bytes());
        let early = is_there.then(|| self.early.lock().take());
        let early = early.flatten();
        let work = async move {
            reach.begin(Request::Survey).await?;
            if !is_there {
                return Err(failure(FailureClass::SourceMissing, "no such folder"));
            }
            let listing = match early {
                Some(listing) => listing,
                None => reach.on_device(|state| Listing::begin(state, 0)).await,
            };
            Ok(reach.list(listing, items).await)
        };
        self.reach.ask(64, work).await
    }

    async fn rename(&self, _: &SourcePath, moves: &[Move]) -> Result<Vec<RenameResult>, DeviceFailure> {
        let (reach, moves) = (self.reach.clone(), moves.to_vec());
        let work = async move {
            reach.begin(Request::Rename).await?;
            let mut renamed = Vec::with_capacity(moves.len());
            for step in &moves {
                let from = step.from.as_bytes();
                renamed.push(
                    reach
                        .effect("withdraw", from, |state, reach| reach.withdraw(state, step))
                        .await,
                );
                sleep(STEP).await;
            }
            let done = moves.iter().zip(&renamed).filter(|(_, renamed)| renamed.is_ok());
            let paths: Vec<RelativePath> = done.map(|(step, _)| step.to.clone()).collect();
            let mut looks = reach.look_at(&paths).await?.into_iter();
            let missing = || Err(fault(FileFaultKind::Missing));
            let with_look =
                |renamed: Result<(), FileFault>| renamed.map(|()| looks.next().unwrap_or_else(missing));
            Ok(renamed.into_iter().map(with_look).collect())
        };
        self.reach.ask(256, work).await
    }

    async fn inspect(
        &self,
        _: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<InspectResult>, DeviceFailure> {
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

    async fn fetch_together(
        &self,
        _: &SourcePath,
        files: Vec<SmallFileRequest>,
    ) -> Result<(), DeviceFailure> {
        let reach = self.reach.clone();
        let work = async move {
            reach.begin(Request::FetchTogether).await?;
            let sizes: Vec<u64> = files.iter().map(|file| file.expected_size).collect();
            let passes_over = reach.on_device(|state| {
                state.requests.together.extend(sizes);
                state.faults.passes_over
            });
            let passes_over = passes_over.await;
            for file in files {
                if passes_over == Some(file.expected_size) {
                    continue;
                }
                let outcome = reach
                    .read(&file.path, 0, file.expected_size, &file.chunks)
                    .await?;
                let is_passed_over = matches!(&outcome, Err(fault) if fault.kind == FileFaultKind::Missing);
                drop(file.chunks);
                if !is_passed_over {
                    file.outcome.send(outcome).unwrap_or_default();
                }
            }
            Ok(())
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
            reach.begin(Request::Digest).await?;
            let mut digests = Vec::with_capacity(requests.len());
            for request in requests {
                digests.push(reach.on_device(|state| state.digest(&request)).await);
                sleep(STEP).await;
            }
            Ok(digests)
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
            if !removals.is_empty() {
                reach.begin(Request::Remove).await?;
            }
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
            if !folders.is_empty() {
                reach.begin(Request::RemoveFolders).await?;
            }
            for path in folders {
                reach
                    .on_device(|state| state.remove_folder(path.as_bytes()))
                    .await;
            }
            Ok(answers)
        };
        self.reach.ask(256, work).await
    }

    fn compression_paid(&self) -> Option<bool> {
        self.reach.station.device.lock().compression_paid
    }

    fn bytes_received(&self) -> u64 {
        0
    }

    async fn close(self) {}
}
