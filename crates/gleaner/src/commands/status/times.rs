//! Points in time for programs and for people.

use model::Timestamp;

/// The current time.
pub(in crate::commands) fn now() -> Timestamp {
    from_jiff(jiff::Timestamp::now())
}

/// The nearest time that the ledger can hold.
pub(in crate::commands) fn from_jiff(time: jiff::Timestamp) -> Timestamp {
    let nanoseconds = time.as_nanosecond();
    let end = if nanoseconds < 0 { i64::MIN } else { i64::MAX };
    Timestamp::from_nanoseconds(i64::try_from(nanoseconds).unwrap_or(end))
}

fn to_jiff(time: Timestamp) -> jiff::Timestamp {
    // Every time of 64 bits of nanoseconds is one of jiff's.
    jiff::Timestamp::from_nanosecond(i128::from(time.nanoseconds())).unwrap_or_default()
}

/// For programs: RFC 3339 in UTC, with as many digits as the fraction needs.
pub(in crate::commands) fn rfc3339(time: Timestamp) -> String {
    to_jiff(time).to_string()
}

/// For people, to the second: `2026-05-01 12:00:00`, in UTC.
pub(in crate::commands) fn to_the_second(time: Timestamp) -> String {
    to_jiff(time).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The age: `12 s ago`, `3 h ago`. A future time means that the collector's clock was set back.
pub(in crate::commands) fn ago(time: Timestamp, now: Timestamp) -> String {
    if time > now {
        return "in the future".into();
    }
    format!("{} ago", roughly(now.since(time)))
}

/// A duration in its largest unit, rounded down.
pub(in crate::commands) fn roughly(span: std::time::Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
