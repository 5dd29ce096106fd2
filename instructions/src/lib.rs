//! The work of the hot paths, as functions that can run under callgrind.
//!
//! A scenario prepares its work, which is not counted, and then does it on one thread, without a clock, a
//! process or a socket. The number of instructions is therefore the same on a busy and on an idle machine.
//! `cargo xtask instructions` counts, and compares with `instructions/kept.toml`. Start reading at
//! [`SCENARIOS`].

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a scenario that fails has nothing to count"
)]

mod listing;
mod passes;
mod placing;
mod receiving;
mod sftp_client;
mod sftp_codec;
mod together;
mod world;

use std::hint::black_box;

use model::RelativePath;
use tokio::runtime::Runtime;

/// One piece of work that is counted.
#[derive(Debug)]
pub struct Scenario {
    /// The name under which the count is kept.
    pub name: &'static str,
    /// How many items the work handles.
    pub count: usize,
    /// What the items are.
    pub of: &'static str,
    /// A function that is not counted, because it would dwarf everything else. Empty if all functions are
    /// counted.
    pub uncounted: &'static str,
    prepare: fn(usize) -> Work,
}

/// The counted work. Returns how many items it handled.
type Work = Box<dyn FnOnce() -> usize>;

const fn scenario(
    name: &'static str,
    count: usize,
    of: &'static str,
    prepare: fn(usize) -> Work,
) -> Scenario {
    Scenario {
        name,
        count,
        of,
        uncounted: "",
        prepare,
    }
}

/// All scenarios. If two differ only in their number, each item must cost the same in both.
pub const SCENARIOS: [Scenario; 18] = [
    scenario("sftp/encode-read", 1_000, "READ", sftp_codec::encode_reads),
    scenario("sftp/decode-data", 500, "DATA", sftp_codec::decode_data),
    scenario("sftp/decode-names", 1_000, "name", sftp_codec::decode_names),
    scenario(
        "sftp/decode-attributes",
        1_000,
        "ATTRS",
        sftp_codec::decode_attributes,
    ),
    scenario("sftp/download", 1_000, "READ", sftp_client::download),
    scenario("sftp/list", 2_000, "name", sftp_client::list),
    scenario("ssh/survey-1000", 1_000, "file", listing::survey),
    scenario("ssh/survey-4000", 4_000, "file", listing::survey),
    scenario("ssh/fetch-together", 200, "file", together::fetch),
    scenario("engine/place-path", 1_000, "file", placing::by_path),
    scenario("engine/place-portable", 1_000, "file", placing::by_template),
    scenario("engine/plan-1000", 1_000, "file", passes::plan),
    scenario("engine/plan-10000", 10_000, "file", passes::plan),
    scenario("engine/pass-200", 200, "file", passes::whole),
    scenario("engine/pass-2000", 2_000, "file", passes::whole),
    scenario("storage/small-files", 200, "file", receiving::small_files),
    scenario("storage/large-file", 1_536, "KiB", receiving::large_file),
    Scenario {
        uncounted: "sha2*compress",
        ..scenario("storage/all-but-digest", 1_536, "KiB", receiving::large_file)
    },
];

/// Does the work of a scenario twice and counts only the second time. What the first use initialises is not
/// part of the cost of any file.
///
/// # Panics
///
/// If the work is not done completely.
pub fn run(scenario: &Scenario) {
    let work = || (scenario.prepare)(scenario.count);
    for done in [work()(), counted(work())] {
        assert_eq!(done, scenario.count, "{}: the work is incomplete", scenario.name);
    }
}

/// The function in which callgrind counts. callgrind finds it by its name, which is also in
/// `xtask/src/instructions.rs`.
#[inline(never)]
fn counted(work: Work) -> usize {
    black_box(black_box(work)())
}

/// One thread, and a clock that advances only while every task waits.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without IO can be built")
}

/// Bytes that neither repeat soon nor compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// The names that a recording device gives its files: one folder for every hundred.
fn file_name(number: usize) -> String {
    format!(
        "2026-11-{:02}/cam{:03}_img{number:06}.jpg",
        1 + number / 100 % 28,
        number / 100
    )
}

fn path(number: usize) -> RelativePath {
    RelativePath::new(file_name(number)).expect("the path is admissible")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_does_all_of_its_work() {
        for scenario in &SCENARIOS {
            run(scenario);
        }
    }

    #[test]
    fn a_name_stands_for_one_scenario() {
        let mut names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SCENARIOS.len());
    }
}
