//! How a command ends: the exit status by contract, and the one place where an error is printed.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// The exit statuses, each with one meaning for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// All well.
    Well,
    /// Some device or file failed; the rest was done. Also an audit with findings, and a store or ledger that failed on the way.
    Partial,
    /// The command line or the configuration makes no sense. Nothing was touched.
    Usage,
    /// The store or the ledger cannot be used. Nothing was touched.
    StoreOrLedger,
    /// Another gleaner is at work on this ledger. Nothing was touched.
    Busy,
    /// All well, but for devices that could not be reached.
    Unreachable,
    /// Interrupted; nothing is lost.
    Interrupted,
}

impl ExitStatus {
    /// Every status, by rising code.
    pub const ALL: [Self; 7] = [
        Self::Well,
        Self::Partial,
        Self::Usage,
        Self::StoreOrLedger,
        Self::Busy,
        Self::Unreachable,
        Self::Interrupted,
    ];

    /// The number that the process ends with.
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

    /// What it means, as `--help`, the manual page and the reference put it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Well => "all well",
            Self::Partial => {
                "some device or file failed (the rest was done), the store or the ledger failed on the way (the next sweep goes on), or an audit has findings"
            }
            Self::Usage => "the command line or the configuration is wrong; nothing was touched",
            Self::StoreOrLedger => "the store or the ledger cannot be used; nothing was touched",
            Self::Busy => "another gleaner is at work on this ledger; nothing was touched",
            Self::Unreachable => "all well, but for devices that could not be reached",
            Self::Interrupted => "interrupted; nothing is lost",
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        status.code().into()
    }
}

/// Why a command ended early: the status, the error with its causes, and what to do about it.
#[derive(Debug)]
pub struct Failure {
    status: ExitStatus,
    findings: Option<String>,
    error: anyhow::Error,
    help: Option<String>,
}

impl Failure {
    /// An error that ends a command with this status.
    pub fn new(status: ExitStatus, error: impl Into<anyhow::Error>) -> Self {
        Self {
            status,
            findings: None,
            error: error.into(),
            help: None,
        }
    }

    /// Something typed or configured that makes no sense.
    pub fn usage(text: impl fmt::Display) -> Self {
        Self::new(ExitStatus::Usage, anyhow::anyhow!("{text}"))
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn help(self, remedy: impl Into<String>) -> Self {
        Self {
            help: Some(remedy.into()),
            ..self
        }
    }

    /// Adds lines to be printed before the error: whole, each with its line break.
    #[must_use]
    pub fn findings(self, lines: impl Into<String>) -> Self {
        Self {
            findings: Some(lines.into()),
            ..self
        }
    }

    /// The status that the process ends with.
    pub fn status(&self) -> ExitStatus {
        self.status
    }

    /// Prints findings, error, causes and remedy. An error of the stream is passed over: there is nobody left to tell.
    pub fn report(&self, stream: &mut dyn Write) {
        stream.write_all(self.to_string().as_bytes()).unwrap_or_default();
    }
}

impl From<std::io::Error> for Failure {
    /// For results that cannot be written: the only failure of input and output that needs no more words.
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
