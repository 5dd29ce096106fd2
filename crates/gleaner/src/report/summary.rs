//! The summary after a sweep, easy to read for a tired person: what was stored, what was not and why, and
//! what to do.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use engine::event::{Event, PassSummary, Reporter};
use engine::fleet::SweepSummary;
use engine::ports::{PassOutcome, Reason};
use model::{Amount, FailureClass, Timestamp};

use super::{amount, capitalised};
use crate::output::Output;

/// The maximum number of devices or files named for one cause.
const MAX_NAMED: usize = 8;

/// Prints what a sweep would do with each file, one line per file on standard output.
#[derive(Debug)]
pub(super) struct PlanLines;

impl Reporter for PlanLines {
    fn report(&self, _: Timestamp, event: &Event) {
        write_planned(event);
    }
}

fn write_planned(event: &Event) {
    let Event::Planned {
        device,
        path,
        size,
        action,
        ..
    } = event
    else {
        return;
    };
    let line = format!("{device}: {path} ({}): {action}\n", amount::bytes(*size));
    // A closed pipe is not an error.
    io::stdout().lock().write_all(line.as_bytes()).unwrap_or_default();
}

/// Prints the summary of a dry run.
pub fn print_plan(sweep: &SweepSummary, output: &mut Output) -> io::Result<()> {
    output.line("Dry run: nothing was changed.")?;
    print_served(sweep, output)?;
    print_failures(sweep, output)?;
    print_remaining(sweep, output)
}

/// Prints the summary of a sweep.
pub fn print(sweep: &SweepSummary, output: &mut Output) -> io::Result<()> {
    let passes = || sweep.passes.iter().map(|(_, pass)| pass);
    let released = total(passes(), |pass| pass.released);
    let stored = total(passes(), |pass| pass.stored);
    if released.is_none() && stored.is_none() {
        output.line("Nothing was collected.")?;
        print_served(sweep, output)?;
        print_failures(sweep, output)?;
        return print_remaining(sweep, output);
    }
    output.line(format_args!(
        "Stored {} ({}), verified and durable; released {} ({}) from their devices.",
        amount::count(stored.files, "new file"),
        amount::bytes(stored.bytes),
        amount::count(released.files, "file"),
        amount::bytes(released.bytes),
    ))?;
    print_served(sweep, output)?;
    print_failures(sweep, output)?;
    print_remaining(sweep, output)
}

fn total<'a>(
    passes: impl Iterator<Item = &'a PassSummary>,
    amount: impl Fn(&PassSummary) -> Amount,
) -> Amount {
    passes.map(amount).fold(Amount::ZERO, Amount::plus)
}

fn print_served(sweep: &SweepSummary, output: &mut Output) -> io::Result<()> {
    let served = |pass: &PassSummary| matches!(pass.outcome, PassOutcome::Well | PassOutcome::Partial);
    let count = sweep.passes.iter().filter(|(_, pass)| served(pass)).count();
    let all = sweep.passes.len() + sweep.not_visited.len();
    output.line(format_args!("{count} of {all} devices served."))?;
    if let Some(failure) = &sweep.ledger_failure {
        output.line(format_args!("  the ledger failed: {failure}"))?;
    }
    for device in &sweep.not_visited {
        output.line(format_args!("  not visited: {device}"))?;
    }
    Ok(())
}

fn print_failures(sweep: &SweepSummary, output: &mut Output) -> io::Result<()> {
    let mut by_cause: BTreeMap<(FailureClass, &str), Vec<(String, &str)>> = BTreeMap::new();
    for (device, pass) in &sweep.passes {
        match &pass.outcome {
            PassOutcome::Failed { class, message, .. } => {
                let remedy = pass.outcome.remedy().unwrap_or_default();
                by_cause
                    .entry((*class, remedy))
                    .or_default()
                    .push((device.to_string(), message));
            }
            PassOutcome::CollectorFailed { message } => output.line(format_args!("{device}: {message}"))?,
            PassOutcome::Well | PassOutcome::Partial | PassOutcome::Interrupted => {}
        }
    }
    for ((class, remedy), devices) in by_cause {
        output.line(format_args!(
            "{} [{}]:",
            capitalised(class.meaning()),
            class.code()
        ))?;
        for (device, message) in devices.iter().take(MAX_NAMED) {
            output.line(format_args!("  {device}: {message}"))?;
        }
        if let Some(more) = devices.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
            output.line(format_args!("  and {more} more"))?;
        }
        output.line(format_args!("  -> {remedy}"))?;
    }
    Ok(())
}

/// The files that remain for one reason, over all devices.
#[derive(Default)]
struct ReasonTotal {
    amount: Amount,
    devices: Vec<String>,
    /// The first files, for reasons that need action.
    named: Vec<String>,
}

fn print_remaining(sweep: &SweepSummary, output: &mut Output) -> io::Result<()> {
    let mut totals: BTreeMap<Reason, ReasonTotal> = BTreeMap::new();
    for (device, pass) in &sweep.passes {
        let Some(remaining) = &pass.remaining else {
            continue;
        };
        for (reason, amount) in &remaining.totals {
            let total = totals.entry(*reason).or_default();
            total.amount.add(*amount);
            total.devices.push(device.to_string());
        }
        for file in remaining.files.iter().filter(|file| file.reason.is_fault()) {
            let detail = file
                .detail
                .as_ref()
                .map(|detail| format!(" ({detail})"))
                .unwrap_or_default();
            totals
                .entry(file.reason)
                .or_default()
                .named
                .push(format!("{device}: {}{detail}", file.path));
        }
    }
    if totals.is_empty() {
        return Ok(());
    }
    output.line("Still on the devices (`gleaner status DEVICE` names the files):")?;
    for (reason, total) in totals {
        print_reason(reason, &total, output)?;
    }
    Ok(())
}

fn print_reason(reason: Reason, total: &ReasonTotal, output: &mut Output) -> io::Result<()> {
    let amount = amount::remaining(reason, total.amount);
    let devices = listed(&total.devices, ", ");
    output.line(format_args!("  {amount} on {devices}: {}", reason.text()))?;
    for file in total.named.iter().take(MAX_NAMED) {
        output.line(format_args!("    {file}"))?;
    }
    if let Some(more) = total.named.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        output.line(format_args!("    and {more} more"))?;
    }
    match reason.remedy() {
        "" => Ok(()),
        remedy => output.line(format_args!("    -> {remedy}")),
    }
}

/// The first names of a list, and the number of further ones.
fn listed(names: &[String], between: &str) -> String {
    let first: Vec<&str> = names.iter().take(MAX_NAMED).map(String::as_str).collect();
    match names.len().saturating_sub(MAX_NAMED) {
        0 => first.join(between),
        more => format!("{} and {more} more", first.join(between)),
    }
}
