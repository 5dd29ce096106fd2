//! Errors and warnings about a configuration file: collected while reading and checking, reported together.

use std::fmt::{self, Write as _};
use std::ops::Range;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    /// The configuration cannot be used.
    Error,
    /// Allowed, but probably a mistake.
    Warning,
}

/// One error or warning, with its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    severity: Severity,
    span: Option<Range<usize>>,
    text: String,
    help: Option<String>,
}

/// The errors in one value.
pub type Faults = Vec<Finding>;

impl From<Finding> for Faults {
    fn from(finding: Finding) -> Self {
        vec![finding]
    }
}

impl Finding {
    /// An error at a byte range of the file, or about the file as a whole.
    pub fn error(span: impl Into<Option<Range<usize>>>, text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            span: span.into(),
            text: text.into(),
            help: None,
        }
    }

    /// A warning at a byte range of the file, or about the file as a whole.
    pub fn warning(span: impl Into<Option<Range<usize>>>, text: impl Into<String>) -> Self {
        let severity = Severity::Warning;
        Self {
            severity,
            ..Self::error(span, text)
        }
    }

    /// Adds a remedy.
    #[must_use]
    pub fn help(self, remedy: impl Into<String>) -> Self {
        let help = Some(remedy.into());
        Self { help, ..self }
    }
}

/// The findings in one file, while gleaner collects them.
#[derive(Debug)]
pub struct Findings<'t> {
    text: &'t str,
    /// The start of each line, to find the line of a position without scanning the text again.
    lines: Vec<usize>,
    list: Vec<Finding>,
}

impl<'t> Findings<'t> {
    /// No findings yet, in this text.
    pub fn new(text: &'t str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            lines: std::iter::once(0).chain(after_breaks).collect(),
            list: Vec::new(),
        }
    }

    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        self.list.push(finding);
    }

    /// Returns a valid value; adds the errors of an invalid one and returns `None`.
    pub fn accept<T>(&mut self, value: Result<T, Faults>) -> Option<T> {
        value.map_err(|faults| self.list.extend(faults)).ok()
    }

    /// The number of errors so far.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    fn count(&self, severity: Severity) -> usize {
        let counted = self.list.iter().filter(|finding| finding.severity == severity);
        counted.count()
    }

    /// The line of a position, counted from 1.
    pub fn line(&self, span: &Range<usize>) -> usize {
        self.lines.partition_point(|start| *start <= span.start)
    }

    /// The column of a position in its line, counted from 1, in characters.
    fn column(&self, span: &Range<usize>) -> usize {
        let start = self.lines.get(self.line(span).saturating_sub(1));
        let before = self.text.get(start.copied().unwrap_or_default()..span.start);
        before.unwrap_or_default().chars().count() + 1
    }

    /// Formats the findings in the order of the file. Equal findings at the same position appear once.
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

    /// Writes one line for the finding and one for its remedy.
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

/// The formatted findings in one file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    errors: usize,
    warnings: usize,
    text: String,
}

impl Report {
    /// The number of errors.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// The number of warnings.
    pub fn warnings(&self) -> usize {
        self.warnings
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
