//! Checks the package: all files are present, systemd accepts the units, and the manual pages render.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::emptied;
use crate::command;

/// Files that users look for.
const EXPECTED: [&str; 13] = [
    "usr/bin/gleaner",
    "lib/systemd/system/gleaner-run.service",
    "lib/systemd/system/gleaner-run.timer",
    "usr/lib/sysusers.d/gleaner.conf",
    "etc/gleaner/gleaner.toml.example",
    "usr/share/doc/gleaner/examples/gleaner.toml",
    "usr/share/doc/gleaner/examples/store.conf",
    "usr/share/man/man1/gleaner.1.gz",
    "usr/share/man/man1/gleaner-run.1.gz",
    "usr/share/man/man5/gleaner.toml.5.gz",
    "usr/share/bash-completion/completions/gleaner",
    "usr/share/zsh/vendor-completions/_gleaner",
    "usr/share/fish/vendor_completions.d/gleaner.fish",
];

/// Returns which check was skipped, for the figure. Empty if none was.
pub(super) fn check(package: &Path) -> Result<&'static str> {
    let root = emptied(package.with_file_name("root"))?;
    command::run(
        Command::new("dpkg-deb")
            .arg("--raw-extract")
            .args([package, &root]),
    )?;
    everything_is_in_its_place(package, &root)?;
    the_control_files_say_what_they_must(package, &root)?;
    the_example_is_a_valid_configuration(&root)?;
    for script in ["postinst", "prerm", "postrm"] {
        command::run(Command::new("sh").arg("-n").arg(root.join("DEBIAN").join(script)))?;
    }
    units_verify(&root)?;
    manual_pages_render(&root)?;
    lintian_is_content(package)
}

fn everything_is_in_its_place(package: &Path, root: &Path) -> Result<()> {
    for expected in EXPECTED {
        ensure!(root.join(expected).is_file(), "{expected} is not in the package");
    }
    let listing = command::output(Command::new("dpkg-deb").arg("--contents").arg(package))?;
    let foreign = listing.lines().find(|line| !line.contains(" 0/0 "));
    ensure!(
        foreign.is_none(),
        "everything in the package must belong to root, unlike {foreign:?}"
    );
    Ok(())
}

/// cargo-deb only warns if it cannot find out which libraries the binary needs.
fn the_control_files_say_what_they_must(package: &Path, root: &Path) -> Result<()> {
    let mut field = Command::new("dpkg-deb");
    let depends = command::output(field.arg("--field").arg(package).arg("Depends"))?;
    ensure!(
        depends.contains("libc6 (>="),
        "the package must depend on libc6, but depends on `{depends}`"
    );
    let kept = fs::read_to_string(root.join("DEBIAN/conffiles"))?;
    ensure!(
        kept.contains("/etc/gleaner/gleaner.toml.example"),
        "the example is not among the configuration files: {kept}"
    );
    Ok(())
}

fn the_example_is_a_valid_configuration(root: &Path) -> Result<()> {
    let example = root.join("etc/gleaner/gleaner.toml.example");
    let mut gleaner = Command::new(root.join("usr/bin/gleaner"));
    command::run(gleaner.arg("--config").arg(example).args(["config", "check"]))
}

/// Verifies the units. Only the path of the binary is changed, because it is not installed here.
fn units_verify(root: &Path) -> Result<()> {
    let folder = emptied(root.with_file_name("units"))?;
    let binary = root.join("usr/bin/gleaner");
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no", "--recursive-errors=yes"]);
    for unit in ["gleaner-run.service", "gleaner-run.timer"] {
        let text = fs::read_to_string(root.join("lib/systemd/system").join(unit))?;
        let here = folder.join(unit);
        fs::write(&here, text.replace("/usr/bin/gleaner", &binary.to_string_lossy()))?;
        verify.arg(here);
    }
    let drop_ins = emptied(folder.join("gleaner-run.service.d"))?;
    let drop_in = root.join("usr/share/doc/gleaner/examples/store.conf");
    fs::copy(drop_in, drop_ins.join("store.conf"))?;
    silent(&mut verify)
}

fn manual_pages_render(root: &Path) -> Result<()> {
    let mut man = Command::new("man");
    man.args(["--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l"]);
    man.envs([("LC_ALL", "C.UTF-8"), ("MANROFFSEQ", ""), ("MANWIDTH", "80")]);
    for section in fs::read_dir(root.join("usr/share/man"))? {
        for page in fs::read_dir(section?.path())? {
            man.arg(page?.path());
        }
    }
    silent(&mut man)
}

/// Runs only if lintian is installed: installing it would pull in half of Perl.
fn lintian_is_content(package: &Path) -> Result<&'static str> {
    let Some(lintian) = command::find("lintian") else {
        return Ok(", without lintian");
    };
    let mut lintian = Command::new(lintian);
    lintian.args(["--allow-root", "--fail-on=error,warning"]);
    command::run(lintian.arg(package))?;
    Ok("")
}

/// Runs a checker, which must print nothing on standard error.
fn silent(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("start {program}"))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && complaints.trim().is_empty(),
        "{program} ({}): {complaints}",
        output.status
    );
    println!("{program}: no complaints");
    Ok(())
}
