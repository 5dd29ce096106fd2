//! The kinds of values, each with the words for what is wrong and what would be right. Those that are another for each
//! device are in [`super::templates`].

use std::path::{self, Path, PathBuf};
use std::time::Duration;

use engine::placement::NameRule;
use engine::rules::ReleaseRule;
use ssh::Compression;

use super::exclude::Exclude;
use super::findings::Findings;
use super::ids::Ids;
use super::layout::Layout;
use super::value::{Form, Kind, Written, quoted, text_as_toml};
use super::{quantity, show_path, suggest};

/// An absolute path on this machine.
impl Kind for PathBuf {
    type Value = Self;

    const FORM: Form = Form::text("path", "a path in quotes");

    fn read(written: &Written<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let text = written.text();
        let path = Path::new(text);
        if text.chars().any(char::is_control) {
            written.fault("contains a control character", findings);
            return None;
        }
        if path.is_absolute() {
            return Some(path.to_owned());
        }
        let finding = written.fault("is not an absolute path", findings);
        let file = path::absolute(written.context.file).ok();
        let folder = file.as_deref().and_then(Path::parent);
        match folder.filter(|_| !text.is_empty()) {
            _ if path.starts_with("~") => finding.help("write the home folder out, such as \"/home/ana/…\""),
            Some(folder) => finding.help(format!(
                "beside this file it would be \"{}\"",
                show_path(&folder.join(path))
            )),
            None => finding.help("write it from the root, beginning with \"/\""),
        }
        None
    }

    fn show(path: &Self) -> Option<String> {
        Some(text_as_toml(path.to_string_lossy()))
    }
}

impl Kind for Layout {
    type Value = Self;

    const FORM: Form = Form::TEXT;

    fn read(written: &Written<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let problem = match Self::parse(written.text()) {
            Ok(layout) => return Some(layout),
            Err(problem) => problem,
        };
        findings
            .error(written.span.clone(), format!("the layout {problem}"))
            .help("write it like \"{device}/{path}\" or \"{device}/{mtime:%Y-%m-%d}/{name}\"");
        None
    }

    fn show(layout: &Self) -> Option<String> {
        Some(text_as_toml(layout.as_str()))
    }
}

/// A span of time of any length: also none, as whoever knows that files come complete need not wait.
#[derive(Debug)]
pub struct Span;

impl Kind for Span {
    type Value = Duration;

    const FORM: Form = Form::text("duration", "a duration in quotes, such as \"30s\" or \"10m\"");

    fn read(written: &Written<'_>, findings: &mut Findings<'_>) -> Option<Duration> {
        let read = quantity::duration(written.text()).map_err(|problem| {
            written
                .fault(problem, findings)
                .help("write whole numbers with units: \"30s\", \"10m\", \"1h30m\" or \"2 days\"");
        });
        read.ok()
    }

    fn show(span: &Duration) -> Option<String> {
        Some(text_as_toml(quantity::show_duration(*span)))
    }
}

/// A time-out or a pause.
#[derive(Debug)]
pub struct Pause;

impl Pause {
    /// Zero would mean that nothing ever succeeds, or that the processor never rests.
    const MIN: Duration = Duration::from_millis(100);
}

impl Kind for Pause {
    type Value = Duration;

    const FORM: Form = Span::FORM;

    fn read(written: &Written<'_>, findings: &mut Findings<'_>) -> Option<Duration> {
        let pause = Span::read(written, findings)?;
        if pause < Self::MIN {
            let finding = written.fault("is too short", findings);
            finding.help("it must be at least 100ms");
        }
        (pause >= Self::MIN).then_some(pause)
    }

    fn show(pause: &Duration) -> Option<String> {
        Span::show(pause)
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

    fn read(written: &Written<'_>, findings: &mut Findings<'_>) -> Option<u64> {
        let read = quantity::size(written.text()).map_err(|problem| {
            written
                .fault(problem, findings)
                .help("write a number and a unit: \"1 GiB\" (1024³ bytes), \"500 MB\" (1000² bytes)");
        });
        read.ok()
    }

    fn show(bytes: &u64) -> Option<String> {
        Some(text_as_toml(quantity::show_size(*bytes)))
    }
}

/// The most bytes per second, if there is a limit.
#[derive(Debug)]
pub struct Rate;

impl Rate {
    /// Below that, a device that works looks like one that has stalled.
    const MIN: u64 = 1000;
}

impl Kind for Rate {
    type Value = Option<u64>;

