//! The commands that need no device, through the program itself: what is printed where, the exit status, the files.

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

/// A folder to work in, and a home that is nobody's.
struct Place {
    folder: TempDir,
}

impl Place {
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

    /// The program, in this folder, with nothing of the surroundings but this home.
    fn gleaner(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gleaner"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.path("home"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.gleaner(arguments).output().unwrap())
    }
}

/// How it ended, and what it said.
#[derive(Debug)]
struct Ended {
    status: i32,
    output: String,
    errors: String,
}

impl From<Output> for Ended {
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
    let ended = Place::new().run(&[]);
    assert_eq!((ended.status, ended.output.as_str()), (2, ""));
    assert!(
        ended.errors.contains("Usage: gleaner") && ended.errors.contains("config"),
        "{}",
        ended.errors
    );
}

#[test]
fn the_help_states_the_exit_statuses() {
    let ended = Place::new().run(&["--help"]);
    assert_eq!((ended.status, ended.errors.as_str()), (0, ""));
    for status in [
        "0  all well",
        "1  some",
        "2  the command",
        "3  the store",
        "4  another",
        "5  all well, except",
        "130  inter",
    ] {
        assert!(ended.output.contains(status), "{status} in {}", ended.output);
    }
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_status_2() {
    for arguments in [
        &["runn"][..],
        &["run", "--devise", "a"],
        &["files", "--json", "--csv"],
        &["store"],
        &["config"],
        &["-v"],
    ] {
        let ended = Place::new().run(arguments);
        assert_eq!(
            (ended.status, ended.output.as_str()),
            (2, ""),
            "{arguments:?}: {}",
            ended.errors
        );
        assert!(!ended.errors.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_example_is_written_once_and_is_sound() {
    let place = Place::new();
    let first = place.run(&["config", "init"]);
    assert_eq!((first.status, first.errors.as_str()), (0, ""));
    let example = fs::read_to_string(place.path("gleaner.toml")).unwrap();
    assert_eq!(place.run(&["config", "init", "-"]).output, example);
    let check = place.run(&["config", "check"]);
    assert_eq!((check.status, check.errors.as_str()), (0, ""));

    fs::write(place.path("gleaner.toml"), "mine").unwrap();
    let second = place.run(&["config", "init"]);
    assert_eq!(second.status, 2);
    assert_eq!(
        second.errors,
        "gleaner: error: gleaner.toml exists already and was not changed\n  \
         help: name another path, or \"-\" to print the example\n"
    );
    assert_eq!(fs::read_to_string(place.path("gleaner.toml")).unwrap(), "mine");
}

#[test]
fn an_example_that_cannot_be_written_is_an_error_with_its_cause() {
    let ended = Place::new().run(&["config", "init", "missing/gleaner.toml"]);
    assert_eq!(ended.status, 2);
    assert_eq!(
        ended.errors,
        "gleaner: error: cannot write missing/gleaner.toml\n  cause: No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_sound_file_is_summed_up() {
    let place = Place::new();
    place.write("gleaner.toml", &SOUND.replace("/srv", "/proc/none"));
    let ended = place.run(&["config", "check"]);
    let ledger = place.path("home/.local/state/gleaner/ledger.db");
    assert_eq!((ended.status, ended.errors.as_str()), (0, ""));
    assert_eq!(
        ended.output,
        format!(
            "./gleaner.toml: valid\n  1 device (garden), 1 source\n  store   /proc/none with layout {{device}}/{{path}}\n          \
             missing: create or mount it, then run `gleaner store init`\n  ledger  {}\n",
            ledger.display()
        )
    );
}

#[test]
fn all_faults_are_reported_at_once_with_status_2() {
    let place = Place::new();
    place.write(
        "gleaner.toml",
        &SOUND.replace("source", "surce").replace("/srv", "srv"),
    );
    let ended = place.run(&["config", "check"]);
    assert_eq!((ended.status, ended.output.as_str()), (2, ""));
    let beside = fs::canonicalize(place.folder.path()).unwrap().join("srv");
    let lines: Vec<&str> = ended.errors.lines().collect();
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
fn warnings_are_shown_and_do_no_harm() {
    let place = Place::new();
    place.write("gleaner.toml", &SOUND.replace("\"/data\"", "[\"/a\", \"/b\"]"));
    let ended = place.run(&["config", "check"]);
    assert_eq!(ended.status, 0, "{}", ended.errors);
    assert!(
        ended
            .errors
            .starts_with("./gleaner.toml: warning: the layout has no {source}"),
        "{}",
        ended.errors
    );
    assert!(
        ended.output.contains("1 device (garden), 2 sources"),
        "{}",
        ended.output
    );
}

#[test]
fn a_store_that_is_not_there_or_not_marked_is_told_and_is_no_fault() {
    let place = Place::new();
    let store = place.path("store");
    let text =
        format!("[store]\npath = {store:?}\n[defaults]\nsource = \"/data\"\n[[device]]\nname = \"garden\"\n");
    place.write("gleaner.toml", &text);
    let told = |what: &str| {
        let ended = place.run(&["config", "check"]);
        assert_eq!(ended.status, 0, "{}", ended.errors);
        assert!(ended.output.contains(what), "{}", ended.output);
        assert!(ended.output.contains("gleaner store init"), "{}", ended.output);
    };
    told("missing: ");
    fs::create_dir(&store).unwrap();
    told("no marker (");
}

#[test]
fn the_configuration_is_looked_for_in_the_usual_order() {
    let place = Place::new();
    let found = |command: &mut Command| {
        let ended = Ended::from(command.args(["config", "show"]).output().unwrap());
        assert_eq!(ended.status, 0, "{}", ended.errors);
        let line = ended
            .output
            .lines()
            .find(|line| line.starts_with("name = "))
            .unwrap()
            .to_owned();
        line.trim_start_matches("name = ").trim_matches('"').to_owned()
    };
    let named = |name: &str| SOUND.replace("garden", name);
    place.write("home/.config/gleaner/gleaner.toml", &named("home"));
    assert_eq!(found(&mut place.gleaner(&[])), "home");
    place.write("xdg/gleaner/gleaner.toml", &named("xdg"));
    assert_eq!(
        found(place.gleaner(&[]).env("XDG_CONFIG_HOME", place.path("xdg"))),
        "xdg"
    );
    place.write("gleaner.toml", &named("here"));
    assert_eq!(found(&mut place.gleaner(&[])), "here");
    let variable = place.write("variable.toml", &named("variable"));
    assert_eq!(
        found(place.gleaner(&[]).env("GLEANER_CONFIG", &variable)),
        "variable"
    );
    let option = place.write("option.toml", &named("option"));
    assert_eq!(
        found(
            place
                .gleaner(&["-c", option.to_str().unwrap()])
                .env("GLEANER_CONFIG", &variable)
        ),
        "option"
    );
}

#[test]
fn without_any_configuration_it_is_said_where_was_looked() {
    if Path::new("/etc/gleaner/gleaner.toml").exists() {
        return;
    }
    let place = Place::new();
    let ended = place.run(&["config", "check"]);
    assert_eq!(ended.status, 2);
    assert_eq!(
        ended.errors,
        format!(
            "gleaner: error: there is no configuration file\n  \
             help: looked for ./gleaner.toml, {}, /etc/gleaner/gleaner.toml\n  \
             help: write one with `gleaner config init`, or name one with `-c FILE` or $GLEANER_CONFIG\n",
            place.path("home/.config/gleaner/gleaner.toml").display()
        )
    );
}

/// Where the account of a service stands that was called from somebody's home.
#[test]
fn a_folder_that_may_not_be_looked_into_is_passed_over() {
    let place = Place::new();
    place.write("home/.config/gleaner/gleaner.toml", SOUND);
    place.write("closed/gleaner.toml", "what is in here is not for us");
    // Root may look into everything; so the program is run by nobody then, from a place that nobody can reach.
    let program = place.path("gleaner");
    fs::copy(env!("CARGO_BIN_EXE_gleaner"), &program).unwrap();
    fs::set_permissions(place.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let script = r#"cd "$1" && chmod 0 . && case $(id -u) in
        0) exec setpriv --reuid 65534 --regid 65534 --clear-groups "$2" config show ;;
        *) exec "$2" config show ;;
        esac"#;
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh"])
        .arg(place.path("closed"))
        .arg(&program);
    command
        .env("HOME", place.path("home"))
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("GLEANER_CONFIG");
    let ended = Ended::from(command.output().unwrap());
    fs::set_permissions(place.path("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(ended.status, 0, "{}", ended.errors);
    assert!(ended.output.contains("garden"), "{}", ended.output);
}

#[test]
fn a_named_configuration_that_is_missing_is_not_replaced_by_another() {
    let place = Place::new();
    place.write("gleaner.toml", SOUND);
    let option = place.run(&["-c", "x.toml", "config", "check"]);
    assert_eq!(option.status, 2);
    assert_eq!(
        option.errors,
        "gleaner: error: cannot read the configuration x.toml\n  cause: No such file or directory (os error 2)\n  \
         help: `gleaner config init x.toml` writes an example\n"
    );
    let variable = place
        .gleaner(&["config", "check"])
        .env("GLEANER_CONFIG", "x.toml")
        .output()
        .unwrap();
    let variable = Ended::from(variable);
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
fn one_device_is_shown_with_everything_that_holds_for_it() {
    let place = Place::new();
    place.write(
        "gleaner.toml",
        &SOUND.replace(
            "name = \"garden\"",
            "name = \"cam{id:02}\"\nids = \"1-3\"\nport = \"{id+5000}\"",
        ),
    );
    let ended = place.run(&["config", "show", "cam02"]);
    assert_eq!((ended.status, ended.errors.as_str()), (0, ""));
    let (_, device) = ended.output.split_once("[[device]]\n").unwrap();
    assert_eq!(
        device,
        "name = \"cam02\"\n# host: from ssh_config\nport = 5002\n# user: from ssh_config\n# identity: from ssh_config\n\
         # jump: from ssh_config\nsource = [\"/data\"]\nsettle = \"30s\"\nsettle_blind = \"10m\"\nstall_timeout = \"1m\"\n\
         exclude = []\n# done_suffix: not set\nrelease = \"delete\"\nprune_empty = false\ncompress = \"auto\"\nbandwidth = \"off\"\n"
    );
    let unknown = place.run(&["config", "show", "cam2"]);
    assert_eq!(unknown.status, 2);
    assert!(
        unknown.errors.contains("there is no device `cam2`"),
        "{}",
        unknown.errors
    );
}

#[test]
fn an_escape_code_in_a_file_never_reaches_the_terminal() {
    let place = Place::new();
    place.write(
        "gleaner.toml",
        "[store]\npath = \"\\u001b[2J\"\nnames = \"\\u001b]0;x\"\n[[device]]\nname = \"\\u001b[1m\"\n",
    );
    let ended = place.run(&["config", "check"]);
    assert_eq!(ended.status, 2);
    assert!(!ended.errors.contains('\u{1b}'), "{:?}", ended.errors);
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = Place::new().run(&["completions", shell]);
        assert_eq!((ended.status, ended.errors.as_str()), (0, ""), "{shell}");
        assert!(ended.output.contains("dry-run"), "{shell}");
    }
    assert_eq!(Place::new().run(&["completions", "tcsh"]).status, 2);
}

#[test]
fn manual_pages_are_printed_or_written() {
    let place = Place::new();
    let printed = place.run(&["man"]);
    assert_eq!((printed.status, printed.errors.as_str()), (0, ""));
    assert!(printed.output.contains(".TH gleaner 1"), "{}", printed.output);
    let written = place.run(&["man", "--out", "deep/man"]);
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
        assert!(place.path("deep/man").join(page).is_file(), "{page}");
    }
    assert_eq!(
        fs::read_to_string(place.path("deep/man/gleaner.1")).unwrap(),
        printed.output
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = Place::new()
        .gleaner(&["config", "schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The reader is gone before anything can be written, or before all of it can.
    drop(child.stdout.take());
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!((ended.status, ended.errors.as_str()), (0, ""));
}

#[test]
fn results_that_cannot_be_written_are_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = Ended::from(
        Place::new()
            .gleaner(&["config", "schema"])
            .stdout(full)
            .output()
            .unwrap(),
    );
    assert_eq!(ended.status, 1);
    assert_eq!(
        ended.errors,
        "gleaner: error: cannot write the results\n  cause: No space left on device (os error 28)\n"
    );
}
