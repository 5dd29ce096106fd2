//! The simulated servers as the real `ssh` and `sftp` see them.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "nothing here is shipped: whatever goes wrong in a test is to end it at once"
)]

mod demo;
mod faults;
mod service;
mod testbed;
