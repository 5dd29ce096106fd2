//! The facts that the figures depend on.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::candidate::Candidate;
use super::ledger;
use crate::command::output;

/// The day, the machine and the versions, as pairs of name and value.
pub(super) fn facts(candidates: &[Candidate], works_grow: bool) -> Result<Vec<(String, String)>> {
    let first_line = |program: &str, words: &[&str]| {
        let output_text = output(Command::new(program).args(words)).unwrap_or_default();
        output_text.lines().next().unwrap_or("not known").to_owned()
    };
    let mut facts = vec![
        ("day".to_owned(), first_line("date", &["--utc", "+%Y-%m-%d"])),
        (
            "processor".to_owned(),
            first_value("/proc/cpuinfo", "model name").unwrap_or_else(|| first_line("uname", &["-m"])),
        ),
        (
            "cores".to_owned(),
            std::thread::available_parallelism()?.to_string(),
        ),
        (
            "memory".to_owned(),
            first_value("/proc/meminfo", "MemTotal").unwrap_or_default(),
        ),
        ("kernel".to_owned(), first_line("uname", &["-sr"])),
        (
            "system".to_owned(),
            first_value_of("/etc/os-release", "PRETTY_NAME", '=').unwrap_or_default(),
        ),
        ("ssh".to_owned(), version_of_ssh()),
    ];
    for candidate in candidates {
        if facts.iter().all(|(known, _)| *known != candidate.program) {
            facts.push((candidate.program.clone(), candidate.version()?));
        }
    }
    if works_grow {
        facts.push(("sqlite3 (fills the ledger)".to_owned(), ledger::sqlite_version()?));
    }
    Ok(facts)
}

/// ssh prints its version on standard error.
fn version_of_ssh() -> String {
    let output_text = Command::new("ssh").arg("-V").output();
    output_text
        .map(|output| String::from_utf8_lossy(&output.stderr).trim().to_owned())
        .unwrap_or_default()
}

fn first_value(file: &str, key: &str) -> Option<String> {
    first_value_of(file, key, ':')
}

fn first_value_of(file: &str, key: &str, separator: char) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(separator)?;
        (name.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
    })
}
