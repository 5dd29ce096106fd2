//! What the program prints about itself, and what git knows.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Facts, write};
use crate::command;
use crate::workspace::Workspace;

/// Where each shell of Debian looks for the completions of packages.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/gleaner"),
    ("zsh", "usr/share/zsh/vendor-completions/_gleaner"),
    ("fish", "usr/share/fish/vendor_completions.d/gleaner.fish"),
];

/// The example of `gleaner config init`, with the ledger's path written out: under systemd it would be found without, but
/// not by a person who types `sudo -u gleaner gleaner status`.
pub(super) fn write_example_configuration(workspace: &Workspace, root: &Path) -> Result<()> {
    let path = "crates/gleaner/assets/example.toml";
    let example = fs::read_to_string(workspace.root.join(path)).with_context(|| format!("read {path}"))?;
    let example = with_ledger_path(&example)?;
    for destination in [
        "etc/gleaner/gleaner.toml.example",
        "usr/share/doc/gleaner/examples/gleaner.toml",
    ] {
        write(&root.join(destination), &example)?;
    }
    Ok(())
}

fn with_ledger_path(example: &str) -> Result<String> {
    const COMMENTED: &str = "# [ledger]\n# path = \"/var/lib/gleaner/ledger.db\"";
    const MEANT: &str = "[ledger]\npath = \"/var/lib/gleaner/ledger.db\"";
    ensure!(
        example.matches(COMMENTED).count() == 1,
        "the example configuration has no longer the lines\n{COMMENTED}"
    );
    Ok(example.replace(COMMENTED, MEANT))
}

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
    command::output(Command::new("gzip").args(["-9n", "--force"]).arg(&plain)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_and_a_person_find_the_same_ledger() {
        let workspace = Workspace::load().unwrap();
        let example = fs::read_to_string(workspace.root.join("crates/gleaner/assets/example.toml")).unwrap();
        let packaged: toml::Table = with_ledger_path(&example).unwrap().parse().unwrap();
        assert_eq!(
            packaged["ledger"]["path"].as_str(),
            Some("/var/lib/gleaner/ledger.db")
        );
    }
}
