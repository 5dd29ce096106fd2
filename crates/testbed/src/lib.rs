//! Real OpenSSH servers on loopback, for tests and measurements. Never part of what ships.
//!
//! `Sshd` is a server with one kind of `Session`; a jump host is a server like the others. `Client` writes
//! the `ssh_config` and the `known_hosts` of the servers. `Tap` is a link that fails on demand. Both sides
//! use `Port` and `KeyPair`; `processes` inspects and ends processes.
//!
//! Every function panics with the reason if an operation of the machine fails: that ends the test. Requires
//! `apt-get install openssh-server`, and `busybox-static` for `Session::Busybox`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this crate is not shipped, and a failed setup ends the test"
)]

use std::thread;
use std::time::{Duration, Instant};

mod client;
mod keys;
mod ports;
pub mod processes;
mod programs;
mod session;
mod sshd;
mod tap;

pub use client::{Client, Host};
pub use keys::KeyPair;
pub use ports::Port;
pub use session::{SFTP_SERVER, Session};
pub use sshd::{DEFAULT_ALGORITHMS, Settings, Sshd};
pub use tap::Tap;

/// Waits until the condition holds; `false` if it does not within `limit`. The pause between checks grows
/// with the time waited, from 1 to 20 ms.
pub fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    const MIN_PAUSE: Duration = Duration::from_millis(1);
    const MAX_PAUSE: Duration = Duration::from_millis(20);
    let began = Instant::now();
    loop {
        if condition() {
            return true;
        }
        let waited = began.elapsed();
        if waited >= limit {
            return false;
        }
        thread::sleep((waited / 8).clamp(MIN_PAUSE, MAX_PAUSE));
    }
}
