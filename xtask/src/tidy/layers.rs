//! Forbids what `ARCHITECTURE.md` forbids and the compiler permits, by searching the text.
//!
//! Only shipped code is checked. Tests are free.

use super::{Finding, Text};

/// Words that the shipped code of some crates must not contain, and the reason.
struct Ban {
    /// Source folders.
    folders: &'static [&'static str],
    words: &'static [&'static str],
    why: &'static str,
}

const BANS: [Ban; 3] = [
    Ban {
        folders: &["crates/engine/src/", "crates/health/src/", "crates/model/src/"],
        words: &[
            "std::fs",
            "std::net",
            "std::process",
            "std::env",
            "tokio::fs",
            "tokio::net",
            "tokio::process",
            "tokio::io",
            "rusqlite",
            "rustix",
            "libc::",
        ],
        why: "the engine and its model reach the outside through ports only, so that tests can replace all of it",
    },
    Ban {
        folders: &["crates/engine/src/", "crates/health/src/", "crates/model/src/"],
        words: &[
            "std::time::Instant",
            "std::time::SystemTime",
            "SystemTime::now",
            "Timestamp::now",
            "Zoned::now",
        ],
        why: "the engine uses only clocks that a test can control: the port for the time, tokio's clock for durations",
    },
    Ban {
        folders: &[
            "crates/engine/src/",
            "crates/health/src/",
            "crates/model/src/",
            "crates/sftp/src/",
            "crates/ssh/src/",
            "crates/ledger/src/",
            "crates/gleaner/src/",
        ],
        words: &[
            "fs::rename",
            "fs::remove_file",
            "fs::remove_dir",
            "fs::hard_link",
            "fs::unlink",
            "fs::link",
            "renameat",
            "unlinkat",
            "linkat",
        ],
        why: "only `storage` renames or unlinks on this machine, so that the order of durable effects is in one place",
    },
];

/// A file and word that are exempt from a ban.
struct Exception {
    path: &'static str,
    word: &'static str,
    /// Why the exemption is harmless.
    why: &'static str,
}

const EXCEPTIONS: [Exception; 1] = [Exception {
    path: "crates/ssh/src/runtime_dir.rs",
    word: "fs::remove_dir",
    why: "the private folder of configuration and control sockets, which never contains recorded files",
}];

pub(super) fn check(texts: &[Text]) -> Vec<Finding> {
    check_with(texts, &EXCEPTIONS)
}

fn check_with(texts: &[Text], exceptions: &[Exception]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used = vec![false; exceptions.len()];
    for text in texts
        .iter()
        .filter(|text| text.extension() == "rs" && !is_test_file(&text.path))
    {
        let bans: Vec<_> = BANS
            .iter()
            .filter(|ban| ban.folders.iter().any(|folder| text.path.starts_with(folder)))
            .collect();
        for (line, number) in shipped_lines(&text.content) {
            let line = &spelled_out(line);
            for ban in &bans {
                for word in ban.words.iter().filter(|word| contains_word(line, word)) {
                    let exception = exceptions
                        .iter()
                        .position(|it| it.path == text.path && it.word == *word);
                    match exception.and_then(|index| used.get_mut(index)) {
                        Some(used) => *used = true,
                        None => findings.push(Finding::at(text, number, format!("`{word}`: {}", ban.why))),
                    }
                }
            }
        }
    }
    for (exception, _) in exceptions.iter().zip(used).filter(|(_, used)| !used) {
        let message = format!(
            "the exception for `{}` ({}) is no longer needed",
            exception.word, exception.why
        );
        findings.push(Finding::about(exception.path, message));
    }
    findings
}

pub(super) fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/")
}

/// The lines outside comments and inline test modules, with their numbers.
pub(super) fn shipped_lines(content: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut in_tests = false;
    let mut after_attribute = false;
    content.lines().zip(1..).filter(move |(line, _)| {
        if in_tests {
            // rustfmt puts the closing brace of a top-level module into the first column.
            in_tests = !line.starts_with('}');
            return false;
        }
        if after_attribute && line.ends_with('{') {
            in_tests = true;
            return false;
        }
        after_attribute = line.starts_with("#[cfg(test)]") || (after_attribute && line.starts_with("#["));
        !line.trim_start().starts_with("//")
    })
}

/// The line, with `a::{b, c}` followed by `a::b a::c`.
fn spelled_out(line: &str) -> String {
    let mut spelled = line.to_owned();
    if let Some((head, tail)) = line.split_once("::{") {
        let prefix = head.rsplit([' ', '(', ',']).next().unwrap_or_default();
        for item in tail.split(['}', ';']).next().unwrap_or_default().split(',') {
            spelled.extend([" ", prefix, "::", item.trim()]);
        }
    }
    spelled
}

/// Whether `line` contains `word`, not as the end of a longer name.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let before = line.get(..start).and_then(|head| head.chars().next_back());
        before.is_none_or(|before| !before.is_alphanumeric() && before != '_')
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{shown, text};
    use super::*;

    fn found(path: &str, content: &str) -> Vec<String> {
        shown(&check_with(&[text(path, content)], &[]))
    }

    #[test]
    fn the_engine_may_not_open_a_file_or_read_the_clock() {
        let engine = |line: &str| found("crates/engine/src/pass.rs", line);
        assert!(engine("use std::fs::File;\n")[0].contains("`std::fs`"));
        assert_eq!(engine("use std::{env, fs};\n").len(), 2);
        assert!(engine("let now = SystemTime::now();\n")[0].contains("only clocks that a test can control"));
        assert!(
            engine("use std::time::{Duration, Instant};\n")[0]
                .contains("only clocks that a test can control")
        );
        assert_eq!(engine("use tokio::time::{Duration, Instant};\n"), [""; 0]);
        assert_eq!(
            found("crates/ssh/src/survey.rs", "let now = SystemTime::now();\n"),
            [""; 0]
        );
    }

    #[test]
    fn only_storage_renames_and_unlinks() {
        assert!(
            found("crates/ssh/src/child.rs", "std::fs::remove_file(path)?;\n")[0].contains("only `storage`")
        );
        assert_eq!(
            found(
                "crates/storage/src/disk.rs",
                "rustix::fs::renameat(a, b, c, d)?;\n"
            ),
            [""; 0]
        );
        assert_eq!(
            found("crates/sftp/src/client.rs", "client.posix_rename(a, b)\n"),
            [""; 0]
        );
    }

    #[test]
    fn comments_and_tests_are_not_checked() {
        let content = "\
//! No std::fs here.
fn a() {}
#[cfg(test)]
#[allow(x)]
mod tests {
    use std::fs;
}
use std::net::TcpStream;
";
        assert_eq!(found("crates/engine/src/a.rs", content).len(), 1);
        assert_eq!(found("crates/engine/src/a/tests.rs", "use std::fs;\n"), [""; 0]);
    }

    #[test]
    fn an_exception_covers_one_file_and_word_and_must_be_needed() {
        let exceptions = [Exception {
            path: "crates/ssh/src/a.rs",
            word: "fs::unlink",
            why: "a socket of its own",
        }];
        let needed = [text("crates/ssh/src/a.rs", "fs::unlink(socket)\n")];
        assert_eq!(check_with(&needed, &exceptions), []);
        let found = shown(&check_with(&[], &exceptions));
        assert_eq!(
            found,
            ["crates/ssh/src/a.rs: the exception for `fs::unlink` (a socket of its own) is no longer needed"]
        );
    }
}
