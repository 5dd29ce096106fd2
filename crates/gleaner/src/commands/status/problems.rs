//! The problems of the fleet, each once with its devices and the remedy: first problems that need action,
//! then problems that may resolve automatically.

use std::io;

use engine::ports::DiskUse;
use health::{DeviceFacts, Problem, RemainingReason};
use model::{FailureClass, Timestamp, escaped};

use crate::output::Output;
use crate::report::{amount, capitalised};

use super::colors::{Colors, TextStyle};
use super::view::DeviceView;
use super::{free_space, times};

/// The maximum number of devices named for one problem.
const MAX_NAMED: usize = 8;

/// A device and its facts.
#[derive(Clone, Copy)]
struct Affected<'a> {
    view: &'a DeviceView,
    facts: &'a DeviceFacts<'a>,
}

pub(super) fn print(
    devices: &[&DeviceView],
    now: Timestamp,
    colors: Colors,
    output: &mut Output,
) -> io::Result<()> {
    let facts: Vec<DeviceFacts<'_>> = devices.iter().map(|device| device.facts()).collect();
    let affected = devices.iter().zip(&facts);
    let affected = affected.map(|(view, facts)| (Affected { view, facts }, facts));
    let mut heading = "";
    for (problem, devices) in health::problems::group(affected) {
        match problem {
            Problem::DeviceFailed { class, remedy } | Problem::Unreachable { class, remedy } => {
                print_failure(class, remedy, &devices, now, colors, output)?;
            }
            Problem::Files { reason } => print_files(reason, &devices, colors, output)?,
            Problem::DiskNearlyFull => print_full_disks(&devices, colors, output)?,
            Problem::CollectorFailed { message: text } | Problem::Shortcoming { text } => {
                print_heading(&mut heading, heading_of(problem), colors, output)?;
                print_line(text, &devices, output)?;
            }
            Problem::Blind => {
                print_heading(&mut heading, heading_of(problem), colors, output)?;
                print_line(BLIND, &devices, output)?;
            }
        }
    }
    Ok(())
}

const BLIND: &str = "writers cannot be seen: files settle for settle_blind";

/// The heading of problems that take one line each.
const fn heading_of(problem: Problem<'_>) -> &'static str {
    match problem {
        Problem::CollectorFailed { .. } => "The store or the ledger failed",
        _ => "Devices with limited tools: gleaner waits longer",
    }
}

/// Prints a heading once, above the first of its lines.
fn print_heading(
    last: &mut &'static str,
    heading: &'static str,
    colors: Colors,
    output: &mut Output,
) -> io::Result<()> {
    if *last == heading {
        return Ok(());
    }
    *last = heading;
    output.line("")?;
    output.line(colors.styled(TextStyle::Strong, heading))
}

fn print_line(text: &str, devices: &[Affected<'_>], output: &mut Output) -> io::Result<()> {
    let views: Vec<&DeviceView> = devices.iter().map(|device| device.view).collect();
    output.line(format_args!("  {}: {}", escaped(text.as_bytes()), named(&views)))
}

fn print_failure(
    class: FailureClass,
    remedy: &str,
    devices: &[Affected<'_>],
    now: Timestamp,
    colors: Colors,
    output: &mut Output,
) -> io::Result<()> {
    output.line("")?;
    let heading = format!("{} ({})", capitalised(class.meaning()), class.code());
    output.line(colors.styled(TextStyle::Strong, &heading))?;
    for device in devices.iter().take(MAX_NAMED) {
        let failure = device.view.failure();
        // The device may have failed in another way before: the time is not that of the heading.
        let since = failure.as_ref().and_then(|failure| failure.since);
        let since = since.map(|since| format!(" (failing for {})", times::roughly(now.since(since))));
        let message = failure.map_or("", |failure| failure.message);
        output.line(format_args!(
            "  {}{}: {}",
            device.view.name,
            since.unwrap_or_default(),
            escaped(message.as_bytes())
        ))?;
    }
    print_more(devices.len(), output)?;
    output.line(format_args!("  -> {}", escaped(remedy.as_bytes())))
}

fn print_files(
    reason: RemainingReason,
    devices: &[Affected<'_>],
    colors: Colors,
    output: &mut Output,
) -> io::Result<()> {
    output.line("")?;
    let heading = format!("{} ({})", capitalised(reason.text()), reason.code());
    output.line(colors.styled(TextStyle::Strong, &heading))?;
    for device in devices.iter().take(MAX_NAMED) {
        let name = &device.view.name;
        let files = amount::files_and_bytes(device.facts.remaining_for(reason));
        output.line(format_args!("  {name}: {files}; see `gleaner status {name}`"))?;
    }
    print_more(devices.len(), output)?;
    output.line(format_args!("  -> {}", reason.remedy()))
}

fn print_full_disks(devices: &[Affected<'_>], colors: Colors, output: &mut Output) -> io::Result<()> {
    output.line("")?;
    output.line(colors.styled(
        TextStyle::Strong,
        "Nearly full when last seen: a full device records nothing more",
    ))?;
    for device in devices.iter().take(MAX_NAMED) {
        if let Some(disk) = device.facts.fullest_disk() {
            let (total, available) = (disk.total, disk.available);
            let space = free_space(DiskUse { total, available });
            output.line(format_args!("  {}: {space}", device.view.name))?;
        }
    }
    print_more(devices.len(), output)
}

fn print_more(devices: usize, output: &mut Output) -> io::Result<()> {
    match devices.checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        Some(more) => output.line(format_args!("  and {more} more")),
        None => Ok(()),
    }
}

/// The names of the first devices, and the number of further ones.
pub(super) fn named(devices: &[&DeviceView]) -> String {
    let names: Vec<&str> = devices
        .iter()
        .take(MAX_NAMED)
        .map(|device| device.name.as_str())
        .collect();
    match devices.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        Some(more) => format!("{} and {more} more", names.join(", ")),
        None => names.join(", "),
    }
}
