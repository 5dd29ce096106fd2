//! The properties that must hold for every input from outside: functions of bytes that panic if one is
//! broken.
//!
//! Each target takes any bytes and compares the results of our code with these properties. Nothing read
//! differs from what was sent, nothing inadmissible is admitted, and memory stays in proportion. libFuzzer
//! searches for bytes that break a property. `cargo test` replays the inputs in `corpus`. Start reading at
//! [`TARGETS`].

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "an oracle reports by panicking"
)]

mod configuration;
mod device_session;
mod exclusion;
mod input;
pub mod memory;
mod placement;
mod quantities;
mod server;
mod sftp_client;
mod sftp_packets;
mod ssh_words;
mod store_files;

/// One target of the fuzzer.
#[derive(Debug)]
pub struct Target {
    /// Also the name of its input folder in `corpus`.
    pub name: &'static str,
    /// Panics if a property does not hold for these bytes.
    pub hold: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 9] = [
    Target {
        name: "sftp_packets",
        hold: sftp_packets::hold,
    },
    Target {
        name: "sftp_client",
        hold: sftp_client::hold,
    },
    Target {
        name: "device_session",
        hold: device_session::hold,
    },
    Target {
        name: "ssh_words",
        hold: ssh_words::hold,
    },
    Target {
        name: "configuration",
        hold: configuration::hold,
    },
    Target {
        name: "quantities",
        hold: quantities::hold,
    },
    Target {
        name: "placement",
        hold: placement::hold,
    },
    Target {
        name: "exclusion",
        hold: exclusion::hold,
    },
    Target {
        name: "store_files",
        hold: store_files::hold,
    },
];
