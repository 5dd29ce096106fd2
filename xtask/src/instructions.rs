//! How many instructions the hot paths take, counted by callgrind and held against what is kept in `instructions/kept.toml`.
//!
//! A count is the same on a busy machine as on an idle one. It is another with another compiler, another libc or another processor: then the
//! table is printed, and nothing but growth with the number of files fails.

mod kept;
mod verdict;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{self, cargo};
use crate::debian;
use crate::workspace::Workspace;
use kept::{Counts, Kept, MadeWith};
use verdict::{Row, judge};

/// Relative to the root.
const KEPT: &str = "instructions/kept.toml";
/// What callgrind counts in; the compiler's spelling of it has both words, whichever way it mangles.
const COUNTED: &str = "--toggle-collect=*instructions*counted*";
/// Leaves the C library with the copying that every processor of an architecture has. Others count each byte that one instruction copies.
const PLAIN_COPYING: &str =
    "glibc.cpu.hwcaps=-ERMS,-FSRM,-AVX2,-AVX2_Usable,-AVX_Fast_Unaligned_Load,-Prefer_No_VZEROUPPER";

/// One thing to be counted, as the program says it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Scenario {
    name: String,
    /// How many things the work deals with.
    number: u64,
    /// What those are.
    of: String,
    /// Functions with this in their name are not counted; empty where all are.
    but_for: String,
}

/// Which scenarios.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Counts, prints a table and compares; with `--write`, keeps the counts. Names choose some of the scenarios.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    count(workspace, &options.arguments)
}

fn count(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    debian::install_if_missing("valgrind")?;
    let (options, names): (Vec<_>, Vec<_>) = arguments.iter().partition(|word| word.starts_with("--"));
    let write = match options.as_slice() {
        [] => false,
        [option] if *option == "--write" && names.is_empty() => true,
        _ => bail!("`cargo xtask instructions` takes `--write` or names of scenarios"),
    };
    let tool = Tool::build(workspace)?;
    let (mut scenarios, made_with) = tool.scenarios()?;
    if let Some(unknown) = names
        .iter()
        .find(|name| scenarios.iter().all(|scenario| scenario.name != ***name))
    {
        bail!("there is no scenario `{unknown}`");
    }
    scenarios.retain(|scenario| names.is_empty() || names.contains(&&scenario.name));
    let counts = tool.count_all(&scenarios)?;
    let path = workspace.root.join(KEPT);
    if write {
        let kept = Kept { made_with, counts };
        fs::write(&path, kept.written()).with_context(|| format!("write {KEPT}"))?;
        println!("wrote {KEPT}");
        return Ok(());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("read {KEPT}"))?;
    let kept = Kept::read(&text).with_context(|| format!("read {KEPT}"))?;
    report(&scenarios, &counts, &made_with, &kept, names.is_empty())?;
    println!(
        "where the instructions of one go: callgrind_annotate {}",
        tool.results.join("NAME.callgrind").display()
    );
    Ok(())
}

/// What a change must pass. Without valgrind there is nothing to count with.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    if command::find("valgrind").is_none() {
        println!("left out: valgrind is not installed (the step `setup` does that where it may)");
        return Ok(());
    }
    count(workspace, &[])
}

/// Prints the table, and fails where something takes more than it did.
fn report(
    scenarios: &[Scenario],
    counts: &Counts,
    made_with: &MadeWith,
    kept: &Kept,
    is_all: bool,
) -> Result<()> {
    println!("{}", Row::HEAD);
    let verdict = judge(scenarios, counts, kept, is_all);
    for row in &verdict.rows {
        println!("{row}");
    }
    let differences = made_with.differences(&kept.made_with);
    for difference in &differences {
        println!("{difference}");
    }
    for hint in &verdict.hints {
        println!("{hint}");
    }
    let mut failures = verdict.growth;
    if differences.is_empty() {
        failures.extend(verdict.regressions);
    } else {
        println!("so the counts are not to be compared with those of {KEPT}: nothing fails by them here");
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("; "));
    }
    Ok(())
}

/// The program with the scenarios, and where its counts go.
struct Tool {
    program: PathBuf,
    valgrind: PathBuf,
    results: PathBuf,
}

impl Tool {
    fn build(workspace: &Workspace) -> Result<Self> {
        let valgrind = command::find("valgrind").context("valgrind is not installed")?;
        let arguments = [
            "build",
            "--locked",
            "--package",
            "instructions",
            "--profile",
            "instructions",
        ];
        command::run(cargo(&workspace.root).args(arguments))?;
        let results = workspace.target.join("instructions/counts");
        fs::create_dir_all(&results)?;
        Ok(Self {
            program: workspace.target.join("instructions/instructions"),
            valgrind,
            results,
        })
    }

    /// Valgrind with nothing of our environment, which lies on the stack of what it runs.
    fn valgrind(&self, tool: &str) -> Command {
        let mut valgrind = Command::new(&self.valgrind);
        valgrind
            .env_clear()
            .env("GLIBC_TUNABLES", PLAIN_COPYING)
            .args(["--quiet", tool]);
        valgrind
    }

