//! What is written, against what is meant or what is said about it: the exact texts.

mod faults;
mod meanings;

use super::*;

/// A user with a home and nothing else.
fn environment() -> Environment {
    Environment {
        home: Some(PathBuf::from("/home/ana")),
        ..Environment::default()
    }
}

fn checked(text: &str) -> Result<CheckedConfig, Report> {
    check(
        Path::new("/etc/gleaner/gleaner.toml"),
        text.as_bytes(),
        &environment(),
    )
}

/// The configuration that a sound file means, whose warnings do not matter.
fn meant(text: &str) -> Config {
    checked(text)
        .unwrap_or_else(|faults| panic!("{faults}\nin\n{text}"))
        .config
}

/// What is said about a file, without its name: faults, or warnings.
fn said(text: &str) -> String {
    let report = match checked(text) {
        Ok(checked) => checked.warnings,
        Err(faults) => faults,
    };
    report.to_string().replace("/etc/gleaner/gleaner.toml", "")
}

/// A sound file but for one line in `[defaults]`, which is line 5.
fn with_default(line: &str) -> String {
    format!("[store]\npath = \"/srv\"\n[defaults]\nsource = \"/data\"\n{line}\n[[device]]\nname = \"a\"\n")
}

/// A sound file but for a few lines in the only `[[device]]`, which begin at line 6.
fn with_device(lines: &str) -> String {
    format!("[store]\npath = \"/srv\"\n[defaults]\nsource = \"/data\"\n[[device]]\n{lines}\n")
}

/// A sound file but for one line in `[store]`, which is line 3.
fn with_store(line: &str) -> String {
    format!("[store]\npath = \"/srv\"\n{line}\n[defaults]\nsource = \"/data\"\n[[device]]\nname = \"a\"\n")
}
