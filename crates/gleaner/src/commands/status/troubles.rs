//! What is wrong in the fleet, each trouble once with the devices that have it and what to do: first what somebody has to mend, then what
//! may mend itself.

use std::collections::BTreeMap;
use std::io;

use engine::ports::{DiskUse, PassOutcome, Reason, WriterCheck};
use model::{Amount, FailureClass, Timestamp, escaped};

use crate::Output;

use super::overview::files_and_bytes;
use super::paint::{Paint, Tone};
use super::view::{DeviceView, State};
use super::{free_space, times};

/// How many devices of one trouble are named.
const MAX_NAMED: usize = 8;

/// A disk is told as nearly full if less than one part of so many may still be written.
const NEARLY_FULL: u64 = 10;

pub(super) fn print(
    devices: &[&DeviceView],
    (now, paint): (Timestamp, Paint),
    output: &mut Output,
) -> io::Result<()> {
    print_home_failures(devices, paint, output)?;
    print_failures(devices, Recourse::Somebody, (now, paint), output)?;
    print_faults(devices, paint, output)?;
    print_failures(devices, Recourse::Time, (now, paint), output)?;
    print_full_disks(devices, paint, output)?;
    print_shortcomings(devices, paint, output)
}

fn print_home_failures(devices: &[&DeviceView], paint: Paint, output: &mut Output) -> io::Result<()> {
    let mut by_message: BTreeMap<&str, Vec<&DeviceView>> = BTreeMap::new();
    for device in devices
        .iter()
        .filter(|device| device.state() == State::CollectorFailed)
    {
        let outcome = device
            .known
            .as_ref()
            .and_then(|known| known.last_pass.as_ref()?.outcome.as_ref());
        if let Some(PassOutcome::CollectorFailed { message }) = outcome {
            by_message.entry(message).or_default().push(device);
        }
    }
    if by_message.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.line(paint.tone(Tone::Strong, "The store or the ledger failed"))?;
    for (message, devices) in by_message {
        output.line(format_args!(
            "  {}: {}",
            escaped(message.as_bytes()),
            named(&devices)
        ))?;
    }
    Ok(())
}

/// Which failures are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Recourse {
    /// Those that somebody has to mend.
    Somebody,
    /// Those that may mend themselves.
    Time,
}

fn print_failures(
    devices: &[&DeviceView],
    recourse: Recourse,
    (now, paint): (Timestamp, Paint),
    output: &mut Output,
) -> io::Result<()> {
    let mut by_cause: BTreeMap<(FailureClass, &str), Vec<&DeviceView>> = BTreeMap::new();
    for device in devices {
        match (device.state(), recourse) {
            (State::Failing(class), Recourse::Somebody) | (State::Unreachable(class), Recourse::Time) => {
                let remedy = device.failure().map_or(class.remedy(), |failure| failure.remedy);
                by_cause.entry((class, remedy)).or_default().push(device);
            }
            _ => {}
        }
    }
    for ((class, remedy), devices) in by_cause {
        output.line("")?;
        let heading = format!("{} ({})", capitalised(class.meaning()), class.code());
        output.line(paint.tone(Tone::Strong, &heading))?;
        for device in devices.iter().take(MAX_NAMED) {
            let failure = device.failure();
            // The device may have failed in another way before: the time is not that of the heading.
            let since = failure.as_ref().and_then(|failure| failure.since);
            let since = since.map(|since| format!(" (failing for {})", times::roughly(now.since(since))));
            let message = failure.map_or("", |failure| failure.message);
            let message = escaped(message.as_bytes());
            output.line(format_args!(
                "  {}{}: {message}",
                device.name,
                since.unwrap_or_default()
            ))?;
        }
        print_more(devices.len(), output)?;
        output.line(format_args!("  -> {}", escaped(remedy.as_bytes())))?;
    }
    Ok(())
}

fn print_more(devices: usize, output: &mut Output) -> io::Result<()> {
    match devices.checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        Some(more) => output.line(format_args!("  and {more} more")),
        None => Ok(()),
    }
}

fn print_faults(devices: &[&DeviceView], paint: Paint, output: &mut Output) -> io::Result<()> {
    let mut by_reason: BTreeMap<Reason, Vec<(&DeviceView, Amount)>> = BTreeMap::new();
    for device in devices {
        for (reason, count) in device.faults() {
            by_reason.entry(reason).or_default().push((device, count));
        }
    }
    for (reason, devices) in by_reason {
        output.line("")?;
        let heading = format!("{} ({})", capitalised(reason.text()), reason.code());
        output.line(paint.tone(Tone::Strong, &heading))?;
        for (device, count) in devices.iter().take(MAX_NAMED) {
            let files = files_and_bytes(*count);
            output.line(format_args!(
                "  {}: {files}; see `gleaner status {}`",
                device.name, device.name
            ))?;
        }
        print_more(devices.len(), output)?;
        output.line(format_args!("  -> {}", reason.remedy()))?;
    }
    Ok(())
}

fn print_full_disks(devices: &[&DeviceView], paint: Paint, output: &mut Output) -> io::Result<()> {
    let fullest = |device: &DeviceView| {
        let disks = device.known.as_ref()?.disks.iter();
        let full = disks.filter_map(|(_, disk)| disk.filter(is_nearly_full));
        full.min_by_key(|disk| disk.available)
    };
    let full: Vec<(&DeviceView, DiskUse)> = devices
        .iter()
        .filter_map(|device| Some((*device, fullest(device)?)))
        .collect();
    if full.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.line(paint.tone(
        Tone::Strong,
        "Nearly full when last seen: a full device records nothing more",
    ))?;
    for (device, disk) in full.iter().take(MAX_NAMED) {
        output.line(format_args!("  {}: {}", device.name, free_space(*disk)))?;
    }
    print_more(full.len(), output)
}

/// What is kept for root alone does not help the recording: only what may still be written counts.
fn is_nearly_full(disk: &DiskUse) -> bool {
    disk.total > 0 && disk.available < disk.total / NEARLY_FULL
}

const BLIND: &str = "writers cannot be seen: files settle for settle_blind";

fn print_shortcomings(devices: &[&DeviceView], paint: Paint, output: &mut Output) -> io::Result<()> {
    let mut by_text: BTreeMap<&str, Vec<&DeviceView>> = BTreeMap::new();
    for device in devices {
        let Some(known) = &device.known else { continue };
        for text in &known.shortcomings {
            by_text.entry(text).or_default().push(device);
        }
        if known.writer_check == Some(WriterCheck::Blind) {
            by_text.entry(BLIND).or_default().push(device);
        }
    }
    if by_text.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.line(paint.tone(Tone::Strong, "Lesser devices, made up for by waiting"))?;
    for (text, devices) in by_text {
        output.line(format_args!(
            "  {}: {}",
            escaped(text.as_bytes()),
            named(&devices)
        ))?;
    }
    Ok(())
}

/// The names of the first some devices.
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

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}
