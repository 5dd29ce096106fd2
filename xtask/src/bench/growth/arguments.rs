//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::super::arguments::{known, number};

/// What may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Files,
    Ledger,
    Fleet,
}

const SUBJECTS: [Subject; 3] = [Subject::Files, Subject::Ledger, Subject::Fleet];

impl Subject {
    /// By which it is asked for, and kept.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Ledger => "ledger",
            Self::Fleet => "fleet",
        }
    }

    /// The largest that is measured without being asked for: beyond, a run takes most of an hour.
    fn usual_most(self) -> usize {
        match self {
            Self::Files => 100_000,
            Self::Ledger => 10_000_000,
            Self::Fleet => 500,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// None: all.
    of: Vec<String>,
    least: usize,
    most: Option<usize>,
    /// None measure nothing: the page is written from what is there.
    pub(super) rounds: usize,
    /// None: the release binary is built.
    pub(super) build: Option<PathBuf>,
    pub(super) limit: Duration,
    pub(super) folder: PathBuf,
    pub(super) write: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            of: Vec::new(),
            least: 0,
            most: None,
            rounds: 3,
            build: None,
            // A million files take that long on a slow machine.
            limit: Duration::from_mins(30),
            folder: std::env::temp_dir(),
            write: false,
        }
    }
}

impl Wanted {
    pub(super) fn read(arguments: &[String]) -> Result<Self> {
        let mut wanted = Self::default();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} wants a word after it"))
            };
            match word.as_str() {
                "--of" => wanted
                    .of
                    .push(known(value()?, "subject", SUBJECTS.iter().map(|it| it.name()))?),
                "--least" => wanted.least = number(word, value()?)?,
                "--most" => wanted.most = Some(number(word, value()?)?),
                "--rounds" => wanted.rounds = number(word, value()?)?,
                "--gleaner" => wanted.build = Some(std::path::absolute(value()?)?),
                "--limit" => wanted.limit = Duration::from_secs(number(word, value()?)?),
                "--folder" => wanted.folder = std::path::absolute(value()?)?,
                "--write" => wanted.write = true,
                other => bail!(
                    "cannot make sense of `{other}`; there are --of, --least, --most, --rounds, --gleaner, --limit, --folder and \
                     --write"
                ),
            }
        }
        Ok(wanted)
    }

    pub(super) fn subjects(&self) -> impl Iterator<Item = Subject> {
        let is_wanted =
            |subject: &Subject| self.of.is_empty() || self.of.iter().any(|it| it == subject.name());
        SUBJECTS.into_iter().filter(is_wanted)
    }

    /// Whether this size of the subject is to be measured.
    pub(super) fn admits(&self, subject: Subject, size: usize) -> bool {
        (self.least..=self.most.unwrap_or(subject.usual_most())).contains(&size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Wanted> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Wanted::read(&words)
    }

    #[test]
    fn every_word_is_understood() {
        let wanted = read(
            "--of files --of fleet --least 10 --most 1000 --rounds 5 --gleaner /a/gleaner --limit 9 --folder /c --write",
        )
        .unwrap();
        assert_eq!(
            wanted,
            Wanted {
                of: vec!["files".to_owned(), "fleet".to_owned()],
                least: 10,
                most: Some(1000),
                rounds: 5,
                build: Some("/a/gleaner".into()),
                limit: Duration::from_secs(9),
                folder: "/c".into(),
                write: true,
            }
        );
        assert!(wanted.subjects().eq([Subject::Files, Subject::Fleet]));
        assert!(wanted.admits(Subject::Fleet, 10) && !wanted.admits(Subject::Fleet, 1));
        assert!(read("").unwrap().subjects().eq(SUBJECTS));
    }

    #[test]
    fn what_takes_most_of_an_hour_is_measured_only_when_it_is_asked_for() {
        let admitted = |line: &str| read(line).unwrap().admits(Subject::Files, 1_000_000);
        assert!(!admitted("--of files") && admitted("--of files --most 1000000"));
    }

    #[test]
    fn an_unknown_subject_is_answered_with_those_there_are() {
        let message = read("--of memory").unwrap_err().to_string();
        assert_eq!(
            message,
            "there is no subject `memory`; there are files, ledger, fleet"
        );
    }
}
