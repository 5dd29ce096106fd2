//! How the cost grows: with the files on a device, with the ledger, with the fleet.
//!
//! Each subject is measured at sizes that are ten times apart; the page and its plots show whether the cost stays in line.

mod arguments;
mod collector;
mod figures;
mod files;
mod fleet;
mod ledger;
mod page;
mod plot;
mod plots;
mod sql;

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::enclosure::Enclosure;
use super::kept::{self, Alone};
use super::machine;
use super::tools::{Candidate, GLEANER};
use crate::command::{cargo, output, run as run_command};
use crate::debian;
use crate::workspace::Workspace;
use arguments::{Subject, Wanted};
use collector::Surroundings;
use figures::Figures;

/// Measures what the arguments ask for.
pub(super) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut wanted = Wanted::read(arguments)?;
    let file = workspace.target.join("bench/growth.json");
    if wanted.rounds == 0 {
        return write_page(workspace, &Figures::read(&file)?);
    }
    let Some(enclosure) = Enclosure::around_us()? else {
        debian::install_for_measuring(&[])?;
        debian::install_if_missing("sqlite3")?;
        if wanted.build.is_none() {
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
    let build = wanted
        .build
        .get_or_insert_with(|| workspace.target.join("release/gleaner"))
        .clone();
    let _alone = Alone::in_folder(&workspace.target.join("bench"))?;
    let mut figures = Figures::read(&file)?;
    let mut facts = machine::facts(&Candidate::all(&[GLEANER], std::slice::from_ref(&build)))?;
    facts.push(("sqlite3, which fills the ledger".to_owned(), sql::version()?));
    kept::renew(&mut figures.facts, facts);
    let surroundings = Surroundings {
        enclosure: &enclosure,
        build,
        limit: wanted.limit,
        measurement: output(Command::new("date").args(["--utc", "+%Y-%m-%dT%H:%M:%SZ"]))?
            .trim()
            .to_owned(),
        file: &file,
    };
    for subject in wanted.subjects() {
        println!("\n{}", subject.name());
        match subject {
            Subject::Files => files::measure(&surroundings, &wanted, &mut figures)?,
            Subject::Ledger => ledger::measure(&surroundings, &wanted, &mut figures)?,
            Subject::Fleet => fleet::measure(&surroundings, &wanted, &mut figures)?,
        }
    }
    println!("every run is in {}", file.display());
    match wanted.write {
        true => write_page(workspace, &figures),
        false => Ok(()),
    }
}

fn write_page(workspace: &Workspace, figures: &Figures) -> Result<()> {
    let folder = workspace.root.join("docs/reference");
    let plots = plots::all(figures);
    let page = ("growth.md".to_owned(), page::render(figures, &plots));
    let texts = plots
        .into_iter()
        .map(|plot| (plot.file.to_owned(), plot.svg))
        .chain([page]);
    for (name, text) in texts {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
        println!("written: {}", file.display());
    }
    Ok(())
}
