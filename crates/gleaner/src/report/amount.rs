//! Amounts and times in a form for people.

use std::time::Duration;

use engine::ports::Reason;
use model::{Amount, LeaveReason, Timestamp};

/// A number of bytes in powers of 1000, as disks are sold: `831 B`, `12.3 MB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut scale: u64 = 1000;
    for unit in UNITS {
        // Tenths, rounded down: never shown as more than it is.
        let tenths = bytes / (scale / 10);
        if tenths < 10_000 || unit == "EB" {
            return match tenths {
                0..1000 => format!("{}.{} {unit}", tenths / 10, tenths % 10),
                _ => format!("{} {unit}", tenths / 10),
            };
        }
        scale = scale.saturating_mul(1000);
    }
    String::new()
}

/// A time to the second, in UTC. A time that was clamped to the range of `Timestamp` is shown as outside of
/// it.
pub fn time(time: Timestamp) -> String {
    if time.may_be_clamped() {
        let is_past = time < Timestamp::EPOCH;
        return if is_past { "before 1678" } else { "after 2261" }.to_owned();
    }
    // Every time of 64 bits of nanoseconds is one of jiff's.
    let time = jiff::Timestamp::from_nanosecond(time.nanoseconds().into()).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A count with its noun: `1 file`, `12,345 files`.
pub fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// A number of things with their noun: `1 device`, `3 devices`.
pub fn count_items(number: usize, noun: &str) -> String {
    count(u64::try_from(number).unwrap_or(u64::MAX), noun)
}

/// Files with their bytes: `nothing`, `1 file (12 B)`.
pub fn files_and_bytes(amount: Amount) -> String {
    match amount.files {
        0 => "nothing".into(),
        files => format!("{} ({})", count(files, "file"), bytes(amount.bytes)),
    }
}

/// The amount that remains on a device for this reason: `1 file (12 B)`. The contents of a folder that cannot
/// be listed are unknown.
pub fn remaining(reason: Reason, amount: Amount) -> String {
    match reason {
        Reason::Leave(LeaveReason::FolderUnreadable | LeaveReason::WithdrawnUnreadable) => {
            format!(
                "{} with an unknown number of files",
                count(amount.files, "folder")
            )
        }
        _ => format!("{} ({})", count(amount.files, "file"), bytes(amount.bytes)),
    }
}

/// A number with commas between groups of three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A duration: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..10 => format!("{}.{} s", seconds, span.subsec_millis() / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_a_form_for_people() {
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (12_345, "12.3 kB"),
            (123_456, "123 kB"),
            (999_999, "999 kB"),
            (1_000_000, "1.0 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(1_234_567, "file"), "1,234,567 files");
        assert_eq!(span(Duration::from_millis(420)), "0.4 s");
        assert_eq!(span(Duration::from_secs(185)), "3 min 5 s");
        assert_eq!(span(Duration::from_secs(7810)), "2 h 10 min");
    }
}
