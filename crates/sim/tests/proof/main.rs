//! gleaner's promises, checked in a world in which everything goes wrong.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails where it is surprised"
)]

mod clocks;
mod folder_flushes;
mod power_cuts;
mod scenarios;
mod store_damage;
mod timing;
mod writers;

use sim::simulator::collector::ProcessEnd;

/// Runs the future in simulated time on this thread.
fn simulate<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work)
}

fn assert_swept(ended: &ProcessEnd) {
    assert!(matches!(ended, ProcessEnd::Swept(..)), "{ended:?}");
}
