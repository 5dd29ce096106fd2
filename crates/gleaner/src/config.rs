//! The configuration: finds the file, reads the raw values, and checks them into the resolved configuration.
//!
//! Each key is declared once, in [`keys`]. All errors are reported together, each with its position and a
//! remedy. A resolved configuration is consistent in itself. This module does not check that the store, the
//! ledger or the devices exist.
//!
//! Start with [`load`], then [`keys`] (where keys are added) and [`resolved`]. The private modules `reading`
//! and `check` connect the two.

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

/// A configuration without errors.
#[derive(Debug, Clone)]
pub struct CheckedConfig {
    /// The resolved configuration.
    pub config: Config,
    /// Settings that are allowed but probably a mistake.
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

/// Checks the content of a configuration file. Pure: the result depends only on the arguments.
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
        // Errors that follow from invalid TOML would be noise.
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

/// Reads the named file, otherwise the first file that exists in the default locations.
fn read(named: Option<&Path>, environment: &Environment) -> Result<(PathBuf, Vec<u8>), Failure> {
    if let Some(file) = named.or(environment.gleaner_config.as_deref()) {
        return match std::fs::read(file) {
            Ok(bytes) => Ok((file.to_owned(), bytes)),
            Err(cause) => Err(unreadable(file, cause, named.is_none())),
        };
    }
    let locations = default_locations(environment);
    for file in &locations {
        match std::fs::read(file) {
            Ok(bytes) => return Ok((file.clone(), bytes)),
            Err(cause) if is_absence(&cause) => {}
            // The working directory is not accessible, for example the home folder of another user when the
            // service account runs there. Its files are not ours: skip it.
            Err(cause) if file.is_relative() && is_hidden(file, &cause) => {}
            Err(cause) => return Err(unreadable(file, cause, false)),
        }
    }
    let locations: Vec<String> = locations.iter().map(|file| show_path(file)).collect();
    Err(Failure::usage("there is no configuration file").help(format!(
        "looked for {}\nwrite one with `gleaner config init`, or name one with `-c FILE` or $GLEANER_CONFIG",
        locations.join(", ")
    )))
}

/// The default locations of the configuration, in search order.
pub fn default_locations(environment: &Environment) -> Vec<PathBuf> {
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

/// Whether permissions hide even the existence of the file.
fn is_hidden(file: &Path, error: &io::Error) -> bool {
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

/// A path, escaped for display.
pub fn show_path(path: &Path) -> String {
    escaped(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests;
