//! More and more devices behind one jump host.

use std::path::Path;

use anyhow::Result;

use super::super::work::Work;
use super::arguments::{Subject, Wanted};
use super::collector::{Measured, Release, Surroundings, as_figure};
use super::figures::{Figures, Run};
use super::sql;

pub(super) const SIZES: [usize; 6] = [1, 10, 50, 100, 200, 500];

/// Larger fleets are visited once: so many devices even out by themselves.
const REPEATED_UP_TO: usize = 50;

/// What is done with a fleet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sweep {
    pub(super) name: &'static str,
    /// For the page.
    pub(super) about: &'static str,
    files_each: usize,
    bytes: u64,
    /// One device of so many keeps silent.
    one_silent_of: Option<usize>,
    /// All devices at once, in place of the default of 16.
    pub(super) all_at_once: bool,
    smallest: usize,
    largest: usize,
}

const EACH: Sweep = Sweep {
    name: "",
    about: "",
    files_each: 0,
    bytes: 30_000,
    one_silent_of: None,
    all_at_once: false,
    smallest: 1,
    largest: 500,
};

pub(super) const IDLE: &str = "idle";
pub(super) const FILES: &str = "files";
pub(super) const DEAD: &str = "dead";
pub(super) const IDLE_AT_ONCE: &str = "idle, all at once";
pub(super) const FILES_AT_ONCE: &str = "files, all at once";
pub(super) const SAME_BYTES: &str = "same bytes";

/// What all devices together have in the comparison of one with many.
pub(super) const SHARED_FILES: usize = 1000;
pub(super) const SHARED_BYTES: u64 = 200_000;

pub(super) const SWEEPS: [Sweep; 6] = [
    Sweep {
        name: IDLE,
        about: "nothing waits; `parallel` is 16, the default",
        ..EACH
    },
    Sweep {
        name: FILES,
        about: "20 files of 30 KB on each",
        files_each: 20,
        ..EACH
    },
    Sweep {
        name: DEAD,
        about: "the same, but every tenth device accepts a connection and then keeps silent",
        files_each: 20,
        one_silent_of: Some(10),
        smallest: 10,
        ..EACH
    },
    Sweep {
        name: IDLE_AT_ONCE,
        about: "nothing waits; `parallel` is the number of the devices",
        all_at_once: true,
        smallest: 50,
        ..EACH
    },
    Sweep {
        name: FILES_AT_ONCE,
        about: "20 files of 30 KB on each; `parallel` is the number of the devices",
        files_each: 20,
        all_at_once: true,
        smallest: 50,
        ..EACH
    },
    Sweep {
        name: SAME_BYTES,
        about: "1,000 files of 200 KB on all devices together",
        files_each: SHARED_FILES,
        bytes: SHARED_BYTES,
        largest: 50,
        ..EACH
    },
];

impl Sweep {
    fn silent(&self, size: usize) -> usize {
        self.one_silent_of.map_or(0, |one| size / one)
    }

    fn work(&self, size: usize) -> Work {
        let files = match self.name {
            SAME_BYTES => self.files_each / size,
            _ => self.files_each,
        };
        Work::devices(size, self.silent(size), files, self.bytes)
    }
}

pub(super) fn measure(surroundings: &Surroundings<'_>, wanted: &Wanted, figures: &mut Figures) -> Result<()> {
    for sweep in SWEEPS {
        for size in SIZES {
            if (sweep.smallest..=sweep.largest).contains(&size) && wanted.admits(Subject::Fleet, size) {
                let rounds = match size {
                    ..=REPEATED_UP_TO => wanted.rounds,
                    _ => 1,
                };
                measure_one(surroundings, rounds, sweep, size, figures)?;
            }
        }
    }
    Ok(())
}

fn measure_one(
    surroundings: &Surroundings<'_>,
    rounds: usize,
    sweep: Sweep,
    size: usize,
    figures: &mut Figures,
) -> Result<()> {
    const DEFAULT_PARALLEL: usize = 16;
    /// Well, partly, and without the unreachable: where a device is not reached in time, that is a figure as well.
    const STATUSES: [i32; 3] = [0, 1, 5];
    let parallel = match sweep.all_at_once {
        true => size,
        false => DEFAULT_PARALLEL,
    };
    let collector = surroundings.open(sweep.work(size))?;
    for _ in 0..rounds {
        collector.begin_anew(parallel, Release::Delete)?;
        if sweep.files_each == 0 {
            // The first visit makes the ledger, and the devices' rows in it.
            collector.measure(&["run"], &STATUSES)?;
        }
        let measured = collector.measure(&["run"], &STATUSES)?;
        let mut run = measured.figures();
        let count = as_figure(u64::try_from(size)?);
        for (name, seconds) in [
            ("ms_per_device", measured.cost.wall_seconds),
            ("cpu_ms_per_device", measured.cost.cpu_seconds),
        ] {
            run.insert(name.to_owned(), seconds * 1000.0 / count);
        }
        note_ends(&collector.ledger(), &measured, &mut run)?;
        let not_served = count_not_served(&collector.ledger())?;
        let silent = sweep.silent(size);
        if not_served == silent {
            collector.check()?;
        }
        let unexpected = not_served.saturating_sub(silent);
        if unexpected > 0 {
            print!("{}", why_not_served(&collector.ledger())?);
        }
        run.insert("not_served".to_owned(), as_figure(u64::try_from(unexpected)?));
        surroundings.keep(figures, (Subject::Fleet, sweep.name, size), run)?;
    }
    Ok(())
}

const SERVED: &str = "outcome IN ('well', 'partial')";
/// Of the last sweep, which is the only one but for the first visit.
const LAST: &str = "id > (SELECT max(id) FROM pass) - (SELECT count(*) FROM device)";

fn count_not_served(ledger: &Path) -> Result<usize> {
    let question = format!("SELECT count(*) FROM pass WHERE NOT {SERVED} AND {LAST};");
    let count = sql::numbers(ledger, &question)?;
    Ok(usize::try_from(count.first().copied().unwrap_or_default())?)
}

fn why_not_served(ledger: &Path) -> Result<String> {
    let question = format!(
        "SELECT '  not served: ' || count(*), outcome, class, max(message) FROM pass WHERE NOT {SERVED} AND {LAST} GROUP BY 2, 3;"
    );
    sql::run(ledger, &question)
}

/// When the first and the last of the devices that were served were done, and how long the quickest and the slowest visit took.
fn note_ends(ledger: &Path, measured: &Measured, run: &mut Run) -> Result<()> {
    let question =
        format!("SELECT min(ended), max(ended), min(took), max(took) FROM pass WHERE {SERVED} AND {LAST};");
    let ends = sql::numbers(ledger, &question)?;
    let seconds = |nanoseconds: i64| as_figure(u64::try_from(nanoseconds).unwrap_or_default()) / 1e9;
    let began = measured.began.as_secs_f64();
    if let [first, last, quickest, slowest] = ends.as_slice() {
        run.insert("first_end_seconds".to_owned(), seconds(*first) - began);
        run.insert("last_end_seconds".to_owned(), seconds(*last) - began);
        run.insert("quickest_seconds".to_owned(), seconds(*quickest));
        run.insert("slowest_seconds".to_owned(), seconds(*slowest));
    }
    Ok(())
}
