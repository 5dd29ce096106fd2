//! Counts the instructions of the hot paths with callgrind and compares them with `instructions/kept.toml`.
//!
//! A count is the same on a busy and on an idle machine. It differs with the compiler, the libc and the
//! processor. If one of these differs, the table is printed and only growth with the number of files fails.

mod comparison;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::command::{self, cargo};
use crate::debian;
use crate::workspace::Workspace;
use comparison::compare;

/// Relative to the root.
const KEPT: &str = "instructions/kept.toml";
const HEAD: &str = "\
# How many instructions the scenarios of `instructions/src/lib.rs` take.
# Written by `cargo xtask instructions --write`; CONTRIBUTING.md says when.
";
/// The function in which callgrind counts. The compiler's name for it contains both words, in either mangling
/// scheme.
const COUNTED: &str = "--toggle-collect=*instructions*counted*";
/// Restricts the C library to copying code that every processor of an architecture has. With other code,
/// callgrind counts each byte that one instruction copies.
const PLAIN_COPYING: &str =
    "glibc.cpu.hwcaps=-ERMS,-FSRM,-AVX2,-AVX2_Usable,-AVX_Fast_Unaligned_Load,-Prefer_No_VZEROUPPER";

/// What to count, and whether to keep it.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Write the counts to instructions/kept.toml instead of comparing with it
    #[arg(long, conflicts_with = "scenarios")]
    write: bool,
    /// Count only these scenarios
    #[arg(value_name = "NAME")]
    scenarios: Vec<String>,
}

/// What the program with the scenarios prints about itself.
#[derive(Debug, Deserialize)]
struct Program {
    /// The features of the processor that valgrind emulates.
    processor: String,
    scenarios: Vec<Scenario>,
}

/// One piece of work that is counted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Scenario {
    name: String,
    /// How many items the work handles.
    number: u64,
    /// What the items are.
    of: String,
    /// A pattern for callgrind of a function that is not counted. Empty if all functions are counted.
    uncounted: String,
}

/// Counts by scenario, and everything outside the code that changes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    made_with: BTreeMap<String, String>,
    counts: BTreeMap<String, u64>,
}

/// Counts, prints a table and compares. Returns its figure.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<String> {
    debian::install_if_missing("valgrind")?;
    let tool = Tool::build(workspace)?;
    let (mut scenarios, made_with) = tool.scenarios_and_origin()?;
    if let Some(unknown) = options
        .scenarios
        .iter()
        .find(|name| scenarios.iter().all(|scenario| scenario.name != **name))
    {
        bail!("unknown scenario `{unknown}`");
    }
    let is_all = options.scenarios.is_empty();
    scenarios.retain(|scenario| is_all || options.scenarios.contains(&scenario.name));
    let count = |scenario: &Scenario| Ok((scenario.name.clone(), tool.count(scenario)?));
    let counts = scenarios.iter().map(count).collect::<Result<_>>()?;
    let now = Kept { made_with, counts };
    let path = workspace.root.join(KEPT);
    if options.write {
        let text = format!("{HEAD}\n{}", toml::to_string(&now)?);
        fs::write(&path, text).with_context(|| format!("write {KEPT}"))?;
        println!("wrote {KEPT}");
        return Ok(format!("{} counts written", now.counts.len()));
    }
    let text = fs::read_to_string(&path).with_context(|| format!("read {KEPT}"))?;
    let kept: Kept = toml::from_str(&text).with_context(|| format!("read {KEPT}"))?;
    let comparison = compare(&scenarios, &now, &kept, is_all);
    println!("{}", comparison.lines.join("\n"));
    println!(
        "to see where a scenario spends its instructions, type: callgrind_annotate {}",
        tool.results.join("NAME.callgrind").display()
    );
    ensure!(
        comparison.failures.is_empty(),
        "{}",
        comparison.failures.join("; ")
    );
    Ok(comparison.figure)
}

/// The program with the scenarios, and the folder for its counts.
struct Tool {
    program: PathBuf,
    valgrind: PathBuf,
    results: PathBuf,
}

