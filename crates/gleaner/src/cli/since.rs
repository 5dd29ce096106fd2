//! The `WHEN` of `--since`.

use std::str::FromStr;
use std::time::Duration;

use jiff::{Timestamp, civil, tz::TimeZone};

use crate::config::units;

/// A point in time on the command line: a duration back from now, or a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// This long ago.
    Ago(Duration),
    /// At that time.
    At(Timestamp),
}

impl Since {
    /// The point in time. A duration that reaches too far back gives the earliest possible time.
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => now.checked_sub(span).unwrap_or(Timestamp::MIN),
            Self::At(time) => time,
        }
    }
}

impl FromStr for Since {
    type Err = SinceError;

    fn from_str(text: &str) -> Result<Self, SinceError> {
        let local = |time: civil::DateTime| time.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp());
        let date = || local(text.parse::<civil::Date>().ok()?.at(0, 0, 0, 0));
        let time = || local(text.parse::<civil::DateTime>().ok()?);
        // Try a time with an offset first: it would also parse without the offset, as another time.
        if let Some(time) = text.parse::<Timestamp>().ok().or_else(time).or_else(date) {
            return Ok(Self::At(time));
        }
        match units::parse_duration(text) {
            Ok(span) => Ok(Self::Ago(span)),
            Err(_) => Err(SinceError),
        }
    }
}

/// The text is neither a duration nor a date nor a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "neither a duration such as \"2h\" or \"7 days\", nor a date or time such as 2026-05-01 or 2026-05-01T12:00:00Z"
)]
pub struct SinceError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_time_is_a_duration_a_date_or_a_time() {
        let now: Timestamp = "2026-05-02T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2h", "2026-05-02T10:00:00Z"),
            ("1 day", "2026-05-01T12:00:00Z"),
            ("2026-05-01", "2026-05-01T00:00:00Z"),
            ("2026-05-01T07:30", "2026-05-01T07:30:00Z"),
            ("2026-05-01 07:30:15", "2026-05-01T07:30:15Z"),
            ("2026-05-01T07:30:00Z", "2026-05-01T07:30:00Z"),
            ("2026-05-01T07:30:00+02:00", "2026-05-01T05:30:00Z"),
        ] {
            let since: Since = text.parse().unwrap();
            assert_eq!(since.resolve(now), expected.parse().unwrap(), "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "-2h"] {
            assert_eq!(text.parse::<Since>(), Err(SinceError), "{text}");
        }
    }
}
