//! Rules for the text of one Rust file.

use super::{Finding, Text, wording};

/// A longer file is a warning that asks for a split.
const COMFORTABLE_LINES: usize = 400;
/// A longer file is an error.
const MAX_LINES: usize = 600;
/// Characters in the name of a test, which is printed in one line with its module.
const MAX_TEST_NAME: usize = 70;

/// Names that say nothing, so that unrelated things collect there.
const DRAWERS: [&str; 6] = ["common", "util", "utils", "helper", "helpers", "misc"];

/// In two halves, so that the rule does not match this file.
const UNFINISHED: [&str; 4] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
    concat!("#[ign", "ore"),
];

pub(super) fn check(text: &Text) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(length(text));
    findings.extend(name(text));
    findings.extend(test_names(text));
    for (line, number) in text.content.lines().zip(1..) {
        if line.contains('\t') {
            findings.push(Finding::at(
                text,
                number,
                "a tab; write \\t in strings and blanks elsewhere",
            ));
        }
        for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
            let message = format!("`{word}`: finish or remove it; an ignored test does not count as a test");
            findings.push(Finding::at(text, number, message));
        }
        if let Some(drawer) = declared_module(line).filter(|name| DRAWERS.contains(name)) {
            findings.push(Finding::at(text, number, drawer_message(drawer)));
        }
    }
    findings
}

fn length(text: &Text) -> Option<Finding> {
    let lines = text.content.lines().count();
    if lines <= COMFORTABLE_LINES {
        return None;
    }
    let message = format!("{lines} lines; aim for {COMFORTABLE_LINES}, at most {MAX_LINES}: split it");
    Some(Finding {
        warning: lines <= MAX_LINES,
        ..Finding::about(&text.path, message)
    })
}

fn name(text: &Text) -> Option<Finding> {
    let (folder, file) = text.path.rsplit_once('/').unwrap_or(("", &text.path));
    if file == "mod.rs" {
        let message =
            "name the file after its module, beside the folder, so that every editor tab has its own name";
        return Some(Finding::about(&text.path, message));
    }
    let stem = file.trim_end_matches(".rs");
    std::iter::once(stem)
        .chain(folder.split('/'))
        .find(|part| DRAWERS.contains(part))
        .map(|drawer| Finding::about(&text.path, drawer_message(drawer)))
}

fn drawer_message(drawer: &str) -> String {
    format!("`{drawer}` says nothing about what is in it; name the thing")
}

fn test_names(text: &Text) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut is_test = false;
    for (line, number) in text.content.lines().zip(1..) {
        let line = line.trim_start();
        if let Some(attribute) = line.strip_prefix("#[") {
            let path = attribute.split(['(', ']']).next().unwrap_or_default();
            is_test |= path == "test" || path.ends_with("::test");
        } else if let Some((_, signature)) = line.split_once("fn ").filter(|_| is_test) {
            is_test = false;
            let name = signature.split(['(', '<']).next().unwrap_or_default();
            let phrases = wording::check_name(name).into_iter();
            findings.extend(phrases.map(|message| Finding::at(text, number, message)));
            let length = name.len();
            if length > MAX_TEST_NAME {
                let message =
                    format!("the name of the test has {length} characters; at most {MAX_TEST_NAME}");
                findings.push(Finding::at(text, number, message));
            }
        }
    }
    findings
}

/// The name in `mod name;` or `mod name {`, public or not.
fn declared_module(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
    (words.next()? == "mod").then_some(())?;
    Some(words.next()?.trim_end_matches(['{', ';']))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{shown, text, without_severity};
    use super::*;

    fn found(path: &str, content: &str) -> Vec<String> {
        shown(&check(&text(path, content)))
    }

    #[test]
    fn a_long_file_is_a_warning_and_a_very_long_one_an_error() {
        assert_eq!(found("a.rs", &"x\n".repeat(400)), [""; 0]);
        assert!(found("a.rs", &"x\n".repeat(401))[0].starts_with("a.rs: warning: 401 lines"));
        assert!(found("a.rs", &"x\n".repeat(601))[0].starts_with("a.rs: 601 lines"));
    }

    #[test]
    fn drawers_are_refused_as_files_folders_and_inline_modules() {
        assert!(found("crates/a/src/utils.rs", "")[0].contains("`utils` says nothing"));
        assert!(found("crates/a/tests/common/device.rs", "")[0].contains("`common` says nothing"));
        assert!(found("a.rs", "pub(crate) mod helpers {\n}\n")[0].contains("`helpers` says nothing"));
        assert_eq!(found("a.rs", "// a mod helpers\nmod device;\n"), [""; 0]);
    }

    #[test]
    fn a_long_name_is_found_on_tests_only() {
        let name = "x".repeat(71);
        let with = |attribute: &str| found("a.rs", &format!("{attribute}\nasync fn {name}() {{\n}}\n")).len();
        assert_eq!(with("#[test]"), 1);
        assert_eq!(with("#[tokio::test(start_paused = true)]"), 1);
        assert_eq!(with("#[test]\n#[cfg(unix)]"), 1);
        assert_eq!(with("#[cfg(test)]"), 0);
        assert_eq!(with("#[inline]"), 0);
    }

    #[test]
    fn the_name_of_a_test_is_plain_language() {
        let found = check(&text("a.rs", "#[test]\nfn a_device_waits_for_ever() {\n}\n"));
        assert_eq!(
            without_severity(&found),
            ["a.rs:2: \"for ever\": write \"indefinitely\""]
        );
    }

    #[test]
    fn mod_rs_is_refused() {
        assert!(found("crates/a/src/stages/mod.rs", "")[0].contains("name the file after its module"));
    }

    #[test]
    fn tabs_and_unfinished_markers_are_found_with_their_line() {
        let marker = UNFINISHED[3];
        let found = found("a.rs", &format!("fn a() {{\n\tb();\n}}\n{marker}]\n"));
        assert!(found[0].starts_with("a.rs:2: a tab"), "{found:?}");
        assert!(found[1].starts_with("a.rs:4: "), "{found:?}");
    }
}
