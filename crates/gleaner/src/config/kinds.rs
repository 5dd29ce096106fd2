//! The kinds of values, each with the words for what is wrong and what would be right. Those that differ from
//! device to device are in [`super::reach`].

use std::path::{self, Path, PathBuf};
use std::time::Duration;

use engine::placement::NameRule;
use engine::rules::ReleaseRule;
use ssh::Compression;
use toml::Value as Toml;

use super::exclude::Exclude;
use super::findings::{Faults, Finding};
use super::ids::Ids;
use super::layout::Layout;
use super::value::{Form, Kind, Written, quoted};
use super::{quantity, show_path, suggest};

/// An absolute path on this machine.
impl Kind for PathBuf {
    type Value = Self;
    const FORM: Form = Form::text("path", "a path in quotes");

    fn read(written: &Written<'_>) -> Result<Self, Faults> {
        let text = written.text();
        let path = Path::new(text);
        if text.chars().any(char::is_control) {
            return Err(written.fault("contains a control character").into());
        }
        if path.is_absolute() {
            return Ok(path.to_owned());
        }
        let file = written.context.file.and_then(|file| path::absolute(file).ok());
        let folder = file.as_deref().and_then(Path::parent);
        let remedy = match folder.filter(|_| !text.is_empty()) {
            _ if path.starts_with("~") => "write the home folder out, such as \"/home/ana/…\"".to_owned(),
            Some(folder) => format!(
                "beside this file it would be \"{}\"",
                show_path(&folder.join(path))
            ),
            None => "write it from the root, beginning with \"/\"".to_owned(),
        };
        Err(written.fault("is not an absolute path").help(remedy).into())
    }

    fn show(path: &Self) -> Option<Toml> {
        Some(path.to_string_lossy().into_owned().into())
    }
}

impl Kind for Layout {
    type Value = Self;
    const FORM: Form = Form::TEXT;

    fn read(written: &Written<'_>) -> Result<Self, Faults> {
        let remedy = "write it like \"{device}/{path}\" or \"{device}/{mtime:%Y-%m-%d}/{name}\"";
        Self::parse(written.text()).map_err(|problem| {
            let finding = Finding::error(written.span.clone(), format!("the layout {problem}"));
            finding.help(remedy).into()
        })
    }

    fn show(layout: &Self) -> Option<Toml> {
        Some(layout.as_str().into())
    }
}

/// A span of time, of so many milliseconds at least.
#[derive(Debug)]
pub struct Span<const MIN: u64>;

/// How long a file was left alone. Zero is allowed: where files come complete, by a rename for example, none
/// need wait.
pub type Wait = Span<0>;

/// A time-out or a pause. Zero would mean that nothing ever succeeds, or that the processor never rests.
pub type Pause = Span<100>;

impl<const MIN: u64> Kind for Span<MIN> {
    type Value = Duration;
    const FORM: Form = Form::text("duration", "a duration in quotes, such as \"30s\" or \"10m\"");

    fn read(written: &Written<'_>) -> Result<Duration, Faults> {
        let min = Duration::from_millis(MIN);
        match quantity::duration(written.text()) {
            Ok(span) if span >= min => Ok(span),
            Ok(_) => {
                let remedy = format!("it must be at least {}", quantity::show_duration(min));
                Err(written.fault("is too short").help(remedy).into())
            }
            Err(problem) => {
                let remedy = "write whole numbers with units: \"30s\", \"10m\", \"1h30m\" or \"2 days\"";
                Err(written.fault(problem).help(remedy).into())
            }
        }
    }

    fn show(span: &Duration) -> Option<Toml> {
        Some(quantity::show_duration(*span).into())
    }
}

/// A number of bytes.
#[derive(Debug)]
pub struct Size;

impl Kind for Size {
    type Value = u64;
    const FORM: Form = Form {
        types: &["string", "integer"],
        ..Form::text("size", "a size in quotes, such as \"1 GiB\"")
    };

    fn read(written: &Written<'_>) -> Result<u64, Faults> {
        let remedy = "write a number and a unit: \"1 GiB\" (1024³ bytes), \"500 MB\" (1000² bytes)";
        quantity::size(written.text()).map_err(|problem| written.fault(problem).help(remedy).into())
    }

    fn show(bytes: &u64) -> Option<Toml> {
        Some(quantity::show_size(*bytes).into())
    }
}

