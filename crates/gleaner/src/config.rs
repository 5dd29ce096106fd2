//! The configuration: declared key by key, found, read as it is *written*, checked into what is *meant*.
//!
//! All faults are reported at once, each with its place and what would be right. What comes out in the end
//! cannot be wrong in itself; whether store, ledger and devices are there is for others to find out.
//!
//! Begin reading with [`load`]; then [`keys`], where a key is added, and [`meant`]; between them the private
//! modules `reading` and `check`.

mod braces;
mod check;
pub use engine::exclude;
pub mod address;
pub mod findings;
pub mod ids;
pub mod keys;
pub mod kinds;
pub mod layout;
mod reading;
pub mod reference;
pub mod resolved;
pub mod section;
pub mod show;
mod suggest;
pub mod table;
pub mod template;
pub mod units;
pub mod value;

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use model::escaped;

use crate::environment::Environment;
use crate::exit::{ExitStatus, Failure};
use findings::{Finding, Findings, Report};
pub use resolved::Config;
use toml::de::DeTable;
use value::ValueContext;

/// The commented example that `gleaner config init` writes and the packages ship.
pub const EXAMPLE: &str = include_str!("../assets/example.toml");

/// A configuration without faults.
#[derive(Debug, Clone)]
pub struct CheckedConfig {
    /// What is meant.
    pub config: Config,
    /// What is allowed but probably not meant.
    pub warnings: Report,
}

/// Finds, reads and checks the configuration.
pub fn load(named: Option<&Path>, environment: &Environment) -> Result<CheckedConfig, Failure> {
    let (file, bytes) = read(named, environment)?;
    check(&file, &bytes, environment).map_err(|faults| {
        let count = match faults.errors() {
            1 => "one fault".to_owned(),
            errors => format!("{errors} faults"),
        };
        Failure::usage(format_args!("the configuration has {count}; nothing was touched"))
            .findings(faults.to_string())
    })
}

/// Checks the content of a configuration file. Pure: nothing but its arguments counts.
pub fn check(file: &Path, bytes: &[u8], environment: &Environment) -> Result<CheckedConfig, Report> {
    let shown = show_path(file);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let (valid, _) = bytes.split_at(error.valid_up_to());
            let mut findings = Findings::new(std::str::from_utf8(valid).unwrap_or_default());
            let end = error.valid_up_to();
            findings.add(Finding::error(
                end..end,
                "the file is not UTF-8 text from here on",
            ));
            return Err(findings.report(&shown));
        }
    };
    let mut findings = Findings::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What follows from a file that is not TOML is no news.
        reading::report_syntax(text, &errors, &mut findings);
        return Err(findings.report(&shown));
    }
    let context = ValueContext {
        file: Some(file),
        id: None,
    };
    let mut raw = reading::read(document.get_ref(), context, &mut findings);
    let config = check::check(&mut raw, file, environment, &mut findings);
    match config {
        Some(config) if findings.errors() == 0 => Ok(CheckedConfig {
            config,
            warnings: findings.report(&shown),
        }),
        _ => Err(findings.report(&shown)),
    }
}

/// Reads the file that is named, else the first there is in the usual places.
fn read(named: Option<&Path>, environment: &Environment) -> Result<(PathBuf, Vec<u8>), Failure> {
    if let Some(file) = named.or(environment.gleaner_config.as_deref()) {
        return match std::fs::read(file) {
            Ok(bytes) => Ok((file.to_owned(), bytes)),
            Err(cause) => Err(unreadable(file, cause, named.is_none())),
        };
    }
    let places = usual_places(environment);
    for file in &places {
        match std::fs::read(file) {
            Ok(bytes) => return Ok((file.clone(), bytes)),
            Err(cause) if is_absence(&cause) => {}
            // We are in a folder that we may not look into, as the account of the service in somebody's home:
            // what is in it is not for us.
            Err(cause) if file.is_relative() && is_closed(file, &cause) => {}
            Err(cause) => return Err(unreadable(file, cause, false)),
        }
    }
    let places: Vec<String> = places.iter().map(|file| show_path(file)).collect();
    Err(Failure::usage("there is no configuration file").help(format!(
        "looked for {}\nwrite one with `gleaner config init`, or name one with `-c FILE` or $GLEANER_CONFIG",
        places.join(", ")
    )))
}

/// Where a configuration is looked for when none is named, in this order.
pub fn usual_places(environment: &Environment) -> Vec<PathBuf> {
    let users = environment
        .config_home()
        .map(|home| home.join("gleaner/gleaner.toml"));
    let system = PathBuf::from("/etc/gleaner/gleaner.toml");
    [Some(PathBuf::from("./gleaner.toml")), users, Some(system)]
        .into_iter()
        .flatten()
        .collect()
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Whether it cannot be said that there is such a file at all.
fn is_closed(file: &Path, error: &io::Error) -> bool {
    let is_denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    is_denied(error) && std::fs::symlink_metadata(file).is_err_and(|error| is_denied(&error))
}

fn unreadable(file: &Path, cause: io::Error, by_environment: bool) -> Failure {
    let absent = is_absence(&cause);
    let origin = if by_environment {
        ", which $GLEANER_CONFIG names"
    } else {
        ""
    };
    let error = anyhow::Error::new(cause).context(format!(
        "cannot read the configuration {}{origin}",
        show_path(file)
    ));
    let failure = Failure::new(ExitStatus::Usage, error);
    if absent {
        failure.help(format!(
            "`gleaner config init {}` writes an example",
            show_path(file)
        ))
    } else {
        failure
    }
}

/// A path as it may be shown.
pub fn show_path(path: &Path) -> String {
    escaped(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests;
