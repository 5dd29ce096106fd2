//! The Debian package: what goes where, and that the result is sound.
//!
//! Assembled with dpkg-deb from a plain folder. What the program can print about itself (manual pages, completions) is
//! printed at this moment, by the binary that is packaged.

mod check;
mod generated;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{self, cargo};
use crate::workspace::Workspace;

/// What is copied: from where in the project, to where in the package.
const COPIES: [(&str, &str); 6] = [
    (
        "packaging/systemd/gleaner-run.service",
        "lib/systemd/system/gleaner-run.service",
    ),
    (
        "packaging/systemd/gleaner-run.timer",
        "lib/systemd/system/gleaner-run.timer",
    ),
    ("packaging/sysusers.conf", "usr/lib/sysusers.d/gleaner.conf"),
    (
        "packaging/systemd/gleaner-run.service.d/store.conf",
        "usr/share/doc/gleaner/examples/store.conf",
    ),
    ("packaging/debian/copyright", "usr/share/doc/gleaner/copyright"),
    (
        "packaging/debian/lintian-overrides",
        "usr/share/lintian/overrides/gleaner",
    ),
];

/// Folders of documents, side by side as in the project, so that the links between them hold.
const DOCUMENTS: [&str; 3] = ["guides", "concepts", "reference"];

const MAINTAINER_SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// A package and what it was made of.
struct Package {
    file: PathBuf,
    /// The folder with the package's files as they will be installed.
    root: PathBuf,
}

/// Builds the release binary and the package; prints where it lies.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    assemble(workspace).map(|package| println!("{}", package.file.display()))
}

/// Builds the package and holds it against what Debian, systemd and a reader of manual pages expect.
pub(crate) fn build_and_check(workspace: &Workspace) -> Result<()> {
    check::check(&assemble(workspace)?)
}

fn assemble(workspace: &Workspace) -> Result<Package> {
    let mut build = cargo(&workspace.root);
    command::run(build.args(["build", "--release", "--locked", "--package", "gleaner"]))?;
    let root = workspace.target.join("debian/root");
    start_afresh(&root)?;
    let binary = root.join("usr/bin/gleaner");
    install(&workspace.target.join("release/gleaner"), &binary, 0o755)?;
    command::run(Command::new("strip").arg(&binary))?;
    for (source, destination) in COPIES {
        install(&workspace.root.join(source), &root.join(destination), 0o644)?;
    }
    for folder in DOCUMENTS {
        let source = workspace.root.join("docs").join(folder);
        for entry in fs::read_dir(&source).with_context(|| format!("list {}", source.display()))? {
            let document = entry?;
            let name = Path::new("usr/share/doc/gleaner")
                .join(folder)
                .join(document.file_name());
            install(&document.path(), &root.join(name), 0o644)?;
        }
    }
    let facts = Facts::gather(workspace)?;
    generated::write_example_configuration(workspace, &root)?;
    generated::write_manual_pages(&binary, &root)?;
    generated::write_completions(&binary, &root)?;
    generated::write_changelogs(workspace, &facts, &root)?;
    write_control_files(workspace, &facts, &root)?;
    let name = format!("gleaner_{}_{}.deb", facts.version, facts.architecture);
    let file = workspace.target.join("debian").join(name);
    let mut pack = Command::new("dpkg-deb");
    pack.args(["--root-owner-group", "--build"]).arg(&root).arg(&file);
    command::run(pack.env("SOURCE_DATE_EPOCH", &facts.date_epoch))?;
    Ok(Package { file, root })
}

/// What the control files say about this package.
struct Facts {
    version: String,
    architecture: String,
    /// The C library that the binary was linked with; an older one may lack what it needs.
    libc: String,
    /// Seconds since 1970 of the last commit, so that the same source makes the same package.
    date_epoch: String,
}

impl Facts {
    fn gather(workspace: &Workspace) -> Result<Self> {
        let ask = |program: &str, arguments: &[&str]| -> Result<String> {
            let mut command = Command::new(program);
            Ok(
                command::output(command.args(arguments).current_dir(&workspace.root))?
                    .trim()
                    .to_owned(),
            )
        };
        let libc = ask("dpkg-query", &["--show", "--showformat=${Version}", "libc6"])?;
        Ok(Self {
            version: workspace.member("gleaner")?.version.clone(),
            architecture: ask("dpkg", &["--print-architecture"])?,
            libc: libc.split('-').next().unwrap_or_default().to_owned(),
            date_epoch: ask("git", &["log", "-1", "--format=%ct"])?,
        })
    }
}

fn write_control_files(workspace: &Workspace, facts: &Facts, root: &Path) -> Result<()> {
    let sources = workspace.root.join("packaging/debian");
    let control = fs::read_to_string(sources.join("control")).context("read packaging/debian/control")?;
    let control = control
        .replace("@VERSION@", &facts.version)
        .replace("@ARCHITECTURE@", &facts.architecture)
        .replace("@LIBC@", &facts.libc)
        .replace("@INSTALLED_SIZE@", &kibibytes(root)?.to_string());
    // Before DEBIAN exists: the sums are of what is installed.
    let sums = "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 md5sum";
    let sums = command::output(Command::new("sh").args(["-c", sums]).current_dir(root))?;
    let debian = root.join("DEBIAN");
    write(&debian.join("md5sums"), &sums)?;
    write(&debian.join("control"), &control)?;
    install(&sources.join("conffiles"), &debian.join("conffiles"), 0o644)?;
    for script in MAINTAINER_SCRIPTS {
        install(&sources.join(script), &debian.join(script), 0o755)?;
    }
    Ok(())
}

fn kibibytes(folder: &Path) -> Result<u64> {
    let sizes = command::output(
        Command::new("du")
            .args(["--summarize", "--apparent-size", "-k"])
            .arg(folder),
    )?;
    sizes
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .parse()
        .context("read what du says")
}

fn start_afresh(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("clear {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Copies a file, makes the folders above it, and sets its mode whatever the umask.
fn install(source: &Path, destination: &Path, mode: u32) -> Result<()> {
    let bytes = fs::read(source).with_context(|| format!("read {}", source.display()))?;
    write(destination, bytes)?;
    fs::set_permissions(destination, fs::Permissions::from_mode(mode))
        .with_context(|| format!("set the mode of {}", destination.display()))
}

fn write(destination: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let folder = destination.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    fs::write(destination, content).with_context(|| format!("write {}", destination.display()))?;
    // Folders and files are readable by all, whatever the umask of the person who packs.
    for (path, mode) in [(folder, 0o755), (destination, 0o644)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}
