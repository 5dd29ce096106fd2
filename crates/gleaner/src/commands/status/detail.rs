//! One device, with everything known about it.

use std::io;

use engine::ports::{ClockReading, DeviceStatus, DiskUse, PassOutcome, PastPass, Reason, RemainingFile};
use health::{ActionCause, DeviceState};
use model::{Amount, SourcePath, Timestamp, escaped};

use crate::output::Output;
use crate::report::amount;

use super::colors::{Colors, TextStyle};
use super::view::DeviceView;
use super::{free_space, times};

/// The maximum number of files listed per reason; `--json` lists all that the ledger has.
const MAX_FILES: usize = 20;

pub(super) fn print(
    device: &DeviceView,
    remaining: &[RemainingFile],
    passes: &[PastPass],
    now: Timestamp,
    colors: Colors,
    output: &mut Output,
) -> io::Result<()> {
    let state = match device.state() {
        DeviceState::Ok => "ok",
        DeviceState::NeedsAction(ActionCause::Device(class)) | DeviceState::Unreachable(class) => {
            class.meaning()
        }
        DeviceState::NeedsAction(ActionCause::Files(reason)) => reason.text(),
        DeviceState::NeedsAction(ActionCause::LastPass) => "its last pass had errors",
        DeviceState::CollectorFailed => "the store or the ledger failed",
        DeviceState::NeverVisited => "never visited",
    };
    let name = colors.styled(TextStyle::Strong, device.name.as_str());
    output.line(format_args!(
        "{name}: {}",
        colors.styled(TextStyle::of(device.state()), state)
    ))?;
    print_failure(device, now, output)?;
    if !device.configured {
        output.line("  no longer configured")?;
    }
    let Some(known) = &device.known else { return Ok(()) };
    print_times(known, now, output)?;
    print_counts(known, output)?;
    print_device_facts(known, now, output)?;
    print_remaining(device, remaining, colors, output)?;
    print_passes(passes, colors, output)
}

fn print_failure(device: &DeviceView, now: Timestamp, output: &mut Output) -> io::Result<()> {
    let (DeviceState::NeedsAction(ActionCause::Device(class)) | DeviceState::Unreachable(class)) =
        device.state()
    else {
        return Ok(());
    };
    let failure = device.failure();
    let message = failure.as_ref().map_or("", |failure| failure.message);
    output.line(format_args!(
        "  {}: {}",
        class.code(),
        escaped(message.as_bytes())
    ))?;
    if let Some(since) = failure.as_ref().and_then(|failure| failure.since) {
        print_fact("fails since", &moment(since, now), output)?;
    }
    let remedy = failure.map_or(class.remedy(), |failure| failure.remedy);
    output.line(format_args!("  -> {}", escaped(remedy.as_bytes())))
}

fn print_fact(name: &str, text: &str, output: &mut Output) -> io::Result<()> {
    output.line(format_args!("  {name:12}  {text}"))
}

fn moment(time: Timestamp, now: Timestamp) -> String {
    format!("{} UTC, {}", times::to_the_second(time), times::ago(time, now))
}

fn print_times(known: &DeviceStatus, now: Timestamp, output: &mut Output) -> io::Result<()> {
    let shown = |time: Option<Timestamp>| time.map_or_else(|| "never".into(), |time| moment(time, now));
    print_fact("last seen", &shown(known.last_seen), output)?;
    print_fact("last visited", &shown(known.last_attempt), output)
}

fn print_counts(known: &DeviceStatus, output: &mut Output) -> io::Result<()> {
    let (stored, released) = (
        amount::files_and_bytes(known.stored_today),
        amount::files_and_bytes(known.released_today),
    );
    print_fact("today", &format!("{stored} stored, {released} released"), output)?;
    let totals = &known.totals;
    let mut recorded = format!("{} released", amount::files_and_bytes(totals.released));
    for (these, what) in [
        (totals.stored, "stored, not yet released"),
        (totals.kept, "stored and kept on the device"),
    ] {
        if these.files > 0 {
            recorded = format!("{recorded}, {} {what}", amount::files_and_bytes(these));
        }
    }
    print_fact("recorded", &recorded, output)
}

