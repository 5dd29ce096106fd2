//! `docs/reference`: pages that the program writes. They are checked in, so that they can be read and
//! compared without a build.
//!
//! Pages without [`MARK`] are written by hand and left alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{self, cargo};
use crate::workspace::Workspace;

/// A comment near the top of every page that the program writes.
const MARK: &str = "<!-- Made from the program itself";

/// Writes all pages. Removes pages that the program no longer writes.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    let made = make(workspace)?;
    let folder = folder(workspace);
    for (stale, _) in generated(pages(&folder)?).filter(|(name, _)| !made.contains_key(name)) {
        fs::remove_file(folder.join(stale))?;
    }
    fs::create_dir_all(&folder)?;
    for (name, content) in &made {
        fs::write(folder.join(name), content).with_context(|| format!("write {}", name.display()))?;
    }
    println!("wrote {} pages to {}", made.len(), folder.display());
    Ok(())
}

/// An error that names every page that differs from what the program would write now.
pub(crate) fn check(workspace: &Workspace) -> Result<String> {
    let made = make(workspace)?;
    let kept = pages(&folder(workspace))?;
    let outdated = made
        .iter()
        .filter(|(name, page)| kept.get(*name) != Some(*page))
        .map(|(name, _)| name.clone());
    let stale = generated(kept.clone())
        .map(|(name, _)| name)
        .filter(|name| !made.contains_key(name));
    let names: Vec<PathBuf> = outdated.chain(stale).collect();
    if !names.is_empty() {
        bail!("docs/reference is out of date ({names:?}); type: cargo xtask reference");
    }
    Ok(format!("{} pages are up to date", made.len()))
}

fn generated(pages: BTreeMap<PathBuf, String>) -> impl Iterator<Item = (PathBuf, String)> {
    pages.into_iter().filter(|(_, content)| content.contains(MARK))
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.root.join("docs/reference")
}

fn make(workspace: &Workspace) -> Result<BTreeMap<PathBuf, String>> {
    let fresh = workspace.target.join("reference");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).with_context(|| format!("clear {}", fresh.display()))?;
    }
    command::run(cargo(&workspace.root).args([
        "build",
        "--workspace",
        "--locked",
        "--example",
        "reference",
    ]))?;
    command::run(Command::new(workspace.target.join("debug/examples/reference")).arg(&fresh))?;
    pages(&fresh)
}

/// The files of a folder by name. Empty if the folder does not exist.
fn pages(folder: &Path) -> Result<BTreeMap<PathBuf, String>> {
    if !folder.exists() {
        return Ok(BTreeMap::new());
    }
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let entry = entry?;
        let content =
            fs::read_to_string(entry.path()).with_context(|| format!("read {}", entry.path().display()))?;
        pages.insert(entry.file_name().into(), content);
    }
    Ok(pages)
}
