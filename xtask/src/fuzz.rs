//! Builds the fuzzer with libFuzzer, runs it for some time and prints a table.
//!
//! It needs no further tool. Flags switch on the compiler's own coverage, in a separate target folder, so
//! that nothing else is rebuilt.

mod build;
mod corpus;
mod outcome;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::command::{self, cargo};
use crate::workspace::Workspace;
use corpus::{Room, is_named};
use outcome::Outcome;

/// Default time for each target. All targets together take less than two minutes.
const SECONDS: u64 = 8;
/// Longer inputs are slower and find nothing new.
const MAX_INPUT_BYTES: usize = 4096;
/// Real replies of a device are longer than the inputs of other targets.
const MAX_INPUT_BYTES_OF_A_SESSION: usize = 16_384;
/// An input that takes more seconds is a finding. The slowest good inputs take a fiftieth of that.
const MAX_SECONDS_PER_INPUT: u64 = 20;
/// More memory than this, in MiB, is a finding, whatever limit the target sets.
const MAX_MEMORY: u64 = 1024;

/// What to do. By default, each target is fuzzed for some seconds, each time in the same way.
#[derive(Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Options {
    /// Fuzz each target for this long; the next long run continues from the inputs found
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Only this target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Run one input again; the name of its folder is its target
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seconds", "target", "minimise"])]
    replay: Option<PathBuf>,
    /// Keep only the few inputs of all targets that reach the most code
    #[arg(long, conflicts_with_all = ["seconds", "target"])]
    minimise: bool,
}

/// The fuzzer and its folders.
struct Fuzzer {
    program: PathBuf,
    /// Inputs and dictionaries: the project's folder `fuzz`.
    kept: PathBuf,
    /// Findings, kept until the target folder is cleaned.
    work: PathBuf,
}

/// Runs what the options ask for and returns its figure.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<String> {
    let fuzzer = Fuzzer {
        program: build::fuzzer(workspace)?,
        kept: workspace.root.join("fuzz"),
        work: workspace.target.join("fuzz"),
    };
    if let Some(file) = &options.replay {
        return fuzzer.replay(file);
    }
    let all = fuzzer.targets()?;
    match &options.target {
        _ if options.minimise => fuzzer.minimise(&all),
        None => fuzzer.fuzz_all(&all, options.seconds),
        Some(only) if all.contains(only) => fuzzer.fuzz_all(std::slice::from_ref(only), options.seconds),
        Some(only) => bail!("unknown target `{only}`; the targets are {}", all.join(", ")),
    }
}

/// Fuzzes every target for some seconds. Also lints the fuzzer, which no other build includes.
pub(crate) fn prove(workspace: &Workspace) -> Result<String> {
    let lints = [
        "clippy",
        "--workspace",
        "--locked",
        "--features",
        "fuzz/libfuzzer",
        "--bin",
        "fuzzer",
    ];
    command::run(cargo(&workspace.root).args(lints).args(["--", "-D", "warnings"]))?;
    run(workspace, &Options::default())
}

