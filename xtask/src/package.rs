//! The Debian package: gathers what the program prints about itself, packs it with cargo-deb, and checks the
//! result.
//!
//! `[package.metadata.deb]` in gleaner's `Cargo.toml` says which file goes where.

mod check;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::{self, cargo};
use crate::tool;
use crate::workspace::Workspace;

/// Pinned, so that a new release cannot change the package of an old commit.
const CARGO_DEB: &str = "3.8.0";
const EXAMPLE: &str = "crates/gleaner/assets/example.toml";

/// Builds the release binary and the package, and prints the path of the package.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    assemble(workspace).map(|package| println!("{}", package.display()))
}

/// Builds the package and checks it against Debian, systemd and man.
pub(crate) fn build_and_check(workspace: &Workspace) -> Result<String> {
    let package = assemble(workspace)?;
    let left_out = check::check(&package)?;
    let name = package.file_name().unwrap_or_default().to_string_lossy();
    let tenths = fs::metadata(&package)?.len() / 100_000;
    Ok(format!("{name}, {}.{} MB{left_out}", tenths / 10, tenths % 10))
}

fn assemble(workspace: &Workspace) -> Result<PathBuf> {
    let root = &workspace.root;
    command::run(cargo(root).args(["build", "--release", "--locked", "--package", "gleaner"]))?;
    // The time of the last commit, in seconds since 1970, so that the same source makes the same package.
    let date = output_of(root, "git", &["log", "-1", "--format=%ct"])?;
    let version = &workspace.member("gleaner")?.version;
    print_what_is_packed(workspace, version, &date)?;
    let architecture = output_of(root, "dpkg", &["--print-architecture"])?;
    let file = workspace
        .target
        .join("debian")
        .join(format!("gleaner_{version}_{architecture}.deb"));
    let mut pack = Command::new(tool::installed(workspace, "cargo-deb", CARGO_DEB)?);
    pack.args([
        "--no-build",
        "--strip",
        "--locked",
        "--package",
        "gleaner",
        "--output",
    ])
    .arg(&file);
    command::run(pack.current_dir(root).env("SOURCE_DATE_EPOCH", date))?;
    Ok(file)
}

/// Writes the texts that the program and git provide, below `target/release/package`.
fn print_what_is_packed(workspace: &Workspace, version: &str, date: &str) -> Result<()> {
    let read =
        |path: &str| fs::read_to_string(workspace.root.join(path)).with_context(|| format!("read {path}"));
    let gleaner = workspace.target.join("release/gleaner");
    let folder = emptied(workspace.target.join("release/package"))?;
    fs::write(folder.join("gleaner.toml"), with_ledger_path(&read(EXAMPLE)?)?)?;
    command::run(
        Command::new(&gleaner)
            .args(["man", "--out"])
            .arg(emptied(folder.join("man"))?),
    )?;
    let completions = emptied(folder.join("completions"))?;
    for shell in ["bash", "zsh", "fish"] {
        let script = command::output(Command::new(&gleaner).args(["completions", shell]))?;
        fs::write(completions.join(format!("gleaner.{shell}")), script)?;
    }
    // CHANGELOG.md is for users; `changelog` is the file that Debian's tools read.
    let date = output_of(
        &folder,
        "date",
        &["--utc", "--rfc-email", &format!("--date=@{date}")],
    )?;
    let changelog = format!(
        "gleaner ({version}) unstable; urgency=medium\n\n  * What changed for users is in CHANGELOG.md.\n\n \
         -- The gleaner contributors <gleaner@localhost>  {date}\n"
    );
    fs::write(folder.join("changelog"), changelog)?;
    fs::write(folder.join("CHANGELOG.md"), read("CHANGELOG.md")?)?;
    // No name and no time, so that the same text makes the same bytes.
    let mut gzip = Command::new("gzip");
    command::run(
        gzip.current_dir(&folder)
            .args(["-9nr", "changelog", "CHANGELOG.md", "man"]),
    )
}

/// The output of a program, without the final line break.
fn output_of(folder: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let answer = command::output(Command::new(program).args(arguments).current_dir(folder))?;
    Ok(answer.trim_end().to_owned())
}

fn emptied(folder: PathBuf) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("clear {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

/// The example of `gleaner config init` with the path of the ledger written out. Under systemd gleaner finds
/// the ledger without it, but `sudo -u gleaner gleaner status` would not.
fn with_ledger_path(example: &str) -> Result<String> {
    const COMMENTED: &str = "# [ledger]\n# path = \"/var/lib/gleaner/ledger.db\"";
    const MEANT: &str = "[ledger]\npath = \"/var/lib/gleaner/ledger.db\"";
    ensure!(
        example.matches(COMMENTED).count() == 1,
        "the example configuration no longer has the lines\n{COMMENTED}"
    );
    Ok(example.replace(COMMENTED, MEANT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_and_an_operator_find_the_same_ledger() {
        let workspace = Workspace::load().unwrap();
        let example = fs::read_to_string(workspace.root.join(EXAMPLE)).unwrap();
        let packaged: toml::Table = with_ledger_path(&example).unwrap().parse().unwrap();
        assert_eq!(
            packaged["ledger"]["path"].as_str(),
            Some("/var/lib/gleaner/ledger.db")
        );
    }
}
