//! Checks that `docs/reference` is what the program would write now. `GLEANER_UPDATE_REFERENCE=1 cargo test`
//! writes it.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets something unexpected should stop there"
)]

use std::fs;
use std::path::Path;

fn assert_current(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/reference")
        .join(name);
    if std::env::var_os("GLEANER_UPDATE_REFERENCE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let lines = kept
        .lines()
        .map(Some)
        .chain(std::iter::repeat(None))
        .zip(made.lines());
    let changed = lines.enumerate().find(|(_, (kept, made))| *kept != Some(made));
    assert!(
        kept == made,
        "docs/reference/{name} is out of date, first in line {:?}; type: cargo xtask reference",
        changed.map(|(number, (kept, made))| (number + 1, kept, made))
    );
}

#[test]
fn the_reference_of_the_command_line_is_current() {
    assert_current("cli.md", &gleaner::cli::reference::markdown());
}

#[test]
fn the_reference_of_the_configuration_is_current() {
    assert_current("configuration.md", &gleaner::config::reference::markdown());
}

#[test]
fn the_schema_of_the_configuration_is_current() {
    assert_current(
        "config.schema.json",
        &format!("{:#}\n", gleaner::config::reference::schema()),
    );
}
