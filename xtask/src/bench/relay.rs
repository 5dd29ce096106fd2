//! A link between the ssh clients and the jump host, made of threads: delay, rate, outages, and a count of
//! the traffic.
//!
//! It works on streams, not on packets. Nothing is lost or duplicated, and the kernel's reaction to loss does
//! not show.

mod schedule;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

pub(super) use schedule::Character;
use schedule::Schedule;

/// The maximum of one read: one or two packets of ssh, so that connections share the link finely.
const PIECE_BYTES: usize = 16 * 1024;
/// The resolution at which the flow downstream is recorded.
const MARK_BYTES: u64 = 64 * 1024;

/// The link. Dropping it cuts all its connections.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) port: u16,
    state: Arc<State>,
}

/// The traffic of a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Passed {
    /// Towards the devices.
    pub(super) up_bytes: u64,
    /// From the devices.
    pub(super) down_bytes: u64,
    /// The part of the link's rate that was used downstream from the first to the last byte of bulk data.
    /// `None` without bulk data.
    pub(super) share_of_link: Option<f64>,
}

#[derive(Debug)]
struct State {
    character: Character,
    server_port: u16,
    epoch: Instant,
    up: Mutex<Direction>,
    down: Mutex<Direction>,
    ended: AtomicBool,
    /// A second handle of every stream, used to cut it.
    streams: Mutex<Vec<TcpStream>>,
}

#[derive(Debug)]
struct Direction {
    schedule: Schedule,
    bytes: u64,
    /// When each further [`MARK_BYTES`] had passed.
    marks: Vec<Instant>,
}

impl Relay {
    /// Starts a link to a port of this machine.
    pub(super) fn start(character: Character, server_port: u16) -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("open a port for the emulated link")?;
        let port = listener.local_addr()?.port();
        let direction = || {
            Mutex::new(Direction {
                schedule: Schedule::of(character),
                bytes: 0,
                marks: Vec::new(),
            })
        };
        let state = Arc::new(State {
            character,
            server_port,
            epoch: Instant::now(),
            up: direction(),
            down: direction(),
            ended: AtomicBool::new(false),
            streams: Mutex::new(Vec::new()),
        });
        let accepting = Arc::clone(&state);
        thread::spawn(move || accepting.accept(&listener));
        Ok(Self { port, state })
    }

    pub(super) fn passed(&self) -> Passed {
        let down = held(&self.state.down);
        Passed {
            up_bytes: held(&self.state.up).bytes,
            down_bytes: down.bytes,
            share_of_link: share_of_link(&down.marks, self.state.character.bits_per_second),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        for stream in held(&self.state.streams).drain(..) {
            // The connection may have ended already.
            drop(stream.shutdown(Shutdown::Both));
        }
        // Wakes the accepting thread, so that it sees the end.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

/// The first and the last 256 KiB do not count: they include the set-up of connections and listings.
fn share_of_link(marks: &[Instant], bits_per_second: u64) -> Option<f64> {
    const SKIPPED_MARKS: usize = 4;
    let last = marks.len().checked_sub(SKIPPED_MARKS)?;
    let bulk = marks.get(SKIPPED_MARKS - 1..last)?;
    let (first, last) = (bulk.first()?, bulk.last()?);
    let bytes = MARK_BYTES * u64::try_from(bulk.len().checked_sub(1)?).ok()?;
    let seconds = last.duration_since(*first).as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "a ratio shown with two digits")]
    (bytes >= 16 * MARK_BYTES).then(|| bytes as f64 * 8.0 / seconds / bits_per_second as f64)
}

