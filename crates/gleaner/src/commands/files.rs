//! `gleaner files`: lists the recorded files from the ledger. Memory use does not grow with the list.

mod csv;
mod json;
mod table;
#[cfg(test)]
mod tests;

use std::io;

use engine::ports::{FileFilter, FileRow, History};
use model::DeviceName;

use crate::cli;
use crate::commands::Context;
use crate::commands::status::{self, times};
use crate::config::Config;
use crate::exit::{ExitStatus, Failure};
use crate::output::Output;

/// Lists the recorded files.
pub fn files(arguments: &cli::FilesArgs, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    let config = context.configuration()?;
    let reader = status::open(&config)?;
    let filter = FileFilter {
        devices: named_devices(&arguments.devices, &config, reader.as_deref())?,
        states: arguments.states.clone(),
        since: arguments
            .since
            .map(|since| times::from_jiff(since.resolve(jiff::Timestamp::now()))),
    };
    let format: &mut dyn FileFormat = match (arguments.json, arguments.csv) {
        (true, _) => &mut json::JsonLines,
        (false, true) => &mut csv::CsvRows,
        (false, false) => &mut table::FileTable::for_names(names(&filter, &config, reader.as_deref())?),
    };
    print(reader.as_deref(), filter, format, context.output)?;
    Ok(ExitStatus::Well)
}

/// An output format of the list.
trait FileFormat {
    /// The heading.
    fn begin(&mut self, output: &mut Output) -> io::Result<()>;

    /// One file, on one line.
    fn file(&mut self, file: &FileRow, output: &mut Output) -> io::Result<()>;
}

fn print(
    reader: Option<&dyn History>,
    filter: FileFilter,
    format: &mut dyn FileFormat,
    output: &mut Output,
) -> Result<(), Failure> {
    format.begin(output)?;
    let Some(reader) = reader else { return Ok(()) };
    for file in reader.files(filter).map_err(status::unreadable)? {
        format.file(&file.map_err(status::unreadable)?, output)?;
        if output.is_closed() {
            break;
        }
    }
    Ok(())
}

/// The named devices. The configuration or the ledger must know each of them.
fn named_devices(
    names: &[String],
    config: &Config,
    reader: Option<&dyn History>,
) -> Result<Vec<DeviceName>, Failure> {
    let mut devices = Vec::with_capacity(names.len());
    for name in names {
        let unknown = || status::unknown_device(config, name);
        let device = DeviceName::new(name).map_err(|_| unknown())?;
        let recorded = match reader {
            Some(reader) => reader.device(&device, times::now()).map_err(status::unreadable)?,
            None => None,
        };
        if config.device(name).is_none() && recorded.is_none() {
            return Err(unknown());
        }
        devices.push(device);
    }
    Ok(devices)
}

/// The device names that can occur in the list.
fn names(
    filter: &FileFilter,
    config: &Config,
    reader: Option<&dyn History>,
) -> Result<Vec<DeviceName>, Failure> {
    if !filter.devices.is_empty() {
        return Ok(filter.devices.clone());
    }
    let recorded = match reader {
        Some(reader) => reader.devices(times::now()).map_err(status::unreadable)?,
        None => Vec::new(),
    };
    let configured = config.devices.iter().map(|device| device.name.clone());
    Ok(configured
        .chain(recorded.into_iter().map(|device| device.name))
        .collect())
}
