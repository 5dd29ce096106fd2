//! SQL on the ledger from outside, by Debian's `sqlite3`: only the ledger's own crate may speak it by itself.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command;

/// Runs a script on a database, and returns what it prints: a row on each line, columns separated by `|`.
pub(super) fn run(database: &Path, script: &str) -> Result<String> {
    let mut child = Command::new("sqlite3")
        .args(["-batch", "-bail"])
        .arg(database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start sqlite3")?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(script.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("sqlite3 on {}: {}", database.display(), output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The numbers of the first row; what is NULL is left out.
pub(super) fn numbers(database: &Path, question: &str) -> Result<Vec<i64>> {
    let said = run(database, question)?;
    let columns = said.lines().next().unwrap_or_default().split('|');
    columns
        .filter(|column| !column.is_empty())
        .map(|column| {
            column
                .parse()
                .with_context(|| format!("a number, not `{column}`"))
        })
        .collect()
}

pub(super) fn version() -> Result<String> {
    let said = command::output(Command::new("sqlite3").arg("--version"))?;
    Ok(said.split_whitespace().next().unwrap_or_default().to_owned())
}
