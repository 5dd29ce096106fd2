//! cargo-deny: whose code we take in, under which licences, and which crate may use it (`deny.toml`).
//!
//! Advisories are left out: their database needs a network that not every machine with this source has.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::command::{self, cargo};
use crate::workspace::Workspace;

/// Pinned, so that a new release cannot fail an old commit.
const VERSION: &str = "0.20.2";

pub(crate) fn check(workspace: &Workspace) -> Result<String> {
    let program = cargo_deny(workspace)?;
    let mut deny = std::process::Command::new(program);
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

/// Our own copy, else the one in the search path, else our own copy freshly installed (once, some minutes).
fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace
        .target
        .join("tools")
        .join(format!("cargo-deny-{VERSION}"));
    let own = folder.join("bin/cargo-deny");
    if own.is_file() {
        return Ok(own);
    }
    if let Some(found) = command::find("cargo-deny") {
        return Ok(found);
    }
    // Unoptimised: it runs for a second, and an optimised build would take a quarter of an hour.
    let mut install = cargo(&workspace.root);
    install
        .args([
            "install",
            "--locked",
            "--debug",
            "cargo-deny",
            "--version",
            VERSION,
            "--root",
        ])
        .arg(&folder);
    install
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_TARGET_DIR", workspace.target.join("tools/build"));
    command::run(&mut install).context(
        "cargo-deny is not installed and could not be; on a machine without a network, put it into the search path",
    )?;
    Ok(own)
}