impl Tool {
    fn build(workspace: &Workspace) -> Result<Self> {
        let mut build = cargo(&workspace.root);
        build.args([
            "build",
            "--locked",
            "--package",
            "instructions",
            "--profile",
            "instructions",
        ]);
        command::run(&mut build)?;
        let results = workspace.target.join("instructions/counts");
        fs::create_dir_all(&results)?;
        Ok(Self {
            program: workspace.target.join("instructions/instructions"),
            valgrind: command::find("valgrind").context("valgrind is not installed")?,
            results,
        })
    }

    /// Runs valgrind with an empty environment, because the environment is on the stack of the program.
    fn valgrind(&self, tool: &str) -> Command {
        let mut valgrind = Command::new(&self.valgrind);
        valgrind
            .env_clear()
            .env("GLIBC_TUNABLES", PLAIN_COPYING)
            .args(["--quiet", tool]);
        valgrind
    }

    /// The scenarios, and what determines their counts.
    fn scenarios_and_origin(&self) -> Result<(Vec<Scenario>, BTreeMap<String, String>)> {
        let answer = command::output(self.valgrind("--tool=none").arg(&self.program))?;
        let Program { processor, scenarios } =
            toml::from_str(&answer).context("read the output of the program")?;
        let mut made_with = BTreeMap::from([("processor".to_owned(), processor)]);
        for (what, program, argument) in [
            ("compiler", Path::new("rustc"), "--version"),
            ("valgrind", &self.valgrind, "--version"),
            ("libc", Path::new("getconf"), "GNU_LIBC_VERSION"),
        ] {
            let answer = command::output(Command::new(program).arg(argument))?;
            let line = answer.lines().next().unwrap_or_default();
            made_with.insert(what.to_owned(), line.to_owned());
        }
        Ok((scenarios, made_with))
    }

    fn count(&self, scenario: &Scenario) -> Result<u64> {
        let name = &scenario.name;
        let result = self.results.join(format!("{}.callgrind", name.replace('/', "-")));
        let mut callgrind = self.valgrind("--tool=callgrind");
        if !scenario.uncounted.is_empty() {
            let symbols = command::output(Command::new("nm").arg("--demangle").arg(&self.program))?;
            let names_one = symbols
                .lines()
                .any(|line| matches(line, scenario.uncounted.as_str()));
            ensure!(names_one, "{name}: no function matches `{}`", scenario.uncounted);
            // Entering this function toggles the counting, also in the preparation that is not counted: hence
            // the zeroing. `--zero-before` needs a different pattern: of two options with the same pattern,
            // callgrind uses one.
            callgrind.arg(format!("--toggle-collect=*{}*", scenario.uncounted));
            callgrind.arg("--zero-before=*counted*");
        }
        callgrind
            .arg(COUNTED)
            .arg(format!("--callgrind-out-file={}", result.display()))
            .args([&self.program, Path::new(name)]);
        command::output(&mut callgrind)?;
        let text = fs::read_to_string(&result).with_context(|| format!("read {}", result.display()))?;
        match counted(&text) {
            Some(count @ 1..) => Ok(count),
            _ => bail!("callgrind counted nothing for {name}: it did not find the function `counted`"),
        }
    }
}

/// Whether the line contains the parts of the pattern, which `*` separates, in this order.
fn matches(line: &str, pattern: &str) -> bool {
    let mut rest = Some(line);
    for part in pattern.split('*') {
        rest = rest
            .and_then(|rest| rest.split_once(part))
            .map(|(_, after)| after);
    }
    rest.is_some()
}

/// The total in callgrind's output.
fn counted(result: &str) -> Option<u64> {
    let total = result.lines().find_map(|line| line.strip_prefix("totals: "))?;
    total.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_matched_by_parts_of_its_name() {
        assert!(matches("0010 t sha2::sha256::compress256", "sha2*compress"));
        assert!(!matches("0010 t compress::sha2", "sha2*compress"));
    }

    #[test]
    fn the_total_in_callgrinds_output_is_found() {
        let result = "events: Ir\nfn=(1)\n1 5\n\ntotals: 12345\n";
        assert_eq!(counted(result), Some(12_345));
        assert_eq!(counted("events: Ir\n"), None);
    }

    #[test]
    fn kept_counts_without_their_origin_are_refused() {
        let error = toml::from_str::<Kept>("[counts]\n").unwrap_err().to_string();
        assert!(error.contains("made_with"), "{error}");
    }
}
