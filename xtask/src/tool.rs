//! Third-party programs that the checks need, installed by cargo.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{self, cargo};
use crate::workspace::Workspace;

/// The path of our own copy or, if missing, of this version in the search path. Otherwise installs our own
/// copy, which takes a minute once.
pub(crate) fn installed(workspace: &Workspace, name: &str, version: &str) -> Result<PathBuf> {
    let folder = workspace.target.join("tools").join(format!("{name}-{version}"));
    let own = folder.join("bin").join(name);
    if own.is_file() {
        return Ok(own);
    }
    if let Some(found) = command::find(name)
        && command::output(Command::new(&found).arg("--version")).is_ok_and(|line| line.contains(version))
    {
        return Ok(found);
    }
    // Unoptimised: it runs for a second, and an optimised build would take 15 minutes.
    let mut install = cargo(&workspace.root);
    install
        .args([
            "install",
            "--locked",
            "--debug",
            name,
            "--version",
            version,
            "--root",
        ])
        .arg(&folder)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_TARGET_DIR", workspace.target.join("tools/build"));
    let hint = format!(
        "{name} is missing and could not be installed; without a network, put version {version} into the search path"
    );
    command::run(&mut install).context(hint)?;
    Ok(own)
}
