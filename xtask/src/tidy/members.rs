//! Rules for the workspace's members.

use super::{Finding, Text};
use crate::workspace::{Dependency, Kind, Member, Workspace};

/// Features of tokio that reach outside the process.
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
            findings.extend(test_only_features(member));
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
            "add `[lints] workspace = true`, as in every member",
        )
    })
}

/// The engine may use tokio only to wait and to communicate within the process.
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
            let message = format!(
                "tokio's feature `{feature}` reaches outside the process; effects must go through ports"
            );
            Finding::about(format!("{}/Cargo.toml", member.folder), message)
        })
        .collect()
}

/// A feature that shipped builds must not enable.
struct TestOnlyFeature {
    feature: &'static str,
    /// The members that may enable it.
    members: &'static [&'static str],
    /// They may enable it only in their development dependencies, because they ship.
    for_development: bool,
}

const TEST_ONLY_FEATURES: [TestOnlyFeature; 2] = [
    TestOnlyFeature {
        feature: "fuzzing",
        members: &["fuzz", "instructions"],
        for_development: false,
    },
    TestOnlyFeature {
        feature: "hostile",
        members: &["gleaner"],
        for_development: true,
    },
];

fn test_only_features(member: &Member) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in &TEST_ONLY_FEATURES {
        let may_use = |dependency: &Dependency| {
            rule.members.contains(&member.name.as_str())
                && (dependency.kind == Kind::Development || !rule.for_development)
        };
        let uses = |dependency: &&Dependency| dependency.features.iter().any(|name| name == rule.feature);
        for dependency in member.dependencies.iter().filter(uses) {
            if !may_use(dependency) {
                let message = format!(
                    "the feature `{}` of {} is for tests only, and for {:?} alone",
                    rule.feature, dependency.name, rule.members
                );
                findings.push(Finding::about(format!("{}/Cargo.toml", member.folder), message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tests::{shown, text};
    use super::*;

    fn member(name: &str, folder: &str) -> Member {
        Member {
            name: name.into(),
            version: "0.1.0".into(),
            folder: folder.into(),
            dependencies: Vec::new(),
        }
    }

    #[test]
    fn a_folder_has_the_name_of_its_crate() {
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
    fn shipped_crates_enable_no_test_feature() {
        let with = |name: &str, feature: &str, kind: Kind| Member {
            dependencies: vec![Dependency {
                name: "ssh".into(),
                kind,
                optional: false,
                features: vec![feature.into()],
            }],
            ..member(name, "crates/x")
        };
        let found = |member: &Member| shown(&test_only_features(member)).len();
        assert_eq!(found(&with("gleaner", "fuzzing", Kind::Normal)), 1);
        assert_eq!(found(&with("fuzz", "fuzzing", Kind::Normal)), 0);
        assert_eq!(found(&with("instructions", "fuzzing", Kind::Normal)), 0);
        assert_eq!(found(&with("gleaner", "hostile", Kind::Normal)), 1);
        assert_eq!(found(&with("gleaner", "hostile", Kind::Development)), 0);
        assert_eq!(found(&with("ssh", "hostile", Kind::Development)), 1);
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
