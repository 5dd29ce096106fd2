//! What holds for every input from outside, as functions of bytes that panic where it does not.
//!
//! Each target takes any bytes and compares what our code makes of them with what must hold: nothing read differs from what
//! was said, nothing inadmissible is admitted, memory stays in proportion. libFuzzer looks for bytes that break one of them;
//! `cargo test` replays those that were kept in `corpus`. Begin reading with [`TARGETS`].

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "an oracle speaks by panicking"
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

/// One thing to be fuzzed.
#[derive(Debug)]
pub struct Target {
    /// Also the folder of its inputs in `corpus`.
    pub name: &'static str,
    /// Panics where something does not hold for these bytes.
    pub hold: fn(&[u8]),
}

/// All of them.
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
