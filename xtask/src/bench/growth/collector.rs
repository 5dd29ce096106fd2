//! gleaner in the lab: set up, asked, measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use super::super::contents::Shape;
use super::super::enclosure::Enclosure;
use super::super::lab::{Lab, device_name};
use super::super::link::LINKS;
use super::super::meter::{Assignment, Cost, measure};
use super::super::tools::configuration;
use super::super::verify::{Faults, compare};
use super::super::work::Work;
use super::arguments::Subject;
use super::figures::{Figures, Point, Run};
use crate::command::output;

/// What all parts of a measurement have in common.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) enclosure: &'a Enclosure,
    /// The build of gleaner.
    pub(super) build: PathBuf,
    pub(super) limit: Duration,
    pub(super) measurement: String,
    /// Where the figures are kept, after each run.
    pub(super) file: &'a Path,
}

impl Surroundings<'_> {
    /// A fleet on loopback, and a collector for it.
    pub(super) fn open(&self, work: Work) -> Result<Collector<'_>> {
        let loopback = LINKS
            .into_iter()
            .find(|link| link.character.is_none())
            .context("no link without a relay")?;
        Ok(Collector {
            surroundings: self,
            lab: Lab::open(self.enclosure, work, loopback)?,
        })
    }

    /// Keeps a run, and shows it.
    pub(super) fn keep(
        &self,
        figures: &mut Figures,
        (subject, work, size): (Subject, &str, usize),
        run: Run,
    ) -> Result<()> {
        let shown: Vec<_> = run
            .iter()
            .map(|(name, figure)| format!("{name} {figure:.3}"))
            .collect();
        println!("  {work} {size}: {}", shown.join(", "));
        figures.add(Point {
            subject: subject.name().to_owned(),
            work: work.to_owned(),
            size: u64::try_from(size)?,
            measurement: self.measurement.clone(),
            runs: vec![run],
        });
        figures.write(self.file)
    }
}

/// What becomes of the files on their device.
#[derive(Debug, Clone, Copy)]
pub(super) enum Release {
    Delete,
    Keep,
}

/// A collector of its own for the devices of a lab.
#[derive(Debug)]
pub(super) struct Collector<'a> {
    surroundings: &'a Surroundings<'a>,
    pub(super) lab: Lab,
}

impl Collector<'_> {
    /// Lays out what waits, with a new store and no ledger. `parallel` is that of the configuration.
    pub(super) fn begin_anew(&self, parallel: usize, release: Release) -> Result<()> {
        const DEFAULTS: &str = "[defaults]\n";
        self.lab.lay_out()?;
        let rule = match release {
            Release::Delete => DEFAULTS.to_owned(),
            Release::Keep => format!("{DEFAULTS}release = \"keep\"\n"),
        };
        let text = format!(
            "{}\n[fleet]\nparallel = {parallel}\n",
            configuration(&self.lab)?.replace(DEFAULTS, &rule)
        );
        fs::write(self.configuration(), text)?;
        self.ask(&["store", "init", "--local"]).map(drop)
    }

    fn configuration(&self) -> PathBuf {
        self.lab.folder.join("gleaner.toml")
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.lab.ledger_folder().join("ledger.db")
    }

    /// Runs a command that is not measured.
    pub(super) fn ask(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.surroundings.build);
        command
            .args(["--quiet", "--quiet", "--config"])
            .arg(self.configuration())
            .args(words)
            .env("HOME", self.lab.folder.join("home"));
        output(&mut command)
    }

    /// Runs one that is, and holds that it ended with one of these statuses. When it began is counted from 1970, as the ledger does.
    pub(super) fn measure(&self, words: &[&str], statuses: &[i32]) -> Result<Measured> {
        let log = self.lab.folder.join("tool.log");
        let mut line = vec![self.surroundings.build.clone().into_os_string()];
        line.extend(["--quiet", "--config"].map(Into::into));
        line.push(self.configuration().into_os_string());
        line.extend(words.iter().map(Into::into));
        let server_before = self.server_cpu_seconds()?;
        let began = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let assignment = Assignment {
            words: line,
            environment: vec![("HOME", self.lab.folder.join("home").into_os_string())],
            log: &log,
            limit: self.surroundings.limit,
            first_success: None,
            counts_descriptors: true,
        };
        let cost = measure(&assignment, self.surroundings.enclosure.group.as_deref())?;
        if cost.over_limit || !cost.exit.is_some_and(|exit| statuses.contains(&exit)) {
            let said = fs::read(&log).unwrap_or_default();
            let said = String::from_utf8_lossy(&said);
            let first: Vec<_> = said.lines().take(20).collect();
            bail!(
                "gleaner {} ended with {:?} (over the limit: {}):\n{}",
                words.join(" "),
                cost.exit,
                cost.over_limit,
                first.join("\n")
            );
        }
        let server_cpu = self.server_cpu_seconds()?.zip(server_before);
        Ok(Measured {
            cost,
            began,
            server_cpu_seconds: server_cpu.map(|(after, before)| after - before),
        })
    }

    fn server_cpu_seconds(&self) -> Result<Option<f64>> {
        let group = self.lab.group.as_ref();
        group.map(super::super::meter::Group::cpu_seconds).transpose()
    }

    /// An error unless everything came as it was, and has left its device.
    pub(super) fn check(&self) -> Result<()> {
        let mut faults = Faults::default();
        for device in self.lab.work.live_devices() {
            faults += compare(
                self.lab.work.files(device),
                Shape::Random,
                &self.lab.store().join(device_name(device)),
                &self.lab.source(device),
                false,
            )?;
        }
        match faults.is_none() {
            true => Ok(()),
            false => bail!("not everything came: {faults}"),
        }
    }
}

/// A command that was measured.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) cost: Cost,
    /// Since 1970.
    pub(super) began: Duration,
    server_cpu_seconds: Option<f64>,
}

impl Measured {
    /// What every run tells. Memory in megabytes.
    pub(super) fn figures(&self) -> Run {
        let peak = self.cost.peak;
        let mut run = Run::new();
        let mut note = |name: &str, figure: f64| {
            run.insert(name.to_owned(), figure);
        };
        note("seconds", self.cost.wall_seconds);
        note("cpu_seconds", self.cost.cpu_seconds);
        if let Some(seconds) = self.server_cpu_seconds {
            note("server_cpu_seconds", seconds);
        }
        note("collector_mb", megabytes(peak.collector_kib));
        note("helpers_mb", megabytes(peak.helpers_private_kib));
        note("processes", as_figure(peak.processes));
        note("sockets", as_figure(peak.sockets));
        note("descriptors", as_figure(peak.collector_descriptors));
        run
    }
}

fn megabytes(kib: u64) -> f64 {
    as_figure(kib) * 1024.0 / 1e6
}

#[allow(
    clippy::cast_precision_loss,
    reason = "no count here comes near what a figure cannot hold"
)]
pub(super) fn as_figure(count: u64) -> f64 {
    count as f64
}
