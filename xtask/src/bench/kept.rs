//! The files that keep what was measured between one measurement and the next, and the lock on them.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The machine and the programs: what, and its value.
pub(super) type Facts = Vec<(String, String)>;

/// Held as long as a measurement lasts. The system lets go of it however the process ends.
#[derive(Debug)]
pub(super) struct Alone(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

impl Alone {
    /// Two measurements at once would take the processor from each other, and write over each other's runs.
    pub(super) fn in_folder(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = File::create(folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self(lock)),
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "another measurement is at work on {}; wait until it has ended",
                    folder.display()
                )
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("lock {}", folder.display()))
            }
        }
    }
}

/// What earlier measurements left; `None` where there was none.
pub(super) fn read(file: &Path) -> Result<Option<Value>> {
    match fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .with_context(|| format!("read {}", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
    }
}

/// In one step: a measurement that is interrupted leaves the file as it was.
pub(super) fn write(file: &Path, value: &Value) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = file.with_extension("json.new");
    fs::write(&beside, format!("{value:#}\n"))?;
    fs::rename(&beside, file).with_context(|| format!("write {}", file.display()))
}

/// The facts in what was read.
pub(super) fn facts(value: &Value) -> Facts {
    let facts = value.get("facts").and_then(Value::as_array);
    let fact = |fact: &Value| {
        let word = |place: usize| fact.get(place).and_then(Value::as_str).map(str::to_owned);
        Some((word(0)?, word(1)?))
    };
    facts.into_iter().flatten().filter_map(fact).collect()
}

/// Puts new facts in the place of those of the same name. A program that was not measured this time keeps its line: its runs
/// are kept, too.
pub(super) fn renew(facts: &mut Facts, new: Facts) {
    for (what, value) in new {
        match facts.iter_mut().find(|(known, _)| *known == what) {
            Some((_, place)) => *place = value,
            None => facts.push((what, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_measurements_at_once_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let first = Alone::in_folder(folder.path()).unwrap();
        let refused = Alone::in_folder(folder.path()).unwrap_err().to_string();
        assert!(refused.starts_with("another measurement is at work"), "{refused}");
        drop(first);
        Alone::in_folder(folder.path()).unwrap();
    }

    #[test]
    fn a_program_that_was_not_measured_again_keeps_its_version() {
        let owned = |pairs: &[(&str, &str)]| -> Facts {
            let pairs = pairs.iter();
            pairs
                .map(|(what, value)| ((*what).to_owned(), (*value).to_owned()))
                .collect()
        };
        let mut facts = owned(&[("day", "1"), ("rsync", "3.2")]);
        renew(&mut facts, owned(&[("day", "2"), ("lftp", "4.9")]));
        assert_eq!(facts, owned(&[("day", "2"), ("rsync", "3.2"), ("lftp", "4.9")]));
    }
}
