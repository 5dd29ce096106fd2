//! Sessions with simulated devices: the port `Devices`.
//!
//! A request travels over the link, runs on the device in a task of its own, and its reply travels back. The
//! caller may be dead by then: the device still completes the request later.

mod connection;
mod endpoint;
mod inspect;
mod listing;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use engine::ports::device::{ConnectHints, SmallFileRequest};
use engine::ports::{
    Abilities, ChunkSender, DeviceFacts, DeviceFailure, Devices, DigestRequest, FileFault, FileFaultKind,
    InspectResult, ListingEnd, Move, RenameResult, Session, SurveySender,
};
use model::{DeviceName, Digest, FailureClass, RelativePath, SourcePath};
use tokio::time::sleep;

use super::device::{Request, Unanswered};
use super::disk::SimulatedDisk;
use super::ledger::ModelLedger;
use super::link::Condition;
use super::naming::SOURCE;
use super::oracle::Oracle;
use super::power::Power;
use super::timing::SweepTiming;
use connection::DeviceConnection;
pub use endpoint::{CONNECT_TIMEOUT, Endpoint, STALL_TIMEOUT};
use endpoint::{STEP, failure, fault, folders};
use listing::Listing;

/// The fleet, as one process of a collector sees it.
#[derive(Debug, Clone)]
pub struct SimulatedDevices {
    /// The devices and their links by name.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// The power of the collector's machine: without power it sends no requests.
    pub power: Power,
    /// Checks removals.
    pub oracle: Oracle,
    /// Shows what the collector had recorded before it asked for a removal.
    pub ledger: ModelLedger,
    /// Records when each device is connected.
    pub timing: SweepTiming,
    /// The disk that removals are checked against.
    pub disk: SimulatedDisk,
    /// Whether a device stops in the middle of a request when the connection ends. Otherwise it completes the
    /// request later.
    pub stops_with_connection: bool,
}

/// A session with a simulated device.
#[derive(Debug)]
pub struct SimulatedSession {
    connection: DeviceConnection,
    abilities: Abilities,
    facts: DeviceFacts,
    /// The listing that was requested during connect, where the device has a shell.
    early: Mutex<Option<Listing>>,
}

impl Devices for SimulatedDevices {
    type Session = SimulatedSession;

    async fn connect(
        &self,
        name: &DeviceName,
        facts_for: &[SourcePath],
        hints: ConnectHints,
    ) -> Result<SimulatedSession, DeviceFailure> {
        let endpoint = self.endpoints.get(name.as_str());
        let endpoint = endpoint
            .ok_or_else(|| failure(FailureClass::AliasUnknown, "no such device"))?
            .clone();
        // A connection takes some round trips before it accepts a request.
        sleep(endpoint.link.round_trip() * 8).await;
        match endpoint.link.condition() {
            Condition::Refusing => return Err(failure(FailureClass::TunnelDown, "connection refused")),
            Condition::BlackHole | Condition::HalfOpen => {
                sleep(CONNECT_TIMEOUT).await;
                return Err(failure(FailureClass::TimedOut, "no answer"));
            }
            Condition::Well | Condition::Silent => {}
        }
        self.timing.connected(name);
        if self.power.is_off() {
            return std::future::pending().await;
        }
        let begun = endpoint.device.lock().begin(Request::Connect);
        match begun {
            Ok(()) => {}
            Err(Unanswered::Ended(failure)) => return Err(failure),
            Err(Unanswered::Silent) => {
                sleep(CONNECT_TIMEOUT).await;
                return Err(failure(FailureClass::TimedOut, "no answer"));
            }
        }
        let (facts, abilities, boot, early) = {
            let mut state = endpoint.device.lock();
            state.requests.hints.push(hints);
            let early = state.facts().clock.map(|_| Listing::ahead(&state));
            let mut facts = state.facts();
            if state.abilities.tells_time {
                facts.folders = folders(&endpoint, facts_for);
            }
            (facts, state.abilities, state.boot, early)
        };
        let connection = DeviceConnection {
            generation: endpoint.link.generation(),
            endpoint,
            boot,
            power: self.power.clone(),
            oracle: self.oracle.clone(),
            ledger: self.ledger.clone(),
            disk: self.disk.clone(),
            stops_with_connection: self.stops_with_connection,
            arrivals: Arc::default(),
        };
        Ok(SimulatedSession {
            connection,
            abilities,
            facts,
            early: Mutex::new(early),
        })
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
        self.connection.has_ended()
    }

    fn has_early_listing(&self, source: &SourcePath) -> bool {
        let early = self.early.lock();
        early.is_some() && source.as_bytes() == SOURCE.as_bytes()
    }

    async fn survey(&self, source: &SourcePath, items: SurveySender) -> Result<ListingEnd, DeviceFailure> {
        let (connection, is_there) = (self.connection.clone(), source.as_bytes() == SOURCE.as_bytes());
        let early = is_there.then(|| self.early.lock().take());
        let early = early.flatten();
        let work = async move {
            connection.begin(Request::Survey).await?;
            if !is_there {
                return Err(failure(FailureClass::SourceMissing, "no such folder"));
            }
            let listing = match early {
                Some(listing) => listing,
                None => connection.on_device(|state| Listing::begin(state, 0)).await,
            };
            Ok(connection.list(listing, items).await)
        };
        self.connection.request(64, work).await
    }

