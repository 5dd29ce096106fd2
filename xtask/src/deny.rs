//! cargo-deny: whose code we take in, under which licences, and which crate may use it (`deny.toml`).
//!
//! Advisories are left out: their database needs a network that not every machine with this source has.

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
