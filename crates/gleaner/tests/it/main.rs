//! The promises of gleaner, each a test on real OpenSSH servers: a jump host and devices behind it, all on
//! loopback in a temporary folder.
//!
//! The crate `testbed` starts the servers, and has faulty links and processes. The harness: `context` makes a
//! fleet and runs gleaner on it, `mounts` and `disk` are small and broken file systems, `machines` are
//! further collectors, `recording` is what devices record, `checks` and `promises` check that no file is
//! lost. `backup` loses and restores the ledger, `outcome` is gleaner's output and end, `json` reads its
//! JSON, `rng` makes random choices. The soak shares them. `hostile` has devices that send false replies. The
//! other modules are the tests, by theme.
//!
//! Required: `apt-get install openssh-server busybox-static`. A few tests need root, strace, mergerfs, sshfs
//! or bindfs, and report when they are skipped.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    reason = "nothing here is shipped: any error must end the test at once"
)]

mod backup;
mod checks;
mod context;
#[allow(dead_code, reason = "the soak shares it, and uses more of it")]
mod device;
#[allow(dead_code, reason = "the soak shares it, and uses more of it")]
mod disk;
mod json;
mod mounts;
mod outcome;
#[allow(dead_code, reason = "the soak shares it, and uses more of it")]
mod promises;
#[allow(dead_code, reason = "the soak shares it, and uses more of it")]
mod recording;
#[allow(dead_code, reason = "the soak shares it, and uses more of it")]
mod rng;

mod bad_input;
mod broken_promises;
mod causes;
mod conflicts;
mod contract;
mod demo;
mod failures;
mod faults_in_mid_run;
mod harness;
mod hidden_writers;
mod hostile;
mod ignored_files;
mod kills;
mod ledger;
mod lesser_devices;
mod machines;
mod names;
mod remaining_files;
mod replace;
mod same_device;
mod ssh_config;
mod store;
mod store_paths;
mod views;
mod writers;