    async fn rename(&self, _: &SourcePath, moves: &[Move]) -> Result<Vec<RenameResult>, DeviceFailure> {
        let (connection, moves) = (self.connection.clone(), moves.to_vec());
        let work = async move {
            connection.begin(Request::Rename).await?;
            let mut renamed = Vec::with_capacity(moves.len());
            for step in &moves {
                let from = step.from.as_bytes();
                renamed.push(
                    connection
                        .effect("withdraw", from, |state, connection| {
                            connection.withdraw(state, step)
                        })
                        .await,
                );
                sleep(STEP).await;
            }
            let done = moves.iter().zip(&renamed).filter(|(_, renamed)| renamed.is_ok());
            let paths: Vec<RelativePath> = done.map(|(step, _)| step.to.clone()).collect();
            let mut inspections = connection.inspect(&paths).await?.into_iter();
            let missing = || Err(fault(FileFaultKind::Missing));
            let with_inspection =
                |renamed: Result<(), FileFault>| renamed.map(|()| inspections.next().unwrap_or_else(missing));
            Ok(renamed.into_iter().map(with_inspection).collect())
        };
        self.connection.request(256, work).await
    }

    async fn inspect(
        &self,
        _: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<InspectResult>, DeviceFailure> {
        let (connection, paths) = (self.connection.clone(), paths.to_vec());
        let work = async move { connection.inspect(&paths).await };
        self.connection.request(256, work).await
    }

    async fn fetch(
        &self,
        _: &SourcePath,
        path: &RelativePath,
        offset: u64,
        expected_size: u64,
        chunks: ChunkSender,
    ) -> Result<Result<u64, FileFault>, DeviceFailure> {
        let (connection, path) = (self.connection.clone(), path.clone());
        let work = async move { connection.read(&path, offset, expected_size, &chunks).await };
        self.connection.request(64, work).await
    }

    async fn fetch_together(
        &self,
        _: &SourcePath,
        files: Vec<SmallFileRequest>,
    ) -> Result<(), DeviceFailure> {
        let connection = self.connection.clone();
        let work = async move {
            connection.begin(Request::FetchTogether).await?;
            let sizes: Vec<u64> = files.iter().map(|file| file.expected_size).collect();
            let passes_over = connection.on_device(|state| {
                state.requests.together.extend(sizes);
                state.faults.passes_over
            });
            let passes_over = passes_over.await;
            for file in files {
                if passes_over == Some(file.expected_size) {
                    continue;
                }
                let outcome = connection
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
        self.connection.request(256, work).await
    }

    async fn digest(
        &self,
        _: &SourcePath,
        requests: &[DigestRequest],
    ) -> Result<Vec<Option<Digest>>, DeviceFailure> {
        let (connection, requests) = (self.connection.clone(), requests.to_vec());
        let work = async move {
            connection.begin(Request::Digest).await?;
            let mut digests = Vec::with_capacity(requests.len());
            for request in requests {
                digests.push(connection.on_device(|state| state.digest(&request)).await);
                sleep(STEP).await;
            }
            Ok(digests)
        };
        self.connection.request(256, work).await
    }

    async fn remove(
        &self,
        _: &SourcePath,
        files: &[RelativePath],
        folders: &[RelativePath],
    ) -> Result<Vec<Result<(), FileFault>>, DeviceFailure> {
        let (connection, folders) = (self.connection.clone(), folders.to_vec());
        // The ledger's state at the time of the request, not of the removal: by then the collector may be
        // dead and its ledger lost.
        let removals: Vec<_> = files
            .iter()
            .map(|path| (path.clone(), connection.removal(path)))
            .collect();
        let work = async move {
            if !removals.is_empty() {
                connection.begin(Request::Remove).await?;
            }
            let mut answers = Vec::with_capacity(removals.len());
            for (path, removal) in removals {
                let effect = connection.effect("release", path.as_bytes(), |state, connection| {
                    if let Some(file) = state.remove(path.as_bytes()) {
                        connection
                            .oracle
                            .check_removal(removal, state, &file, &connection.disk);
                    }
                    Ok(())
                });
                answers.push(effect.await);
                sleep(STEP).await;
            }
            if !folders.is_empty() {
                connection.begin(Request::RemoveFolders).await?;
            }
            for path in folders {
                connection
                    .on_device(|state| state.remove_folder(path.as_bytes()))
                    .await;
            }
            Ok(answers)
        };
        self.connection.request(256, work).await
    }

    fn compression_paid(&self) -> Option<bool> {
        self.connection.endpoint.device.lock().compression_paid
    }

    fn bytes_received(&self) -> u64 {
        0
    }

    async fn close(self) {}
}
