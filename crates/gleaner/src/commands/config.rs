//! `gleaner config`: write, check and show the configuration.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use engine::ports::StoreError;
use storage::{StoreFolder, SystemDisk};

use crate::cli;
use crate::commands::Context;
use crate::config::show::ConfigDisplay;
use crate::config::{self, Config, show_path};
use crate::exit::{ExitStatus, Failure};
use crate::ledger_mount;

/// Runs the command.
pub fn config(command: &cli::ConfigCommand, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    match command {
        cli::ConfigCommand::Init(arguments) => init(arguments, context),
        cli::ConfigCommand::Check => check(context),
        cli::ConfigCommand::Show(arguments) => show(arguments, context),
        cli::ConfigCommand::Schema => schema(context),
    }
}

/// Writes the example. A crash before the write ends leaves a partial file, which the next attempt refuses to
/// overwrite.
fn init(arguments: &cli::ConfigInitArgs, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    let path = &arguments.path;
    if path == Path::new("-") {
        context.output.write_all(config::EXAMPLE.as_bytes())?;
        return Ok(ExitStatus::Well);
    }
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(config::EXAMPLE.as_bytes()));
    let shown = show_path(path);
    match written {
        Ok(()) => {
            context.output.line(format_args!(
                "wrote {shown}. Set your store, source and devices, then run `gleaner -c {shown} config check`."
            ))?;
            Ok(ExitStatus::Well)
        }
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Err(Failure::usage(format_args!(
            "{shown} exists already and was not changed"
        ))
        .help("name another path, or \"-\" to print the example")),
        Err(cause) => {
            let error = anyhow::Error::new(cause).context(format!("cannot write {shown}"));
            Err(Failure::new(ExitStatus::Usage, error))
        }
    }
}

/// Loading reports errors; print a summary otherwise.
fn check(context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    let config = context.configuration_and_warnings()?;
    context.output.write_all(summary(&config).as_bytes())?;
    Ok(ExitStatus::Well)
}

fn summary(config: &Config) -> String {
    let sources: usize = config.devices.iter().map(|device| device.sources.len()).sum();
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    let names: Vec<&str> = config.devices.iter().map(|device| device.name.as_str()).collect();
    let listed = match names.as_slice() {
        [first, .., last] if names.len() > 5 => format!("{first} … {last}"),
        few => few.join(", "),
    };
    let indented = |what: String| format!("\n          {what}");
    let problem = store_problem(config).map(indented);
    let warning = ledger_mount::warning(&config.ledger).map(indented);
    format!(
        "{}: valid\n  {} ({listed}), {}\n  store   {} with layout {}{}\n  ledger  {}{}{}\n",
        show_path(&config.file),
        count(config.devices.len(), "device"),
        count(sources, "source"),
        show_path(&config.store.path),
        config.store.layout.as_str(),
        problem.unwrap_or_default(),
        show_path(&config.ledger),
        ledger_id(config),
        warning.unwrap_or_default(),
    )
}

/// The configured id of the ledger, and whether the ledger has another. This is not an error of the
/// configuration alone.
fn ledger_id(config: &Config) -> String {
    let Some(configured) = &config.ledger_id else {
        return String::new();
    };
    match ledger::id_of(&config.ledger) {
        Ok(Some(id)) if id != *configured => {
            format!(" with id {configured}\n          another id: the file there is the ledger {id}")
        }
        _ => format!(" with id {configured}"),
    }
}

/// The remedy for a store that a sweep could not use yet. This is not an error of the configuration.
fn store_problem(config: &Config) -> Option<String> {
    let path = &config.store.path;
    let refusal = StoreFolder::open(Arc::new(SystemDisk::default()), path, None).err()?;
    match refusal {
        StoreError::NoMarker { .. } if !path.is_dir() => {
            Some("missing: create or mount it, then run `gleaner store init`".into())
        }
        StoreError::NoMarker { .. } => Some(
            "no marker (not mounted, or never initialised): check the mount, then run `gleaner store init`"
                .into(),
        ),
        other => Some(engine::recourse::error_chain(&other)),
    }
}

fn show(arguments: &cli::ConfigShowArgs, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    let config = context.configuration()?;
    let shown = match &arguments.device {
        None => ConfigDisplay::all(&config),
        Some(name) => ConfigDisplay::only(
            &config,
            config.device(name).ok_or_else(|| no_such_device(&config, name))?,
        ),
    };
    write!(context.output, "{shown}")?;
    Ok(ExitStatus::Well)
}

/// The failure for a device name that is not in the configuration.
pub fn no_such_device(config: &Config, name: &str) -> Failure {
    let shown = model::escaped(name.as_bytes());
    let failure = Failure::usage(format_args!(
        "there is no device `{shown}` in {}",
        show_path(&config.file)
    ));
    match config.device_like(name) {
        Some(similar) => failure.help(format!("did you mean `{similar}`?")),
        None => failure.help("`gleaner config check` lists the devices"),
    }
}

fn schema(context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    context
        .output
        .line(format_args!("{:#}", config::reference::schema()))?;
    Ok(ExitStatus::Well)
}
