//! All devices, for a tired person: one line each, the sum, then what needs somebody and what to do about it.

use std::io;

use engine::ports::DiskUse;
use ledger::DeviceStatus;
use model::{Amount, SourcePath, Timestamp};

use crate::Output;
use crate::report::amount;

use super::paint::{Paint, Tone};
use super::troubles::named;
use super::view::{DeviceView, State};
use super::{Question, free_space, times, troubles};

/// Reasons of files that wait which are told in a line.
const MAX_REASONS: usize = 3;

pub(super) fn print(
    question: &Question<'_>,
    devices: &[DeviceView],
    paint: Paint,
    output: &mut Output,
) -> io::Result<()> {
    let now = question.now;
    let configured: Vec<&DeviceView> = devices.iter().filter(|device| device.configured).collect();
    print_table(&configured, now, paint, output)?;
    print_states(&configured, output)?;
    print_sums(devices, now, output)?;
    troubles::print(&configured, (now, paint), output)?;
    print_forgotten(devices, paint, output)
}

const HEADINGS: [&str; 6] = [
    "DEVICE",
    "STATE",
    "LAST SEEN",
    "RELEASED TODAY",
    "DISK",
    "STILL ON IT",
];

fn print_table(devices: &[&DeviceView], now: Timestamp, paint: Paint, output: &mut Output) -> io::Result<()> {
    let rows: Vec<[String; 6]> = devices.iter().map(|device| row(device, now)).collect();
    let mut widths = HEADINGS.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let headings = padded(&HEADINGS.map(str::to_owned), widths).concat();
    output.line(paint.tone(Tone::Strong, headings.trim_end()))?;
    for (device, row) in devices.iter().zip(&rows) {
        let [name, state, rest @ ..] = padded(row, widths);
        let state = paint.tone(tone(device.state()), &state);
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
        still_there(device),
    ]
}

fn state(device: &DeviceView, now: Timestamp) -> String {
    match device.state() {
        State::Well => "ok".into(),
        State::Failing(class) => format!("needs you: {}", class.code()),
        State::Faults(reason) => format!("needs you: {}", reason.code()),
        State::Partial => "needs you: last pass had faults".into(),
        State::Unreachable(_) => match device.failure().map(|failure| failure.since) {
            Some(Some(since)) => {
                format!("unreachable, failing for {}", times::roughly(now.since(since)))
            }
            Some(None) | None => "unreachable".into(),
        },
        State::CollectorFailed => "store or ledger failed".into(),
        State::NeverVisited => "never visited".into(),
    }
}

pub(super) const fn tone(state: State) -> Tone {
    match state {
        State::Well => Tone::Good,
        State::Failing(_) | State::Faults(_) | State::Partial | State::CollectorFailed => Tone::Bad,
        State::Unreachable(_) => Tone::Doubtful,
        State::NeverVisited => Tone::Faint,
    }
}

/// `nothing`, `1 file (12 B)`.
pub(super) fn files_and_bytes(count: Amount) -> String {
    match count.files {
        0 => "nothing".into(),
        files => format!(
            "{} ({})",
            amount::count(files, "file"),
            amount::bytes(count.bytes)
        ),
    }
}

fn disks(known: Option<&DeviceStatus>) -> String {
    let free = |(_, disk): &(SourcePath, Option<DiskUse>)| disk.map(free_space);
    let mut told: Vec<String> = known
        .into_iter()
        .flat_map(|known| &known.disks)
        .filter_map(free)
        .collect();
    // Several sources are most often on one file system.
    told.dedup();
    if told.is_empty() {
        "-".into()
    } else {
        told.join(", ")
    }
}

fn still_there(device: &DeviceView) -> String {
    let remaining = device.remaining();
    let told = remaining.iter().take(MAX_REASONS);
    let mut told: Vec<String> = told
        .map(|(reason, count)| format!("{} {}", amount::grouped(count.files), reason.code()))
        .collect();
    if remaining.len() > MAX_REASONS {
        told.push("…".into());
    }
    if told.is_empty() {
        "-".into()
    } else {
        told.join(", ")
    }
}

fn print_states(devices: &[&DeviceView], output: &mut Output) -> io::Result<()> {
    let number = |code: &str| {
        devices
            .iter()
            .filter(|device| device.state().code() == code)
            .count()
    };
    let told = [
        ("ok", "ok"),
        ("unreachable", "unreachable"),
        ("needs-you", "in need of you"),
        ("collector-failed", "failed by store or ledger"),
        ("never-visited", "never visited"),
    ];
    let told: Vec<String> = told
        .iter()
        .map(|(code, words)| (number(code), words))
        .filter(|(number, _)| *number > 0)
        .map(|(number, words)| format!("{number} {words}"))
        .collect();
    output.line("")?;
    output.line(format_args!(
        "{}: {}.",
        amount::count(as_u64(devices.len()), "device"),
        told.join(", ")
    ))
}

/// Over all devices that ever brought something; but what is left is told of those only that are still visited.
fn print_sums(devices: &[DeviceView], now: Timestamp, output: &mut Output) -> io::Result<()> {
    let known = || devices.iter().filter_map(|device| device.known.as_ref());
    let sum = |count: fn(&DeviceStatus) -> Amount| known().map(count).fold(Amount::default(), Amount::plus);
    output.line(format_args!(
        "Today: {} newly in the store, {} released.",
        files_and_bytes(sum(|known| known.stored_today)),
        files_and_bytes(sum(|known| known.released_today)),
    ))?;
    let recorded = |known: &DeviceStatus| {
        known
            .totals
            .stored
            .plus(known.totals.released)
            .plus(known.totals.kept)
    };
    output.line(format_args!(
        "Ever: {} recorded. Still on the devices: {}.",
        files_and_bytes(sum(recorded)),
        still_on(devices),
    ))?;
    match known().filter_map(|known| known.last_attempt).max() {
        Some(last) => output.line(format_args!("The last pass began {}.", times::ago(last, now))),
        None => output.line("No device has been visited yet."),
    }
}

/// What is left, and for how many devices nobody can say.
fn still_on(devices: &[DeviceView]) -> String {
    let configured = || devices.iter().filter(|device| device.configured);
    let remaining = configured().flat_map(DeviceView::remaining);
    let remaining = remaining
        .map(|(_, count)| count)
        .fold(Amount::default(), Amount::plus);
    let is_seen = |device: &&DeviceView| matches!(&device.known, Some(known) if known.last_seen.is_some());
    let never_seen = configured().filter(|device| !is_seen(device)).count();
    match never_seen {
        0 => files_and_bytes(remaining),
        _ => format!(
            "{} known; {} never seen",
            files_and_bytes(remaining),
            amount::count(as_u64(never_seen), "device")
        ),
    }
}

fn print_forgotten(devices: &[DeviceView], paint: Paint, output: &mut Output) -> io::Result<()> {
    let forgotten: Vec<&DeviceView> = devices.iter().filter(|device| !device.configured).collect();
    if forgotten.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let line = format!("In the ledger, but no longer configured: {}", named(&forgotten));
    output.line(paint.tone(Tone::Faint, &line))
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
