//! The workspace, as `cargo metadata` describes it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command;

/// The folders and members of this workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// The target folder, with `CARGO_TARGET_DIR` and the like applied.
    pub(crate) target: PathBuf,
    pub(crate) members: Vec<Member>,
}

/// One crate of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Relative to the root, with `/` between parts.
    pub(crate) folder: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One entry of a member's dependency tables.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) optional: bool,
    pub(crate) features: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Development,
    Build,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let manifest_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut cargo = command::cargo(manifest_folder);
        cargo.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]);
        Self::read(&command::output(&mut cargo)?).context("read the output of cargo metadata")
    }

    pub(crate) fn member(&self, name: &str) -> Result<&Member> {
        self.members
            .iter()
            .find(|member| member.name == name)
            .with_context(|| format!("the workspace has no crate {name}"))
    }

    fn read(json: &str) -> Result<Self> {
        let metadata: Value = serde_json::from_str(json)?;
        let root = PathBuf::from(text(&metadata, "workspace_root")?);
        let target = PathBuf::from(text(&metadata, "target_directory")?);
        let mut members = list(&metadata, "packages")?
            .iter()
            .map(|package| Member::read(package, &root))
            .collect::<Result<Vec<_>>>()?;
        members.sort_by(|left, right| left.folder.cmp(&right.folder));
        Ok(Self {
            root,
            target,
            members,
        })
    }
}

impl Member {
    fn read(package: &Value, root: &Path) -> Result<Self> {
        let manifest = PathBuf::from(text(package, "manifest_path")?);
        let folder = manifest
            .parent()
            .unwrap_or(root)
            .strip_prefix(root)?
            .to_string_lossy()
            .into_owned();
        let dependencies = list(package, "dependencies")?
            .iter()
            .map(Dependency::read)
            .collect::<Result<_>>()?;
        Ok(Self {
            name: text(package, "name")?,
            version: text(package, "version")?,
            folder,
            dependencies,
        })
    }

    /// The dependencies that are linked into this crate.
    pub(crate) fn normal_dependencies(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies
            .iter()
            .filter(|dependency| dependency.kind == Kind::Normal)
    }
}

impl Dependency {
    fn read(dependency: &Value) -> Result<Self> {
        let kind = match dependency.get("kind").and_then(Value::as_str) {
            None => Kind::Normal,
            Some("dev") => Kind::Development,
            Some(_) => Kind::Build,
        };
        let features = list(dependency, "features")?
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let optional = dependency
            .get("optional")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        Ok(Self {
            name: text(dependency, "name")?,
            kind,
            optional,
            features,
        })
    }
}

fn text(value: &Value, key: &str) -> Result<String> {
    value
        .get(key)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .with_context(|| format!("no text under {key}"))
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value
        .get(key)
        .and_then(Value::as_array)
        .with_context(|| format!("no list under {key}"))
}
