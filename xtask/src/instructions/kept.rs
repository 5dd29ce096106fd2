//! The counts that are kept, and what they were made with.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use toml::Table;

/// By the name of the scenario.
pub(super) type Counts = BTreeMap<String, u64>;

/// Counts and their circumstances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) made_with: MadeWith,
    pub(super) counts: Counts,
}

/// Whatever changes the counts without a change of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MadeWith {
    pub(super) compiler: String,
    pub(super) valgrind: String,
    pub(super) libc: String,
    /// As valgrind plays it.
    pub(super) processor: String,
}

const HEAD: &str = "\
# How many instructions the scenarios of `instructions/src/lib.rs` take.
# Made by `cargo xtask instructions --write`; CONTRIBUTING.md says when.
";

impl Kept {
    pub(super) fn read(text: &str) -> Result<Self> {
        let table: Table = text.parse()?;
        let part = |name: &str| {
            let part = table.get(name).and_then(toml::Value::as_table);
            part.with_context(|| format!("there is no [{name}]"))
        };
        let made_with = part("made_with")?;
        let word = |key: &str| {
            let word = made_with.get(key).and_then(toml::Value::as_str);
            word.map(str::to_owned)
                .with_context(|| format!("made_with.{key} is no text"))
        };
        let count = |(name, count): (&String, &toml::Value)| {
            let count = count.as_integer().and_then(|count| u64::try_from(count).ok());
            Ok((
                name.clone(),
                count.with_context(|| format!("{name} has no count"))?,
            ))
        };
        Ok(Self {
            made_with: MadeWith {
                compiler: word("compiler")?,
                valgrind: word("valgrind")?,
                libc: word("libc")?,
                processor: word("processor")?,
            },
            counts: part("counts")?.iter().map(count).collect::<Result<_>>()?,
        })
    }

    pub(super) fn written(&self) -> String {
        let mut text = format!("{HEAD}\n[made_with]\n");
        for (key, word) in self.made_with.words() {
            // Writing to a text cannot fail.
            writeln!(text, "{key} = \"{word}\"").unwrap_or_default();
        }
        text.push_str("\n[counts]\n");
        for (name, count) in &self.counts {
            writeln!(text, "\"{name}\" = {count}").unwrap_or_default();
        }
        text
    }
}

impl MadeWith {
    fn words(&self) -> [(&'static str, &str); 4] {
        [
            ("compiler", &self.compiler),
            ("valgrind", &self.valgrind),
            ("libc", &self.libc),
            ("processor", &self.processor),
        ]
    }

    /// What is another than it was, in words.
    pub(super) fn differences(&self, kept: &Self) -> Vec<String> {
        let pairs = self.words().into_iter().zip(kept.words());
        pairs
            .filter(|((_, here), (_, kept))| here != kept)
            .map(|((key, here), (_, kept))| {
                format!("the {key} here is {here}, the counts are kept for {kept}")
            })
            .collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn kept(counts: &[(&str, u64)]) -> Kept {
        Kept {
            made_with: MadeWith {
                compiler: "rustc 1.95.0".to_owned(),
                valgrind: "valgrind-3.19.0".to_owned(),
                libc: "glibc 2.36".to_owned(),
                processor: "x86_64".to_owned(),
            },
            counts: counts
                .iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect(),
        }
    }

    #[test]
    fn what_is_kept_is_read_as_it_was_written() {
        let kept = kept(&[("sftp/list", 5), ("a", u64::from(u32::MAX))]);
        assert_eq!(Kept::read(&kept.written()).unwrap(), kept);
    }

    #[test]
    fn a_file_that_is_no_such_file_says_what_is_missing() {
        let error = Kept::read("[counts]\n").unwrap_err().to_string();
        assert!(error.contains("[made_with]"), "{error}");
    }

    #[test]
    fn another_compiler_is_named_with_the_one_that_is_kept() {
        let here = kept(&[]).made_with;
        let mut other = here.clone();
        assert_eq!(here.differences(&other), Vec::<String>::new());
        other.compiler = "rustc 1.96.0".to_owned();
        let differences = here.differences(&other);
        assert_eq!(differences.len(), 1);
        assert!(differences[0].contains("1.95.0") && differences[0].contains("1.96.0"));
    }
}
