//! The rounds of a measurement. Each round runs every tool once on the same work.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;

use super::candidate::Candidate;
use super::catalogue::Catalogue;
use super::enclosure::Enclosure;
use super::groups::Groups;
use super::lab::{Lab, device_name};
use super::ledger;
use super::link::Network;
use super::meter::{Assignment, Cost, measure};
use super::plan::Table;
use super::report;
use super::results::{Entry, Figure, Figures, Results, Run, RunResult, as_figure};
use super::verify::{Comparison, compare};
use super::work::Subject;

/// One measurement, of one or more tables.
#[derive(Debug)]
pub(super) struct Campaign<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) enclosure: &'a Enclosure,
    /// The network for links of packets. Without it, links are of streams.
    pub(super) network: Option<&'a Arc<Network>>,
    /// The time after which a run is killed.
    pub(super) limit: Duration,
    /// The name that its entries share.
    pub(super) name: String,
    /// The file of the results, written after each run.
    pub(super) file: &'a Path,
}

impl Campaign<'_> {
    /// Why a table cannot be measured on this machine.
    pub(super) fn obstacle(&self, table: &Table) -> Option<String> {
        let (work, character) = (&table.work, table.link.character);
        if work.device_percent_of_core.is_some()
            && !self.enclosure.groups.as_ref().is_some_and(Groups::have_limits)
        {
            return Some("no control group can limit the processor".to_owned());
        }
        if !work.device_lacks.is_empty() && !self.enclosure.root {
            return Some("only root can hide programs from a device".to_owned());
        }
        let character = character.filter(|_| self.network.is_some())?;
        let control = character.congestion_control.name();
        (!Network::can_have(character)).then(|| format!("the kernel has no congestion control {control}"))
    }

    pub(super) fn measure(
        &self,
        table: &Table,
        candidates: &[Candidate],
        results: &mut Results,
    ) -> Result<()> {
        println!("\n{} {} {}", table.work.name, table.link.name, table.size);
        let mut lab = Lab::open(self.enclosure, self.network, &table.work, &table.link)?;
        let mut candidates = candidates.to_vec();
        if table.work.grows == Some(Subject::Ledger) {
            self.fill_ledger(&mut lab, table, &candidates, results)?;
            let cold: Vec<_> = candidates.iter().map(Candidate::cold).collect();
            candidates.splice(..0, cold);
        }
        let mut over_limit: Vec<&str> = Vec::new();
        for round in 0..table.rounds {
            let mut order: Vec<&Candidate> = candidates.iter().collect();
            order.rotate_left(round % candidates.len().max(1));
            for candidate in order {
                // One such run is enough: a second would end the same way, and the limit is long.
                if over_limit.contains(&candidate.name.as_str()) || candidate.cold && round > 0 {
                    continue;
                }
                let run = self.run(&mut lab, table, candidate)?;
                print_run(round, candidate, &run);
                if run.result == RunResult::OverLimit {
                    over_limit.push(&candidate.name);
                }
                self.keep(table, &table.work.name, &candidate.name, run, results)?;
            }
        }
        drop(lab);
        println!("\n{}", self.report(table, results));
        Ok(())
    }

    /// Lays out the fleet and its ledger once, because filling the ledger takes minutes.
    fn fill_ledger(
        &self,
        lab: &mut Lab,
        table: &Table,
        candidates: &[Candidate],
        results: &mut Results,
    ) -> Result<()> {
        for candidate in candidates.iter().take(1) {
            candidate.prepare_first(lab)?;
        }
        ledger::fill(&lab.ledger(), table.size)?;
        let run = Run {
            result: RunResult::Whole,
            figures: ledger::size_figures(&lab.ledger(), table.size)?,
        };
        self.keep(table, report::LEDGER_SIZE, report::LEDGER_SIZE, run, results)
    }

    fn keep(&self, table: &Table, work: &str, tool: &str, run: Run, results: &mut Results) -> Result<()> {
        results.add(Entry {
            work: work.to_owned(),
            link: table.link.name.clone(),
            tool: tool.to_owned(),
            size: table.size,
            measurement: self.name.clone(),
            limit_seconds: self.limit.as_secs(),
            runs: vec![run],
        });
        results.write(self.file)
    }

    fn report(&self, table: &Table, results: &Results) -> String {
        let (work, link) = (&table.work.name, &table.link.name);
        match self.catalogue.growths.iter().find(|it| it.name == *work) {
            Some(growth) => report::grown(growth, self.catalogue, results).unwrap_or_default(),
            None => report::compared(
                &results.table(work, link, table.size),
                self.catalogue.goals_of(work, link),
            ),
        }
    }

    fn run(&self, lab: &mut Lab, table: &Table, candidate: &Candidate) -> Result<Run> {
        match lab.work.grows {
            Some(Subject::Ledger) => candidate.prepare_next(lab)?,
            _ => candidate.prepare_first(lab)?,
        }
        let log = lab.folder.join("tool.log");
        let assignment = Assignment {
            words: candidate.words(),
            environment: candidate.environment(lab)?,
            log: &log,
            limit: self.limit,
            counts_descriptors: lab.work.grows.is_some(),
        };
        let before = ServerCpu::now(lab)?;
        let began = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let cost = measure(&assignment, self.enclosure.groups.as_ref())?;
        let mut figures = figures_of(&cost, &assignment);
        let server_cpu = ServerCpu::now(lab)?.zip(before);
        if let Some((after, before)) = server_cpu {
            let devices = after.devices - before.devices;
            figures.insert(Figure::DeviceCpuSeconds, devices);
            figures.insert(Figure::ServerCpuSeconds, devices + after.jump - before.jump);
        }
        note_passed(lab, &mut figures);
        note_growth(lab, table, &mut figures);
        if candidate.tool.is_gleaner() {
            note_ledger(lab, began, &mut figures)?;
        }
        let result = check(lab, candidate, &cost, began, &mut figures)?;
        if let RunResult::NotWhole(_) = result {
            show_end_of(&log);
        }
        Ok(Run { result, figures })
    }
}

