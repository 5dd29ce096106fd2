//! The simulator's models and the shipped parts run the same suites.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails where it is surprised"
)]

mod device;
mod disk;
mod ledger;
mod store;

fn in_simulated_time<T>(of: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(of)
}

fn assert_kept(broken: &[String]) {
    assert!(broken.is_empty(), "not as promised:\n  {}", broken.join("\n  "));
}
