//! All devices, easy to read for a tired person: one line each, the totals, then the problems and what to do.

use std::io;

use engine::ports::{DeviceStatus, DiskUse};
use health::{ActionCause, DeviceState};
use model::{Amount, SourcePath, Timestamp};

use crate::output::Output;
use crate::report::amount;

use super::colors::{Colors, TextStyle};
use super::problems::named;
use super::view::DeviceView;
use super::{StatusQuery, free_space, problems, times};

/// The maximum number of reasons shown in a line.
const MAX_REASONS: usize = 3;

pub(super) fn print(
    query: &StatusQuery<'_>,
    devices: &[DeviceView],
    colors: Colors,
    output: &mut Output,
) -> io::Result<()> {
    let now = query.now;
    let configured: Vec<&DeviceView> = devices.iter().filter(|device| device.configured).collect();
    print_table(&configured, now, colors, output)?;
    print_states(&configured, output)?;
    print_sums(devices, now, output)?;
    problems::print(&configured, now, colors, output)?;
    print_unconfigured(devices, colors, output)
}

const HEADINGS: [&str; 6] = [
    "DEVICE",
    "STATE",
    "LAST SEEN",
    "RELEASED TODAY",
    "DISK",
    "REMAINING",
];

fn print_table(
    devices: &[&DeviceView],
    now: Timestamp,
    colors: Colors,
    output: &mut Output,
) -> io::Result<()> {
    let rows: Vec<[String; 6]> = devices.iter().map(|device| row(device, now)).collect();
    let mut widths = HEADINGS.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let headings = padded(&HEADINGS.map(str::to_owned), widths).concat();
    output.line(colors.styled(TextStyle::Strong, headings.trim_end()))?;
    for (device, row) in devices.iter().zip(&rows) {
        let [name, state, rest @ ..] = padded(row, widths);
        let state = colors.styled(TextStyle::of(device.state()), &state);
        let line = format!("{name}{state}{}", rest.concat());
        output.line(line.trim_end())?;
    }
    Ok(())
}

fn padded(row: &[String; 6], widths: [usize; 6]) -> [String; 6] {
    let mut widths = widths.into_iter();
    row.each_ref()
        .map(|cell| format!("{cell:width$}  ", width = widths.next().unwrap_or_default()))
}

fn row(device: &DeviceView, now: Timestamp) -> [String; 6] {
    let known = device.known.as_ref();
    let seen = known
        .and_then(|known| known.last_seen)
        .map(|seen| times::ago(seen, now));
    let released = known
        .map(|known| known.released_today)
        .filter(|count| count.files > 0);
    let released = released.map(|count| {
        format!(
            "{} ({})",
            amount::grouped(count.files),
            amount::bytes(count.bytes)
        )
    });
    [
        device.name.to_string(),
        state(device, now),
        seen.unwrap_or_else(|| "never".into()),
        released.unwrap_or_else(|| "-".into()),
        disks(known),
        remaining_in_words(device),
    ]
}

fn state(device: &DeviceView, now: Timestamp) -> String {
    match device.state() {
        DeviceState::Ok => "ok".into(),
        DeviceState::NeedsAction(cause) => format!("action needed: {}", cause_in_words(cause)),
        DeviceState::Unreachable(_) => match device.failure().map(|failure| failure.since) {
            Some(Some(since)) => {
                format!("unreachable, failing for {}", times::roughly(now.since(since)))
            }
            Some(None) | None => "unreachable".into(),
        },
        DeviceState::CollectorFailed => "store or ledger failed".into(),
        DeviceState::NeverVisited => "never visited".into(),
    }
}

const fn cause_in_words(cause: ActionCause) -> &'static str {
    match cause {
        ActionCause::Device(class) => class.code(),
        ActionCause::Files(reason) => reason.code(),
        ActionCause::LastPass => "last pass had errors",
    }
}

