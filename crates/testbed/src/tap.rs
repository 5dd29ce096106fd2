//! A link that fails on demand: a relay between the jump host and one device that counts and delays bytes,
//! breaks, or stalls.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::Port;

/// The link to one device. Dropping it ends all connections.
#[derive(Debug)]
pub struct Tap {
    port: Port,
    link: Arc<Link>,
}

#[derive(Debug)]
struct Link {
    target: u16,
    state: Mutex<LinkState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct LinkState {
    health: Health,
    /// The next change of health.
    scheduled: Option<ScheduledChange>,
    /// Bytes received from the device over all connections.
    received: u64,
    connections: u64,
    bytes_per_second: Option<u64>,
    open: Vec<TcpStream>,
    closed: bool,
}

/// A change of health once the device has sent this many bytes in all.
#[derive(Debug, Clone, Copy)]
struct ScheduledChange {
    received: u64,
    health: Health,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Health {
    #[default]
    Up,
    /// No byte passes, but connections stay open.
    Silent,
    /// Connections are closed, new ones refused.
    Down,
}

impl Tap {
    /// A link to the port `target` on loopback, without faults.
    pub fn to(target: u16) -> Self {
        let port = Port::free();
        let number = port.number();
        let listener = listen(number).expect("listening for the tap");
        let link = Arc::new(Link {
            target,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&link);
        thread::spawn(move || accept(&accepting, listener, number));
        Self { port, link }
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Breaks the link after `bytes` more bytes from the device, until it is healed.
    pub fn cut_after(&self, bytes: u64) {
        self.schedule(bytes, Health::Down);
    }

    /// Lets no byte pass in either direction after `bytes` more bytes from the device, until it is healed.
    pub fn silent_after(&self, bytes: u64) {
        self.schedule(bytes, Health::Silent);
    }

    /// Limits the speed of bytes from the device.
    pub fn slow_to(&self, bytes_per_second: u64) {
        self.link.state.lock().expect("lock").bytes_per_second = Some(bytes_per_second);
    }

    /// Removes all faults and limits of the link.
    pub fn heal(&self) {
        let mut state = self.link.state.lock().expect("lock");
        state.health = Health::Up;
        state.scheduled = None;
        state.bytes_per_second = None;
        self.link.changed.notify_all();
    }

    /// The number of bytes received from the device so far.
    pub fn received(&self) -> u64 {
        self.link.state.lock().expect("lock").received
    }

    /// The number of connections so far.
    pub fn connections(&self) -> u64 {
        self.link.state.lock().expect("lock").connections
    }

    fn schedule(&self, bytes: u64, health: Health) {
        let mut state = self.link.state.lock().expect("lock");
        if bytes == 0 {
            state.set_health(health);
        } else {
            state.scheduled = Some(ScheduledChange {
                received: state.received + bytes,
                health,
            });
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let mut state = self.link.state.lock().expect("lock");
        state.closed = true;
        state.set_health(Health::Down);
        self.link.changed.notify_all();
    }
}

impl LinkState {
    fn set_health(&mut self, health: Health) {
        self.health = health;
        self.scheduled = None;
        if health == Health::Down {
            for stream in self.open.drain(..) {
                drop(stream.shutdown(Shutdown::Both));
            }
        }
    }
}

impl Link {
    /// How many of `length` bytes from the device may pass now. Waits while the link is silent; `None` if it
    /// is down.
    fn admit(&self, length: usize) -> Option<usize> {
        let mut state = self.state.lock().expect("lock");
        while state.health == Health::Silent {
            state = self.changed.wait(state).expect("lock");
        }
        if state.health == Health::Down {
            return None;
        }
        let mut admitted = length;
        if let Some(change) = state.scheduled {
            let left = usize::try_from(change.received.saturating_sub(state.received)).unwrap_or(usize::MAX);
            admitted = admitted.min(left);
            if admitted == left && change.health == Health::Silent {
                state.set_health(change.health);
            }
        }
        state.received += u64::try_from(admitted).expect("a length");
        Some(admitted)
    }

    /// Applies the scheduled change once the bytes before it have passed.
    fn apply_scheduled(&self) {
        let mut state = self.state.lock().expect("lock");
        if let Some(change) = state.scheduled
            && state.received >= change.received
        {
            state.set_health(change.health);
        }
    }

    fn wait_while_silent(&self) {
        let mut state = self.state.lock().expect("lock");
        while state.health == Health::Silent {
            state = self.changed.wait(state).expect("lock");
        }
    }

    fn pause_for(&self, length: usize) {
        let speed = self.state.lock().expect("lock").bytes_per_second;
        if let Some(speed) = speed {
            let micros = u64::try_from(length).expect("a length") * 1_000_000 / speed.max(1);
            thread::sleep(Duration::from_micros(micros));
        }
    }
}

fn listen(port: u16) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Accepts connections while the link is not down. Closes the port while it is, so that connections are
/// refused.
fn accept(link: &Arc<Link>, listener: TcpListener, port: u16) {
    let mut listener = Some(listener);
    loop {
        thread::sleep(Duration::from_millis(5));
        let (health, closed) = {
            let state = link.state.lock().expect("lock");
            (state.health, state.closed)
        };
        if closed {
            return;
        }
        match (&listener, health) {
            (Some(_), Health::Down) => listener = None,
            (None, Health::Up | Health::Silent) => listener = listen(port).ok(),
            (None, Health::Down) => {}
            (Some(open), Health::Up | Health::Silent) => {
                if let Ok((client, _)) = open.accept() {
                    connect(link, client);
                }
            }
        }
    }
}

fn connect(link: &Arc<Link>, client: TcpStream) {
    let Ok(device) = TcpStream::connect(("127.0.0.1", link.target)) else {
        return;
    };
    client.set_nonblocking(false).expect("a blocking socket");
    let copies = (
        client.try_clone(),
        device.try_clone(),
        client.try_clone(),
        device.try_clone(),
    );
    let (Ok(to_client), Ok(to_device), Ok(client_end), Ok(device_end)) = copies else {
        return;
    };
    {
        let mut state = link.state.lock().expect("lock");
        state.connections += 1;
        state.open.extend([client_end, device_end]);
    }
    let down = Arc::clone(link);
    thread::spawn(move || carry_from_device(&down, device, to_client));
    let up = Arc::clone(link);
    thread::spawn(move || carry_to_device(&up, client, to_device));
}

fn carry_from_device(link: &Link, mut device: TcpStream, mut client: TcpStream) {
    let mut buffer = vec![0; 32 * 1024];
    'link: while let Some(length) = read(&mut device, &mut buffer) {
        let mut sent = 0;
        while sent < length {
            let Some(admitted) = link.admit(length - sent) else {
                break 'link;
            };
            link.pause_for(admitted);
            if client.write_all(&buffer[sent..sent + admitted]).is_err() {
                break 'link;
            }
            sent += admitted;
            link.apply_scheduled();
        }
    }
    drop(client.shutdown(Shutdown::Write));
}

fn carry_to_device(link: &Link, mut client: TcpStream, mut device: TcpStream) {
    let mut buffer = vec![0; 32 * 1024];
    while let Some(length) = read(&mut client, &mut buffer) {
        link.wait_while_silent();
        if device.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    drop(device.shutdown(Shutdown::Write));
}

/// The length of the read; `None` at the end of the stream or after an error.
fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> Option<usize> {
    loop {
        match stream.read(buffer) {
            Ok(0) => return None,
            Ok(length) => return Some(length),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}
