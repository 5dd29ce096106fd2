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

/// Does what was asked for.
pub fn config(command: &cli::ConfigCommand, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    match command {
        cli::ConfigCommand::Init(arguments) => init(arguments, context),
        cli::ConfigCommand::Check => check(context),
        cli::ConfigCommand::Show(arguments) => show(arguments, context),
        cli::ConfigCommand::Schema => schema(context),
    }
}

/// Writes the example. A crash on the way leaves a part of it, which the next attempt refuses to overwrite.
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
                "{shown} is written. Put in your store, source and devices, then try `gleaner -c {shown} config check`."
            ))?;
            Ok(ExitStatus::Well)
        }
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Err(Failure::usage(format_args!(
            "{shown} is already there and was left as it is"
        ))
        .help("name another path, or \"-\" to have the example printed")),
        Err(cause) => {
            let error = anyhow::Error::new(cause).context(format!("cannot write {shown}"));
            Err(Failure::new(ExitStatus::Usage, error))
        }
    }
}

/// Faults are a failure of loading; what is left to do is to sum up.
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
    let beneath = |what: String| format!("\n          {what}");
    let missing = missing_of_the_store(config).map(beneath);
    let warning = ledger_mount::warning(&config.ledger).map(beneath);
    format!(
        "{}: sound\n  {} ({listed}), {}\n  store   {} with layout {}{}\n  ledger  {}{}\n",
        show_path(&config.file),
        count(config.devices.len(), "device"),
        count(sources, "source"),
        show_path(&config.store.path),
        config.store.layout.as_str(),
        missing.unwrap_or_default(),
        show_path(&config.ledger),
        warning.unwrap_or_default(),
    )
}

/// What is to be done about the store before the first sweep. It is no fault of the configuration.
fn missing_of_the_store(config: &Config) -> Option<String> {
    let path = &config.store.path;
    let refusal = StoreFolder::open(Arc::new(SystemDisk::default()), path, None).err()?;
    match refusal {
        StoreError::NoMarker { .. } if !path.is_dir() => {
            Some("not there yet: make it, or mount what should be there; then `gleaner store init`".into())
        }
        StoreError::NoMarker { .. } => Some(
            "not marked (not mounted, or never marked): see to the mount, then `gleaner store init`".into(),
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

/// The failure of a command that was given a name that is not in the configuration.
pub fn no_such_device(config: &Config, name: &str) -> Failure {
    let shown = model::escaped(name.as_bytes());
    let failure = Failure::usage(format_args!(
        "there is no device `{shown}` in {}",
        show_path(&config.file)
    ));
    match config.device_like(name) {
        Some(meant) => failure.help(format!("did you mean `{meant}`?")),
        None => failure.help("`gleaner config check` tells which devices there are"),
    }
}

fn schema(context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    context
        .output
        .line(format_args!("{:#}", config::reference::schema()))?;
    Ok(ExitStatus::Well)
}
