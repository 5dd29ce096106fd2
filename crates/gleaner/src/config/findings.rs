//! What is wrong in a configuration file: collected while reading and checking, reported all at once.

use std::fmt::{self, Write as _};
use std::ops::Range;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    /// The configuration cannot be used.
    Error,
    /// Allowed, but probably not what is meant.
    Warning,
}

/// One thing found, with what would be right.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
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
    text: &'t str,
    /// Where each line begins, so that a place is found without counting through the text again.
    lines: Vec<usize>,
    list: Vec<Finding>,
}

impl<'t> Findings<'t> {
    /// None yet, in this text.
    pub fn new(text: &'t str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            lines: std::iter::once(0).chain(after_breaks).collect(),
            list: Vec::new(),
        }
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
        self.count(Severity::Error)
    }

    fn count(&self, severity: Severity) -> usize {
        let counted = self.list.iter().filter(|finding| finding.severity == severity);
        counted.count()
    }

    /// The line of a place in the file, counted from 1.
    pub fn line(&self, span: &Range<usize>) -> usize {
        self.lines.partition_point(|start| *start <= span.start)
    }

    /// The column of a place in its line, counted from 1, in characters.
    fn column(&self, span: &Range<usize>) -> usize {
        let start = self.lines.get(self.line(span).saturating_sub(1));
        let before = self.text.get(start.copied().unwrap_or_default()..span.start);
        before.unwrap_or_default().chars().count() + 1
    }

    /// Puts the findings in the order of the file; the same thing at the same place is said once.
    pub fn report(mut self, file: &str) -> Report {
        self.list
            .sort_by_key(|finding| finding.span.as_ref().map(|span| span.start));
        self.list.dedup();
        let mut text = String::new();
        for finding in &self.list {
            // Writing to a string cannot fail.
            self.write(finding, file, &mut text).unwrap_or_default();
        }
        Report {
            errors: self.errors(),
            warnings: self.count(Severity::Warning),
            text,
        }
    }

    /// One line for what is wrong, and one for the remedy.
    fn write(&self, finding: &Finding, file: &str, out: &mut String) -> fmt::Result {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        out.push_str(file);
        if let Some(span) = &finding.span {
            write!(out, ":{}:{}", self.line(span), self.column(span))?;
        }
        writeln!(out, ": {severity}: {}", finding.text)?;
        match &finding.help {
            Some(help) => writeln!(out, "  help: {help}"),
            None => Ok(()),
        }
    }
}

/// The findings in one file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    errors: usize,
    warnings: usize,
    text: String,
}

impl Report {
    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.warnings
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
