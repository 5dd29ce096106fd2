//! The connection between a session and its device: requests, replies and effects on the device.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::ports::{Chunk, ChunkSender, DeviceFailure, FileFault, FileFaultKind};
use model::{FailureClass, RelativePath};
use tokio::sync::oneshot;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

use super::endpoint::{Endpoint, STALL_TIMEOUT, failure, fault};
use crate::simulator::device::{DeviceState, Request, Unanswered};
use crate::simulator::disk::SimulatedDisk;
use crate::simulator::ledger::ModelLedger;
use crate::simulator::link::Delivery;
use crate::simulator::naming::device_name;
use crate::simulator::oracle::{Oracle, Removal};
use crate::simulator::power::Power;

/// Bytes of a file that are read at a time.
const PIECE: usize = 4096;

/// Everything that a task on a device needs.
#[derive(Debug, Clone)]
pub(super) struct DeviceConnection {
    pub(super) endpoint: Endpoint,
    pub(super) generation: u64,
    pub(super) boot: u64,
    pub(super) power: Power,
    pub(super) oracle: Oracle,
    pub(super) ledger: ModelLedger,
    pub(super) disk: SimulatedDisk,
    pub(super) stops_with_connection: bool,
    /// Increases with every arrival: a slow link is not a silent one.
    pub(super) arrivals: Arc<AtomicU64>,
}

impl DeviceConnection {
    /// Runs `act` on the device. Waits indefinitely if the device has booted since: tasks end with the boot.
    pub(super) async fn on_device<T>(&self, act: impl FnOnce(&mut DeviceState) -> T) -> T {
        {
            let mut state = self.endpoint.device.lock();
            if state.boot == self.boot {
                return act(&mut state);
            }
        }
        std::future::pending().await
    }

    /// Begins a request on the device. The device may never reply, or may end the session.
    pub(super) async fn begin(&self, request: Request) -> Result<(), DeviceFailure> {
        match self.on_device(|state| state.begin(request)).await {
            Ok(()) => Ok(()),
            Err(Unanswered::Silent) => std::future::pending().await,
            Err(Unanswered::Ended(failure)) => {
                self.endpoint.link.cut();
                Err(failure)
            }
        }
    }

    /// Whether the connection was cut, or the device has booted since.
    pub(super) fn has_ended(&self) -> bool {
        self.endpoint.link.generation() != self.generation || self.endpoint.device.lock().boot != self.boot
    }

    /// Describes a removal that is requested now.
    pub(super) fn removal(&self, path: &RelativePath) -> Removal {
        let device = self.endpoint.number;
        Removal {
            device,
            sent: Instant::now(),
            recorded: self.ledger.recorded_at(&device_name(device), path),
        }
    }

    /// Records an arrival, so that a slow reply does not count as silence.
    pub(super) fn note_arrival(&self) {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) async fn carry(&self, bytes: u64, is_reply: bool) -> Delivery {
        let delivery = self.endpoint.link.carry(self.generation, bytes, is_reply).await;
        if delivery == Delivery::Arrived {
            self.note_arrival();
        }
        delivery
    }

    /// Waits for a reply as long as anything arrives within the stall timeout.
    async fn wait_for<T>(
        &self,
        mut receiver: oneshot::Receiver<T>,
    ) -> Result<Result<T, oneshot::error::RecvError>, Elapsed> {
        loop {
            let before = self.arrivals.load(Ordering::Relaxed);
            match timeout(STALL_TIMEOUT, &mut receiver).await {
                Err(_) if self.arrivals.load(Ordering::Relaxed) != before => {}
                answered => return answered,
            }
        }
    }

    /// Sends a request, runs it on the device, and waits for the reply.
    pub(super) async fn request<T, F>(&self, bytes: usize, work: F) -> Result<T, DeviceFailure>
    where
        F: Future<Output = Result<T, DeviceFailure>> + Send + 'static,
        T: Send + 'static,
    {
        if self.power.is_off() {
            return std::future::pending().await;
        }
        let (sender, receiver) = oneshot::channel();
        let (connection, bytes) = (self.clone(), u64::try_from(bytes).unwrap_or(u64::MAX));
        tokio::spawn(async move {
            match connection.carry(bytes, false).await {
                Delivery::Arrived => {}
                Delivery::Cut => return,
                Delivery::Vanished => return std::future::pending().await,
            }
            let answer = work.await;
            if answer.is_err() {
                return drop(sender.send(answer));
            }
            match connection.carry(bytes, true).await {
                Delivery::Arrived => drop(sender.send(answer)),
                Delivery::Cut => {}
                Delivery::Vanished => std::future::pending().await,
            }
        });
        let answer = self.wait_for(receiver).await;
        if self.power.is_off() {
            return std::future::pending().await;
        }
        match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(failure(FailureClass::Protocol, "the connection is gone")),
            Err(_) => Err(failure(FailureClass::Stalled, "no answer")),
        }
    }

    /// Performs one effect on the device, after which the collector's power may be cut. The device performs
    /// it even if the caller is dead.
    pub(super) async fn effect<T>(
        &self,
        what: &str,
        name: &[u8],
        act: impl FnOnce(&mut DeviceState, &Self) -> Result<T, FileFault>,
    ) -> Result<T, FileFault> {
        let what = || {
            format!(
                "{what} {} of device {}",
                name.escape_ascii(),
                self.endpoint.number
            )
        };
        let is_gone = self.power.is_off() || self.endpoint.link.generation() != self.generation;
        if self.stops_with_connection && is_gone {
            return std::future::pending().await;
        }
        // Counted first: the device acts even if this effect cuts the power.
        self.power.effect(what, || Ok(())).unwrap_or_default();
        self.on_device(|state| act(state, self)).await
    }

    pub(super) async fn read(
        &self,
        path: &RelativePath,
        offset: u64,
        expected_size: u64,
        chunks: &ChunkSender,
    ) -> Result<Result<u64, FileFault>, DeviceFailure> {
        self.begin(Request::Fetch).await?;
        let is_silent = |state: &mut DeviceState| {
            state.requests.offsets.push(offset);
            state.faults.is_silent_over(path)
        };
        if self.on_device(is_silent).await {
            return std::future::pending().await;
        }
        Ok(self.read_all(path, offset, expected_size, chunks).await)
    }

    async fn read_all(
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
                Delivery::Arrived => {}
                // The reply with the count will not arrive either.
                Delivery::Cut | Delivery::Vanished => return Ok(count),
            }
            at += piece.len();
            count += length;
            if chunks.send(Chunk::from(piece)).is_err() {
                return Ok(count);
            }
        }
    }
}