/// The processor time of the servers so far, in seconds.
struct ServerCpu {
    jump: f64,
    devices: f64,
}

impl ServerCpu {
    fn now(lab: &Lab) -> Result<Option<Self>> {
        let Some(groups) = &lab.groups else {
            return Ok(None);
        };
        Ok(Some(Self {
            jump: groups.jump.cpu_seconds()?,
            devices: groups.devices.cpu_seconds()?,
        }))
    }
}

fn figures_of(cost: &Cost, assignment: &Assignment<'_>) -> Figures {
    let megabytes = |kib: u64| as_figure(kib) * 1024.0 / 1e6;
    let mut figures = Figures::from([
        (Figure::Seconds, cost.wall_seconds),
        (Figure::CpuSeconds, cost.cpu_seconds),
        (Figure::MemoryMb, megabytes(cost.peak.all_kib)),
        (Figure::CollectorMb, megabytes(cost.peak.collector_kib)),
        (Figure::HelpersMb, megabytes(cost.peak.helpers_kib)),
        (Figure::Processes, as_figure(cost.peak.processes)),
    ]);
    if assignment.counts_descriptors {
        figures.insert(Figure::Sockets, as_figure(cost.peak.sockets));
        figures.insert(Figure::Descriptors, as_figure(cost.peak.collector_descriptors));
    }
    figures
}

fn note_passed(lab: &Lab, figures: &mut Figures) {
    let Some(passed) = lab.passed() else { return };
    figures.insert(Figure::UpMb, as_figure(passed.up_bytes) / 1e6);
    figures.insert(Figure::DownMb, as_figure(passed.down_bytes) / 1e6);
}

