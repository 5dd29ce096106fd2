//! `gleaner status`: the state of each device, from the ledger alone. Contacts no device, and works while a
//! sweep is running.

mod colors;
mod detail;
mod json;
mod overview;
mod problems;
#[cfg(test)]
pub(super) mod tests;
pub(super) mod times;
mod view;

use std::io::Write as _;

use engine::ports::{DiskUse, History, HistoryError};
use ledger::Reader;
use model::Timestamp;

use crate::cli;
use crate::commands::Context;
use crate::config::Config;
use crate::exit::{ExitStatus, Failure};
use crate::output::Output;
use crate::report::amount;

use colors::Colors;
use view::DeviceView;

/// The maximum number of files listed for one device.
const MAX_FILES_SHOWN: usize = 10_000;

/// The number of passes shown for one device.
const MAX_PASSES_SHOWN: usize = 10;

/// Prints the state of each device, or of one in detail.
pub fn status(arguments: &cli::StatusArgs, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    let config = context.configuration()?;
    let reader = open(&config)?;
    let query = StatusQuery {
        reader: reader.as_deref(),
        config: &config,
        now: times::now(),
    };
    let mut devices = query.devices()?;
    if let Some(name) = &arguments.device {
        devices.retain(|device| device.name.as_str() == name);
        if devices.is_empty() {
            return Err(unknown_device(&config, name));
        }
    }
    let output = &mut *context.output;
    match (arguments.json, &arguments.device) {
        (true, _) => json::print(&query, &devices, output)?,
        (false, None) => overview::print(&query, &devices, Colors::for_terminal(), output)?,
        (false, Some(_)) => {
            for device in &devices {
                query.print_detail(device, Colors::for_terminal(), output)?;
            }
        }
    }
    Ok(ExitStatus::Well)
}

/// A query: the ledger, the configuration and the time.
struct StatusQuery<'a> {
    /// `None` before the first sweep.
    reader: Option<&'a dyn History>,
    config: &'a Config,
    now: Timestamp,
}

impl StatusQuery<'_> {
    /// Every configured device, in the order of the configuration, then devices that are only in the ledger.
    fn devices(&self) -> Result<Vec<DeviceView>, Failure> {
        let known = match self.reader {
            Some(reader) => reader.devices(self.now).map_err(unreadable)?,
            None => Vec::new(),
        };
        let configured = self.config.devices.iter().map(|device| &device.name);
        Ok(DeviceView::all(configured, known))
    }

    fn remaining(&self, device: &DeviceView) -> Result<Vec<engine::ports::RemainingFile>, Failure> {
        match self.reader {
            Some(reader) => reader
                .remaining(&device.name, MAX_FILES_SHOWN)
                .map_err(unreadable),
            None => Ok(Vec::new()),
        }
    }

    fn print_detail(&self, device: &DeviceView, colors: Colors, output: &mut Output) -> Result<(), Failure> {
        let passes = match self.reader {
            Some(reader) => reader
                .passes(&device.name, MAX_PASSES_SHOWN)
                .map_err(unreadable)?,
            None => Vec::new(),
        };
        let remaining = self.remaining(device)?;
        detail::print(device, &remaining, &passes, self.now, colors, output)?;
        Ok(())
    }
}

/// Opens the ledger. If it does not exist yet, prints a note to standard error and returns `None`.
pub(super) fn open(config: &Config) -> Result<Option<Box<dyn History>>, Failure> {
    match Reader::open(&config.ledger) {
        Ok(reader) => Ok(Some(Box::new(reader))),
        Err(missing @ HistoryError::Missing { .. }) => {
            let remedy = ledger::read_remedy(&missing);
            // If standard error is closed, there is no other place for this.
            writeln!(std::io::stderr(), "gleaner: {missing}; {remedy}").unwrap_or_default();
            Ok(None)
        }
        Err(error) => Err(unreadable(error)),
    }
}

/// The free space of a file system. No percentage: the space reserved for root is neither free nor used, and
/// is not known here; a percentage would contradict `df`.
pub(in crate::commands) fn free_space(disk: DiskUse) -> String {
    let (free, total) = (amount::bytes(disk.available), amount::bytes(disk.total));
    format!("{free} free of {total}")
}

/// The failure of a ledger that cannot be read.
pub(super) fn unreadable(error: HistoryError) -> Failure {
    let remedy = ledger::read_remedy(&error);
    Failure::new(ExitStatus::StoreOrLedger, error).help(remedy)
}

/// The failure for a device name that neither configuration nor ledger knows.
pub(super) fn unknown_device(config: &Config, name: &str) -> Failure {
    let shown = model::escaped(name.as_bytes());
    let failure = Failure::usage(format_args!(
        "there is no device `{shown}`, neither in the configuration nor in the ledger"
    ));
    match config.device_like(name) {
        Some(like) => failure.help(format!("did you mean `{like}`?")),
        None => failure,
    }
}
