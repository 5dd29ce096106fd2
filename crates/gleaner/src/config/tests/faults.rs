//! The exact messages about files with errors.

use super::*;

/// Cases, separated by empty lines. The first line of each is the raw text and where it goes; the indented
/// lines are the expected messages. A `⏎` is a line break.
const CASES: &str = include_str!("faults.txt");

#[test]
fn every_error_has_its_position_and_a_remedy() {
    let mut wrong = String::new();
    let cases = CASES.split("\n\n").filter(|case| !case.starts_with('#'));
    for case in cases {
        let (raw, expected) = case.split_once('\n').unwrap_or((case, ""));
        let (place, text) = raw.split_once(' ').unwrap_or((raw, ""));
        let text = text.replace('⏎', "\n");
        let file = match place {
            "[defaults]" => with_default(&text),
            "[store]" => with_store(&text),
            "[[device]]" => with_device(&text),
            "file" => text,
            _ => panic!("unknown place in {raw}"),
        };
        let messages: Vec<String> = messages(&file)
            .lines()
            .map(|line| format!("    {line}"))
            .collect();
        if messages.join("\n") != expected.trim_end() {
            wrong.push_str(&[raw, &messages.join("\n"), "\n"].join("\n"));
        }
    }
    assert!(wrong.is_empty(), "the messages are now:\n\n{wrong}");
}

#[test]
fn all_errors_of_a_file_are_reported_together_in_order() {
    let report = checked(
        "[[device]]\nname = \"-x\"\n[store]\npaht = \"/srv\"\nmin_free = true\n[fleet]\nparallel = 0\n",
    )
    .unwrap_err();
    assert_eq!(report.errors(), 5, "{report}");
    let lines: Vec<String> = report
        .to_string()
        .lines()
        .filter(|line| !line.starts_with("  help"))
        .map(|line| line.chars().take(29).collect())
        .collect();
    assert_eq!(
        lines,
        [
            "/etc/gleaner/gleaner.toml:1:1",
            "/etc/gleaner/gleaner.toml:2:8",
            "/etc/gleaner/gleaner.toml:4:1",
            "/etc/gleaner/gleaner.toml:5:12",
            "/etc/gleaner/gleaner.toml:7:12",
        ]
        .map(|line| line.chars().take(29).collect::<String>())
    );
}

#[test]
fn an_error_in_the_defaults_is_reported_once_for_all_devices() {
    let file = "[store]\npath = \"/srv\"\n[defaults]\nsource = \"data\"\nsettle = \"x\"\n[[device]]\nname = \"a{id}\"\nids = \"1-30\"\n[[device]]\nname = \"b\"\n";
    assert_eq!(checked(file).unwrap_err().errors(), 2);
}

#[test]
fn positions_are_counted_in_characters_and_lines() {
    let file = "[store]\npath = \"/srv\" # \u{1f41d}\n[[device]]\nname = \"g\u{e4}rten\"\n\"\u{fc}\" = 1\nsource = [\"/\u{e4}\", 5]\n";
    assert!(
        messages(file).contains(":5:1: error: unknown key `\u{fc}` in [[device]]"),
        "{}",
        messages(file)
    );
    assert!(
        messages(file).contains(":6:17: error: `source`"),
        "{}",
        messages(file)
    );
}

#[test]
fn a_file_that_is_not_utf8_is_refused_at_the_first_bad_byte() {
    let report = check(Path::new("x.toml"), b"[store]\npath = \"\xff\"\n", &environment()).unwrap_err();
    assert_eq!(
        report.to_string(),
        "x.toml:2:9: error: the file is not UTF-8 text from here on\n"
    );
}

#[test]
fn without_a_home_folder_the_ledger_must_have_a_path() {
    let report = check(
        Path::new("x.toml"),
        with_default("").as_bytes(),
        &Environment::default(),
    )
    .unwrap_err();
    assert_eq!(
        report.to_string(),
        "x.toml: error: the ledger has no `path`, and the environment has neither $STATE_DIRECTORY nor $XDG_STATE_HOME nor $HOME\n  \
         help: write `[ledger]` and below it `path = \"/var/lib/gleaner/ledger.db\"`\n"
    );
}

#[test]
fn no_truncated_or_mangled_file_causes_a_panic() {
    let example = EXAMPLE.as_bytes();
    for end in (0..example.len()).step_by(7) {
        let (left, right) = example.split_at(end);
        for torn in [
            left.to_vec(),
            right.to_vec(),
            [left, b"{[\"\xff", right].concat(),
            [left, b"}]'=", right].concat(),
        ] {
            drop(check(Path::new("x.toml"), &torn, &environment()));
        }
    }
    for deep in [
        "a = ".to_owned() + &"[".repeat(100_000),
        "a.".repeat(100_000),
        "[[device]]\n".repeat(20_000),
    ] {
        assert!(check(Path::new("x.toml"), deep.as_bytes(), &environment()).is_err());
    }
}
