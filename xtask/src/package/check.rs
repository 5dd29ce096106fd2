//! That the package is sound: everything in its place, units that systemd accepts, manual pages that render.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::{MAINTAINER_SCRIPTS, Package};
use crate::command;

/// What a user will look for.
const EXPECTED: [&str; 12] = [
    "./usr/bin/gleaner",
    "./lib/systemd/system/gleaner-run.service",
    "./lib/systemd/system/gleaner-run.timer",
    "./usr/lib/sysusers.d/gleaner.conf",
    "./etc/gleaner/gleaner.toml.example",
    "./usr/share/doc/gleaner/examples/gleaner.toml",
    "./usr/share/doc/gleaner/examples/store.conf",
    "./usr/share/man/man1/gleaner.1.gz",
    "./usr/share/man/man1/gleaner-run.1.gz",
    "./usr/share/bash-completion/completions/gleaner",
    "./usr/share/zsh/vendor-completions/_gleaner",
    "./usr/share/fish/vendor_completions.d/gleaner.fish",
];

pub(super) fn check(package: &Package) -> Result<()> {
    everything_is_in_its_place(package)?;
    the_example_is_a_valid_configuration(package)?;
    scripts_parse(package)?;
    units_verify(package)?;
    manual_pages_render(package)?;
    lintian_is_content(package)
}

fn everything_is_in_its_place(package: &Package) -> Result<()> {
    let listing = command::output(Command::new("dpkg-deb").arg("--contents").arg(&package.file))?;
    let paths: Vec<_> = listing
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .collect();
    for expected in EXPECTED {
        ensure!(
            paths.contains(&expected),
            "{expected} is not in the package:\n{listing}"
        );
    }
    let foreign = listing.lines().find(|line| !line.contains(" root/root "));
    ensure!(
        foreign.is_none(),
        "everything in the package belongs to root, but not {foreign:?}"
    );
    Ok(())
}

fn the_example_is_a_valid_configuration(package: &Package) -> Result<()> {
    let binary = package.root.join("usr/bin/gleaner");
    let example = package.root.join("etc/gleaner/gleaner.toml.example");
    command::run(
        Command::new(binary)
            .arg("--config")
            .arg(example)
            .args(["config", "check"]),
    )
}

fn scripts_parse(package: &Package) -> Result<()> {
    for script in MAINTAINER_SCRIPTS {
        command::run(
            Command::new("sh")
                .arg("-n")
                .arg(package.root.join("DEBIAN").join(script)),
        )?;
    }
    Ok(())
}

/// The units as they are, but for the path of the binary, which is not installed here.
fn units_verify(package: &Package) -> Result<()> {
    let folder = package.root.with_file_name("units");
    super::start_afresh(&folder)?;
    let binary = package.root.join("usr/bin/gleaner");
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no", "--recursive-errors=yes"]);
    for unit in ["gleaner-run.service", "gleaner-run.timer"] {
        let text = fs::read_to_string(package.root.join("lib/systemd/system").join(unit))?;
        let here = folder.join(unit);
        super::write(&here, text.replace("/usr/bin/gleaner", &binary.to_string_lossy()))?;
        verify.arg(here);
    }
    let drop_in = folder.join("gleaner-run.service.d/store.conf");
    super::install(
        &package.root.join("usr/share/doc/gleaner/examples/store.conf"),
        &drop_in,
        0o644,
    )?;
    silent(&mut verify)
}

fn manual_pages_render(package: &Package) -> Result<()> {
    let mut man = Command::new("man");
    man.args(["--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l"]);
    man.env("LC_ALL", "C.UTF-8")
        .env("MANROFFSEQ", "")
        .env("MANWIDTH", "80");
    for section in fs::read_dir(package.root.join("usr/share/man"))? {
        for page in fs::read_dir(section?.path())? {
            man.arg(page?.path());
        }
    }
    silent(&mut man)
}

/// Only where lintian is installed; it draws in half of Perl.
fn lintian_is_content(package: &Package) -> Result<()> {
    let Some(lintian) = command::find("lintian") else {
        println!("lintian is not installed; the package was not held against Debian's policy");
        return Ok(());
    };
    command::run(
        Command::new(lintian)
            .args(["--allow-root", "--fail-on=error,warning"])
            .arg(&package.file),
    )
}

/// Runs a checker that must find nothing to say on standard error.
fn silent(command: &mut Command) -> Result<()> {
    let program = PathBuf::from(command.get_program());
    let program = Path::new(&program).display();
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .with_context(|| format!("start {program}"))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !complaints.trim().is_empty() {
        bail!("{program} ({}) says: {complaints}", output.status);
    }
    println!("{program} finds nothing to complain about");
    Ok(())
}
