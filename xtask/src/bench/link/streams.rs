//! A link between the ssh clients and the jump host for measurements without root: delay, rate, outages, and
//! a count of the traffic.
//!
//! Threads forward streams, not packets. Nothing is lost, and the kernel's TCP does not see the link: the
//! slow start of a connection and its reaction to loss do not show.

mod schedule;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Passed;
use super::character::Character;
use schedule::{BUFFER_BYTES, Schedule};

/// The maximum of one read: one or two packets of ssh, so that connections share the link finely.
const PIECE_BYTES: usize = 16 * 1024;

/// The link. Dropping it cuts all its connections.
#[derive(Debug)]
pub(in crate::bench) struct Relay {
    pub(super) port: u16,
    state: Arc<State>,
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
        Passed {
            up_bytes: held(&self.state.up).bytes,
            down_bytes: held(&self.state.down).bytes,
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
        let limit = self
            .character
            .bandwidth_delay_bytes()
            .saturating_add(BUFFER_BYTES);
        let queue = Arc::new(Queue::holding(limit));
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
                    direction.bytes += u64::try_from(length).unwrap_or_default();
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
