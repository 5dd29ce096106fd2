//! Fuzzing with libFuzzer: built, run for a while, and told in a table.
//!
//! No tool has to be installed for it. The compiler's own coverage is switched on by flags, in a target folder of its own,
//! so that nothing else is built anew.

mod build;
mod outcome;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::workspace::Workspace;
use outcome::Outcome;

/// How long each target is fuzzed where nothing else is said: all of them together stay below two minutes.
const SECONDS: u64 = 8;
/// Longer inputs are slower and show the same. Real answers of a device are longer than what the other targets take.
const LONGEST_INPUT: [(&str, usize); 2] = [("device_session", 16_384), ("", 4096)];
/// An input that takes longer, in seconds, is a finding. The slowest sound ones are a fiftieth of that.
const PATIENCE: u64 = 20;
/// More memory than that, in MiB, is a finding, whatever the target says of it.
const MEMORY: u64 = 1024;

/// Bytes of found inputs that are kept for a target, the shortest ones: a repository is no place for more.
const MOST_KEPT: usize = 90_000;

/// What is wanted.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// What is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All targets, or one, for so many seconds each; briefly and in the same way each time where no number is given.
    Fuzzing {
        target: Option<String>,
        seconds: Option<u64>,
    },
    /// One input again.
    Replay(PathBuf),
    /// The inputs that were found, made few and kept.
    Minimise { target: Option<String> },
}

impl Wanted {
    pub(crate) fn read(arguments: &[String]) -> Result<Self> {
        let (mut target, mut seconds, mut minimise) = (None, None, false);
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--target" => target = Some(value()?.clone()),
                "--seconds" => {
                    let number = value()?;
                    seconds = Some(
                        number
                            .parse()
                            .with_context(|| format!("{number} is no number of seconds"))?,
                    );
                }
                "--replay" => return Ok(Self::Replay(PathBuf::from(value()?))),
                "--minimise" => minimise = true,
                other => bail!("fuzz does not know `{other}`"),
            }
        }
        Ok(match minimise {
            true => Self::Minimise { target },
            false => Self::Fuzzing { target, seconds },
        })
    }
}

/// The folders of the fuzzer, and the fuzzer.
struct Fuzzer {
    program: PathBuf,
    /// Inputs, dictionaries: `fuzz` of the project.
    kept: PathBuf,
    /// What is found, for as long as nobody cleans up.
    work: PathBuf,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    run_wanted(workspace, &Wanted::read(&options.arguments)?)
}

/// Every target for some seconds, after all that was kept.
pub(crate) fn prove(workspace: &Workspace) -> Result<()> {
    let briefly = Wanted::Fuzzing {
        target: None,
        seconds: None,
    };
    run_wanted(workspace, &briefly)
}

fn run_wanted(workspace: &Workspace, wanted: &Wanted) -> Result<()> {
    let fuzzer = Fuzzer {
        program: build::fuzzer(workspace)?,
        kept: workspace.root.join("fuzz"),
        work: workspace.target.join("fuzz"),
    };
    match wanted {
        Wanted::Fuzzing { target, seconds } => fuzzer.fuzz(&fuzzer.targets(target.as_deref())?, *seconds),
        Wanted::Replay(file) => fuzzer.replay(file),
        Wanted::Minimise { target } => {
            let targets = fuzzer.targets(target.as_deref())?;
            targets.iter().try_for_each(|target| fuzzer.minimise(target))
        }
    }
}

impl Fuzzer {
    /// The targets by their folders of inputs, which a test holds against the code.
    fn targets(&self, only: Option<&str>) -> Result<Vec<String>> {
        let mut targets = Vec::new();
        for entry in fs::read_dir(self.kept.join("corpus"))? {
            targets.push(entry?.file_name().to_string_lossy().into_owned());
        }
        targets.sort();
        match only {
            None => Ok(targets),
            Some(only) if targets.iter().any(|target| target == only) => Ok(vec![only.to_owned()]),
            Some(only) => bail!(
                "there is no target `{only}`; the targets are {}",
                targets.join(", ")
            ),
        }
    }

    fn fuzz(&self, targets: &[String], seconds: Option<u64>) -> Result<()> {
        println!("{}", Outcome::HEAD);
        let (mut total, mut findings) = (Outcome::default(), Vec::new());
        for target in targets {
            let outcome = self.fuzz_one(target, seconds)?;
            println!("{}", outcome.row(target));
            if let Some(finding) = outcome.finding.as_deref() {
                println!(
                    "{}\nreplay it: cargo xtask fuzz --replay {}",
                    outcome.end,
                    finding.display()
                );
                findings.push(target.as_str());
            }
            total.add(&outcome);
        }
        println!("{}", total.row("all"));
        if !findings.is_empty() {
            bail!("something does not hold: {}", findings.join(", "));
        }
        Ok(())
    }

