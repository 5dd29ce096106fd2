//! The entries of `catalogue.toml`: everything that can be measured.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::goals::Goal;
use super::link::Link;
use super::results::Figure;
use super::work::{Growth, Work};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Catalogue {
    pub(super) links: Vec<Link>,
    pub(super) works: Vec<Work>,
    pub(super) tools: Vec<Tool>,
    /// Works of one size, done by several tools.
    pub(super) comparisons: Vec<Comparison>,
    /// Works of several sizes, done by gleaner alone.
    pub(super) growths: Vec<Growth>,
    pub(super) columns: BTreeMap<String, Vec<Column>>,
}

/// Which tools do a work over a link, unless the arguments name others.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Comparison {
    pub(super) work: String,
    pub(super) link: String,
    pub(super) tools: Vec<String>,
    #[serde(default)]
    pub(super) goals: Vec<Goal>,
}

/// A way of emptying devices, or a command that is timed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tool {
    pub(super) name: String,
    /// Description for the page.
    pub(super) about: String,
    /// The program that must be installed beside those of the lab.
    #[serde(default = "ssh")]
    pub(super) program: String,
    /// The command line, for a shell.
    pub(super) script: String,
    /// Whether the files remain on the devices.
    #[serde(default)]
    pub(super) copies_only: bool,
    #[serde(default)]
    pub(super) visits: Visits,
    /// Whether gleaner works on all devices at once, instead of its default of 16.
    #[serde(default)]
    pub(super) all_at_once: bool,
    /// Number of files that are recorded on the second device before each run.
    #[serde(default)]
    pub(super) new_files: usize,
}

/// Which of gleaner's visits is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Visits {
    #[default]
    First,
    /// The second visit, with as many files recorded since the first.
    Again,
    /// The second visit. The first gathered all files, and they remain because the configuration says so.
    Kept,
}

/// A figure in a table of a work that grows.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Column {
    pub(super) heading: String,
    pub(super) figure: Figure,
    pub(super) digits: usize,
}

fn ssh() -> String {
    "ssh".to_owned()
}

impl Catalogue {
    pub(super) fn load() -> Result<Self> {
        toml::from_str(include_str!("catalogue.toml")).context("read catalogue.toml")
    }

    pub(super) fn goals_of(&self, work: &str, link: &str) -> &[Goal] {
        let is_it = |it: &&Comparison| it.work == work && it.link == link;
        let comparison = self.comparisons.iter().find(is_it);
        comparison.map_or(&[], |it| it.goals.as_slice())
    }

    /// The tools that are compared, in the catalogue's order.
    pub(super) fn compared_tools(&self) -> impl Iterator<Item = &Tool> {
        let is_compared = |tool: &&Tool| self.comparisons.iter().any(|it| it.tools.contains(&tool.name));
        self.tools.iter().filter(is_compared)
    }
}

impl Tool {
    pub(super) fn is_gleaner(&self) -> bool {
        self.script.contains("$GLEANER")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_catalogue_names_only_what_there_is() {
        let catalogue = Catalogue::load().unwrap();
        let is_tool = |name: &String| catalogue.tools.iter().any(|it| it.name == *name);
        for comparison in &catalogue.comparisons {
            assert!(
                catalogue.works.iter().any(|it| it.name == comparison.work),
                "{comparison:?}"
            );
            assert!(
                catalogue.links.iter().any(|it| it.name == comparison.link),
                "{comparison:?}"
            );
            assert!(comparison.tools.iter().all(is_tool), "{comparison:?}");
            let mut peers = comparison.goals.iter().filter_map(Goal::peer);
            assert!(
                peers.all(|peer| comparison.tools.iter().any(|it| it == peer)),
                "{comparison:?}"
            );
        }
        for growth in &catalogue.growths {
            assert!(growth.tools.iter().all(is_tool), "{growth:?}");
            assert!(catalogue.columns.contains_key(&growth.columns), "{growth:?}");
        }
    }

    #[test]
    fn no_entry_has_the_name_of_another() {
        let catalogue = Catalogue::load().unwrap();
        let tools: BTreeSet<_> = catalogue.tools.iter().map(|it| &it.name).collect();
        assert_eq!(tools.len(), catalogue.tools.len());
        let works = catalogue.works.iter().map(|it| &it.name);
        assert_eq!(works.collect::<BTreeSet<_>>().len(), catalogue.works.len());
        let growths = catalogue.growths.iter().map(|it| &it.name);
        assert_eq!(growths.collect::<BTreeSet<_>>().len(), catalogue.growths.len());
    }
}
