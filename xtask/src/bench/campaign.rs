//! The rounds: every tool once in each, on the same work, laid out anew.

use std::path::Path;

use anyhow::Result;

use super::arguments::Wanted;
use super::enclosure::Enclosure;
use super::lab::{Lab, device_name};
use super::meter::{Assignment, Cost, measure};
use super::plan::Table;
use super::report;
use super::results::{Entry, Results, Run, Verdict};
use super::tools::Candidate;
use super::verify::{Faults, compare};

/// One measurement, which may have several tables.
#[derive(Debug)]
pub(super) struct Campaign<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) enclosure: &'a Enclosure,
    /// What its entries have in common.
    pub(super) name: String,
    /// Where the results are kept, after each run.
    pub(super) file: &'a Path,
}

impl Campaign<'_> {
    pub(super) fn measure(
        &self,
        table: &Table,
        candidates: &[Candidate],
        results: &mut Results,
    ) -> Result<()> {
        let work = table.work.scaled(self.wanted.scale_percent);
        println!("\n{} {}", table.work.name, table.link.name);
        let mut lab = Lab::open(self.enclosure, work, table.link)?;
        let mut over_limit: Vec<&str> = Vec::new();
        for round in 0..self.wanted.rounds {
            let mut order: Vec<&Candidate> = candidates.iter().collect();
            order.rotate_left(round % candidates.len().max(1));
            for candidate in order {
                // Once is enough: it would be the same again, and the limit is long.
                if over_limit.contains(&candidate.name.as_str()) {
                    continue;
                }
                let run = self.run(&mut lab, candidate)?;
                say(round, candidate, &run);
                if run.verdict == Verdict::OverLimit {
                    over_limit.push(&candidate.name);
                }
                results.add(Entry {
                    work: table.work.name.to_owned(),
                    link: table.link.name.to_owned(),
                    tool: candidate.name.clone(),
                    scale_percent: self.wanted.scale_percent,
                    measurement: self.name.clone(),
                    limit_seconds: self.wanted.limit.as_secs(),
                    runs: vec![run],
                });
                results.write(self.file)?;
            }
        }
        drop(lab);
        let entries = results.table(table.work.name, table.link.name, self.wanted.scale_percent);
        println!("\n{}", report::table(&entries));
        Ok(())
    }

    fn run(&self, lab: &mut Lab, candidate: &Candidate) -> Result<Run> {
        lab.lay_out()?;
        candidate.prepare(lab)?;
        lab.set_up_link()?;
        if candidate.comes_again() {
            candidate.visit_before(lab)?;
            lab.set_up_link()?;
        }
        let log = lab.folder.join("tool.log");
        let has_released = || candidate.has_released(lab);
        let asks_for_first = candidate.is_gleaner() && lab.work.name == "backlog";
        let assignment = Assignment {
            words: candidate.words(),
            environment: candidate.environment(lab)?,
            log: &log,
            limit: self.wanted.limit,
            first_success: asks_for_first.then_some(&has_released),
            counts_descriptors: false,
        };
        let server_cpu_before = server_cpu(lab)?;
        let cost = measure(&assignment, self.enclosure.group.as_deref())?;
        let passed = lab.passed();
        let server_cpu = server_cpu(lab)?.zip(server_cpu_before);
        let verdict = judge(lab, candidate, &cost)?;
        if let Verdict::NotWhole(_) = verdict {
            show_end_of(&log);
        }
        Ok(Run {
            verdict,
            wall_seconds: cost.wall_seconds,
            client_cpu_seconds: cost.cpu_seconds,
            server_cpu_seconds: server_cpu.map(|(after, before)| after - before),
            peak_memory_kib: cost.peak.all_kib,
            up_bytes: passed.map(|passed| passed.up_bytes),
            down_bytes: passed.map(|passed| passed.down_bytes),
            share_of_link: passed.and_then(|passed| passed.share_of_link),
            first_released_seconds: cost.first_seconds,
        })
    }
}

fn server_cpu(lab: &Lab) -> Result<Option<f64>> {
    lab.group
        .as_ref()
        .map(super::meter::Group::cpu_seconds)
        .transpose()
}

fn judge(lab: &Lab, candidate: &Candidate, cost: &Cost) -> Result<Verdict> {
    if cost.over_limit {
        return Ok(Verdict::OverLimit);
    }
    let mut faults = Faults::default();
    for device in lab.work.live_devices() {
        faults += compare(
            lab.work.files(device),
            lab.work.shape,
            &lab.store().join(device_name(device)),
            &lab.source(device),
            candidate.tool.copies_only,
        )?;
    }
    // Where devices are dead, a tool may well say that it failed.
    let failed = cost.exit != Some(0) && !lab.work.has_dead_devices();
    Ok(if !faults.is_none() {
        Verdict::NotWhole(faults.to_string())
    } else if failed {
        Verdict::NotWhole(
            cost.exit
                .map_or("killed".to_owned(), |status| format!("exit {status}")),
        )
    } else if cost.left_processes {
        Verdict::NotWhole("leaves processes".to_owned())
    } else {
        Verdict::Whole
    })
}

fn say(round: usize, candidate: &Candidate, run: &Run) {
    let how = match &run.verdict {
        Verdict::Whole => "",
        Verdict::OverLimit => "  over the limit",
        Verdict::NotWhole(words) => words,
    };
    println!(
        "  round {}  {:<16}  {:8.2} s  {how}",
        round + 1,
        candidate.name,
        run.wall_seconds
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
