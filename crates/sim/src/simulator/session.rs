//! Sessions with simulated devices: the port `Devices`.
//!
//! What is asked goes over the link, is done on the device by a task of its own, and is answered over the link. Whoever asked may be dead by
//! then: what is on its way is done all the same, later.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use engine::ports::device::Wanted;
use engine::ports::{
    Abilities, Chunk, ChunkSender, DeviceFacts, DeviceFailure, Devices, DigestRequest, Entry, EntryKind,
    FileFault, FileFaultKind, Inspection, Move, Session, SurveyItem, SurveySender,
};
use model::{DeviceName, Digest, FailureClass, Identity, RelativePath, SourcePath, Timestamp};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::book::Book;
use super::device::{Device, DeviceState, Kind, Refusal, openness};
use super::disk::ForgetfulDisk;
use super::link::{Condition, Link, Passage};
use super::power::Power;

/// How long a device may keep silent.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long it may take to let somebody in.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one step of many takes on a device: cameras get their turn between two.
const STEP: Duration = Duration::from_micros(200);

/// Bytes of a file that are read at once.
const PIECE: usize = 4096;

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
}

/// All that a task on a device needs.
#[derive(Debug, Clone)]
struct Reach {
    station: Station,
    generation: u64,
    boot: u64,
    power: Power,
    book: Book,
    disk: ForgetfulDisk,
    stops_with_connection: bool,
}

fn failure(class: FailureClass, message: &str) -> DeviceFailure {
    DeviceFailure {
        class,
        message: message.to_owned(),
    }
}

impl Devices for SimulatedDevices {
    type Session = SimulatedSession;

    async fn connect(&self, name: &DeviceName, _: &[SourcePath]) -> Result<SimulatedSession, DeviceFailure> {
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
            Condition::Well => {}
        }
        if self.power.is_off() {
            return std::future::pending().await;
        }
        let (facts, kind, boot) = {
            let state = station.device.lock();
            (state.facts(), state.kind, state.boot)
        };
        let reach = Reach {
            generation: station.link.generation(),
            station,
            boot,
            power: self.power.clone(),
            book: self.book.clone(),
            disk: self.disk.clone(),
            stops_with_connection: self.stops_with_connection,
        };
        Ok(SimulatedSession { reach, kind, facts })
    }
}

impl DeviceState {
    fn facts(&self) -> DeviceFacts {
        let tells = self.kind.abilities().tells_time;
        DeviceFacts {
            clock: tells.then(|| self.now()),
            boot_id: tells.then(|| format!("boot-{}", self.boot)),
            uptime: tells.then(|| self.uptime()),
            disks: Vec::new(),
        }
    }
}

impl Reach {
    /// The device, as long as it has not booted since; a task of a former boot is no more.
    async fn on_device<T>(&self, act: impl FnOnce(&mut DeviceState) -> T) -> T {
        {
            let mut state = self.station.device.lock();
            if state.boot == self.boot {
                return act(&mut state);
            }
        }
        std::future::pending().await
    }

    async fn carry(&self, bytes: u64, is_answer: bool) -> Passage {
        self.station.link.carry(self.generation, bytes, is_answer).await
    }

    /// Sends a request, has it done, and waits for the answer.
    async fn ask<T, F>(&self, bytes: usize, work: F) -> Result<T, DeviceFailure>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        if self.power.is_off() {
            return std::future::pending().await;
        }
        let (sender, receiver) = oneshot::channel();
        let (reach, bytes) = (self.clone(), u64::try_from(bytes).unwrap_or(u64::MAX));
        tokio::spawn(async move {
            match reach.carry(bytes, false).await {
                Passage::Arrived => {}
                Passage::Cut => return,
                Passage::Vanished => return std::future::pending().await,
            }
            let answer = work.await;
            match reach.carry(bytes, true).await {
                Passage::Arrived => drop(sender.send(answer)),
                Passage::Cut => {}
                Passage::Vanished => std::future::pending().await,
            }
        });
        let answer = timeout(STALL_TIMEOUT, receiver).await;
        if self.power.is_off() {
            return std::future::pending().await;
        }
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(failure(FailureClass::Protocol, "the connection is gone")),
            Err(_) => Err(failure(FailureClass::Stalled, "no answer")),
        }
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

impl Session for SimulatedSession {
    fn abilities(&self) -> Abilities {
        self.kind.abilities()
    }

    fn facts(&self) -> &DeviceFacts {
        &self.facts
    }

    async fn survey(&self, _: &SourcePath, items: SurveySender) -> Result<(), DeviceFailure> {
        let reach = self.reach.clone();
        self.reach
            .ask(64, async move {
                let (open, names) = reach
                    .on_device(|state| (state.open_files(), state.listing()))
                    .await;
                for names in names.chunks(32) {
                    let entries = reach.on_device(|state| {
                        let entry = |path: &Vec<u8>| state.entry(path, open.as_ref());
                        names.iter().filter_map(entry).collect::<Vec<SurveyItem>>()
                    });
                    let entries = entries.await;
                    if items.send(entries).await.is_err() {
                        return;
                    }
                    sleep(STEP).await;
                }
            })
            .await
    }

