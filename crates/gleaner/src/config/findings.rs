//! What is wrong in a configuration file: collected while reading and checking, reported all at once.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// Allowed, but probably not what is meant.
    Warning,
}

/// One thing found, with what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    severity: Severity,
    span: Option<Range<usize>>,
    text: String,
    help: Option<String>,
}

/// A finding that has just been added, to which a remedy may be added.
#[derive(Debug)]
pub struct Noted<'f>(&'f mut Vec<Finding>);

impl Noted<'_> {
    /// Adds what would be right.
    pub fn help(self, remedy: impl Into<String>) {
        if let Some(finding) = self.0.last_mut() {
            finding.help = Some(remedy.into());
        }
    }
}

/// The findings in one file, while they are being collected.
#[derive(Debug)]
pub struct Findings<'t> {
    lines: Lines<'t>,
    list: Vec<Finding>,
    spoilt: HashSet<(String, String)>,
}

impl<'t> Findings<'t> {
    /// None yet, in this text.
    pub fn new(text: &'t str) -> Self {
        Self {
            lines: Lines::of(text),
            list: Vec::new(),
            spoilt: HashSet::new(),
        }
    }

    /// Notes that a key was meant to be there, but came to nothing, for a reason that has been reported: that it is
    /// missing is then no news.
    pub fn spoil(&mut self, section: impl Into<String>, key: &str) {
        self.spoilt.insert((section.into(), key.to_owned()));
    }

    /// Whether a key was meant to be there but came to nothing.
    pub fn is_spoilt(&self, section: &str, key: &str) -> bool {
        self.spoilt.contains(&(section.to_owned(), key.to_owned()))
    }

    /// Adds an error at some bytes of the file, or about the file as a whole.
    pub fn error(&mut self, span: impl Into<Option<Range<usize>>>, text: impl Into<String>) -> Noted<'_> {
        self.add(Severity::Error, span.into(), text.into())
    }

    /// Adds a warning at some bytes of the file, or about the file as a whole.
    pub fn warning(&mut self, span: impl Into<Option<Range<usize>>>, text: impl Into<String>) -> Noted<'_> {
        self.add(Severity::Warning, span.into(), text.into())
    }

    fn add(&mut self, severity: Severity, span: Option<Range<usize>>, text: String) -> Noted<'_> {
        let help = None;
        self.list.push(Finding {
            severity,
            span,
            text,
            help,
        });
        Noted(&mut self.list)
    }

    /// How many errors there are so far.
    pub fn errors(&self) -> usize {
        count(&self.list, Severity::Error)
    }

    /// The line of a place in the file, counted from 1.
    pub fn line(&self, span: &Range<usize>) -> usize {
        self.lines.position(span.start).0
    }

    /// Puts the findings in the order of the file; the same thing at the same place is said once.
    pub fn report(mut self, file: String) -> Report {
        self.list
            .sort_by_key(|finding| finding.span.as_ref().map(|span| span.start));
        self.list.dedup();
        let positions = self.list.iter().map(|finding| {
            let span = finding.span.as_ref()?;
            Some(self.lines.position(span.start))
        });
        let positions = positions.collect();
        Report {
            file,
            findings: self.list,
            positions,
        }
    }
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    findings
        .iter()
        .filter(|finding| finding.severity == severity)
        .count()
}

/// Where the lines of a text begin, so that a place is found without counting through the text again.
#[derive(Debug)]
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    /// Line and column of a byte, both counted from 1; the column in characters.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self
            .starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

/// The findings in one file, in the order of the file, as they are shown: one line each, and one with the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    file: String,
    findings: Vec<Finding>,
    positions: Vec<Option<(usize, usize)>>,
}

impl Report {
    /// How many errors there are.
    pub fn errors(&self) -> usize {
        count(&self.findings, Severity::Error)
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        count(&self.findings, Severity::Warning)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (finding, position) in self.findings.iter().zip(&self.positions) {
            let severity = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            formatter.write_str(&self.file)?;
            if let Some((line, column)) = position {
                write!(formatter, ":{line}:{column}")?;
            }
            writeln!(formatter, ": {severity}: {}", finding.text)?;
            if let Some(help) = &finding.help {
                writeln!(formatter, "  help: {help}")?;
            }
        }
        Ok(())
    }
}