/// Adds the share of each file or device in the figures.
fn note_growth(lab: &Lab, table: &Table, figures: &mut Figures) {
    const EVERY_MS: f64 = 300_000.0;
    let each = |figures: &Figures, of| {
        figures
            .get(&of)
            .map(|seconds| seconds * 1000.0 / as_figure(table.size))
    };
    if let Some(Subject::Files | Subject::Fleet) = lab.work.grows {
        figures.extend(each(figures, Figure::CpuSeconds).map(|ms| (Figure::CpuMsEach, ms)));
        if let Some(ms) = each(figures, Figure::Seconds) {
            figures.insert(Figure::MsEach, ms);
            figures.insert(Figure::InFiveMinutes, (EVERY_MS / ms / 100.0).floor() * 100.0);
        }
    }
    if let (Some(Subject::Files), Ok(ledger)) = (lab.work.grows, lab.ledger().metadata()) {
        figures.insert(
            Figure::LedgerBytesEach,
            as_figure(ledger.len()) / as_figure(table.size),
        );
    }
}

/// Adds the figures that gleaner itself recorded.
fn note_ledger(lab: &Lab, began: Duration, figures: &mut Figures) -> Result<()> {
    if lab.work.grows == Some(Subject::Fleet) {
        figures.extend(ledger::sweep_figures(&lab.ledger(), began, lab.work.silent)?);
    }
    if lab.work.grows != Some(Subject::Ledger) {
        let first = ledger::first_released(&lab.ledger(), began)?;
        figures.extend(first.map(|seconds| (Figure::FirstReleasedSeconds, seconds)));
    }
    Ok(())
}

/// Compares the store with the sources, and adds the figures that depend on what arrived.
fn check(
    lab: &Lab,
    candidate: &Candidate,
    cost: &Cost,
    began: Duration,
    figures: &mut Figures,
) -> Result<RunResult> {
    if cost.over_limit {
        return Ok(RunResult::OverLimit);
    }
    let mut compared = Comparison::default();
    let not_served = figures.get(&Figure::NotServed).copied().unwrap_or_default();
    // The files of a device that was not served are still on it.
    let devices = if not_served > 0.0 {
        Vec::new()
    } else {
        lab.work.live_devices()
    };
    for device in devices {
        compared += compare(
            lab.work.files(device),
            lab.work.shape,
            &lab.store().join(device_name(device)),
            &lab.source(device),
            candidate.tool.copies_only,
        )?;
    }
    note_stored(lab, &compared, began, figures);
    let faults = compared.faults;
    let has_failed = match (cost.exit, lab.work.grows) {
        // A partial success, or all but the unreachable devices: the number of devices not served is a
        // figure.
        (Some(0), _) | (Some(1 | 5), Some(Subject::Fleet)) => false,
        // With dead devices, a tool may report a failure.
        _ => !lab.work.has_dead_devices(),
    };
    Ok(if !faults.is_none() {
        RunResult::NotWhole(faults.to_string())
    } else if has_failed {
        RunResult::NotWhole(
            cost.exit
                .map_or("killed".to_owned(), |status| format!("exit {status}")),
        )
    } else if cost.left_processes {
        RunResult::NotWhole("left processes".to_owned())
    } else {
        RunResult::Whole
    })
}

fn note_stored(lab: &Lab, compared: &Comparison, began: Duration, figures: &mut Figures) {
    if compared.bytes == 0 {
        return;
    }
    // Otherwise the run ends with the last file.
    if lab.work.has_dead_devices() {
        let last = compared.last_stored.as_secs_f64() - began.as_secs_f64();
        figures.insert(Figure::LastStoredSeconds, last);
    }
    if let Some(seconds) = figures.get(&Figure::DeviceCpuSeconds).copied() {
        figures.insert(Figure::DeviceCpuPerGb, seconds / as_figure(compared.bytes) * 1e9);
    }
}

fn print_run(round: usize, candidate: &Candidate, run: &Run) {
    let how = match &run.result {
        RunResult::Whole => "",
        RunResult::OverLimit => "  over the limit",
        RunResult::NotWhole(words) => words,
    };
    let seconds = run.figures.get(&Figure::Seconds).copied().unwrap_or_default();
    println!(
        "  round {}  {:<18}  {seconds:8.2} s  {how}",
        round + 1,
        candidate.name
    );
}

fn show_end_of(log: &Path) {
    const LINES: usize = 8;
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(LINES)) {
        println!("    | {line}");
    }
}
