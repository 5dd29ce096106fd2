//! The configuration: every fault names its place, and an accepted file means the same after it is shown and
//! read back.

use std::path::{Path, PathBuf};

use gleaner::Environment;
use gleaner::config::findings::Report;
use gleaner::config::show::ConfigDisplay;
use gleaner::config::{self, CheckedConfig, Config};

const FILE: &str = "/etc/gleaner/gleaner.toml";
/// A fleet may have 10,000 devices. Showing and reading back some dozens proves as much.
const MAX_DEVICES: usize = 40;
/// The memory for ten thousand devices, each with names of the maximum length.
const MAX_HELD: usize = 256 << 20;

/// The input is the configuration file.
pub(crate) fn hold(input: &[u8]) {
    crate::memory::within(MAX_HELD, || match check(input) {
        Ok(checked) => {
            assert_eq!(checked.warnings.errors(), 0);
            reported(&checked.warnings, input);
            shown_and_read_back(&checked.config);
        }
        Err(faults) => {
            assert!(faults.errors() > 0, "refused without a reason");
            reported(&faults, input);
        }
    });
}

fn check(text: &[u8]) -> Result<CheckedConfig, Report> {
    let environment = Environment {
        home: Some(PathBuf::from("/home/ana")),
        ..Environment::default()
    };
    config::check(Path::new(FILE), text, &environment)
}

fn shown_and_read_back(config: &Config) {
    if config.devices.len() > MAX_DEVICES {
        return;
    }
    let shown = ConfigDisplay::all(config).to_string();
    match check(shown.as_bytes()) {
        Ok(again) => {
            assert_eq!(again.config, *config, "shown as\n{shown}");
            assert_eq!(ConfigDisplay::all(&again.config).to_string(), shown);
        }
        Err(faults) => panic!("{faults}in\n{shown}"),
    }
    let first = &config.devices[0];
    let shown = ConfigDisplay::only(config, first).to_string();
    let again = check(shown.as_bytes()).unwrap().config;
    assert_eq!(again.devices, std::slice::from_ref(first), "shown as\n{shown}");
    assert_eq!(config.device(first.name.as_str()), Some(first));
}

/// Each finding is one line that begins with a place in the file, optionally followed by a line with the
/// remedy. Bytes of the file never reach a terminal unescaped.
fn reported(report: &Report, input: &[u8]) {
    let shown = report.to_string();
    let mut findings = 0;
    for line in shown.lines() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        if let Some(remedy) = line.strip_prefix("  help: ") {
            assert!(!remedy.trim().is_empty() && findings > 0, "{shown}");
            continue;
        }
        findings += 1;
        let rest = line
            .strip_prefix(FILE)
            .unwrap_or_else(|| panic!("no place: {shown}"));
        let (place, text) = rest.split_once(": ").unwrap();
        assert!(
            text.starts_with("error: ") || text.starts_with("warning: "),
            "{shown}"
        );
        if !place.is_empty() {
            within_the_file(place, input);
        }
    }
    assert_eq!(findings, report.errors() + report.warnings(), "{shown}");
}

/// `:line:column`, counted from 1. A file may end before its last line has begun.
fn within_the_file(place: &str, input: &[u8]) {
    let numbers: Vec<usize> = place
        .split(':')
        .skip(1)
        .map(|number| number.parse().unwrap())
        .collect();
    let [line, column] = numbers[..] else {
        panic!("{place} is not a place")
    };
    let text = input.split(|byte| *byte == b'\n').nth(line - 1);
    let text = text.unwrap_or_else(|| panic!("{place} is not in the file"));
    assert!(
        (1..=text.len() + 1).contains(&column),
        "{place} is beyond its line"
    );
}