/// The most bytes per second, if there is a limit.
#[derive(Debug)]
pub struct Rate;

impl Kind for Rate {
    type Value = Option<u64>;
    const FORM: Form = Form::text("rate", "a rate in quotes, such as \"2 MiB/s\", or \"off\"");

    fn read(written: &Written<'_>) -> Result<Self::Value, Faults> {
        // Below that, a device that works looks like one that has stalled.
        const MIN: u64 = 1000;
        if written.text() == "off" {
            return Ok(None);
        }
        let (problem, right) = match quantity::rate(written.text()) {
            Ok(rate) if rate >= MIN => return Ok(Some(rate)),
            Ok(_) => ("is less than 1 kB/s", "at least \"1 kB/s\""),
            Err(problem) => (problem, "\"2 MiB/s\", \"8 Mbit/s\""),
        };
        let remedy = format!("write {right}, or \"off\" for no limit");
        Err(written.fault(problem).help(remedy).into())
    }

    fn show(rate: &Self::Value) -> Option<Toml> {
        let shown = rate.map(|rate| format!("{}/s", quantity::show_size(rate)));
        Some(shown.unwrap_or_else(|| "off".to_owned()).into())
    }
}

/// Permissions of what is in the store, where gleaner must be able to read its files and to work in its
/// folders.
#[derive(Debug)]
pub struct Mode<const IS_FOLDER: bool>;

/// Permissions of stored files, which are no programs.
pub type FileMode = Mode<false>;

/// Permissions of folders.
pub type FolderMode = Mode<true>;

impl<const IS_FOLDER: bool> Kind for Mode<IS_FOLDER> {
    type Value = u32;
    const FORM: Form = Form::text("mode", "permissions as octal digits in quotes, such as \"0640\"");

    fn read(written: &Written<'_>) -> Result<u32, Faults> {
        let (max, needed, user, remedy) = if IS_FOLDER {
            let remedy = "write \"0750\", or \"2750\" to have files belong to the group of the folder";
            (0o3777, 0o700, "a folder in which its owner must write", remedy)
        } else {
            let remedy = "write \"0640\" (owner writes, group reads) or \"0644\" (everybody reads)";
            (
                0o777,
                0o400,
                "a stored file, which its owner must be able to read",
                remedy,
            )
        };
        let text = written.text();
        let digits = text.trim_start_matches("0o");
        let is_octal = (3..=4).contains(&digits.len()) && !digits.starts_with('+');
        let mode = u32::from_str_radix(digits, 8).ok().filter(|_| is_octal);
        let finding = match mode {
            Some(mode) if mode <= max && mode & needed == needed => return Ok(mode),
            Some(_) => written.fault_at(&written.span, &format!("{text} is not fit for {user}")),
            None => written.fault("is no permissions in three or four octal digits"),
        };
        Err(finding.help(remedy).into())
    }

    fn show(mode: &u32) -> Option<Toml> {
        Some(format!("{mode:04o}").into())
    }
}

/// A whole number within bounds.
#[derive(Debug)]
pub struct Number<const MIN: usize, const MAX: usize>;

/// How many devices at the same time. One machine of this kind can neither start nor hold more ssh clients
/// than that.
pub type Parallel = Number<1, 1000>;

impl<const MIN: usize, const MAX: usize> Kind for Number<MIN, MAX> {
    type Value = usize;
    const FORM: Form = Form {
        types: &["integer"],
        range: Some((MIN, MAX)),
        ..Form::text("number", "a whole number without quotes, such as 16")
    };

    fn read(written: &Written<'_>) -> Result<usize, Faults> {
        let text = written.text();
        let number = text.parse().ok().filter(|number| (MIN..=MAX).contains(number));
        number.ok_or_else(|| {
            let finding = written.fault_at(&written.span, &format!("is {text}"));
            finding.help(format!("it must be {MIN} to {MAX}")).into()
        })
    }

    fn show(number: &usize) -> Option<Toml> {
        i64::try_from(*number).ok().map(Toml::Integer)
    }
}

impl Kind for bool {
    type Value = Self;
    const FORM: Form = Form {
        types: &["boolean"],
        ..Form::text("true or false", "true or false, without quotes")
    };

    fn read(written: &Written<'_>) -> Result<Self, Faults> {
        Ok(written.text() == "true")
    }

