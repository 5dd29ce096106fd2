//! Runs cargo-deny: which dependencies are allowed, under which licences, and which crate may use them
//! (`deny.toml`).
//!
//! Advisories are not checked: their database needs a network, which not every machine with this source has.

use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{command, tool};

/// Pinned, so that a new release cannot fail an old commit.
const VERSION: &str = "0.20.2";

pub(crate) fn check(workspace: &Workspace) -> Result<String> {
    let mut deny = Command::new(tool::installed(workspace, "cargo-deny", VERSION)?);
    deny.current_dir(&workspace.root);
    deny.args([
        "--workspace",
        "--all-features",
        "--locked",
        "check",
        "licenses",
        "bans",
        "sources",
    ]);
    command::run(&mut deny)?;
    Ok(String::new())
}
