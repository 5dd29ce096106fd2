//! The fuzzer: runs libFuzzer on one target, named in the environment. `cargo xtask fuzz` builds and starts
//! it.

#![no_main]

use std::sync::OnceLock;

use fuzz::{TARGETS, Target};

/// The environment variable that names the target.
const TARGET: &str = "GLEANER_FUZZ_TARGET";

static CHOSEN: OnceLock<&Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    (CHOSEN.get_or_init(chosen).hold)(input);
});

fn chosen() -> &'static Target {
    let name = std::env::var(TARGET).unwrap_or_default();
    let found = TARGETS.iter().find(|target| target.name == name);
    assert!(found.is_some(), "{TARGET}={name} is not a target");
    found.unwrap_or(&TARGETS[0])
}
