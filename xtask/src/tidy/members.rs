//! Rules for the workspace's members.

use super::{Finding, Text};
use crate::workspace::{Kind, Member, Workspace};

/// Parts of tokio that reach outside the process.
const TOKIO_FEATURES_WITH_EFFECTS: [&str; 6] = ["fs", "full", "io-std", "net", "process", "signal"];

pub(super) fn check(workspace: &Workspace, texts: &[Text]) -> Vec<Finding> {
    workspace
        .members
        .iter()
        .flat_map(|member| {
            let manifest = texts
                .iter()
                .find(|text| text.path == format!("{}/Cargo.toml", member.folder));
            let mut findings = Vec::new();
            findings.extend(folder_name(member));
            findings.extend(manifest.and_then(lint_table));
            findings.extend(quiet_tokio(member));
            findings.extend(fuzzing_in_what_ships(member));
            findings
        })
        .collect()
}

fn folder_name(member: &Member) -> Option<Finding> {
    let folder = member.folder.rsplit('/').next().unwrap_or_default();
    (folder != member.name).then(|| {
        Finding::about(
            &member.folder,
            format!("the crate in this folder is called {}", member.name),
        )
    })
}

fn lint_table(manifest: &Text) -> Option<Finding> {
    let table: toml::Table = match manifest.content.parse() {
        Ok(table) => table,
        Err(error) => return Some(Finding::about(&manifest.path, error.to_string())),
    };
    let inherits = table
        .get("lints")
        .and_then(|lints| lints.get("workspace"))
        .and_then(toml::Value::as_bool);
    (inherits != Some(true)).then(|| {
        Finding::about(
            &manifest.path,
            "add `[lints] workspace = true`, as every member has it",
        )
    })
}

/// The engine may use tokio to wait and to talk within the process, no more.
fn quiet_tokio(member: &Member) -> Vec<Finding> {
    if member.name != "engine" && member.name != "model" {
        return Vec::new();
    }
    member
        .dependencies
        .iter()
        .filter(|dependency| dependency.name == "tokio" && dependency.kind == Kind::Normal)
        .flat_map(|tokio| &tokio.features)
        .filter(|feature| TOKIO_FEATURES_WITH_EFFECTS.contains(&feature.as_str()))
        .map(|feature| {
            let message =
                format!("tokio's feature `{feature}` reaches outside the process; effects go by ports");
            Finding::about(format!("{}/Cargo.toml", member.folder), message)
        })
        .collect()
}

/// Who reaches private parts, by a feature that what ships is built without.
const WITH_FUZZING: [&str; 2] = ["fuzz", "instructions"];

fn fuzzing_in_what_ships(member: &Member) -> Vec<Finding> {
    if WITH_FUZZING.contains(&member.name.as_str()) {
        return Vec::new();
    }
    member
        .dependencies
        .iter()
        .filter(|dependency| dependency.features.iter().any(|feature| feature == "fuzzing"))
        .map(|dependency| {
            let message = format!(
                "the feature `fuzzing` of {} is for {WITH_FUZZING:?} alone",
                dependency.name
            );
            Finding::about(format!("{}/Cargo.toml", member.folder), message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{shown, text};
    use super::*;
    use crate::workspace::Dependency;

    fn member(name: &str, folder: &str) -> Member {
        Member {
            name: name.into(),
            version: "0.1.0".into(),
            folder: folder.into(),
            dependencies: Vec::new(),
        }
    }

    #[test]
    fn a_folder_is_called_like_its_crate() {
        assert_eq!(folder_name(&member("engine", "crates/engine")), None);
        assert!(folder_name(&member("engine", "crates/core")).is_some());
    }

    #[test]
    fn a_member_without_the_lint_table_is_found() {
        assert!(lint_table(&text("a/Cargo.toml", "[package]\nname = \"a\"\n")).is_some());
        assert!(lint_table(&text("a/Cargo.toml", "[lints]\nworkspace = false\n")).is_some());
        assert_eq!(
            lint_table(&text("a/Cargo.toml", "[lints]\nworkspace = true\n")),
            None
        );
    }

    #[test]
    fn nobody_but_what_never_ships_reaches_private_parts() {
        let with_fuzzing = |name: &str| Member {
            dependencies: vec![Dependency {
                name: "ssh".into(),
                kind: Kind::Normal,
                optional: false,
                features: vec!["fuzzing".into()],
            }],
            ..member(name, "crates/x")
        };
        assert_eq!(shown(&fuzzing_in_what_ships(&with_fuzzing("gleaner"))).len(), 1);
        assert_eq!(fuzzing_in_what_ships(&with_fuzzing("fuzz")), []);
        assert_eq!(fuzzing_in_what_ships(&with_fuzzing("instructions")), []);
    }

    #[test]
    fn the_engine_is_refused_a_tokio_that_opens_sockets() {
        let tokio = Dependency {
            name: "tokio".into(),
            kind: Kind::Normal,
            optional: false,
            features: vec!["sync".into(), "net".into()],
        };
        let with_tokio = |name: &str| Member {
            dependencies: vec![tokio.clone()],
            ..member(name, "crates/x")
        };
        assert_eq!(shown(&quiet_tokio(&with_tokio("engine"))).len(), 1);
        assert_eq!(quiet_tokio(&with_tokio("ssh")), []);
    }
}
