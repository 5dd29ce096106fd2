//! Compares `ARCHITECTURE.md` with the workspace: its sections name exactly the existing crates, and its
//! table has exactly their dependencies.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Text};
use crate::workspace::{Kind, Workspace};

const MAP: &str = "ARCHITECTURE.md";
/// The first cell of the table's heading.
const TABLE_HEAD: &str = "| crate |";

/// Maps a crate to the workspace crates that it depends on.
type Arrows = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(workspace: &Workspace, texts: &[Text]) -> Vec<Finding> {
    let Some(map) = texts.iter().find(|text| text.path == MAP) else {
        return vec![Finding::about(MAP, "the map of the project is missing")];
    };
    let folders = workspace
        .members
        .iter()
        .map(|member| member.folder.clone())
        .collect();
    let mut findings = compare_arrows(&arrows_on_the_map(&map.content), &arrows_in(workspace));
    findings.extend(compare_sections(&map.content, &folders));
    findings
}

fn arrows_in(workspace: &Workspace) -> Arrows {
    let names: BTreeSet<_> = workspace
        .members
        .iter()
        .map(|member| member.name.as_str())
        .collect();
    workspace
        .members
        .iter()
        .map(|member| {
            let ours = member
                .normal_dependencies()
                .chain(
                    member
                        .dependencies
                        .iter()
                        .filter(|dependency| dependency.kind == Kind::Build),
                )
                .filter(|dependency| names.contains(dependency.name.as_str()))
                .map(|dependency| arrow(&dependency.name, dependency.optional))
                .collect();
            (member.name.clone(), ours)
        })
        .collect()
}

fn arrow(name: &str, optional: bool) -> String {
    if optional {
        format!("{name} (feature)")
    } else {
        name.to_owned()
    }
}

/// The rows of the table. The first cell names the crate, the second its dependencies, each in backquotes. An
/// optional dependency is followed by `(feature …)`.
fn arrows_on_the_map(map: &str) -> Arrows {
    map.lines()
        .skip_while(|line| !line.starts_with(TABLE_HEAD))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|');
            let name = cells.next()?.trim().trim_matches('`').to_owned();
            let ours = cells.next()?.split(',').filter_map(|entry| {
                let name = entry.split('`').nth(1)?;
                Some(arrow(name, entry.contains("(feature")))
            });
            Some((name, ours.collect()))
        })
        .collect()
}

fn compare_arrows(map: &Arrows, workspace: &Arrows) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in workspace.keys().filter(|name| !map.contains_key(*name)) {
        findings.push(Finding::about(MAP, format!("the table omits the crate `{name}`")));
    }
    for (name, drawn) in map {
        match workspace.get(name) {
            None => findings.push(Finding::about(
                MAP,
                format!("the table names `{name}`, which is not a crate of the workspace"),
            )),
            Some(real) if real != drawn => {
                let message =
                    format!("the table lets `{name}` depend on {drawn:?}; its Cargo.toml says {real:?}");
                findings.push(Finding::about(MAP, message));
            }
            Some(_) => {}
        }
    }
    findings
}

/// Every member must have a section headed by its folder in backquotes, and every section a member.
fn compare_sections(map: &str, folders: &BTreeSet<String>) -> Vec<Finding> {
    let headed: BTreeSet<String> = map
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    let omitted = folders
        .difference(&headed)
        .map(|folder| format!("no section describes `{folder}`"));
    let gone = headed
        .difference(folders)
        .map(|folder| format!("a section describes `{folder}`, which is not a crate"));
    omitted
        .chain(gone)
        .map(|message| Finding::about(MAP, message))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::*;

    const TABLE: &str = "\
# Map

| crate | depends on ours | may never |
|---|---|---|
| `model` | – | do IO |
| `gleaner` | `model`, `sim` (feature `demo`) | judge |
";

    fn arrows(entries: &[(&str, &[&str])]) -> Arrows {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        entries
            .iter()
            .map(|(name, ours)| ((*name).to_owned(), set(ours)))
            .collect()
    }

    #[test]
    fn the_table_is_read_with_features_distinguished() {
        assert_eq!(
            arrows_on_the_map(TABLE),
            arrows(&[("model", &[]), ("gleaner", &["model", "sim (feature)"])])
        );
    }

    #[test]
    fn a_crate_that_is_omitted_invented_or_wrongly_drawn_is_found() {
        let drawn = arrows(&[("engine", &["model"]), ("ghost", &[]), ("model", &[])]);
        let real = arrows(&[("engine", &["model", "ledger"]), ("ledger", &[]), ("model", &[])]);
        let found = shown(&compare_arrows(&drawn, &real));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("omits the crate `ledger`"));
        assert!(found[1].contains("lets `engine` depend on"));
        assert!(found[2].contains("`ghost`, which is not a crate"));
    }

    #[test]
    fn sections_and_folders_are_the_same_set() {
        let folders = ["crates/model", "xtask"].map(str::to_owned).into();
        assert_eq!(
            compare_sections("### `crates/model`\n### `xtask`: chores\n", &folders),
            []
        );
        let found = shown(&compare_sections(
            "### `crates/model`\n### `crates/ghost`\n",
            &folders,
        ));
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