    async fn rename(
        &self,
        _: &SourcePath,
        moves: &[Move],
    ) -> Result<Vec<Result<(), FileFault>>, DeviceFailure> {
        let (reach, moves) = (self.reach.clone(), moves.to_vec());
        let work = async move {
            let mut answers = Vec::with_capacity(moves.len());
            for step in moves {
                let (from, to) = (step.from.as_bytes(), step.to.as_bytes());
                answers.push(
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
            answers
        };
        self.reach.ask(256, work).await
    }

    async fn inspect(
        &self,
        _: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<Result<Inspection, FileFault>>, DeviceFailure> {
        let (reach, paths) = (self.reach.clone(), paths.to_vec());
        let work = async move {
            let open = reach.on_device(|state| state.open_files()).await;
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
            reach.on_device(look).await
        };
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
        paths: &[RelativePath],
    ) -> Result<Vec<Result<(), FileFault>>, DeviceFailure> {
        let (reach, paths) = (self.reach.clone(), paths.to_vec());
        let work = async move {
            let mut answers = Vec::with_capacity(paths.len());
            for path in paths {
                let removal = reach.effect("release", path.as_bytes(), |state, reach| {
                    if let Some(file) = state.remove(path.as_bytes()) {
                        reach
                            .book
                            .check_removal(reach.station.number, state, &file, &reach.disk);
                    }
                    Ok(())
                });
                answers.push(removal.await);
                sleep(STEP).await;
            }
            answers
        };
        self.reach.ask(256, work).await
    }

    async fn remove_folders(&self, _: &SourcePath, paths: &[RelativePath]) -> Result<(), DeviceFailure> {
        let (reach, paths) = (self.reach.clone(), paths.to_vec());
        let work = async move {
            for path in paths {
                reach
                    .on_device(|state| state.remove_folder(path.as_bytes()))
                    .await;
            }
        };
        self.reach.ask(256, work).await
    }

    fn bytes_received(&self) -> u64 {
        0
    }

    async fn close(self) {}
}

impl Reach {
    /// One effect on the device that the collector's power may go after. The device does it whether or not anybody is left to hear of it.
    async fn effect<T>(
        &self,
        what: &str,
        name: &[u8],
        act: impl FnOnce(&mut DeviceState, &Self) -> Result<T, FileFault>,
    ) -> Result<T, FileFault> {
        let what = || format!("{what} {} of device {}", name.escape_ascii(), self.station.number);
        let is_gone = self.power.is_off() || self.station.link.generation() != self.generation;
        if self.stops_with_connection && is_gone {
            return std::future::pending().await;
        }
        // Counted first: the device acts even if the power goes with this very effect.
        self.power.effect(what, || Ok(())).unwrap_or_default();
        self.on_device(|state| act(state, self)).await
    }

    async fn read(
        &self,
        path: &RelativePath,
        offset: u64,
        expected_size: u64,
        chunks: &ChunkSender,
    ) -> Result<u64, FileFault> {
        let inode = self
            .on_device(|state| state.file(path.as_bytes()).map(|(inode, _)| inode))
            .await;
        let inode = inode.ok_or_else(|| fault(FileFaultKind::Missing))?;
        let (mut at, mut count) = (usize::try_from(offset).unwrap_or(usize::MAX), 0);
        let end = usize::try_from(expected_size).unwrap_or(usize::MAX);
        loop {
            let (piece, size) = self
                .on_device(|state| state.read(inode, at, PIECE.min(end - at.min(end))))
                .await;
            if piece.is_empty() {
                return if size > end {
                    Err(fault(FileFaultKind::Grown))
                } else {
                    Ok(count)
                };
            }
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            match self.carry(length, true).await {
                Passage::Arrived => {}
                // The answer that would tell the count will not come either.
                Passage::Cut | Passage::Vanished => return Ok(count),
            }
            at += piece.len();
            count += length;
            if chunks.send(Chunk::from(piece)).is_err() {
                return Ok(count);
            }
        }
    }
}

impl DeviceState {
    fn listing(&self) -> Vec<Vec<u8>> {
        let files = self.files().map(|(path, _)| path.clone());
        files.chain(self.folders().cloned()).collect()
    }

    fn entry(&self, path: &[u8], open: Option<&std::collections::BTreeSet<u64>>) -> Option<SurveyItem> {
        let relative = match RelativePath::new(path) {
            Ok(relative) => relative,
            Err(error) => return Some(SurveyItem::Refused(path.escape_ascii().to_string(), error)),
        };
        let (kind, identity, openness) = match self.file(path) {
            Some((inode, file)) => (EntryKind::File, self.identity(inode, file), openness(open, inode)),
            None => (EntryKind::Folder, folder_identity(), openness(open, 0)),
        };
        Some(SurveyItem::Entry(Entry {
            path: relative,
            kind,
            identity,
            openness,
        }))
    }

    fn read(&mut self, inode: u64, at: usize, length: usize) -> (Bytes, usize) {
        let Some(file) = self.node(inode) else {
            return (Bytes::new(), 0);
        };
        let (size, end) = (file.bytes.len(), (at + length).min(file.bytes.len()));
        let mut piece = file.bytes.get(at..end).unwrap_or_default().to_vec();
        if self.wrong_reads > 0
            && let Some(byte) = piece.first_mut()
        {
            *byte ^= 0x80;
            self.wrong_reads -= 1;
        }
        (piece.into(), size)
    }

    fn digest(&mut self, request: &DigestRequest) -> Option<Digest> {
        if self.wrong_digests > 0 {
            self.wrong_digests -= 1;
            return Some(Digest::from_bytes([7; 32]));
        }
        let (_, file) = self.file(request.path.as_bytes())?;
        let from = usize::try_from(request.offset).ok()?.min(file.bytes.len());
        let end = match request.length {
            Some(length) => (from + usize::try_from(length).ok()?).min(file.bytes.len()),
            None => file.bytes.len(),
        };
        let bytes = file.bytes.get(from..end).unwrap_or_default();
        Some(Digest::from_bytes(Sha256::digest(bytes).into()))
    }
}

fn folder_identity() -> Identity {
    Identity {
        device_number: Some(1),
        inode: None,
        size: 0,
        modified: Timestamp::from_seconds(0),
        changed: None,
    }
}