    const FORM: Form = Form::text("rate", "a rate in quotes, such as \"2 MiB/s\", or \"off\"");

    fn read(written: &Written<'_>, findings: &mut Findings<'_>) -> Option<Self::Value> {
        if written.text() == "off" {
            return Some(None);
        }
        let (problem, remedy) = match quantity::rate(written.text()) {
            Ok(rate) if rate >= Self::MIN => return Some(Some(rate)),
            Ok(_) => (
                "is less than 1 kB/s",
                "write at least \"1 kB/s\", or \"off\" for no limit",
            ),
            Err(problem) => (
                problem,
                "write \"2 MiB/s\", \"8 Mbit/s\", or \"off\" for no limit",
            ),
        };
        written.fault(problem, findings).help(remedy);
        None
    }

    fn show(rate: &Self::Value) -> Option<String> {
        let shown = rate.map(|rate| format!("{}/s", quantity::show_size(rate)));
        Some(text_as_toml(shown.unwrap_or_else(|| "off".to_owned())))
    }
}

/// Permissions of stored files: gleaner must be able to read them again, and they are no programs.
#[derive(Debug)]
pub struct FileMode;

/// Permissions of folders in the store: gleaner must be able to go on working in them.
#[derive(Debug)]
pub struct FolderMode;

impl Kind for FileMode {
    type Value = u32;

    const FORM: Form = Form::text("mode", "permissions as octal digits in quotes, such as \"0640\"");

    fn read(written: &Written<'_>, findings: &mut Findings<'_>) -> Option<u32> {
        let is_fit = |mode| mode <= 0o777 && mode & 0o400 != 0;
        let problem = "a stored file, which its owner must be able to read";
        let remedy = "write \"0640\" (owner writes, group reads) or \"0644\" (everybody reads)";
        permissions(written, is_fit, problem, remedy, findings)
    }

    fn show(mode: &u32) -> Option<String> {
        Some(text_as_toml(format!("{mode:04o}")))
    }
}

impl Kind for FolderMode {
    type Value = u32;

    const FORM: Form = FileMode::FORM;

    fn read(written: &Written<'_>, findings: &mut Findings<'_>) -> Option<u32> {
        let is_fit = |mode| mode <= 0o3777 && mode & 0o700 == 0o700;
        let problem = "a folder in which its owner must write";
        let remedy = "write \"0750\", or \"2750\" to have files belong to the group of the folder";
        permissions(written, is_fit, problem, remedy, findings)
    }

    fn show(mode: &u32) -> Option<String> {
        FileMode::show(mode)
    }
}

fn permissions(
    written: &Written<'_>,
    is_fit: impl Fn(u32) -> bool,
    problem: &str,
    remedy: &str,
    findings: &mut Findings<'_>,
) -> Option<u32> {
    let text = written.text();
    let digits = text.trim_start_matches("0o");
    let is_octal = (3..=4).contains(&digits.len()) && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let mode = u32::from_str_radix(digits, 8).ok().filter(|_| is_octal);
    let Some(mode) = mode else {
        let problem = "is no permissions in three or four octal digits";
        written.fault(problem, findings).help(remedy);
        return None;
    };
    if !is_fit(mode) {
        let text = format!("`{}` {text} is not fit for {problem}", written.key);
        findings.error(written.span.clone(), text).help(remedy);
    }
    is_fit(mode).then_some(mode)
}

/// How many devices at the same time. More ssh clients than that are more than one machine of this kind can start or hold.
#[derive(Debug)]
pub struct Parallel;

impl Parallel {
    const RANGE: (usize, usize) = (1, 1000);
}

impl Kind for Parallel {
    type Value = usize;

    const FORM: Form = Form {
        types: &["integer"],
        range: Some(Self::RANGE),
        ..Form::text("number", "a whole number without quotes, such as 16")
    };

    fn read(written: &Written<'_>, findings: &mut Findings<'_>) -> Option<usize> {
        let (least, most) = Self::RANGE;
        let number = written.text().parse().ok();
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let text = format!("`{}` is {}", written.key, written.text());
            let finding = findings.error(written.span.clone(), text);
            finding.help(format!("it must be {least} to {most}"));
        }
        number
    }

    fn show(number: &usize) -> Option<String> {
        Some(number.to_string())
    }
}

impl Kind for bool {
    type Value = Self;

    const FORM: Form = Form {
        types: &["boolean"],
        ..Form::text("true or false", "true or false, without quotes")
    };

