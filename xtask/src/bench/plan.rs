//! The tables that the arguments ask for.

use anyhow::{Context, Result};

use super::catalogue::{Catalogue, Comparison};
use super::link::Link;
use super::options::{GrowthOptions, Options, Verb};
use super::work::Work;

/// One work over one link, done by several tools in turn.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) work: Work,
    pub(super) link: Link,
    pub(super) tools: Vec<String>,
    /// The size of a work that grows, or the percentage of another work.
    pub(super) size: usize,
    pub(super) rounds: usize,
}

pub(super) fn tables(catalogue: &Catalogue, options: &Options) -> Result<Vec<Table>> {
    match &options.verb {
        Some(Verb::Growth(options)) => growing(catalogue, options),
        None => compared(catalogue, options),
    }
}

/// Without names, all planned pairs are measured. A pair that is not planned is measured if both its names
/// are given.
fn compared(catalogue: &Catalogue, options: &Options) -> Result<Vec<Table>> {
    let is_wanted = |names: &[String], name: &String| names.is_empty() || names.contains(name);
    let mut tables = Vec::new();
    for work in catalogue
        .works
        .iter()
        .filter(|work| is_wanted(&options.works, &work.name))
    {
        for link in catalogue
            .links
            .iter()
            .filter(|link| is_wanted(&options.links, &link.name))
        {
            let planned = |it: &&Comparison| it.work == work.name;
            let comparison = catalogue
                .comparisons
                .iter()
                .filter(planned)
                .find(|it| it.link == link.name);
            let both_given = !options.works.is_empty() && !options.links.is_empty();
            let nearest = || catalogue.comparisons.iter().find(planned).filter(|_| both_given);
            let Some(comparison) = comparison.or_else(nearest) else {
                continue;
            };
            tables.push(Table {
                work: work.scaled(options.scale),
                link: link.clone(),
                tools: if options.tools.is_empty() {
                    comparison.tools.clone()
                } else {
                    options.tools.clone()
                },
                size: usize::try_from(options.scale)?,
                rounds: options.common.rounds,
            });
        }
    }
    Ok(tables)
}

fn growing(catalogue: &Catalogue, options: &GrowthOptions) -> Result<Vec<Table>> {
    let loopback = catalogue.links.first().context("no link")?;
    let mut tables = Vec::new();
    for growth in &catalogue.growths {
        if !options.of.is_empty() && !options.of.contains(&growth.of) {
            continue;
        }
        let most = options.most.or(growth.usual_most).unwrap_or(usize::MAX);
        for size in &growth.sizes {
            if !(options.least..=most).contains(size) {
                continue;
            }
            tables.push(Table {
                work: growth.work(*size),
                link: loopback.clone(),
                tools: growth.tools.clone(),
                size: *size,
                rounds: if growth.repeated_up_to.is_some_and(|most| *size > most) {
                    options.common.rounds.min(1)
                } else {
                    options.common.rounds
                },
            });
        }
    }
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use super::super::options::tests::read;
    use super::*;

    fn tables_of(line: &str) -> Vec<Table> {
        tables(&Catalogue::load().unwrap(), &read(line).unwrap()).unwrap()
    }

    #[test]
    fn names_choose_among_the_plan_and_go_beyond_it_together() {
        let catalogue = Catalogue::load().unwrap();
        assert_eq!(tables_of("").len(), catalogue.comparisons.len());
        assert_eq!(tables_of("--work small").len(), 2);
        let beyond = tables_of("--work small --link mobile --tool tar");
        assert_eq!(
            (beyond.len(), beyond[0].tools.as_slice()),
            (1, ["tar".to_owned()].as_slice())
        );
    }

    #[test]
    fn sizes_choose_among_those_that_grow() {
        let chosen = |line: &str| -> Vec<_> {
            let tables = tables_of(line).into_iter();
            tables.map(|it| (it.work.name, it.size, it.rounds)).collect()
        };
        let fleet = "growth --of fleet --least 20 --most 100";
        let expected = [
            ("fleet-idle".to_owned(), 50, 3),
            ("fleet-idle".to_owned(), 100, 1),
        ];
        assert_eq!(chosen(fleet)[..2], expected);
        assert!(!chosen(fleet).contains(&("fleet-idle".to_owned(), 10, 3)));
    }

    #[test]
    fn the_slowest_sizes_are_measured_only_on_request() {
        let has_million = |line: &str| tables_of(line).iter().any(|it| it.size == 1_000_000);
        assert!(!has_million("growth --of files") && has_million("growth --of files --most 1000000"));
        assert!(has_million("growth --of ledger"));
    }
}
