//! The measurement of gleaner beside its peers: real servers, real tools, emulated links, results compared byte by byte.
//!
//! Begin with `campaign.rs`; what is measured is in `plan.rs`, what is to be reached in `goals.rs`.

mod arguments;
mod campaign;
mod contents;
mod enclosure;
mod goals;
mod growth;
mod kept;
mod lab;
mod link;
mod machine;
mod meter;
mod page;
mod plan;
mod relay;
mod report;
mod results;
mod tools;
mod verify;
mod work;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{cargo, output, run as run_command};
use crate::debian;
use crate::workspace::Workspace;
use arguments::Wanted;
use campaign::Campaign;
use enclosure::Enclosure;
use kept::Alone;
use plan::Table;
use results::Results;
use tools::Candidate;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Measures what the arguments ask for, or all.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let arguments = options.arguments.as_slice();
    if let [verb, arguments @ ..] = arguments
        && verb == "growth"
    {
        return growth::run(workspace, arguments);
    }
    let mut wanted = Wanted::read(arguments)?;
    let file = workspace.target.join("bench/results.json");
    if wanted.rounds == 0 {
        return write_page(workspace, &wanted, &Results::read(&file)?);
    }
    let tables = plan::tables(&wanted.works, &wanted.links, &wanted.tools);
    let Some(enclosure) = Enclosure::around_us()? else {
        debian::install_for_measuring(&programs(&tables))?;
        if wanted.builds.is_empty() {
            run_command(cargo(&workspace.root).args([
                "build",
                "--release",
                "--locked",
                "--package",
                "gleaner",
            ]))?;
        }
        return Enclosure::enter(&wanted.folder);
    };
    if wanted.builds.is_empty() {
        wanted.builds.push(workspace.target.join("release/gleaner"));
    }
    let _alone = Alone::in_folder(&workspace.target.join("bench"))?;
    let mut results = Results::read(&file)?;
    let campaign = Campaign {
        wanted: &wanted,
        enclosure: &enclosure,
        name: output(Command::new("date").args(["--utc", "+%Y-%m-%dT%H:%M:%SZ"]))?
            .trim()
            .to_owned(),
        file: &file,
    };
    if !enclosure.root || enclosure.group.is_none() {
        println!("without root or control groups: processor time and memory of helpers are not all counted");
    }
    let facts = machine::facts(&present(&tables, &wanted.builds))?;
    kept::renew(&mut results.facts, facts);
    for table in &tables {
        let candidates = present(std::slice::from_ref(table), &wanted.builds);
        campaign.measure(table, &candidates, &mut results)?;
    }
    println!("every run is in {}", file.display());
    if wanted.write {
        write_page(workspace, &wanted, &results)?;
    }
    Ok(())
}

/// The programs that the tools of these tables are.
fn programs(tables: &[Table]) -> Vec<&'static str> {
    let names = |tool: &&tools::Tool| tables.iter().any(|table| table.tools.contains(&tool.name));
    tools::TOOLS
        .iter()
        .filter(names)
        .map(|tool| tool.program)
        .collect()
}

/// The tools of these tables whose programs are there; the others are named.
fn present(tables: &[Table], builds: &[PathBuf]) -> Vec<Candidate> {
    let names: Vec<_> = tables
        .iter()
        .flat_map(|table| table.tools.iter().copied())
        .collect();
    let (present, absent): (Vec<_>, Vec<_>) = Candidate::all(&names, builds)
        .into_iter()
        .partition(|candidate| crate::command::find(candidate.tool.program).is_some());
    for candidate in absent {
        println!(
            "left out: {} ({} is missing)",
            candidate.name, candidate.tool.program
        );
    }
    present
}

/// The page of the documents is of whole measurements only; one of a trial goes beside its results.
fn write_page(workspace: &Workspace, wanted: &Wanted, results: &Results) -> Result<()> {
    let file = match wanted.scale_percent {
        100 => workspace.root.join("docs/reference/benchmarks.md"),
        _ => workspace.target.join("bench/benchmarks.md"),
    };
    fs::write(&file, page::render(results, wanted.scale_percent))
        .with_context(|| format!("write {}", file.display()))?;
    println!("written: {}", file.display());
    Ok(())
}