    fn fuzz_one(&self, target: &str, seconds: Option<u64>) -> Result<Outcome> {
        let found = match seconds {
            Some(_) => self.work.join("found").join(target),
            // The same beginning each time, whatever a longer run has found here before.
            None => emptied(&self.work.join("brief").join(target))?,
        };
        let findings = self.work.join("findings").join(target);
        fs::create_dir_all(&found)?;
        fs::create_dir_all(&findings)?;
        let mut command = self.command(target);
        command
            .arg(format!("-max_total_time={}", seconds.unwrap_or(SECONDS)))
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .arg("-print_final_stats=1");
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
            .stderr(Stdio::piped())
            .output()
            .context("start the fuzzer")?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        fs::write(self.work.join(format!("{target}.log")), &log)?;
        let outcome = Outcome::read(&log, output.status.success(), started.elapsed());
        outcome.with_context(|| format!("fuzz {target}; the end of its words:\n{}", outcome::end_of(&log)))
    }

    /// One input, with all that is said about it.
    fn replay(&self, file: &Path) -> Result<()> {
        let file = file
            .canonicalize()
            .with_context(|| format!("find {}", file.display()))?;
        let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
        let targets = self.targets(None)?;
        let Some(target) = targets.iter().find(|target| folder == target.as_str()) else {
            bail!(
                "put it into a folder that is called after its target: {}",
                targets.join(", ")
            );
        };
        command::run(self.command(target).env("RUST_BACKTRACE", "1").arg(&file))?;
        println!("all holds for {}", file.display());
        Ok(())
    }

    /// Keeps the fewest inputs that reach all that the found and the kept ones reach, beside those that have a name.
    fn minimise(&self, target: &str) -> Result<()> {
        let found = self.work.join("found").join(target);
        fs::create_dir_all(&found)?;
        let fewest = emptied(&self.work.join("fewest").join(target))?;
        let mut command = self.command(target);
        command
            .arg("-set_cover_merge=1")
            .args([&fewest, &found, &self.corpus(target)])
            .stderr(Stdio::null());
        command::run(&mut command)?;
        let (mut kept, mut named) = (0, Vec::new());
        for file in files_in(&self.corpus(target))? {
            if is_named_by_digest(&file) {
                fs::remove_file(&file)?;
            } else {
                named.push(fs::read(&file)?);
            }
        }
        let mut inputs = Vec::new();
        for file in files_in(&fewest)? {
            inputs.push((fs::read(&file)?, file));
        }
        inputs.sort_by_key(|(input, _)| input.len());
        let mut bytes = 0;
        for (input, file) in inputs {
            bytes += input.len();
            if bytes <= MOST_KEPT && !named.contains(&input) {
                let name = file.file_name().unwrap_or_default();
                fs::write(self.corpus(target).join(name), input)?;
                kept += 1;
            }
        }
        println!("{target}: {} inputs by name, {kept} found", named.len());
        Ok(())
    }

    fn command(&self, target: &str) -> Command {
        let longest = LONGEST_INPUT
            .iter()
            .find(|(name, _)| *name == target || name.is_empty())
            .map_or(0, |(_, longest)| *longest);
        let mut command = Command::new(&self.program);
        command
            .env("GLEANER_FUZZ_TARGET", target)
            .env("RUST_BACKTRACE", "0")
            .arg(format!("-max_len={longest}"))
            .arg(format!("-timeout={PATIENCE}"))
            .arg(format!("-rss_limit_mb={MEMORY}"));
        command
    }

    fn corpus(&self, target: &str) -> PathBuf {
        self.kept.join("corpus").join(target)
    }
}

fn emptied(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder.to_owned())
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let files = entries.map(|entry| Ok(entry?.path()));
    files.collect()
}

/// The fuzzer names an input after its SHA-1; a person finds better words.
fn is_named_by_digest(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().as_encoded_bytes();
    name.len() == 40 && name.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_read_from_the_arguments() {
        let read = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            Wanted::read(&words)
        };
        let fuzzing = |target: Option<&str>, seconds| Wanted::Fuzzing {
            target: target.map(str::to_owned),
            seconds,
        };
        assert_eq!(read("").unwrap(), fuzzing(None, None));
        assert_eq!(
            read("--seconds 600 --target placement").unwrap(),
            fuzzing(Some("placement"), Some(600))
        );
        assert_eq!(
            read("--replay a/b").unwrap(),
            Wanted::Replay(PathBuf::from("a/b"))
        );
        assert_eq!(read("--minimise").unwrap(), Wanted::Minimise { target: None });
        assert!(read("--seconds").is_err() && read("--seconds soon").is_err() && read("placement").is_err());
    }

    #[test]
    fn an_input_named_by_a_person_is_told_from_one_named_by_the_fuzzer() {
        assert!(is_named_by_digest(Path::new(
            "a/da39a3ee5e6b4b0d3255bfef95601890afd80709"
        )));
        assert!(!is_named_by_digest(Path::new("a/a-real-listing")));
    }
}