    fn read(written: &Written<'_>, _findings: &mut Findings<'_>) -> Option<Self> {
        written.text().parse().ok()
    }

    fn show(switch: &Self) -> Option<String> {
        Some(switch.to_string())
    }
}

/// An ending of names.
#[derive(Debug)]
pub struct Suffix;

impl Kind for Suffix {
    type Value = String;

    const FORM: Form = Form::TEXT;

    fn read(written: &Written<'_>, findings: &mut Findings<'_>) -> Option<String> {
        let text = written.text();
        // A name has at most 255 bytes, and something must be left for the file itself.
        let fits = !text.is_empty() && text.len() <= 100 && !text.chars().any(|c| c == '/' || c.is_control());
        if !fits {
            written.fault("is no ending of a name", findings).help(
                "write an ending such as \".done\": \"a.jpg\" is then finished when \"a.jpg.done\" is there",
            );
        }
        fits.then(|| text.to_owned())
    }

    fn show(suffix: &String) -> Option<String> {
        Some(text_as_toml(suffix))
    }
}

impl Kind for Exclude {
    type Value = Self;

    const FORM: Form = Form::LIST;

    fn read(written: &Written<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let mut is_sound = true;
        for (pattern, span) in written.texts() {
            if let Err(problem) = Self::check(pattern) {
                let text = format!("`{}` {} {problem}", written.key, quoted(pattern));
                let finding = findings.error(span.clone(), text);
                finding.help("write patterns such as \"*.tmp\", \"/thumbnails/\" or \"day/**/*.part\"");
                is_sound = false;
            }
        }
        if !is_sound {
            return None;
        }
        let patterns = written.texts().map(|(pattern, _)| pattern.to_owned());
        let whole = Self::new(patterns).map_err(|problem| {
            let text = format!("`{}` as a whole {problem}", written.key);
            findings.error(written.span.clone(), text);
        });
        whole.ok()
    }

    fn show(exclude: &Self) -> Option<String> {
        let patterns = exclude.patterns().iter().cloned().map(toml::Value::String);
        Some(toml::Value::Array(patterns.collect()).to_string())
    }
}

impl Kind for Ids {
    type Value = Self;

    const FORM: Form = Form {
        types: &["string", "integer"],
        ..Form::text("ids", "ranges and numbers in quotes, such as \"1-30, 34, 35\"")
    };

    fn read(written: &Written<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let ids = Self::parse(written.text()).map_err(|problem| {
            findings.error(written.span.clone(), format!("`{}` {problem}", written.key));
        });
        ids.ok()
    }

    /// Each device is shown for itself.
    fn show(_ids: &Self) -> Option<String> {
        None
    }
}

/// Declares a kind with a few words, each with what it means. The first word for a meaning is the one that is shown.
macro_rules! words {
    ($kind:ty, $form:expr, $($word:tt => $meaning:ident),+) => {
        impl Kind for $kind {
            type Value = Self;

            const FORM: Form = Form {
                words: &[$(stringify!($word)),+],
                ..$form
            };

            fn read(written: &Written<'_>, findings: &mut Findings<'_>) -> Option<Self> {
                read_word(written, &[$((stringify!($word), Self::$meaning)),+], findings)
            }

            fn show(meaning: &Self) -> Option<String> {
                let words = [$((stringify!($word), Self::$meaning)),+];
                let shown = words.iter().find(|(_, known)| known == meaning);
                shown.map(|(word, _)| (*word).to_owned())
            }
        }
    };
}

/// The meaning of a word, given all words as TOML.
fn read_word<M: Copy>(
    written: &Written<'_>,
    words: &[(&'static str, M)],
    findings: &mut Findings<'_>,
) -> Option<M> {
    let found = words
        .iter()
        .find(|(word, _)| word.trim_matches('"') == written.text());
    if found.is_none() {
        let text = format!("unknown `{}`: {}", written.key, quoted(written.text()));
        let finding = findings.error(written.span.clone(), text);
        // Switches are understood, but words say more.
        let words = words
            .iter()
            .map(|(word, _)| *word)
            .filter(|word| word.starts_with('"'));
        let words: Vec<&str> = words.collect();
        match suggest::nearest(written.text(), words.iter().map(|word| word.trim_matches('"'))) {
            Some(meant) => finding.help(format!("did you mean \"{meant}\"?")),
            None => finding.help(format!("it must be one of {}", words.join(", "))),
        }
    }
    found.map(|(_, meaning)| *meaning)
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
