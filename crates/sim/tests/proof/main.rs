//! The promises of gleaner, held against a world in which everything goes wrong.

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
mod spoilt;
mod stories;
mod turns;
mod writers;

use sim::simulator::collector::Ended;

/// Runs a story in simulated time, on this thread.
fn story<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(story)
}

fn assert_swept(ended: &Ended) {
    assert!(matches!(ended, Ended::Swept(..)), "{ended:?}");
}
