//! Measures gleaner with real servers, real tools and emulated links, and compares the results byte by byte.
//! It runs beside other tools with works of one size, or alone with works that grow.
//!
//! `catalogue.toml` lists what can be measured. Start reading at `campaign.rs`.

mod campaign;
mod candidate;
mod catalogue;
mod contents;
mod enclosure;
mod goals;
mod groups;
mod lab;
mod ledger;
mod link;
mod machine;
mod meter;
mod options;
mod page;
mod plan;
mod report;
mod results;
mod verify;
mod work;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::getuid;

use crate::command::{cargo, output, run as run_command};
use crate::debian;
use crate::workspace::Workspace;
use campaign::Campaign;
use candidate::Candidate;
use catalogue::{Catalogue, Tool};
use enclosure::Enclosure;
use link::Network;
pub(crate) use options::Options;
use plan::Table;
use results::{Alone, Results};

/// Measures what the options ask for, or everything.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let catalogue = Catalogue::load()?;
    let tables = plan::tables(&catalogue, options)?;
    let common = options.common();
    let name = if options.works_grow() {
        "growth.json"
    } else {
        "results.json"
    };
    let file = workspace.target.join("bench").join(name);
    if common.rounds > 0 {
        let Some(enclosure) = Enclosure::around_us() else {
            make_ready(workspace, options, &programs(&catalogue, &tables))?;
            return Enclosure::enter(&common.folder);
        };
        let _alone = Alone::in_folder(&workspace.target.join("bench"))?;
        measure(workspace, options, &catalogue, &tables, &enclosure, &file)?;
    }
    if common.write || common.rounds == 0 {
        write_page(workspace, options, &catalogue, &Results::read(&file)?)?;
    }
    Ok(())
}

/// Installs and builds the tools to be measured.
fn make_ready(workspace: &Workspace, options: &Options, programs: &[&str]) -> Result<()> {
    debian::install_for_measuring(programs)?;
    debian::install_if_missing("sqlite3")?;
    if getuid().is_root() {
        // Without root, links need no network of their own.
        debian::install_if_missing("ip")?;
    }
    if !options.common().builds.is_empty() {
        return Ok(());
    }
    run_command(cargo(&workspace.root).args(["build", "--release", "--locked", "--package", "gleaner"]))
}

fn measure(
    workspace: &Workspace,
    options: &Options,
    catalogue: &Catalogue,
    tables: &[Table],
    enclosure: &Enclosure,
    file: &Path,
) -> Result<()> {
    const USUAL_LIMIT: Duration = Duration::from_mins(5);
    // A million files take this long on a slow machine.
    const LIMIT_OF_GROWTH: Duration = Duration::from_mins(30);
    let usual_limit = if options.works_grow() {
        LIMIT_OF_GROWTH
    } else {
        USUAL_LIMIT
    };
    let network = open_network(enclosure, tables);
    let campaign = Campaign {
        catalogue,
        enclosure,
        network: network.as_ref(),
        limit: options.common().limit.map_or(usual_limit, Duration::from_secs),
        name: output(Command::new("date").args(["--utc", "+%Y-%m-%dT%H:%M:%SZ"]))?
            .trim()
            .to_owned(),
        file,
    };
    if !enclosure.root || enclosure.groups.is_none() {
        println!("no root or no control groups: processor time and memory of helpers are lower bounds");
    }
    let mut builds = options.common().builds.clone();
    if builds.is_empty() {
        builds.push(workspace.target.join("release/gleaner"));
    }
    let mut results = Results::read(file)?;
    let candidates = present(catalogue, tables, &builds);
    results.renew_facts(machine::facts(&candidates, options.works_grow())?);
    if has_emulated_links(tables) {
        let kind = match network {
            Some(_) => "packets, and the kernel's TCP",
            None => "streams: no loss, and not the kernel's TCP",
        };
        results.renew_facts(vec![("emulated links".to_owned(), kind.to_owned())]);
    }
    for table in tables {
        if let Some(why) = campaign.obstacle(table) {
            println!("\nskipped: {} {}: {why}", table.work.name, table.link.name);
            continue;
        }
        let is_in_it = |candidate: &&Candidate| table.tools.contains(&candidate.tool.name);
        let of_table: Vec<_> = candidates.iter().filter(is_in_it).cloned().collect();
        campaign.measure(table, &of_table, &mut results)?;
    }
    println!("all results are in {}", file.display());
    Ok(())
}

/// The network for links of packets, if a table needs one and it can be made.
fn open_network(enclosure: &Enclosure, tables: &[Table]) -> Option<Arc<Network>> {
    if !has_emulated_links(tables) {
        return None;
    }
    let network = if enclosure.root {
        Network::open(&enclosure.folder)
    } else {
        Err(anyhow!("no root"))
    };
    if let Err(error) = &network {
        println!("links are of streams instead of packets: {error:#}");
        println!(
            "they lose no packets, have no queue that overflows, and leave out what TCP does about either"
        );
    }
    network.ok().map(Arc::new)
}

fn has_emulated_links(tables: &[Table]) -> bool {
    tables.iter().any(|table| table.link.character.is_some())
}

fn tools<'a>(catalogue: &'a Catalogue, tables: &'a [Table]) -> impl Iterator<Item = &'a Tool> {
    let is_in_them = |tool: &&Tool| tables.iter().any(|table| table.tools.contains(&tool.name));
    catalogue.tools.iter().filter(is_in_them)
}

/// The programs of the tools in these tables.
fn programs<'a>(catalogue: &'a Catalogue, tables: &'a [Table]) -> Vec<&'a str> {
    tools(catalogue, tables)
        .map(|tool| tool.program.as_str())
        .collect()
}

/// The tools of these tables whose programs are installed. Prints the names of the others.
fn present(catalogue: &Catalogue, tables: &[Table], builds: &[PathBuf]) -> Vec<Candidate> {
    let (present, absent): (Vec<_>, Vec<_>) = Candidate::all(tools(catalogue, tables), builds)
        .into_iter()
        .partition(|candidate| crate::command::find(&candidate.tool.program).is_some());
    for candidate in absent {
        println!(
            "skipped: {} ({} is not installed)",
            candidate.name, candidate.tool.program
        );
    }
    present
}

/// Writes the page of a full measurement into the documents. The page of a trial goes beside its results.
fn write_page(
    workspace: &Workspace,
    options: &Options,
    catalogue: &Catalogue,
    results: &Results,
) -> Result<()> {
    let documents = workspace.root.join("docs/reference");
    let (file, text) = if options.works_grow() {
        (documents.join("growth.md"), page::growth(catalogue, results)?)
    } else {
        let scale_percent = usize::try_from(options.scale)?;
        let folder = match scale_percent {
            100 => documents,
            _ => workspace.target.join("bench"),
        };
        let text = page::benchmarks(catalogue, results, scale_percent)?;
        (folder.join("benchmarks.md"), text)
    };
    fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    println!("wrote {}", file.display());
    Ok(())
}
