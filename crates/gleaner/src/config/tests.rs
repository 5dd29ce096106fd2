//! Configuration files against what they resolve to, or the exact messages about them.

mod faults;
mod meanings;

use super::*;

/// A user with a home folder and nothing else.
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

/// The configuration that a valid file resolves to; its warnings are ignored.
fn resolved(text: &str) -> Config {
    checked(text)
        .unwrap_or_else(|faults| panic!("{faults}\nin\n{text}"))
        .config
}

/// The messages about a file, without its name: errors, or warnings.
fn messages(text: &str) -> String {
    let report = match checked(text) {
        Ok(checked) => checked.warnings,
        Err(faults) => faults,
    };
    report.to_string().replace("/etc/gleaner/gleaner.toml", "")
}

/// A valid file with one more line in `[defaults]`, which is line 5.
fn with_default(line: &str) -> String {
    format!("[store]\npath = \"/srv\"\n[defaults]\nsource = \"/data\"\n{line}\n[[device]]\nname = \"a\"\n")
}

/// A valid file with more lines in the only `[[device]]`, from line 6 on.
fn with_device(lines: &str) -> String {
    format!("[store]\npath = \"/srv\"\n[defaults]\nsource = \"/data\"\n[[device]]\n{lines}\n")
}

/// A valid file with one more line in `[store]`, which is line 3.
fn with_store(line: &str) -> String {
    format!("[store]\npath = \"/srv\"\n{line}\n[defaults]\nsource = \"/data\"\n[[device]]\nname = \"a\"\n")
}
