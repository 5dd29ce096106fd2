//! One device, with everything that is known of it.

use std::io;

use engine::ports::{ClockReading, DiskUse, PassOutcome, Reason, RemainingFile};
use ledger::{DeviceStatus, PassSummary};
use model::{Amount, SourcePath, Timestamp, escaped};

use crate::Output;
use crate::report::amount;

use super::overview::{files_and_bytes, tone};
use super::paint::{Paint, Tone};
use super::view::{DeviceView, State};
use super::{free_space, times};

/// Files of one reason that are named; `--json` names all that the ledger has.
const MAX_FILES: usize = 20;

pub(super) fn print(
    device: &DeviceView,
    remaining: &[RemainingFile],
    passes: &[PassSummary],
    (now, paint): (Timestamp, Paint),
    output: &mut Output,
) -> io::Result<()> {
    let state = match device.state() {
        State::Well => "ok",
        State::Failing(class) | State::Unreachable(class) => class.meaning(),
        State::Faults(reason) => reason.text(),
        State::Partial => "its last pass had faults",
        State::CollectorFailed => "the store or the ledger failed",
        State::NeverVisited => "never visited",
    };
    let name = paint.tone(Tone::Strong, device.name.as_str());
    output.line(format_args!(
        "{name}: {}",
        paint.tone(tone(device.state()), state)
    ))?;
    print_failure(device, now, output)?;
    if !device.configured {
        output.line("  no longer configured")?;
    }
    let Some(known) = &device.known else { return Ok(()) };
    print_times(known, now, output)?;
    print_counts(known, output)?;
    print_itself(known, now, output)?;
    print_remaining(device, remaining, paint, output)?;
    print_passes(passes, paint, output)
}

fn print_failure(device: &DeviceView, now: Timestamp, output: &mut Output) -> io::Result<()> {
    let (State::Failing(class) | State::Unreachable(class)) = device.state() else {
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
        fact("fails since", &moment(since, now), output)?;
    }
    let remedy = failure.map_or(class.remedy(), |failure| failure.remedy);
    output.line(format_args!("  -> {}", escaped(remedy.as_bytes())))
}

fn fact(name: &str, text: &str, output: &mut Output) -> io::Result<()> {
    output.line(format_args!("  {name:12}  {text}"))
}

fn moment(time: Timestamp, now: Timestamp) -> String {
    format!("{} UTC, {}", times::to_the_second(time), times::ago(time, now))
}

fn print_times(known: &DeviceStatus, now: Timestamp, output: &mut Output) -> io::Result<()> {
    let told = |time: Option<Timestamp>| time.map_or_else(|| "never".into(), |time| moment(time, now));
    fact("last seen", &told(known.last_seen), output)?;
    fact("last visited", &told(known.last_attempt), output)
}

fn print_counts(known: &DeviceStatus, output: &mut Output) -> io::Result<()> {
    let (stored, released) = (
        files_and_bytes(known.stored_today),
        files_and_bytes(known.released_today),
    );
    fact(
        "today",
        &format!("{stored} newly in the store, {released} released"),
        output,
    )?;
    let totals = &known.totals;
    let mut recorded = format!("{} released", files_and_bytes(totals.released));
    for (these, what) in [
        (totals.stored, "stored, not yet released"),
        (totals.kept, "stored and kept on the device"),
    ] {
        if these.files > 0 {
            recorded = format!("{recorded}, {} {what}", files_and_bytes(these));
        }
    }
    fact("recorded", &recorded, output)
}

/// What the device says of itself.
fn print_itself(known: &DeviceStatus, now: Timestamp, output: &mut Output) -> io::Result<()> {
    if let Some(clock) = &known.clock {
        fact("clock", &clock_in_words(clock, now), output)?;
        if let Some(boot_id) = &clock.boot_id {
            fact("boot id", &escaped(boot_id.as_bytes()), output)?;
        }
    }
    for (source, disk) in &known.disks {
        fact("disk", &disk_in_words(source, *disk), output)?;
    }
    if let Some(check) = known.writer_check {
        fact("writers", check.text(), output)?;
    }
    for text in &known.shortcomings {
        fact("lacks", &escaped(text.as_bytes()), output)?;
    }
    Ok(())
}

fn clock_in_words(clock: &ClockReading, now: Timestamp) -> String {
    let milliseconds = clock.offset.unsigned_abs() / 1_000_000;
    let offset = match milliseconds / 1000 {
        0..60 => format!("{}.{:03} s", milliseconds / 1000, milliseconds % 1000),
        seconds => times::roughly(std::time::Duration::from_secs(seconds)),
    };
    let direction = if clock.offset < 0 { "behind" } else { "ahead of" };
    format!("{offset} {direction} ours, read {}", times::ago(clock.at, now))
}

fn disk_in_words(source: &SourcePath, disk: Option<DiskUse>) -> String {
    match disk {
        Some(disk) => format!("{source}: {}", free_space(disk)),
        None => format!("{source}: could not be told"),
    }
}

fn print_remaining(
    device: &DeviceView,
    remaining: &[RemainingFile],
    paint: Paint,
    output: &mut Output,
) -> io::Result<()> {
    let totals = device.remaining();
    if totals.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.line(paint.tone(Tone::Strong, "Still on the device, as last seen"))?;
    for (reason, count) in totals {
        let files = amount::left(reason, count);
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

fn print_passes(passes: &[PassSummary], paint: Paint, output: &mut Output) -> io::Result<()> {
    if passes.is_empty() {
        return Ok(());
    }
    output.line("")?;
    output.line(paint.tone(Tone::Strong, "Recent passes (UTC)"))?;
    for (place, pass) in passes.iter().enumerate() {
        let took = pass.took.map(amount::span).unwrap_or_default();
        output.line(format_args!(
            "  {}  {took:>10}  {}",
            times::to_the_second(pass.begun),
            outcome(pass, place == 0)
        ))?;
    }
    Ok(())
}

/// A pass that another one followed is over, however it ended: only one at a time has the ledger.
fn outcome(pass: &PassSummary, newest: bool) -> String {
    let released = || format!("{} released", files_and_bytes(pass.released));
    match &pass.outcome {
        None if newest => "it is under way, or was cut off".into(),
        None => "cut off".into(),
        Some(PassOutcome::Well) => format!("well: {}", released()),
        Some(PassOutcome::Partial) => format!("some files need you: {}", released()),
        Some(PassOutcome::Failed { class, message, .. }) => {
            format!("{}: {}", class.code(), escaped(message.as_bytes()))
        }
        Some(PassOutcome::CollectorFailed { message }) => {
            format!("store or ledger failed: {}", escaped(message.as_bytes()))
        }
        Some(PassOutcome::Interrupted) => "interrupted".into(),
    }
}
