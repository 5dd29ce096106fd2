//! Durations, sizes and rates: parsed from the configuration, and formatted so that they parse back.

use std::time::Duration;

/// The longest duration accepted: ten years. Keeps sums of times within the range of every clock.
const MAX_DURATION: Duration = Duration::from_hours(3653 * 24);

/// The units of durations in milliseconds, largest first, with their accepted names.
const DURATIONS: [(&[&str], u64); 6] = [
    (&["w", "week", "weeks"], 604_800_000),
    (&["d", "day", "days"], 86_400_000),
    (&["h", "hour", "hours"], 3_600_000),
    (&["m", "min", "minute", "minutes"], 60_000),
    (&["s", "sec", "second", "seconds"], 1_000),
    (&["ms"], 1),
];

/// The units of sizes in bytes, largest first.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// Parses a duration: one or more whole numbers, each with a unit, such as "30s", "1h30m" or "2 days". The
/// error is a phrase that follows the name of the key.
pub fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("is empty");
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit());
        let (unit, after) = split(after.trim_start(), |c| c.is_ascii_alphabetic());
        if unit.is_empty() && !number.is_empty() {
            return Err("has a number without a unit");
        }
        let known = DURATIONS.iter().find(|(names, _)| names.contains(&unit));
        let number = number.parse::<u64>().ok();
        let (number, (_, milliseconds)) = number.zip(known).ok_or("is not a duration")?;
        let part = number.checked_mul(*milliseconds).map(Duration::from_millis);
        let sum = part.and_then(|part| total.checked_add(part));
        total = sum.ok_or("is too long")?;
        rest = after.trim_start();
    }
    if total > MAX_DURATION {
        return Err("is longer than ten years");
    }
    Ok(total)
}

/// Formats a duration so that [`parse_duration`] parses it back: "1h 30m".
pub fn format_duration(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut parts = Vec::new();
    // Weeks are accepted as input, but days are easier to read.
    for (names, milliseconds) in DURATIONS.into_iter().skip(1) {
        let count = rest / u128::from(milliseconds);
        rest %= u128::from(milliseconds);
        let unit = names.first().filter(|_| count > 0);
        parts.extend(unit.map(|unit| format!("{count}{unit}")));
    }
    if parts.is_empty() {
        return "0s".to_owned();
    }
    parts.join(" ")
}

/// Parses a size in bytes: a number, whole or decimal, and a unit, such as "1 GiB" or "500MB".
///
/// "kB", "MB" … are powers of 1000; "KiB", "MiB" … are powers of 1024. "K" and "M" alone are ambiguous and
/// refused.
pub fn parse_size(text: &str) -> Result<u64, &'static str> {
    let (number, unit) = split_unit(text);
    let unit = match unit {
        "" => "B",
        "KB" => "kB",
        "K" | "k" | "M" | "G" | "T" => {
            return Err("has an ambiguous unit, a power of 1000 or of 1024");
        }
        other => other,
    };
    let known = SIZES.iter().find(|(known, _)| *known == unit);
    let scaled = known.and_then(|(_, factor)| scale(number, *factor));
    scaled.ok_or("is not a size")
}

/// Formats a size so that [`parse_size`] parses it back, in the largest binary unit that divides it.
pub fn format_size(bytes: u64) -> String {
    let fits = |(unit, factor): &&(&str, u64)| {
        unit.ends_with("iB") && bytes >= *factor && bytes.is_multiple_of(*factor)
    };
    let (unit, factor) = SIZES.iter().find(fits).unwrap_or(&("B", 1));
    format!("{} {unit}", bytes / factor)
}

/// Parses a rate in bytes per second: a size per second, such as "2 MiB/s", or bits per second, such as "8
/// Mbit/s".
pub fn parse_rate(text: &str) -> Result<u64, &'static str> {
    let (number, unit) = split_unit(text);
    let bits = match unit {
        "bit/s" => Some(1),
        "kbit/s" => Some(1_000),
        "Mbit/s" => Some(1_000_000),
        "Gbit/s" => Some(1_000_000_000),
        _ => None,
    };
    match (bits, text.trim().strip_suffix("/s")) {
        (Some(bits), _) => scale(number, bits).map(|bits| bits / 8).ok_or("is not a rate"),
        (None, Some(amount)) if !unit.starts_with('/') => parse_size(amount).map_err(|_| "is not a rate"),
        _ => Err("is not a rate"),
    }
}

/// Splits off the leading number, and trims the rest.
fn split_unit(text: &str) -> (&str, &str) {
    let (number, unit) = split(text.trim(), |c| c.is_ascii_digit() || c == '.' || c == '_');
    (number, unit.trim())
}

/// Splits a text after its leading characters that match.
fn split(text: &str, matches: impl Fn(char) -> bool) -> (&str, &str) {
    let rest = text.trim_start_matches(matches);
    text.split_at_checked(text.len() - rest.len())
        .unwrap_or((text, ""))
}

/// A decimal number times a factor, exact, rounded down. `None` if the text is not a number or the product is
/// too large.
fn scale(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| -> Option<u128> {
        let plain = text.replace('_', "");
        // Twenty digits, the length of the largest size: times any factor here, the product fits into 128
        // bits.
        (plain.len() <= 20).then(|| plain.parse().ok())?
    };
    let decimals = u32::try_from(fraction.replace('_', "").len()).ok()?;
    let fraction = digits(fraction)? * u128::from(factor) / 10_u128.checked_pow(decimals)?;
    u64::try_from(digits(whole)? * u128::from(factor) + fraction).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_as_people_write_them() {
        for (text, seconds) in [
            ("30s", 30),
            (" 30 sec ", 30),
            ("10m", 600),
            ("1h30m", 5400),
            ("1h 30min", 5400),
            ("2 days", 172_800),
            ("1w", 604_800),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        for text in "| |30|s|30 sek|-5s|1.5h|5 s 3|99999999999999999999s|11 years|600w|5\u{fc}".split('|') {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_parsed_as_people_write_them() {
        for (text, bytes) in [
            ("1 GiB", 1 << 30),
            ("500MB", 500_000_000),
            ("1.5 KiB", 1536),
            ("1_000 kB", 1_000_000),
            ("4096", 4096),
            ("0", 0),
            ("0.1 B", 0),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in "|GiB|1 G|1 gib|-1|1.2.3 MB|99999999999 TiB|1,5 GB|.|1 \u{fc}".split('|') {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_parsed_in_bytes_and_in_bits() {
        for (text, bytes) in [
            ("2 MiB/s", 2 << 20),
            ("8 Mbit/s", 1_000_000),
            ("500kB/s", 500_000),
            ("64 kbit/s", 8000),
        ] {
            assert_eq!(parse_rate(text), Ok(bytes), "{text}");
        }
        for text in ["", "2 MiB", "off", "2 /s", "5/s", "/s", "1 MB/min"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_formatted_quantity_parses_back() {
        for milliseconds in [0, 1, 999, 1000, 5_400_000, 90_061_001] {
            let span = Duration::from_millis(milliseconds);
            assert_eq!(parse_duration(&format_duration(span)), Ok(span));
        }
        for bytes in [
            0,
            1,
            u64::MAX,
            1023,
            1024,
            1500,
            1 << 30,
            (1 << 40) + 1,
            u64::MAX / (1 << 20) * (1 << 20),
        ] {
            assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
            assert_eq!(parse_rate(&format!("{}/s", format_size(bytes))), Ok(bytes));
        }
    }
}