    fn show(switch: &Self) -> Option<Toml> {
        Some((*switch).into())
    }
}

/// An ending of names.
#[derive(Debug)]
pub struct Suffix;

impl Kind for Suffix {
    type Value = String;
    const FORM: Form = Form::TEXT;

    fn read(written: &Written<'_>) -> Result<String, Faults> {
        let text = written.text();
        // A name has at most 255 bytes, and something must be left for the file itself.
        if (1..=100).contains(&text.len()) && !text.chars().any(|c| c == '/' || c.is_control()) {
            return Ok(text.to_owned());
        }
        let remedy =
            "write an ending such as \".done\": \"a.jpg\" is then finished when \"a.jpg.done\" is there";
        Err(written.fault("is no ending of a name").help(remedy).into())
    }

    fn show(suffix: &String) -> Option<Toml> {
        Some(suffix.as_str().into())
    }
}

impl Kind for Exclude {
    type Value = Self;
    const FORM: Form = Form::LIST;

    fn read(written: &Written<'_>) -> Result<Self, Faults> {
        let faults = written.texts().filter_map(|(pattern, span)| {
            let problem = Self::check(pattern).err()?;
            let finding = written.fault_at(span, &format!("{} {problem}", quoted(pattern)));
            Some(finding.help("write patterns such as \"*.tmp\", \"/thumbnails/\" or \"day/**/*.part\""))
        });
        let faults: Faults = faults.collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        let patterns = written.texts().map(|(pattern, _)| pattern.to_owned());
        Self::new(patterns).map_err(|problem| {
            let problem = format!("as a whole {problem}");
            written.fault_at(&written.span, &problem).into()
        })
    }

    fn show(exclude: &Self) -> Option<Toml> {
        Some(exclude.patterns().to_vec().into())
    }
}

impl Kind for Ids {
    type Value = Self;
    const FORM: Form = Form {
        types: &["string", "integer"],
        ..Form::text("ids", "ranges and numbers in quotes, such as \"1-30, 34, 35\"")
    };

    fn read(written: &Written<'_>) -> Result<Self, Faults> {
        Self::parse(written.text()).map_err(|problem| written.fault_at(&written.span, &problem).into())
    }
}

/// Declares a kind with a few words, each with what it means. The first word for a meaning is the one that is
/// shown.
macro_rules! words {
    ($kind:ty, $form:expr, $($word:tt => $meaning:ident),+) => {
        impl Kind for $kind {
            type Value = Self;
            const FORM: Form = Form {
                words: &[$(stringify!($word)),+],
                ..$form
            };

            fn read(written: &Written<'_>) -> Result<Self, Faults> {
                let meanings = [$(Self::$meaning),+];
                let at = position(Self::FORM.words, written)?;
                meanings.get(at).copied().ok_or_else(Faults::new)
            }

            fn show(meaning: &Self) -> Option<Toml> {
                let at = [$(Self::$meaning),+].iter().position(|known| known == meaning)?;
                Some(Self::FORM.words.get(at)?.trim_matches('"').into())
            }
        }
    };
}

/// Which of the words it is. They are TOML: text has quotes, and switches have none.
fn position(words: &[&str], written: &Written<'_>) -> Result<usize, Faults> {
    let found = words
        .iter()
        .position(|word| word.trim_matches('"') == written.text());
    found.ok_or_else(|| {
        let text = format!("unknown `{}`: {}", written.key, quoted(written.text()));
        let finding = Finding::error(written.span.clone(), text);
        // Switches are understood, but words say more.
        let words = words.iter().copied().filter(|word| word.starts_with('"'));
        let words: Vec<&str> = words.collect();
        let near = suggest::nearest(written.text(), words.iter().map(|word| word.trim_matches('"')));
        let remedy = match near {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("it must be one of {}", words.join(", ")),
        };
        finding.help(remedy).into()
    })
}

words!(NameRule, Form::TEXT, "bytes" => Bytes, "portable" => Portable);
words!(ReleaseRule, Form::TEXT, "delete" => Delete, "keep" => Keep);
words!(
    Compression,
    Form {
        types: &["string", "boolean"],
        ..Form::text("compression", "\"auto\", \"always\" or \"never\"")
    },
    "auto" => Auto, "always" => Always, "never" => Never, true => Always, false => Never
);
