//! Replays every input in `corpus`, with any compiler and without the fuzzer.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helper functions of the tests")]

use std::fs;
use std::path::{Path, PathBuf};

use fuzz::TARGETS;

/// Limits the size of the repository. `cargo xtask fuzz --minimise` keeps a few files less, to leave room for
/// findings.
const MAX_FILES: usize = 599;
const MAX_BYTES: usize = 1_000_000;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The inputs of a target with their files, in order.
fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = corpus().join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .map(|file| (file.clone(), fs::read(file).unwrap()))
        .collect()
}

#[test]
fn every_kept_input_passes() {
    for target in TARGETS {
        let inputs = inputs(target.name);
        assert!(!inputs.is_empty(), "{} has no inputs", target.name);
        for (file, input) in inputs {
            // Printed first, so that a failure shows its file.
            println!("{}", file.display());
            (target.hold)(&input);
        }
    }
}

#[test]
fn every_input_folder_has_a_target_and_all_are_small() {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(corpus()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(TARGETS.iter().any(|target| target.name == name), "{name}");
        let inputs = inputs(&name);
        files += inputs.len();
        bytes += inputs.iter().map(|(_, input)| input.len()).sum::<usize>();
    }
    assert!(
        files <= MAX_FILES && bytes <= MAX_BYTES,
        "{files} files, {bytes} bytes; minimise with `cargo xtask fuzz --minimise`"
    );
}