impl Fuzzer {
    /// The targets, by the names of their input folders. A test compares these with the code.
    fn targets(&self) -> Result<Vec<String>> {
        let folders = files_in(&self.kept.join("corpus"))?;
        let name = |folder: &PathBuf| {
            folder
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        Ok(folders.iter().map(name).collect())
    }

    fn fuzz_all(&self, targets: &[String], seconds: Option<u64>) -> Result<String> {
        println!("{}", Outcome::HEAD);
        let (mut total, mut findings) = (Outcome::default(), Vec::new());
        for target in targets {
            let outcome = self.fuzz(target, seconds)?;
            println!("{}", outcome.row(target));
            if let Some(finding) = outcome.finding.as_deref() {
                println!("{}", outcome.end);
                println!(
                    "to replay it, type: cargo xtask fuzz --replay {}",
                    finding.display()
                );
                findings.push(target.as_str());
            }
            total.add(&outcome);
        }
        println!("{}", total.row("all"));
        if !findings.is_empty() {
            bail!("findings in: {}", findings.join(", "));
        }
        Ok(total.figure())
    }

    fn fuzz(&self, target: &str, seconds: Option<u64>) -> Result<Outcome> {
        let found = match seconds {
            Some(_) => self.found(target)?,
            // Always starts from the same inputs, regardless of what a longer run has found.
            None => emptied(&self.work.join("brief").join(target))?,
        };
        let findings = self.work.join("findings").join(target);
        fs::create_dir_all(&findings)?;
        let mut command = self.command(target);
        command
            .arg(format!("-max_total_time={}", seconds.unwrap_or(SECONDS)))
            .arg(format!("-artifact_prefix={}/", findings.display()));
        if seconds.is_none() {
            command.arg("-seed=1");
        }
        let dictionary = self.kept.join("dictionaries").join(format!("{target}.dict"));
        if dictionary.is_file() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        command.arg(&found).arg(self.corpus(target));
        let started = Instant::now();
        let output = command
            .stdout(Stdio::null())
            .output()
            .context("start the fuzzer")?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        fs::write(self.work.join(format!("{target}.log")), &log)?;
        let outcome = Outcome::read(&log, output.status.success(), started.elapsed());
        outcome.with_context(|| format!("fuzz {target}; its last output:\n{}", outcome::end_of(&log)))
    }

    /// Runs one input and prints everything about it.
    fn replay(&self, file: &Path) -> Result<String> {
        let file = file
            .canonicalize()
            .with_context(|| format!("find {}", file.display()))?;
        let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
        let targets = self.targets()?;
        let Some(target) = targets.iter().find(|target| folder == target.as_str()) else {
            bail!("the name of its folder must be a target: {}", targets.join(", "));
        };
        command::run(self.command(target).env("RUST_BACKTRACE", "1").arg(&file))?;
        println!("no finding for {}", file.display());
        Ok("1 input, 0 findings".to_owned())
    }

    /// Moves all unnamed inputs to those found by long runs, then takes the best of them back.
    fn minimise(&self, targets: &[String]) -> Result<String> {
        let mut inputs = Vec::new();
        for (number, target) in targets.iter().enumerate() {
            let (corpus, found) = (self.corpus(target), self.found(target)?);
            for file in files_in(&corpus)?.iter().filter(|file| !is_named(file)) {
                fs::copy(file, found.join(file.file_name().unwrap_or_default()))?;
                fs::remove_file(file)?;
            }
            let record = self.record(target, &[&found, &corpus])?;
            inputs.extend(corpus::read_record(number, &record)?);
        }
        let kept = corpus::choose(inputs, Room::MAX)?;
        for input in kept.iter().filter(|input| !is_named(&input.file)) {
            let target = input.file.parent().and_then(Path::file_name).unwrap_or_default();
            let corpus = self.kept.join("corpus").join(target);
            fs::copy(
                &input.file,
                corpus.join(input.file.file_name().unwrap_or_default()),
            )?;
        }
        let bytes: usize = kept.iter().map(|input| input.bytes).sum();
        let figure = format!("{} inputs, {bytes} bytes", kept.len());
        println!(
            "kept {figure}; the others are in {}",
            self.work.join("found").display()
        );
        Ok(figure)
    }

    /// Runs libFuzzer's merge and returns its record: which edges each input reaches, not how often.
    fn record(&self, target: &str, inputs: &[&Path]) -> Result<String> {
        // libFuzzer writes its own choice of inputs here. It is unused because it has no size limit.
        let unlimited = emptied(&self.work.join("fewest").join(target))?;
        let record = self.work.join(format!("{target}.merge"));
        fs::write(&record, "")?;
        let mut merge = self.command(target);
        merge
            .args(["-set_cover_merge=1", "-use_counters=0"])
            .arg(format!("-merge_control_file={}", record.display()))
            .arg(unlimited)
            .args(inputs)
            .stderr(Stdio::null());
        command::run(&mut merge)?;
        fs::read_to_string(&record).with_context(|| format!("read {}", record.display()))
    }

    fn command(&self, target: &str) -> Command {
        let longest = match target {
            "device_session" => MAX_INPUT_BYTES_OF_A_SESSION,
            _ => MAX_INPUT_BYTES,
        };
        let mut command = Command::new(&self.program);
        command
            .env("GLEANER_FUZZ_TARGET", target)
            .env("RUST_BACKTRACE", "0")
            .arg(format!("-max_len={longest}"))
            .arg(format!("-timeout={MAX_SECONDS_PER_INPUT}"))
            .arg(format!("-rss_limit_mb={MAX_MEMORY}"));
        command
    }

    fn corpus(&self, target: &str) -> PathBuf {
        self.kept.join("corpus").join(target)
    }

    /// The inputs found by long runs: a cache that is not in the repository.
    fn found(&self, target: &str) -> Result<PathBuf> {
        let found = self.work.join("found").join(target);
        fs::create_dir_all(&found)?;
        Ok(found)
    }
}

fn emptied(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder.to_owned())
}

/// Sorted by name.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    #[test]
    fn options_are_read_from_the_arguments() {
        let read = |line: &str| {
            let command = Options::augment_args(clap::Command::new("fuzz").no_binary_name(true));
            Options::from_arg_matches(&command.try_get_matches_from(line.split_whitespace())?)
        };
        assert_eq!(read("").unwrap(), Options::default());
        let long = read("--seconds 600 --target placement").unwrap();
        assert_eq!(
            (long.seconds, long.target.as_deref()),
            (Some(600), Some("placement"))
        );
        assert_eq!(read("--replay a/b").unwrap().replay, Some(PathBuf::from("a/b")));
        assert!(read("--minimise").unwrap().minimise);
        assert!(read("--seconds").is_err() && read("--seconds soon").is_err() && read("placement").is_err());
    }
}
