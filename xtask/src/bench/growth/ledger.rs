//! A ledger that fills up.
//!
//! It is made by gleaner, and filled by SQL: ten million files would take hours to gather.

use std::ffi::OsString;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::super::lab::device_name;
use super::super::work::Work;
use super::arguments::{Subject, Wanted};
use super::collector::{Collector, Release, Surroundings, as_figure};
use super::figures::{Figures, Run};
use super::sql;
use crate::command::output;

pub(super) const SIZES: [usize; 4] = [0, 100_000, 1_000_000, 10_000_000];
/// Without a journal: if it fails, the whole of it is gone anyhow.
const FILL: &str = include_str!("fill.sql");

pub(super) const DEVICES: usize = 50;
/// What waits on one device before the run that is to gather it.
pub(super) const NEW_FILES: usize = 100;
/// The record of the last device stays as it is while that of the others grows, so that the list of its files has the same length.
const QUIET_FILES: usize = 1000;

/// A command that is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) name: &'static str,
    /// For the page.
    pub(super) about: &'static str,
    words: &'static [&'static str],
}

pub(super) const QUESTIONS: [Question; 5] = [
    Question {
        name: "status",
        about: "`gleaner status`, all devices",
        words: &["status"],
    },
    Question {
        name: "status of one",
        about: "`gleaner status dev1`",
        words: &["status", "dev1"],
    },
    Question {
        name: "files",
        about: "`gleaner files --device dev50`, 1,000 files",
        words: &["files", "--device", "dev50"],
    },
    Question {
        name: "idle run",
        about: "`gleaner run --device dev1`, nothing waits",
        words: &["run", "--device", "dev1"],
    },
    Question {
        name: RUN,
        about: "`gleaner run --device dev2`, 100 new files",
        words: &["run", "--device", "dev2"],
    },
];

const RUN: &str = "run";

/// The size on disk.
pub(super) const SIZE: &str = "size";

pub(super) fn measure(surroundings: &Surroundings<'_>, wanted: &Wanted, figures: &mut Figures) -> Result<()> {
    let sizes = SIZES
        .into_iter()
        .filter(|size| wanted.admits(Subject::Ledger, *size));
    let mut work = Work::devices(DEVICES, 0, 0, 0);
    // A row takes about half a kilobyte with its indexes, and what SQLite writes beside it may take as much.
    work.disk_gibibytes = 4 + u64::try_from(sizes.clone().max().unwrap_or_default() >> 20)?;
    let collector = surroundings.open(work)?;
    collector.begin_anew(16, Release::Delete)?;
    collector.ask(&["run"])?;
    fill(&collector.ledger(), 0..QUIET_FILES, &[device_name(DEVICES)])?;
    let growing: Vec<_> = (1..DEVICES).map(device_name).collect();
    let mut filled = 0;
    let mut asking = Asking {
        surroundings,
        collector: &collector,
        new_files: 0,
    };
    for size in sizes {
        // The numbers of the quiet device's files are taken.
        fill(
            &collector.ledger(),
            filled + QUIET_FILES..size + QUIET_FILES,
            &growing,
        )?;
        filled = size;
        let bytes = fs::metadata(collector.ledger())?.len();
        let run = Run::from([
            ("megabytes".to_owned(), as_figure(bytes) / 1e6),
            (
                "megabytes_of_passes".to_owned(),
                bytes_of_passes(&collector.ledger())? / 1e6,
            ),
        ]);
        surroundings.keep(figures, (Subject::Ledger, SIZE, size), run)?;
        asking.all(figures, size, true)?;
        for _ in 0..wanted.rounds {
            asking.all(figures, size, false)?;
        }
    }
    Ok(())
}

/// What the history of passes takes, with its indexes and the names of the batches.
fn bytes_of_passes(ledger: &Path) -> Result<f64> {
    const QUESTION: &str =
        "SELECT sum(dbstat.pgsize) FROM dbstat JOIN sqlite_schema AS object ON object.name = dbstat.name
        WHERE object.tbl_name IN ('pass', 'batch');";
    let bytes = sql::numbers(ledger, QUESTION)?;
    Ok(as_figure(u64::try_from(
        bytes.first().copied().unwrap_or_default(),
    )?))
}

struct Asking<'a> {
    surroundings: &'a Surroundings<'a>,
    collector: &'a Collector<'a>,
    /// How many have been laid out so far.
    new_files: usize,
}

impl Asking<'_> {
    /// Every command once; `cold`: with nothing of the ledger in memory.
    fn all(&mut self, figures: &mut Figures, size: usize, cold: bool) -> Result<()> {
        for question in QUESTIONS {
            if question.name == RUN {
                self.lay_out_new_files()?;
            }
            if cold {
                forget_cached(&self.collector.ledger())?;
            }
            let measured = self.collector.measure(question.words, &[0])?;
            let name = work_name(question.name, cold);
            self.surroundings
                .keep(figures, (Subject::Ledger, &name, size), measured.figures())?;
        }
        Ok(())
    }

    fn lay_out_new_files(&mut self) -> Result<()> {
        let folder = self.collector.lab.source(2);
        for _ in 0..NEW_FILES {
            self.new_files += 1;
            let file = folder.join(format!("new{:06}.np", self.new_files));
            fs::write(&file, self.new_files.to_string())
                .with_context(|| format!("write {}", file.display()))?;
        }
        Ok(())
    }
}

/// What the figures of a command are kept under.
pub(super) fn work_name(question: &str, cold: bool) -> String {
    match cold {
        true => format!("{question}, from the disk"),
        false => question.to_owned(),
    }
}

/// Writes what is not on the disk yet, and has the kernel forget what it remembers of the file.
fn forget_cached(file: &Path) -> Result<()> {
    output(Command::new("sync").arg(file))?;
    let mut forget = Command::new("dd");
    let mut input = OsString::from("if=");
    input.push(file);
    output(
        forget
            .arg(input)
            .args(["iflag=nocache", "count=0", "status=none"]),
    )
    .map(drop)
}

/// Records files of these numbers, in turn for each of the devices: with batches and passes, as gleaner would have.
fn fill(ledger: &Path, numbers: Range<usize>, devices: &[String]) -> Result<()> {
    if numbers.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = devices.iter().map(|name| format!("'{name}'")).collect();
    let script = FILL
        .replace("FIRST", &numbers.start.to_string())
        .replace("END", &numbers.end.to_string())
        .replace("DEVICES", &names.join(", "))
        .replace("SLOTS", &devices.len().to_string());
    sql::run(ledger, &script).map(drop)
}
