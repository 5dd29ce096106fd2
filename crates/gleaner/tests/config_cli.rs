//! The commands that need no device, through the program itself: output, exit status, files.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets something unexpected should stop there"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const SOUND: &str =
    "[store]\npath = \"/srv\"\n[defaults]\nsource = \"/data\"\n[[device]]\nname = \"garden\"\n";

/// A working folder, with a home of its own.
struct Workdir {
    folder: TempDir,
}

impl Workdir {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The program, in this folder, with an empty environment except for this home.
    fn gleaner(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gleaner"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.path("home"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::from(self.gleaner(arguments).output().unwrap())
    }
}

/// The exit status and the output of the program.
#[derive(Debug)]
struct Outcome {
    status: i32,
    output: String,
    errors: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap(),
            output: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[test]
fn without_a_command_the_help_is_shown_with_status_2() {
    let outcome = Workdir::new().run(&[]);
    assert_eq!((outcome.status, outcome.output.as_str()), (2, ""));
    assert!(
        outcome.errors.contains("Usage: gleaner") && outcome.errors.contains("config"),
        "{}",
        outcome.errors
    );
}

#[test]
fn the_help_states_the_exit_statuses() {
    let outcome = Workdir::new().run(&["--help"]);
    assert_eq!((outcome.status, outcome.errors.as_str()), (0, ""));
    for status in [
        "0  all well",
        "1  some",
        "2  the command",
        "3  the store",
        "4  another",
        "5  all well, except",
        "130  inter",
    ] {
        assert!(outcome.output.contains(status), "{status} in {}", outcome.output);
    }
}

#[test]
fn an_invalid_command_line_ends_with_status_2() {
    for arguments in [
        &["runn"][..],
        &["run", "--devise", "a"],
        &["files", "--json", "--csv"],
        &["store"],
        &["config"],
        &["-v"],
    ] {
        let outcome = Workdir::new().run(arguments);
        assert_eq!(
            (outcome.status, outcome.output.as_str()),
            (2, ""),
            "{arguments:?}: {}",
            outcome.errors
        );
        assert!(!outcome.errors.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_example_is_written_once_and_is_valid() {
    let workdir = Workdir::new();
    let first = workdir.run(&["config", "init"]);
    assert_eq!((first.status, first.errors.as_str()), (0, ""));
    let example = fs::read_to_string(workdir.path("gleaner.toml")).unwrap();
    assert_eq!(workdir.run(&["config", "init", "-"]).output, example);
    let check = workdir.run(&["config", "check"]);
    assert_eq!((check.status, check.errors.as_str()), (0, ""));

    fs::write(workdir.path("gleaner.toml"), "mine").unwrap();
    let second = workdir.run(&["config", "init"]);
    assert_eq!(second.status, 2);
    assert_eq!(
        second.errors,
        "gleaner: error: gleaner.toml exists already and was not changed\n  \
         help: name another path, or \"-\" to print the example\n"
    );
    assert_eq!(fs::read_to_string(workdir.path("gleaner.toml")).unwrap(), "mine");
}

#[test]
fn an_example_that_cannot_be_written_is_an_error_with_its_cause() {
    let outcome = Workdir::new().run(&["config", "init", "missing/gleaner.toml"]);
    assert_eq!(outcome.status, 2);
    assert_eq!(
        outcome.errors,
        "gleaner: error: cannot write missing/gleaner.toml\n  cause: No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_valid_file_is_summarised() {
    let workdir = Workdir::new();
    workdir.write("gleaner.toml", &SOUND.replace("/srv", "/proc/none"));
    let outcome = workdir.run(&["config", "check"]);
    let ledger = workdir.path("home/.local/state/gleaner/ledger.db");
    assert_eq!((outcome.status, outcome.errors.as_str()), (0, ""));
    assert_eq!(
        outcome.output,
        format!(
            "./gleaner.toml: valid\n  1 device (garden), 1 source\n  store   /proc/none with layout {{device}}/{{path}}\n          \
             missing: create or mount it, then run `gleaner store init`\n  ledger  {}\n",
            ledger.display()
        )
    );
}

#[test]
fn all_faults_are_reported_at_once_with_status_2() {
    let workdir = Workdir::new();
    workdir.write(
        "gleaner.toml",
        &SOUND.replace("source", "surce").replace("/srv", "srv"),
    );
    let outcome = workdir.run(&["config", "check"]);
    assert_eq!((outcome.status, outcome.output.as_str()), (2, ""));
    let beside = fs::canonicalize(workdir.folder.path()).unwrap().join("srv");
    let lines: Vec<&str> = outcome.errors.lines().collect();
    assert_eq!(
        lines[0],
        "./gleaner.toml:2:8: error: `path` is not an absolute path: \"srv\""
    );
    assert_eq!(
        lines[1],
        format!(
            "  help: relative to this file it would be \"{}\"",
            beside.display()
        )
    );
    assert_eq!(
        lines[2],
        "./gleaner.toml:4:1: error: unknown key `surce` in [defaults]"
    );
    assert!(
        lines[3].starts_with("  help: did you mean `source`? known keys here: `source`, `settle`,"),
        "{}",
        lines[3]
    );
    assert_eq!(
        lines[4],
        "gleaner: error: the configuration has 2 faults; nothing was touched"
    );
    assert_eq!(lines.len(), 5);
}

#[test]
fn warnings_are_shown_and_the_check_succeeds() {
    let workdir = Workdir::new();
    workdir.write("gleaner.toml", &SOUND.replace("\"/data\"", "[\"/a\", \"/b\"]"));
    let outcome = workdir.run(&["config", "check"]);
    assert_eq!(outcome.status, 0, "{}", outcome.errors);
    assert!(
        outcome
            .errors
            .starts_with("./gleaner.toml: warning: the layout has no {source}"),
        "{}",
        outcome.errors
    );
    assert!(
        outcome.output.contains("1 device (garden), 2 sources"),
        "{}",
        outcome.output
    );
}

#[test]
fn a_missing_or_unmarked_store_is_reported_and_is_not_an_error() {
    let workdir = Workdir::new();
    let store = workdir.path("store");
    let text =
        format!("[store]\npath = {store:?}\n[defaults]\nsource = \"/data\"\n[[device]]\nname = \"garden\"\n");
    workdir.write("gleaner.toml", &text);
    let assert_shows = |what: &str| {
        let outcome = workdir.run(&["config", "check"]);
        assert_eq!(outcome.status, 0, "{}", outcome.errors);
        assert!(outcome.output.contains(what), "{}", outcome.output);
        assert!(
            outcome.output.contains("gleaner store init"),
            "{}",
            outcome.output
        );
    };
    assert_shows("missing: ");
    fs::create_dir(&store).unwrap();
    assert_shows("no marker (");
}

#[test]
fn the_configuration_is_searched_in_the_usual_order() {
    let workdir = Workdir::new();
    let found = |command: &mut Command| {
        let outcome = Outcome::from(command.args(["config", "show"]).output().unwrap());
        assert_eq!(outcome.status, 0, "{}", outcome.errors);
        let line = outcome
            .output
            .lines()
            .find(|line| line.starts_with("name = "))
            .unwrap()
            .to_owned();
        line.trim_start_matches("name = ").trim_matches('"').to_owned()
    };
    let named = |name: &str| SOUND.replace("garden", name);
    workdir.write("home/.config/gleaner/gleaner.toml", &named("home"));
    assert_eq!(found(&mut workdir.gleaner(&[])), "home");
    workdir.write("xdg/gleaner/gleaner.toml", &named("xdg"));
    assert_eq!(
        found(workdir.gleaner(&[]).env("XDG_CONFIG_HOME", workdir.path("xdg"))),
        "xdg"
    );
    workdir.write("gleaner.toml", &named("here"));
    assert_eq!(found(&mut workdir.gleaner(&[])), "here");
    let variable = workdir.write("variable.toml", &named("variable"));
    assert_eq!(
        found(workdir.gleaner(&[]).env("GLEANER_CONFIG", &variable)),
        "variable"
    );
    let option = workdir.write("option.toml", &named("option"));
    assert_eq!(
        found(
            workdir
                .gleaner(&["-c", option.to_str().unwrap()])
                .env("GLEANER_CONFIG", &variable)
        ),
        "option"
    );
}

#[test]
fn without_a_configuration_the_searched_paths_are_listed() {
    if Path::new("/etc/gleaner/gleaner.toml").exists() {
        return;
    }
    let workdir = Workdir::new();
    let outcome = workdir.run(&["config", "check"]);
    assert_eq!(outcome.status, 2);
    assert_eq!(
        outcome.errors,
        format!(
            "gleaner: error: there is no configuration file\n  \
             help: looked for ./gleaner.toml, {}, /etc/gleaner/gleaner.toml\n  \
             help: write one with `gleaner config init`, or name one with `-c FILE` or $GLEANER_CONFIG\n",
            workdir.path("home/.config/gleaner/gleaner.toml").display()
        )
    );
}

/// As for the account of a service, called from the home of a user.
#[test]
fn a_folder_that_may_not_be_read_is_skipped() {
    let workdir = Workdir::new();
    workdir.write("home/.config/gleaner/gleaner.toml", SOUND);
    workdir.write("closed/gleaner.toml", "what is in here is not for us");
    // Root may read every folder. As root, the program therefore runs as the user `nobody`, from a path that
    // this user can reach.
    let program = workdir.path("gleaner");
    fs::copy(env!("CARGO_BIN_EXE_gleaner"), &program).unwrap();
    fs::set_permissions(workdir.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let script = r#"cd "$1" && chmod 0 . && case $(id -u) in
        0) exec setpriv --reuid 65534 --regid 65534 --clear-groups "$2" config show ;;
        *) exec "$2" config show ;;
        esac"#;
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh"])
        .arg(workdir.path("closed"))
        .arg(&program);
    command
        .env("HOME", workdir.path("home"))
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("GLEANER_CONFIG");
    let outcome = Outcome::from(command.output().unwrap());
    fs::set_permissions(workdir.path("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(outcome.status, 0, "{}", outcome.errors);
    assert!(outcome.output.contains("garden"), "{}", outcome.output);
}

#[test]
fn a_named_configuration_that_is_missing_is_not_replaced_by_another() {
    let workdir = Workdir::new();
    workdir.write("gleaner.toml", SOUND);
    let option = workdir.run(&["-c", "x.toml", "config", "check"]);
    assert_eq!(option.status, 2);
    assert_eq!(
        option.errors,
        "gleaner: error: cannot read the configuration x.toml\n  cause: No such file or directory (os error 2)\n  \
         help: `gleaner config init x.toml` writes an example\n"
    );
    let variable = workdir
        .gleaner(&["config", "check"])
        .env("GLEANER_CONFIG", "x.toml")
        .output()
        .unwrap();
    let variable = Outcome::from(variable);
    assert_eq!(variable.status, 2);
    assert!(
        variable
            .errors
            .contains("cannot read the configuration x.toml, which $GLEANER_CONFIG names"),
        "{}",
        variable.errors
    );
}

#[test]
fn one_device_is_shown_with_all_its_values() {
    let workdir = Workdir::new();
    workdir.write(
        "gleaner.toml",
        &SOUND.replace(
            "name = \"garden\"",
            "name = \"cam{id:02}\"\nids = \"1-3\"\nport = \"{id+5000}\"",
        ),
    );
    let outcome = workdir.run(&["config", "show", "cam02"]);
    assert_eq!((outcome.status, outcome.errors.as_str()), (0, ""));
    let (_, device) = outcome.output.split_once("[[device]]\n").unwrap();
    assert_eq!(
        device,
        "name = \"cam02\"\n# host: from ssh_config\nport = 5002\n# user: from ssh_config\n# identity: from ssh_config\n\
         # jump: from ssh_config\nsource = [\"/data\"]\nsettle = \"30s\"\nsettle_blind = \"10m\"\nstall_timeout = \"1m\"\n\
         exclude = []\n# done_suffix: not set\nrelease = \"delete\"\nprune_empty = false\ncompress = \"auto\"\nbandwidth = \"off\"\n"
    );
    let unknown = workdir.run(&["config", "show", "cam2"]);
    assert_eq!(unknown.status, 2);
    assert!(
        unknown.errors.contains("there is no device `cam2`"),
        "{}",
        unknown.errors
    );
}

#[test]
fn an_escape_code_in_a_file_never_reaches_the_terminal() {
    let workdir = Workdir::new();
    workdir.write(
        "gleaner.toml",
        "[store]\npath = \"\\u001b[2J\"\nnames = \"\\u001b]0;x\"\n[[device]]\nname = \"\\u001b[1m\"\n",
    );
    let outcome = workdir.run(&["config", "check"]);
    assert_eq!(outcome.status, 2);
    assert!(!outcome.errors.contains('\u{1b}'), "{:?}", outcome.errors);
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let outcome = Workdir::new().run(&["completions", shell]);
        assert_eq!((outcome.status, outcome.errors.as_str()), (0, ""), "{shell}");
        assert!(outcome.output.contains("dry-run"), "{shell}");
    }
    assert_eq!(Workdir::new().run(&["completions", "tcsh"]).status, 2);
}

#[test]
fn manual_pages_are_printed_or_written() {
    let workdir = Workdir::new();
    let printed = workdir.run(&["man"]);
    assert_eq!((printed.status, printed.errors.as_str()), (0, ""));
    assert!(printed.output.contains(".TH gleaner 1"), "{}", printed.output);
    let written = workdir.run(&["man", "--out", "deep/man"]);
    assert_eq!(
        (written.status, written.output.as_str()),
        (0, ""),
        "{}",
        written.errors
    );
    for page in [
        "gleaner.1",
        "gleaner-run.1",
        "gleaner-config-check.1",
        "gleaner.toml.5",
    ] {
        assert!(workdir.path("deep/man").join(page).is_file(), "{page}");
    }
    assert_eq!(
        fs::read_to_string(workdir.path("deep/man/gleaner.1")).unwrap(),
        printed.output
    );
}

#[test]
fn a_reader_that_stops_reading_is_not_an_error() {
    let mut child = Workdir::new()
        .gleaner(&["config", "schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The reader is gone before the program has written anything, or before it has written everything.
    drop(child.stdout.take());
    let outcome = Outcome::from(child.wait_with_output().unwrap());
    assert_eq!((outcome.status, outcome.errors.as_str()), (0, ""));
}

#[test]
fn results_that_cannot_be_written_are_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let outcome = Outcome::from(
        Workdir::new()
            .gleaner(&["config", "schema"])
            .stdout(full)
            .output()
            .unwrap(),
    );
    assert_eq!(outcome.status, 1);
    assert_eq!(
        outcome.errors,
        "gleaner: error: cannot write the results\n  cause: No space left on device (os error 28)\n"
    );
}