impl State {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            if let Ok(client) = client {
                let state = Arc::clone(&self);
                // A connection that fails is closed, which both ends notice.
                thread::spawn(move || drop(state.connect(client)));
            }
        }
    }

    /// Opens a connection with the delays of a real link. It reaches the server half a round trip later, and
    /// the server's first bytes reach the client after a whole one. The client's first bytes wait for the
    /// reply to its opening.
    fn connect(self: Arc<Self>, client: TcpStream) -> Result<()> {
        let opened = self.character.arrival_of_nothing(self.epoch.elapsed());
        let answered = self.character.arrival_of_nothing(opened);
        self.sleep_until(opened);
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.server_port))?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
            held(&self.streams).push(stream.try_clone()?);
        }
        let (client_end, server_end) = (client.try_clone()?, server.try_clone()?);
        let downstream = Arc::clone(&self);
        thread::spawn(move || downstream.carry(&downstream.down, server_end, client_end));
        self.sleep_until(answered);
        self.carry(&self.up, client, server);
        Ok(())
    }

    /// Moves bytes until the source ends, then closes the destination.
    fn carry(self: &Arc<Self>, direction: &Mutex<Direction>, mut source: TcpStream, destination: TcpStream) {
        let queue = Arc::new(Queue::holding(self.character.bytes_under_way()));
        let (delivering, state) = (Arc::clone(&queue), Arc::clone(self));
        let delivery = thread::spawn(move || state.deliver(&delivering, destination));
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let length = source.read(&mut buffer).unwrap_or(0);
            let arrival = self.send(direction, length);
            let bytes = buffer.get(..length).unwrap_or_default().to_vec();
            if !queue.push(Piece { arrival, bytes }) || length == 0 {
                break;
            }
        }
        drop(delivery.join());
    }

    /// Waits for room in front of the link, and returns when the bytes arrive at its other end.
    fn send(&self, direction: &Mutex<Direction>, length: usize) -> Duration {
        loop {
            let room_from = {
                let mut direction = held(direction);
                let (now, room_from) = (self.epoch.elapsed(), direction.schedule.room_from());
                if room_from <= now {
                    let arrival = direction.schedule.send(now, length);
                    direction.count(length, self.epoch + arrival);
                    return arrival;
                }
                room_from
            };
            // Another connection may take that room first. In the long run each gets its share.
            self.sleep_until(room_from);
        }
    }

    fn deliver(&self, queue: &Queue, mut destination: TcpStream) {
        loop {
            let piece = queue.pop();
            self.sleep_until(piece.arrival);
            if piece.bytes.is_empty() {
                drop(destination.shutdown(Shutdown::Write));
                return;
            }
            if destination.write_all(&piece.bytes).is_err() {
                queue.close();
                // The destination is gone, so the other direction ends too.
                drop(destination.shutdown(Shutdown::Both));
                return;
            }
            queue.delivered(piece.bytes.len());
        }
    }

    fn sleep_until(&self, time: Duration) {
        thread::sleep(time.saturating_sub(self.epoch.elapsed()));
    }
}

impl Direction {
    fn count(&mut self, length: usize, arrival: Instant) {
        self.bytes += u64::try_from(length).unwrap_or_default();
        while MARK_BYTES * u64::try_from(self.marks.len() + 1).unwrap_or(u64::MAX) <= self.bytes {
            self.marks.push(arrival);
        }
    }
}

/// A piece of one connection's data in flight in one direction. An empty piece marks the end.
#[derive(Debug)]
struct Piece {
    arrival: Duration,
    bytes: Vec<u8>,
}

/// Pieces in the order in which they were sent. The sender waits if too much is in flight.
#[derive(Debug)]
struct Queue {
    limit_bytes: usize,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    pieces: std::collections::VecDeque<Piece>,
    /// Bytes sent and not yet delivered.
    bytes: usize,
    closed: bool,
}

impl Queue {
    fn holding(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            inner: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Returns `false` if the receiver accepts nothing more.
    fn push(&self, piece: Piece) -> bool {
        let mut inner = held(&self.inner);
        inner.bytes += piece.bytes.len();
        inner.pieces.push_back(piece);
        self.changed.notify_all();
        while inner.bytes > self.limit_bytes && !inner.closed {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        !inner.closed
    }

    fn pop(&self) -> Piece {
        let mut inner = held(&self.inner);
        loop {
            if let Some(piece) = inner.pieces.pop_front() {
                return piece;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn delivered(&self, bytes: usize) {
        held(&self.inner).bytes -= bytes;
        self.changed.notify_all();
    }

    fn close(&self) {
        held(&self.inner).closed = true;
        self.changed.notify_all();
    }
}

/// Locks the mutex. The data is consistent after every statement, so a panic in another thread does no harm.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
