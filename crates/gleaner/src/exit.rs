//! How a command ends: its exit status (a stable contract), and the one place that prints an error.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// The exit statuses, each with one meaning for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// Success.
    Well,
    /// Some device or file failed, and the rest was done. Also an audit with findings, and a store or ledger
    /// that failed during a sweep.
    Partial,
    /// The command line or the configuration is invalid. Nothing was touched.
    Usage,
    /// The store or the ledger cannot be used. Nothing was touched.
    StoreOrLedger,
    /// Another gleaner process holds this ledger. Nothing was touched.
    Busy,
    /// Success, except for devices that could not be reached.
    Unreachable,
    /// Interrupted; nothing is lost.
    Interrupted,
}

impl ExitStatus {
    /// Every status, in the order of the codes.
    pub const ALL: [Self; 7] = [
        Self::Well,
        Self::Partial,
        Self::Usage,
        Self::StoreOrLedger,
        Self::Busy,
        Self::Unreachable,
        Self::Interrupted,
    ];

    /// The exit code of the process.
    pub const fn code(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::Partial => 1,
            Self::Usage => 2,
            Self::StoreOrLedger => 3,
            Self::Busy => 4,
            Self::Unreachable => 5,
            Self::Interrupted => 130,
        }
    }

    /// Its meaning, as in `--help`, the manual page and the reference.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Well => "all well",
            Self::Partial => {
                "some device or file failed (the rest was done), the store or the ledger failed during a sweep (the next sweep continues), or an audit has findings"
            }
            Self::Usage => "the command line or the configuration is invalid; nothing was touched",
            Self::StoreOrLedger => "the store or the ledger cannot be used; nothing was touched",
            Self::Busy => "another gleaner holds this ledger; nothing was touched",
            Self::Unreachable => "all well, except for devices that could not be reached",
            Self::Interrupted => "interrupted; nothing is lost",
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        status.code().into()
    }
}

/// Why a command ended early: the status, the error with its causes, and the remedy.
#[derive(Debug)]
pub struct Failure {
    status: ExitStatus,
    findings: Option<String>,
    error: anyhow::Error,
    help: Option<String>,
}

impl Failure {
    /// A failure with this status.
    pub fn new(status: ExitStatus, error: impl Into<anyhow::Error>) -> Self {
        Self {
            status,
            findings: None,
            error: error.into(),
            help: None,
        }
    }

    /// An invalid command line or configuration.
    pub fn usage(text: impl fmt::Display) -> Self {
        Self::new(ExitStatus::Usage, anyhow::anyhow!("{text}"))
    }

    /// Adds a remedy.
    #[must_use]
    pub fn help(self, remedy: impl Into<String>) -> Self {
        Self {
            help: Some(remedy.into()),
            ..self
        }
    }

    /// Adds lines to print before the error: complete, each with its line break.
    #[must_use]
    pub fn findings(self, lines: impl Into<String>) -> Self {
        Self {
            findings: Some(lines.into()),
            ..self
        }
    }

    /// The exit status of the process.
    pub fn status(&self) -> ExitStatus {
        self.status
    }

    /// Prints findings, error, causes and remedy. Ignores an error of the stream: there is no other place to
    /// report it.
    pub fn report(&self, stream: &mut dyn Write) {
        stream.write_all(self.to_string().as_bytes()).unwrap_or_default();
    }
}

impl From<std::io::Error> for Failure {
    /// Results that cannot be written: the only IO error without further context.
    fn from(cause: std::io::Error) -> Self {
        Self::new(
            ExitStatus::Partial,
            anyhow::Error::new(cause).context("cannot write the results"),
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.findings.as_deref().unwrap_or_default())?;
        writeln!(formatter, "gleaner: error: {}", self.error)?;
        for cause in self.error.chain().skip(1) {
            writeln!(formatter, "  cause: {cause}")?;
        }
        if let Some(help) = &self.help {
            for line in help.lines() {
                writeln!(formatter, "  help: {line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_printed_once_with_its_causes_and_the_remedy() {
        let error = anyhow::Error::new(std::io::Error::from(std::io::ErrorKind::PermissionDenied))
            .context("cannot read /etc/gleaner/gleaner.toml");
        let failure =
            Failure::new(ExitStatus::Usage, error).help("run gleaner as the account of the service");
        assert_eq!(
            failure.to_string(),
            "gleaner: error: cannot read /etc/gleaner/gleaner.toml\n  \
             cause: permission denied\n  \
             help: run gleaner as the account of the service\n"
        );
    }

    #[test]
    fn every_status_has_a_code_of_its_own() {
        let codes: std::collections::BTreeSet<u8> =
            ExitStatus::ALL.iter().map(|status| status.code()).collect();
        assert_eq!(codes.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 130]);
    }
}
