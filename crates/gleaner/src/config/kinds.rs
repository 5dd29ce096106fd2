//! The kinds of values, each with its error messages and remedies. [`super::address`] has the kinds that
//! differ from device to device.

use std::path::{self, Path, PathBuf};
use std::time::Duration;

use engine::placement::NameRule;
use engine::rules::ReleaseRule;
use model::LedgerId;
use ssh::Compression;
use toml::Value as Toml;

use super::exclude::Exclude;
use super::findings::{Faults, Finding};
use super::ids::Ids;
use super::layout::Layout;
use super::value::{RawValue, Syntax, ValueKind, quoted};
use super::{show_path, suggest, units};

/// An absolute path on the collector.
impl ValueKind for PathBuf {
    type Resolved = Self;
    const SYNTAX: Syntax = Syntax::text("path", "a path in quotes");

    fn read(raw: &RawValue<'_>) -> Result<Self, Faults> {
        let text = raw.text();
        let path = Path::new(text);
        if text.chars().any(char::is_control) {
            return Err(raw.fault("contains a control character").into());
        }
        if path.is_absolute() {
            return Ok(path.to_owned());
        }
        let file = raw.context.file.and_then(|file| path::absolute(file).ok());
        let folder = file.as_deref().and_then(Path::parent);
        let remedy = match folder.filter(|_| !text.is_empty()) {
            _ if path.starts_with("~") => "write the home folder in full, such as \"/home/ana/…\"".to_owned(),
            Some(folder) => format!(
                "relative to this file it would be \"{}\"",
                show_path(&folder.join(path))
            ),
            None => "write it from the root, starting with \"/\"".to_owned(),
        };
        Err(raw.fault("is not an absolute path").help(remedy).into())
    }

    fn show(path: &Self) -> Option<Toml> {
        Some(path.to_string_lossy().into_owned().into())
    }
}

impl ValueKind for LedgerId {
    type Resolved = Self;
    const SYNTAX: Syntax = Syntax::text("id", "an id in quotes, such as \"ohio\"");

    fn read(raw: &RawValue<'_>) -> Result<Self, Faults> {
        let remedy = "write at most 40 lower-case letters, digits and \"-\", such as \"ohio\" or \"field-2\"";
        Self::new(raw.text()).ok_or_else(|| raw.fault("is not the id of a ledger").help(remedy).into())
    }

    fn show(id: &Self) -> Option<Toml> {
        Some(id.as_str().into())
    }
}

impl ValueKind for Layout {
    type Resolved = Self;
    const SYNTAX: Syntax = Syntax::TEXT;

    fn read(raw: &RawValue<'_>) -> Result<Self, Faults> {
        let remedy = "write it like \"{device}/{path}\" or \"{device}/{mtime:%Y-%m-%d}/{name}\"";
        Self::parse(raw.text()).map_err(|problem| {
            let finding = Finding::error(raw.span.clone(), format!("the layout {problem}"));
            finding.help(remedy).into()
        })
    }

    fn show(layout: &Self) -> Option<Toml> {
        Some(layout.as_str().into())
    }
}

/// A duration of at least `MIN` milliseconds.
#[derive(Debug)]
pub struct DurationAtLeast<const MIN: u64>;

/// A settle time. Zero is allowed: files that appear complete, for example by a rename, need no waiting.
pub type SettleTime = DurationAtLeast<0>;

/// A timeout or an interval. With zero, nothing would ever succeed, or the processor would never idle.
pub type Interval = DurationAtLeast<100>;

impl<const MIN: u64> ValueKind for DurationAtLeast<MIN> {
    type Resolved = Duration;
    const SYNTAX: Syntax = Syntax::text("duration", "a duration in quotes, such as \"30s\" or \"10m\"");

    fn read(raw: &RawValue<'_>) -> Result<Duration, Faults> {
        let min = Duration::from_millis(MIN);
        match units::parse_duration(raw.text()) {
            Ok(span) if span >= min => Ok(span),
            Ok(_) => {
                let remedy = format!("it must be at least {}", units::format_duration(min));
                Err(raw.fault("is too short").help(remedy).into())
            }
            Err(problem) => {
                let remedy = "write whole numbers with units: \"30s\", \"10m\", \"1h30m\" or \"2 days\"";
                Err(raw.fault(problem).help(remedy).into())
            }
        }
    }

    fn show(span: &Duration) -> Option<Toml> {
        Some(units::format_duration(*span).into())
    }
}

/// A number of bytes.
#[derive(Debug)]
pub struct Size;

impl ValueKind for Size {
    type Resolved = u64;
    const SYNTAX: Syntax = Syntax {
        types: &["string", "integer"],
        ..Syntax::text("size", "a size in quotes, such as \"1 GiB\"")
    };

