//! Carries packets between the two ends of a link, with the losses and delays of a [`Line`] in each
//! direction.
//!
//! What an end sends is read from a file of packets, such as a TUN device, and written to that of the other
//! end. TCP is the kernel's own.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{getpriority_process, setpriority_process};

use super::Passed;
use super::character::Character;
use super::line::Line;

/// Larger than any packet: the devices have the usual limit of 1500 bytes.
const MAX_PACKET_BYTES: usize = 2048;
/// Packets that arrive within this time of each other arrive together. To wake up for each would take half as
/// much processor time again.
const MIN_SLEEP: Duration = Duration::from_micros(250);
/// How much less nice the relay is than the tools. With their priority it would wait for them, and it must
/// delay their packets by an exact time.
const LESS_NICE: i32 = 10;

/// Both directions of a link. Its threads end when its files can no longer be read or written.
#[derive(Debug)]
pub(super) struct Packets {
    up: Arc<Direction>,
    down: Arc<Direction>,
}

#[derive(Debug)]
struct Direction {
    /// `None` until the link is set up: nothing passes.
    line: Mutex<Option<(Instant, Line)>>,
}

impl Packets {
    /// Starts the threads between the near end and the far end.
    pub(super) fn between<File>(near: File, far: File) -> Self
    where
        File: Send + Sync + 'static,
        for<'a> &'a File: Read + Write,
    {
        let (near, far) = (Arc::new(near), Arc::new(far));
        let up = Direction::start(Arc::clone(&near), Arc::clone(&far));
        let down = Direction::start(far, near);
        Self { up, down }
    }

    /// Makes the link new, with this character. The same packets are lost after each call.
    pub(super) fn set_up(&self, character: Character) {
        let now = Instant::now();
        for (direction, seed) in [(&self.up, 1), (&self.down, 2)] {
            *direction.held() = Some((now, Line::new(character, seed)));
        }
    }

    /// The traffic since the link was set up, with the headers of its packets.
    pub(super) fn passed(&self) -> Passed {
        let bytes = |direction: &Direction| direction.held().as_ref().map_or(0, |(_, line)| line.sent_bytes);
        Passed {
            up_bytes: bytes(&self.up),
            down_bytes: bytes(&self.down),
        }
    }
}

/// A packet on its way, and the time at which it arrives.
type Flying = (Instant, Vec<u8>);

impl Direction {
    fn start<File>(source: Arc<File>, destination: Arc<File>) -> Arc<Self>
    where
        File: Send + Sync + 'static,
        for<'a> &'a File: Read + Write,
    {
        let direction = Arc::new(Self {
            line: Mutex::new(None),
        });
        let sending = Arc::clone(&direction);
        // The queue of the line and the length of the link bound what is in the channel.
        let (sender, flying) = channel();
        thread::spawn(move || {
            hurry();
            let mut buffer = [0; MAX_PACKET_BYTES];
            while let Ok(length) = (&*source).read(&mut buffer) {
                let packet = buffer.get(..length).unwrap_or_default();
                let arrival = sending.send(packet.len());
                if arrival.is_some_and(|arrival| sender.send((arrival, packet.to_vec())).is_err()) {
                    return;
                }
            }
        });
        thread::spawn(move || {
            hurry();
            deliver(&flying, &*destination);
        });
        direction
    }

    fn send(&self, bytes: usize) -> Option<Instant> {
        let mut line = self.held();
        let (began, line) = line.as_mut()?;
        line.send(began.elapsed(), bytes).map(|arrival| *began + arrival)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Line)>> {
        // The data is consistent after every statement, so a panic in another thread does no harm.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn deliver(flying: &Receiver<Flying>, mut destination: impl Write) {
    for (arrival, packet) in flying {
        let left = arrival.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            thread::sleep(left.max(MIN_SLEEP));
        }
        // A device that is down loses the packet, as a host that is down does.
        drop(destination.write(&packet));
    }
}

/// Gives this thread a higher priority than the tools have. Without the permission the link is less exact.
fn hurry() {
    if let Ok(nice) = getpriority_process(None) {
        setpriority_process(None, nice - LESS_NICE).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::super::character::tests::{LINK, millis};
    use super::*;
    use std::os::unix::net::UnixDatagram;

    /// Sockets that keep the bounds of packets, as a TUN device does.
    #[derive(Debug)]
    struct End(UnixDatagram);

    impl Read for &End {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.recv(buffer)
        }
    }

    impl Write for &End {
        fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
            self.0.send(buffer)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn link() -> (UnixDatagram, Packets, UnixDatagram) {
        let (near, near_end) = UnixDatagram::pair().unwrap();
        let (far, far_end) = UnixDatagram::pair().unwrap();
        for host in [&near, &far] {
            host.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        }
        (near, Packets::between(End(near_end), End(far_end)), far)
    }

    #[test]
    fn packets_arrive_in_order_and_not_too_early_and_are_counted() {
        let (near, packets, far) = link();
        packets.set_up(LINK);
        let began = Instant::now();
        for number in 0..20 {
            far.send(&[number; 1000]).unwrap();
        }
        near.send(b"up").unwrap();
        let mut buffer = [0; 2000];
        for number in 0..20 {
            assert_eq!(near.recv(&mut buffer).unwrap(), 1000);
            assert_eq!(buffer[..1000], [number; 1000]);
            assert!(began.elapsed() >= millis(50 + 1 + u64::from(number)));
        }
        assert_eq!(far.recv(&mut buffer).unwrap(), 2);
        let passed = packets.passed();
        assert_eq!((passed.up_bytes, passed.down_bytes), (2, 20_000));
        packets.set_up(LINK);
        assert_eq!(packets.passed().down_bytes, 0);
    }

    #[test]
    fn a_lost_packet_does_not_arrive() {
        let (near, packets, far) = link();
        packets.set_up(Character {
            lost_per_million: 500_000,
            one_way_delay: millis(500),
            ..LINK
        });
        for number in 0..100 {
            far.send(&[number]).unwrap();
        }
        // One that is never lost marks the end.
        packets_until_sent(&packets, 100);
        packets.set_up(LINK);
        far.send(&[255]).unwrap();
        let mut arrived = Vec::new();
        let mut buffer = [0; 10];
        while buffer[0] != 255 {
            near.recv(&mut buffer).unwrap();
            arrived.push(buffer[0]);
        }
        assert!((30..70).contains(&arrived.len()), "{arrived:?}");
        assert!(arrived.is_sorted());
    }

    fn packets_until_sent(packets: &Packets, bytes: u64) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while packets.passed().down_bytes < bytes {
            assert!(Instant::now() < deadline, "{:?}", packets.passed());
            thread::yield_now();
        }
    }
}