fn disks(known: Option<&DeviceStatus>) -> String {
    let free = |(_, disk): &(SourcePath, Option<DiskUse>)| disk.map(free_space);
    let mut shown: Vec<String> = known
        .into_iter()
        .flat_map(|known| &known.disks)
        .filter_map(free)
        .collect();
    // Several sources are usually on one file system.
    shown.dedup();
    if shown.is_empty() {
        "-".into()
    } else {
        shown.join(", ")
    }
}

fn remaining_in_words(device: &DeviceView) -> String {
    let remaining = device.remaining();
    let shown = remaining.iter().take(MAX_REASONS);
    let mut shown: Vec<String> = shown
        .map(|(reason, count)| format!("{} {}", amount::grouped(count.files), reason.code()))
        .collect();
    if remaining.len() > MAX_REASONS {
        shown.push("…".into());
    }
    if shown.is_empty() {
        "-".into()
    } else {
        shown.join(", ")
    }
}

fn print_states(devices: &[&DeviceView], output: &mut Output) -> io::Result<()> {
    let number = |code: &str| {
        devices
            .iter()
            .filter(|device| device.state().code() == code)
            .count()
    };
    let shown = [
        ("ok", "ok"),
        ("unreachable", "unreachable"),
        ("needs-you", "action needed"),
        ("collector-failed", "store or ledger failed"),
        ("never-visited", "never visited"),
    ];
    let shown: Vec<String> = shown
        .iter()
        .map(|(code, words)| (number(code), words))
        .filter(|(number, _)| *number > 0)
        .map(|(number, words)| format!("{number} {words}"))
        .collect();
    output.line("")?;
    output.line(format_args!(
        "{}: {}.",
        amount::count_items(devices.len(), "device"),
        shown.join(", ")
    ))
}

/// Prints totals over all devices in the ledger; the remaining files only of configured devices.
fn print_sums(devices: &[DeviceView], now: Timestamp, output: &mut Output) -> io::Result<()> {
    let known = || devices.iter().filter_map(|device| device.known.as_ref());
    let sum = |count: fn(&DeviceStatus) -> Amount| known().map(count).fold(Amount::default(), Amount::plus);
    output.line(format_args!(
        "Today: {} stored, {} released.",
        amount::files_and_bytes(sum(|known| known.stored_today)),
        amount::files_and_bytes(sum(|known| known.released_today)),
    ))?;
    let recorded = |known: &DeviceStatus| {
        known
            .totals
            .stored
            .plus(known.totals.released)
            .plus(known.totals.kept)
    };
    output.line(format_args!(
        "In total: {} recorded. Still on the devices: {}.",
        amount::files_and_bytes(sum(recorded)),
        fleet_remaining(devices),
    ))?;
    match known().filter_map(|known| known.last_attempt).max() {
        Some(last) => output.line(format_args!("The last pass began {}.", times::ago(last, now))),
        None => output.line("No device has been visited yet."),
    }
}

/// The remaining files, and the number of devices for which they are unknown.
fn fleet_remaining(devices: &[DeviceView]) -> String {
    let configured = || devices.iter().filter(|device| device.configured);
    let remaining = configured().flat_map(DeviceView::remaining);
    let remaining = remaining
        .map(|(_, count)| count)
        .fold(Amount::default(), Amount::plus);
    let is_seen = |device: &&DeviceView| matches!(&device.known, Some(known) if known.last_seen.is_some());
    let never_seen = configured().filter(|device| !is_seen(device)).count();
    match never_seen {
        0 => amount::files_and_bytes(remaining),
        _ => format!(
            "{} known; {} never seen",
            amount::files_and_bytes(remaining),
            amount::count_items(never_seen, "device")
        ),
    }
}

fn print_unconfigured(devices: &[DeviceView], colors: Colors, output: &mut Output) -> io::Result<()> {
    let unconfigured: Vec<&DeviceView> = devices.iter().filter(|device| !device.configured).collect();
    if unconfigured.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let line = format!(
        "In the ledger, but no longer configured: {}",
        named(&unconfigured)
    );
    output.line(colors.styled(TextStyle::Faint, &line))
}