    fn read(raw: &RawValue<'_>) -> Result<u64, Faults> {
        let remedy = "write a number and a unit: \"1 GiB\" (1024³ bytes), \"500 MB\" (1000² bytes)";
        units::parse_size(raw.text()).map_err(|problem| raw.fault(problem).help(remedy).into())
    }

    fn show(bytes: &u64) -> Option<Toml> {
        Some(units::format_size(*bytes).into())
    }
}

/// A limit in bytes per second, or none.
#[derive(Debug)]
pub struct Rate;

impl ValueKind for Rate {
    type Resolved = Option<u64>;
    const SYNTAX: Syntax = Syntax::text("rate", "a rate in quotes, such as \"2 MiB/s\", or \"off\"");

    fn read(raw: &RawValue<'_>) -> Result<Self::Resolved, Faults> {
        // With a lower limit, a working device looks stalled.
        const MIN: u64 = 1000;
        if raw.text() == "off" {
            return Ok(None);
        }
        let (problem, right) = match units::parse_rate(raw.text()) {
            Ok(rate) if rate >= MIN => return Ok(Some(rate)),
            Ok(_) => ("is less than 1 kB/s", "at least \"1 kB/s\""),
            Err(problem) => (problem, "\"2 MiB/s\", \"8 Mbit/s\""),
        };
        let remedy = format!("write {right}, or \"off\" for no limit");
        Err(raw.fault(problem).help(remedy).into())
    }

    fn show(rate: &Self::Resolved) -> Option<Toml> {
        let shown = rate.map(|rate| format!("{}/s", units::format_size(rate)));
        Some(shown.unwrap_or_else(|| "off".to_owned()).into())
    }
}

/// Permissions in the store. gleaner must be able to read its files and to work in its folders.
#[derive(Debug)]
pub struct Mode<const IS_FOLDER: bool>;

/// Permissions of stored files, without set-id and sticky bits.
pub type FileMode = Mode<false>;

/// Permissions of folders.
pub type FolderMode = Mode<true>;

impl<const IS_FOLDER: bool> ValueKind for Mode<IS_FOLDER> {
    type Resolved = u32;
    const SYNTAX: Syntax = Syntax::text("mode", "permissions as octal digits in quotes, such as \"0640\"");

    fn read(raw: &RawValue<'_>) -> Result<u32, Faults> {
        let (max, needed, user, remedy) = if IS_FOLDER {
            let remedy = "write \"0750\", or \"2750\" so that files get the group of the folder";
            (
                0o3777,
                0o700,
                "a folder, which its owner must be able to write to",
                remedy,
            )
        } else {
            let remedy = "write \"0640\" (owner writes, group reads) or \"0644\" (all users read)";
            (
                0o777,
                0o400,
                "a stored file, which its owner must be able to read",
                remedy,
            )
        };
        let text = raw.text();
        let digits = text.trim_start_matches("0o");
        let is_octal = (3..=4).contains(&digits.len()) && !digits.starts_with('+');
        let mode = u32::from_str_radix(digits, 8).ok().filter(|_| is_octal);
        let finding = match mode {
            Some(mode) if mode <= max && mode & needed == needed => return Ok(mode),
            Some(_) => raw.fault_at(&raw.span, &format!("{text} is unsuitable for {user}")),
            None => raw.fault("is not a mode of three or four octal digits"),
        };
        Err(finding.help(remedy).into())
    }

    fn show(mode: &u32) -> Option<Toml> {
        Some(format!("{mode:04o}").into())
    }
}

/// A whole number within bounds.
#[derive(Debug)]
pub struct WholeNumber<const MIN: usize, const MAX: usize>;

/// The number of devices at the same time. One collector cannot start or hold more ssh clients.
pub type ParallelLimit = WholeNumber<1, 1000>;

impl<const MIN: usize, const MAX: usize> ValueKind for WholeNumber<MIN, MAX> {
    type Resolved = usize;
    const SYNTAX: Syntax = Syntax {
        types: &["integer"],
        range: Some((MIN, MAX)),
        ..Syntax::text("number", "a whole number without quotes, such as 16")
    };

    fn read(raw: &RawValue<'_>) -> Result<usize, Faults> {
        let text = raw.text();
        let number = text.parse().ok().filter(|number| (MIN..=MAX).contains(number));
        number.ok_or_else(|| {
            let finding = raw.fault_at(&raw.span, &format!("is {text}"));
            finding.help(format!("it must be {MIN} to {MAX}")).into()
        })
    }

    fn show(number: &usize) -> Option<Toml> {
        i64::try_from(*number).ok().map(Toml::Integer)
    }
}

impl ValueKind for bool {
    type Resolved = Self;
    const SYNTAX: Syntax = Syntax {
        types: &["boolean"],
        ..Syntax::text("true or false", "true or false, without quotes")
    };