    fn scenarios(&self) -> Result<(Vec<Scenario>, MadeWith)> {
        let told = command::output(self.valgrind("--tool=none").arg(&self.program))?;
        let first_line = |command: &mut Command| -> Result<String> {
            Ok(command::output(command)?
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned())
        };
        let (scenarios, processor) = read_scenarios(&told)?;
        let made_with = MadeWith {
            compiler: first_line(Command::new("rustc").arg("--version"))?,
            valgrind: first_line(Command::new(&self.valgrind).arg("--version"))?,
            libc: first_line(Command::new("getconf").arg("GNU_LIBC_VERSION"))?,
            processor,
        };
        Ok((scenarios, made_with))
    }

    fn count_all(&self, scenarios: &[Scenario]) -> Result<Counts> {
        let count = |scenario: &Scenario| Ok((scenario.name.clone(), self.count(scenario)?));
        scenarios.iter().map(count).collect()
    }

    fn count(&self, scenario: &Scenario) -> Result<u64> {
        let name = &scenario.name;
        let result = self.results.join(format!("{}.callgrind", name.replace('/', "-")));
        let mut callgrind = self.valgrind("--tool=callgrind");
        callgrind
            .arg(COUNTED)
            .arg(format!("--callgrind-out-file={}", result.display()))
            .args([&self.program, Path::new(name)]);
        command::output(&mut callgrind)?;
        let text = fs::read_to_string(&result).with_context(|| format!("read {}", result.display()))?;
        match counted(&text, &scenario.but_for) {
            Some(count @ 1..) => Ok(count),
            _ => bail!("callgrind counted nothing of {name}: it did not find the function `counted`"),
        }
    }
}

/// The sum in what callgrind writes, without what functions of such a name take themselves.
fn counted(result: &str, but_for: &str) -> Option<u64> {
    let total = result.lines().find_map(|line| line.strip_prefix("totals: "))?;
    let total: u64 = total.trim().parse().ok()?;
    if but_for.is_empty() {
        return Some(total);
    }
    total
        .checked_sub(own_cost(result, but_for))
        .filter(|left| *left < total)
}

/// What the functions with this in their name take themselves ("Callgrind Format Specification" in valgrind's manual).
fn own_cost(result: &str, name: &str) -> u64 {
    let mut lines = result.lines();
    let (mut wanted, mut is_wanted, mut cost) = (HashSet::new(), false, 0);
    while let Some(line) = lines.next() {
        if let Some(function) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
            // A function has its name where it is met first, maybe as one that is called, and its number everywhere.
            let number = function.split(' ').next().unwrap_or_default();
            if function.contains(name) {
                wanted.insert(number);
            }
            if line.starts_with("fn=") {
                is_wanted = wanted.contains(number);
            }
        } else if line.starts_with("calls=") {
            // What was called is no cost of its own.
            lines.next();
        } else if is_wanted && line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first))
        {
            let own = line.split(' ').nth(1).and_then(|own| own.parse::<u64>().ok());
            cost += own.unwrap_or_default();
        }
    }
    cost
}

/// `NAME NUMBER OF BUT_FOR` for each scenario, and a line about the processor.
fn read_scenarios(told: &str) -> Result<(Vec<Scenario>, String)> {
    let (mut scenarios, mut processor) = (Vec::new(), String::new());
    for line in told.lines() {
        if let Some(told) = line.strip_prefix("processor ") {
            told.trim().clone_into(&mut processor);
            continue;
        }
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some(name), Some(number), Some(of)) => scenarios.push(Scenario {
                name: name.to_owned(),
                number: number.parse().with_context(|| format!("no number in `{line}`"))?,
                of: of.to_owned(),
                but_for: words.next().unwrap_or_default().to_owned(),
            }),
            _ => bail!("cannot make sense of `{line}`"),
        }
    }
    Ok((scenarios, processor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_callgrind_is_found() {
        assert_eq!(
            counted("events: Ir\nfn=(1)\n1 5\n\ntotals: 12345\n", ""),
            Some(12_345)
        );
        assert_eq!(counted("events: Ir\n", ""), None);
    }

    #[test]
    fn functions_that_are_not_to_count_are_left_out_and_what_they_call_is_not() {
        let result = "fn=(1) main\n1 5\ncfn=(2) sha2::compress\ncalls=3 7\n2 600\n+1 5\n\nfn=(2)\n7 400\n* 100\n\
                      cfn=(3) memcpy\ncalls=1 9\n8 100\n\nfn=(3)\n9 100\ntotals: 610\n";
        assert_eq!(counted(result, "sha2::"), Some(110));
        assert_eq!(counted(result, "sha3::"), None, "nothing was left out");
    }

    #[test]
    fn scenarios_and_the_processor_are_read_as_the_program_tells_them() {
        let (scenarios, processor) =
            read_scenarios("sftp/list 2000 name sha2::\nprocessor x86_64 sse4.1\n").unwrap();
        assert_eq!(scenarios.len(), 1);
        assert_eq!((scenarios[0].number, scenarios[0].of.as_str()), (2_000, "name"));
        assert_eq!(scenarios[0].but_for, "sha2::");
        assert_eq!(processor, "x86_64 sse4.1");
        assert!(read_scenarios("sftp/list many name\n").is_err());
    }
}