/// Prints the facts that the device reported.
fn print_device_facts(known: &DeviceStatus, now: Timestamp, output: &mut Output) -> io::Result<()> {
    if let Some(clock) = &known.clock {
        print_fact("clock", &format_clock(clock, now), output)?;
        if let Some(boot_id) = &clock.boot_id {
            print_fact("boot id", &escaped(boot_id.as_bytes()), output)?;
        }
    }
    for (source, disk) in &known.disks {
        print_fact("disk", &format_disk(source, *disk), output)?;
    }
    if let Some(check) = known.writer_check {
        print_fact("writers", check.text(), output)?;
    }
    for text in &known.shortcomings {
        print_fact("lacks", &escaped(text.as_bytes()), output)?;
    }
    Ok(())
}

fn format_clock(clock: &ClockReading, now: Timestamp) -> String {
    let milliseconds = clock.offset.unsigned_abs() / 1_000_000;
    let offset = match milliseconds / 1000 {
        0..60 => format!("{}.{:03} s", milliseconds / 1000, milliseconds % 1000),
        seconds => times::roughly(std::time::Duration::from_secs(seconds)),
    };
    let direction = if clock.offset < 0 { "behind" } else { "ahead of" };
    format!(
        "{offset} {direction} the collector, read {}",
        times::ago(clock.at, now)
    )
}

fn format_disk(source: &SourcePath, disk: Option<DiskUse>) -> String {
    match disk {
        Some(disk) => format!("{source}: {}", free_space(disk)),
        None => format!("{source}: unknown"),
    }
}

fn print_remaining(
    device: &DeviceView,
    remaining: &[RemainingFile],
    colors: Colors,
    output: &mut Output,
) -> io::Result<()> {
    let totals = device.remaining();
    if totals.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.line(colors.styled(TextStyle::Strong, "Still on the device, as last seen"))?;
    for (reason, count) in totals {
        let files = amount::remaining(reason, count);
        output.line(format_args!("  {files}: {} ({})", reason.text(), reason.code()))?;
        print_files(remaining, reason, count, output)?;
        if !reason.remedy().is_empty() {
            output.line(format_args!("    -> {}", reason.remedy()))?;
        }
    }
    Ok(())
}

fn print_files(
    remaining: &[RemainingFile],
    reason: Reason,
    count: Amount,
    output: &mut Output,
) -> io::Result<()> {
    let mut named = 0;
    for file in remaining
        .iter()
        .filter(|file| file.reason == reason)
        .take(MAX_FILES)
    {
        let detail = file
            .detail
            .as_ref()
            .map(|detail| format!(": {}", escaped(detail.as_bytes())));
        let detail = detail.unwrap_or_default();
        output.line(format_args!(
            "    {}: {} ({}){detail}",
            file.source,
            file.path,
            amount::bytes(file.size)
        ))?;
        named += 1;
    }
    match count.files.checked_sub(named).filter(|more| *more > 0) {
        Some(more) if named > 0 => output.line(format_args!("    and {} more", amount::grouped(more))),
        _ => Ok(()),
    }
}

fn print_passes(passes: &[PastPass], colors: Colors, output: &mut Output) -> io::Result<()> {
    if passes.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.line(colors.styled(TextStyle::Strong, "Recent passes (UTC)"))?;
    for (index, pass) in passes.iter().enumerate() {
        let took = pass.took.map(amount::span).unwrap_or_default();
        output.line(format_args!(
            "  {}  {took:>10}  {}",
            times::to_the_second(pass.begun),
            outcome(pass, index == 0)
        ))?;
    }
    Ok(())
}

/// Formats the outcome of a pass. Only the newest pass can be in progress: one process at a time holds the
/// ledger.
fn outcome(pass: &PastPass, newest: bool) -> String {
    let released = || format!("{} released", amount::files_and_bytes(pass.released));
    match &pass.outcome {
        None if newest => "in progress, or aborted".into(),
        None => "aborted".into(),
        Some(PassOutcome::Well) => format!("ok: {}", released()),
        Some(PassOutcome::Partial) => format!("some files need action: {}", released()),
        Some(PassOutcome::Failed { class, message, .. }) => {
            format!("{}: {}", class.code(), escaped(message.as_bytes()))
        }
        Some(PassOutcome::CollectorFailed { message }) => {
            format!("store or ledger failed: {}", escaped(message.as_bytes()))
        }
        Some(PassOutcome::Interrupted) => "interrupted".into(),
    }
}