    fn read(raw: &RawValue<'_>) -> Result<Self, Faults> {
        Ok(raw.text() == "true")
    }

    fn show(value: &Self) -> Option<Toml> {
        Some((*value).into())
    }
}

/// A suffix of file names.
#[derive(Debug)]
pub struct Suffix;

impl ValueKind for Suffix {
    type Resolved = String;
    const SYNTAX: Syntax = Syntax::TEXT;

    fn read(raw: &RawValue<'_>) -> Result<String, Faults> {
        let text = raw.text();
        // A name has at most 255 bytes: leave room for the name of the file itself.
        if (1..=100).contains(&text.len()) && !text.chars().any(|c| c == '/' || c.is_control()) {
            return Ok(text.to_owned());
        }
        let remedy =
            "write a suffix such as \".done\": \"a.jpg\" is then finished when \"a.jpg.done\" exists";
        Err(raw.fault("is not a suffix of a file name").help(remedy).into())
    }

    fn show(suffix: &String) -> Option<Toml> {
        Some(suffix.as_str().into())
    }
}

impl ValueKind for Exclude {
    type Resolved = Self;
    const SYNTAX: Syntax = Syntax::LIST;

    fn read(raw: &RawValue<'_>) -> Result<Self, Faults> {
        let faults = raw.texts().filter_map(|(pattern, span)| {
            let problem = Self::check(pattern).err()?;
            let finding = raw.fault_at(span, &format!("{} {problem}", quoted(pattern)));
            Some(finding.help("write patterns such as \"*.tmp\", \"/thumbnails/\" or \"day/**/*.part\""))
        });
        let faults: Faults = faults.collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        let patterns = raw.texts().map(|(pattern, _)| pattern.to_owned());
        Self::new(patterns).map_err(|problem| {
            let problem = format!("as a whole {problem}");
            raw.fault_at(&raw.span, &problem).into()
        })
    }

    fn show(exclude: &Self) -> Option<Toml> {
        Some(exclude.patterns().to_vec().into())
    }
}

impl ValueKind for Ids {
    type Resolved = Self;
    const SYNTAX: Syntax = Syntax {
        types: &["string", "integer"],
        ..Syntax::text("ids", "ranges and numbers in quotes, such as \"1-30, 34, 35\"")
    };

    fn read(raw: &RawValue<'_>) -> Result<Self, Faults> {
        Self::parse(raw.text()).map_err(|problem| raw.fault_at(&raw.span, &problem).into())
    }
}

/// Declares a kind with a few choices, each with its value. The first choice for a value is the one written
/// back.
macro_rules! choices {
    ($kind:ty, $syntax:expr, $($word:tt => $meaning:ident),+) => {
        impl ValueKind for $kind {
            type Resolved = Self;
            const SYNTAX: Syntax = Syntax {
                choices: &[$(stringify!($word)),+],
                ..$syntax
            };

            fn read(raw: &RawValue<'_>) -> Result<Self, Faults> {
                let meanings = [$(Self::$meaning),+];
                let at = choice_index(Self::SYNTAX.choices, raw)?;
                meanings.get(at).copied().ok_or_else(Faults::new)
            }

            fn show(meaning: &Self) -> Option<Toml> {
                let at = [$(Self::$meaning),+].iter().position(|known| known == meaning)?;
                Some(Self::SYNTAX.choices.get(at)?.trim_matches('"').into())
            }
        }
    };
}

/// The index of the choice. Choices are TOML: text is in quotes, booleans are not.
fn choice_index(choices: &[&str], raw: &RawValue<'_>) -> Result<usize, Faults> {
    let found = choices
        .iter()
        .position(|word| word.trim_matches('"') == raw.text());
    found.ok_or_else(|| {
        let text = format!("unknown `{}`: {}", raw.key, quoted(raw.text()));
        let finding = Finding::error(raw.span.clone(), text);
        // Booleans are accepted, but words explain more.
        let choices = choices.iter().copied().filter(|choice| choice.starts_with('"'));
        let choices: Vec<&str> = choices.collect();
        let near = suggest::nearest(raw.text(), choices.iter().map(|choice| choice.trim_matches('"')));
        let remedy = match near {
            Some(similar) => format!("did you mean \"{similar}\"?"),
            None => format!("it must be one of {}", choices.join(", ")),
        };
        finding.help(remedy).into()
    })
}

choices!(NameRule, Syntax::TEXT, "bytes" => Bytes, "portable" => Portable);
choices!(ReleaseRule, Syntax::TEXT, "delete" => Delete, "keep" => Keep);
choices!(
    Compression,
    Syntax {
        types: &["string", "boolean"],
        ..Syntax::text("compression", "\"auto\", \"always\" or \"never\"")
    },
    "auto" => Auto, "always" => Always, "never" => Never, true => Always, false => Never
);
