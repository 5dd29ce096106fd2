//! What the program prints about itself, and what git knows.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Facts, write};
use crate::command;
use crate::workspace::Workspace;

/// Where each shell of Debian looks for the completions of packages.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/gleaner"),
    ("zsh", "usr/share/zsh/vendor-completions/_gleaner"),
    ("fish", "usr/share/fish/vendor_completions.d/gleaner.fish"),
];

pub(super) fn write_manual_pages(binary: &Path, root: &Path) -> Result<()> {
    let unpacked = root.with_file_name("man");
    super::start_afresh(&unpacked)?;
    fs::create_dir_all(&unpacked).with_context(|| format!("make {}", unpacked.display()))?;
    command::run(Command::new(binary).args(["man", "--out"]).arg(&unpacked))?;
    for entry in fs::read_dir(&unpacked)? {
        let page = entry?.path();
        let section = page.extension().unwrap_or_default().to_string_lossy();
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        write_packed(
            &fs::read(&page)?,
            &root.join(format!("usr/share/man/man{section}/{name}.gz")),
        )?;
    }
    Ok(())
}

pub(super) fn write_completions(binary: &Path, root: &Path) -> Result<()> {
    for (shell, destination) in COMPLETIONS {
        let script = command::output(Command::new(binary).args(["completions", shell]))?;
        write(&root.join(destination), script)?;
    }
    Ok(())
}

/// Ours for users, and the one that Debian's tools read.
pub(super) fn write_changelogs(workspace: &Workspace, facts: &Facts, root: &Path) -> Result<()> {
    let folder = root.join("usr/share/doc/gleaner");
    let ours = fs::read(workspace.root.join("CHANGELOG.md")).context("read CHANGELOG.md")?;
    write_packed(&ours, &folder.join("CHANGELOG.md.gz"))?;
    let date = ["--utc", "--rfc-email", "--date"].map(str::to_owned);
    let date = command::output(
        Command::new("date")
            .args(date)
            .arg(format!("@{}", facts.date_epoch)),
    )?;
    let debian = format!(
        "gleaner ({}) unstable; urgency=medium\n\n  * What changed for users is in CHANGELOG.md.\n\n -- The gleaner \
         contributors <gleaner@localhost>  {date}",
        facts.version
    );
    write_packed(debian.as_bytes(), &folder.join("changelog.gz"))
}

/// Packs with gzip, without name and time, so that the same text makes the same bytes.
fn write_packed(content: &[u8], destination: &Path) -> Result<()> {
    let plain = destination.with_extension("");
    write(&plain, content)?;
    command::run(Command::new("gzip").args(["-9n", "--force"]).arg(&plain))
}
