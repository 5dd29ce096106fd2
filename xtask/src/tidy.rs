//! The project's rules beyond the compiler and clippy.
//!
//! Each rule is a function from texts to findings, with its own tests. The last test here runs all rules over
//! the project. `CONTRIBUTING.md` gives the reasons for the rules.

mod circles;
mod layers;
mod map;
mod markdown;
mod members;
mod passages;
mod rust_text;
mod width;
mod wording;

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// One text file of the project.
#[derive(Debug)]
struct Text {
    /// Relative to the root, with `/` between parts.
    path: String,
    content: String,
}

impl Text {
    fn extension(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    place: String,
    message: String,
    /// A warning is printed but does not fail the check.
    warning: bool,
}

impl Finding {
    fn at(text: &Text, line: usize, message: impl Into<String>) -> Self {
        Self {
            place: format!("{}:{line}", text.path),
            message: message.into(),
            warning: false,
        }
    }

    fn about(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
            warning: false,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.warning { "warning: " } else { "" };
        write!(formatter, "{}: {severity}{}", self.place, self.message)
    }
}

/// Prints every finding, the warnings first. An error if one of them is more than a warning.
pub(crate) fn run(workspace: &Workspace) -> Result<String> {
    let mut findings = findings(workspace)?;
    findings.sort_by_key(|finding| !finding.warning);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.iter().filter(|finding| !finding.warning).count() {
        0 => Ok(format!("{} warnings", findings.len())),
        broken => bail!("{broken} findings that are errors, see above"),
    }
}

fn findings(workspace: &Workspace) -> Result<Vec<Finding>> {
    let texts = read_texts(&workspace.root)?;
    let mut findings = Vec::new();
    for text in &texts {
        findings.extend(hygiene(text));
        findings.extend(width::check(text));
        findings.extend(wording::check(text));
        if text.extension() == "rs" {
            findings.extend(rust_text::check(text));
        }
        if text.extension() == "md" {
            findings.extend(markdown::check(text, &texts));
        }
    }
    findings.extend(markdown::orphans(&texts));
    findings.extend(layers::check(&texts));
    findings.extend(members::check(workspace, &texts));
    findings.extend(map::check(workspace, &texts));
    findings.extend(circles::check(workspace, &texts));
    Ok(findings)
}

/// Every text: no trailing blanks, a newline at the end, and no path that exists on one machine only.
fn hygiene(text: &Text) -> Vec<Finding> {
    // In two halves, so that the rule does not match this file.
    let foreign = [
        concat!("/wo", "rk/"),
        concat!("/fa", "rm/"),
        concat!("/tmp/tar", "get"),
        concat!("/home/us", "er/"),
    ];
    let mut findings = Vec::new();
    for (line, number) in text.content.lines().zip(1..) {
        if line.ends_with([' ', '\t', '\r']) {
            findings.push(Finding::at(text, number, "blanks at the end of the line"));
        }
        for path in foreign.iter().filter(|path| line.contains(**path)) {
            findings.push(Finding::at(
                text,
                number,
                format!("`{path}` is a path that exists on one machine only"),
            ));
        }
    }
    if !text.content.is_empty() && !text.content.ends_with('\n') {
        findings.push(Finding::about(&text.path, "no newline at the end of the file"));
    }
    findings
}

/// Names of entries that are skipped: git's own files, build output, and the fuzzer's inputs.
const NO_TEXTS: [&str; 3] = [".git", "target", "corpus"];

/// Every text file below `root`. Files that are not UTF-8 are skipped.
fn read_texts(root: &Path) -> Result<Vec<Text>> {
    let mut texts = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let path = entry.path();
            // In a linked work tree of the repository, `.git` is a file.
            if NO_TEXTS.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && entry.file_name() != "Cargo.lock" {
                let bytes = match fs::read(&path) {
                    // An editor or a test may have removed its file since the listing.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    other => other.with_context(|| format!("read {}", path.display()))?,
                };
                if let Ok(content) = String::from_utf8(bytes) {
                    let path = path.strip_prefix(root)?.to_string_lossy().into_owned();
                    texts.push(Text { path, content });
                }
            }
        }
    }
    texts.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text for the tests of the rules.
    pub(super) fn text(path: &str, content: &str) -> Text {
        Text {
            path: path.to_owned(),
            content: content.to_owned(),
        }
    }

    /// The findings as they are printed.
    pub(super) fn shown(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(ToString::to_string).collect()
    }

    /// The findings without their severity, for rules in [`WARN_ONLY`].
    pub(super) fn without_severity(findings: &[Finding]) -> Vec<String> {
        let findings = findings.iter();
        findings
            .map(|finding| format!("{}: {}", finding.place, finding.message))
            .collect()
    }

    #[test]
    fn blanks_at_the_end_and_a_missing_last_newline_are_found() {
        let found = shown(&hygiene(&text("a.toml", "a = 1 \nb = 2\t\nc = 3")));
        assert_eq!(
            found,
            [
                "a.toml:1: blanks at the end of the line",
                "a.toml:2: blanks at the end of the line",
                "a.toml: no newline at the end of the file",
            ]
        );
    }

    #[test]
    fn a_path_that_exists_on_one_machine_is_found() {
        let found = shown(&hygiene(&text(
            "a.md",
            concat!("see /wo", "rk/main\nand a relative/wo", "rker\n"),
        )));
        assert_eq!(
            found,
            [concat!(
                "a.md:1: `/wo",
                "rk/` is a path that exists on one machine only"
            )]
        );
    }

    #[test]
    fn the_project_keeps_its_own_rules() {
        let workspace = Workspace::load().unwrap();
        let broken: Vec<_> = findings(&workspace)
            .unwrap()
            .into_iter()
            .filter(|finding| !finding.warning)
            .collect();
        assert!(broken.is_empty(), "{}", shown(&broken).join("\n"));
    }
}
