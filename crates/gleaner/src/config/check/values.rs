//! The checks of single values, each with the words for what is wrong and what would be right.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::findings::Findings;
use crate::config::layout::Layout;
use crate::config::meant::Word;
use crate::config::written::{At, DurationText, LocalPath, ModeText, Number, SizeText, Text};
use crate::config::{quantity, suggest};

/// What the checks need to know besides the values.
pub(super) struct Checker<'f, 't> {
    /// Where what is wrong goes.
    pub(super) findings: &'f mut Findings<'t>,
    /// The configuration file, beside which a relative path was probably meant.
    pub(super) file: &'f Path,
}

/// The durations that make sense for a setting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    least: Duration,
    why: &'static str,
}

impl Limits {
    /// For time-outs and pauses: zero would mean that nothing ever succeeds, or that the processor never rests.
    pub(super) const WAITS: Self = Self {
        least: Duration::from_millis(100),
        why: "at least 100ms",
    };
    /// For waiting until a file is finished.
    pub(super) const SETTLES: Self = Self {
        // Nothing is allowed: who knows that files come complete, by a rename for example, need not wait. Open ones wait all the same.
        least: Duration::ZERO,
        why: "a span of time",
    };
}

impl Checker<'_, '_> {
    /// An absolute path on this machine.
    pub(super) fn local_path(&mut self, key: &str, written: &At<LocalPath>) -> Option<PathBuf> {
        let path = Path::new(&written.value.0);
        let shown = shown(&written.value.0);
        if written.value.0.chars().any(char::is_control) {
            self.findings.error(
                written.span.clone(),
                format!("`{key}` contains a control character: {shown}"),
            );
            return None;
        }
        if path.is_absolute() {
            return Some(path.to_owned());
        }
        let finding = self.findings.error(
            written.span.clone(),
            format!("`{key}` is not an absolute path: {shown}"),
        );
        let beside = || {
            std::path::absolute(self.file)
                .ok()?
                .parent()
                .map(|folder| folder.join(path))
        };
        if path.starts_with("~") {
            finding.help("write the home folder out, such as \"/home/ana/…\"");
        } else if let Some(beside) = beside().filter(|_| !written.value.0.is_empty()) {
            finding.help(format!(
                "beside this file it would be \"{}\"",
                crate::config::show_path(&beside)
            ));
        } else {
            finding.help("write it from the root, beginning with \"/\"");
        }
        None
    }

    pub(super) fn duration(
        &mut self,
        key: &str,
        written: &At<DurationText>,
        limits: Limits,
    ) -> Option<Duration> {
        let text = &written.value.0;
        match quantity::duration(text) {
            Ok(duration) if duration >= limits.least => Some(duration),
            Ok(_) => {
                let finding = self.findings.error(
                    written.span.clone(),
                    format!("`{key}` is too short: {}", shown(text)),
                );
                finding.help(format!("it must be {}", limits.why));
                None
            }
            Err(problem) => {
                let finding = self.findings.error(
                    written.span.clone(),
                    format!("`{key}` {problem}: {}", shown(text)),
                );
                finding.help("write whole numbers with units: \"30s\", \"10m\", \"1h30m\" or \"2 days\"");
                None
            }
        }
    }

    pub(super) fn size(&mut self, key: &str, written: &At<SizeText>) -> Option<u64> {
        let text = &written.value.0;
        quantity::size(text)
            .map_err(|problem| {
                let finding = self.findings.error(
                    written.span.clone(),
                    format!("`{key}` {problem}: {}", shown(text)),
                );
                finding.help("write a number and a unit: \"1 GiB\" (1024³ bytes), \"500 MB\" (1000² bytes)");
            })
            .ok()
    }

    pub(super) fn number(
        &mut self,
        key: &str,
        written: &At<Number>,
        range: RangeInclusive<usize>,
    ) -> Option<usize> {
        let number = written
            .value
            .0
            .parse()
            .ok()
            .filter(|number| range.contains(number));
        if number.is_none() {
            let text = format!("`{key}` is {}", written.value.0);
            let finding = self.findings.error(written.span.clone(), text);
            finding.help(format!("it must be {} to {}", range.start(), range.end()));
        }
        number
    }

    pub(super) fn layout(&mut self, written: &At<Text>) -> Option<Layout> {
        Layout::parse(&written.value.0)
            .map_err(|problem| {
                let finding = self
                    .findings
                    .error(written.span.clone(), format!("the layout {problem}"));
                finding.help("write it like \"{device}/{path}\" or \"{device}/{mtime:%Y-%m-%d}/{name}\"");
            })
            .ok()
    }

    /// One of a few words.
    pub(super) fn word<W: Word>(&mut self, key: &str, written: &At<Text>) -> Option<W> {
        let text = &written.value.0;
        let found = W::WORDS.iter().find(|(word, _)| word == text);
        if found.is_none() {
            let finding = self
                .findings
                .error(written.span.clone(), format!("unknown `{key}`: {}", shown(text)));
            let words = W::WORDS
                .iter()
                .map(|(word, _)| *word)
                .filter(|word| !matches!(*word, "true" | "false"));
            match suggest::nearest(text, words.clone()) {
                Some(meant) => finding.help(format!("did you mean \"{meant}\"?")),
                None => {
                    let words: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
                    finding.help(format!("it must be one of {}", words.join(", ")));
                }
            }
        }
        found.map(|(_, meant)| *meant)
    }

    /// Permissions of stored files: gleaner must be able to read them again, and nobody gains by running them.
    pub(super) fn file_mode(&mut self, written: &At<ModeText>) -> Option<u32> {
        let remedy = "write \"0640\" (owner writes, group reads) or \"0644\" (everybody reads)";
        let mode = self.octal("file_mode", written, remedy)?;
        if mode > 0o777 || mode & 0o400 == 0 {
            let text = format!(
                "`file_mode` {} is not fit for a stored file, which its owner must be able to read",
                written.value.0
            );
            self.findings.error(written.span.clone(), text).help(remedy);
            return None;
        }
        Some(mode)
    }

    /// Permissions of folders in the store: gleaner must be able to go on working in them.
    pub(super) fn dir_mode(&mut self, written: &At<ModeText>) -> Option<u32> {
        let remedy = "write \"0750\", or \"2750\" to have files belong to the group of the folder";
        let mode = self.octal("dir_mode", written, remedy)?;
        if mode > 0o3777 || mode & 0o700 != 0o700 {
            let text = format!(
                "`dir_mode` {} is not fit for a folder in which its owner must write",
                written.value.0
            );
            self.findings.error(written.span.clone(), text).help(remedy);
            return None;
        }
        Some(mode)
    }

    fn octal(&mut self, key: &str, written: &At<ModeText>, remedy: &str) -> Option<u32> {
        let text = written.value.0.trim_start_matches("0o");
        let plain = (3..=4).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let mode = plain.then(|| u32::from_str_radix(text, 8).ok()).flatten();
        if mode.is_none() {
            let text = format!(
                "`{key}` is no permissions in three or four octal digits: {}",
                shown(&written.value.0)
            );
            self.findings.error(written.span.clone(), text).help(remedy);
        }
        mode
    }
}

/// What was written, as it may be shown.
pub(super) fn shown(text: &str) -> String {
    format!("\"{}\"", model::escaped(text.as_bytes()))
}
