//! Wrong values and wrong files: a message with the position and the remedy, the right status, and nothing
//! touched.

use std::fs;
use std::path::Path;

use testbed::Session;
use toml::Value;

use crate::context::Fleet;
use crate::outcome::Outcome;

/// Runs with this configuration, and asserts that it is refused before anything is touched.
#[track_caller]
fn refused(fleet: &Fleet, config: &[u8], words: &[&str]) -> Outcome {
    fs::write(fleet.path("gleaner.toml"), config).expect("writing the configuration");
    let mut outcome = fleet.gleaner(["run"]).exits(2).says("gleaner.toml");
    for word in words {
        outcome = outcome.says(word);
    }
    assert_eq!(fleet.device(1).paths(), [Path::new("img.jpg")]);
    assert!(fleet.store_files().is_empty());
    assert!(
        !fleet.device(1).server.log().contains("Connection from"),
        "connected nevertheless"
    );
    fleet.gleaner(["config", "check"]).exits(2);
    outcome
}

fn fleet() -> Fleet {
    let fleet = Fleet::without_store(&[Session::Gnu]);
    fleet.device(1).record("img.jpg", "picture");
    fleet.wait_until_settled();
    fleet
}

/// Tries one wrong value after the other. The message must contain the key and the word beside it.
#[track_caller]
fn all_refused(wrong: &[(&str, Value, &str)]) {
    let fleet = fleet();
    for (key, value, word) in wrong {
        let config = fleet.config_with(key, value.clone());
        let name = key.split_once('.').expect("section.key").1;
        refused(&fleet, config.as_bytes(), &[name, word]);
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    all_refused(&[
        ("store.min_fre", "1 GiB".into(), "min_free"),
        ("defaults.setle", "1s".into(), "settle"),
        ("device1.realease", "keep".into(), "release"),
    ]);
}

#[test]
fn an_unknown_section_is_refused_with_the_one_that_was_meant() {
    let fleet = fleet();
    let config = fleet.config_with("stroe.path", "/mnt");
    refused(&fleet, config.as_bytes(), &["stroe", "store"]);
}

#[test]
fn a_wrong_value_of_the_store_is_refused() {
    all_refused(&[
        ("store.path", "relative/path".into(), "absolute"),
        ("store.path", 7.into(), "path"),
        ("store.layout", "../{path}".into(), ".."),
        ("store.layout", "/{path}".into(), "layout"),
        ("store.layout", "{nonsense}/{path}".into(), "nonsense"),
        ("store.layout", "{device}".into(), "layout"),
        ("store.min_free", "lots".into(), "lots"),
        ("store.min_free", "-1 GiB".into(), "-1"),
        ("store.names", "windows".into(), "portable"),
        ("store.file_mode", "rw-r--r--".into(), "rw-r--r--"),
        ("store.dir_mode", "0999".into(), "0999"),
    ]);
}

#[test]
fn a_wrong_duration_number_or_choice_is_refused() {
    all_refused(&[
        ("defaults.settle", "soon".into(), "soon"),
        ("defaults.settle", 30.into(), "30"),
        ("defaults.settle_blind", "1 parsec".into(), "parsec"),
        ("defaults.stall_timeout", "".into(), "stall_timeout"),
        ("ssh.connect_timeout", "-1s".into(), "-1"),
        ("fleet.parallel", 0.into(), "0"),
        ("fleet.parallel", "many".into(), "parallel"),
        ("defaults.release", "maybe".into(), "keep"),
        ("defaults.compress", "sometimes".into(), "never"),
        ("defaults.bandwidth", "fast".into(), "fast"),
        ("defaults.exclude", "[unclosed".into(), "unclosed"),
        ("defaults.prune_empty", "yes".into(), "true"),
    ]);
}

#[test]
fn a_wrong_value_of_a_device_is_refused() {
    all_refused(&[
        ("device1.port", 70_000.into(), "70000"),
        ("device1.port", "{id+5000}".into(), "id"),
        ("device1.ids", "5-1".into(), "5-1"),
        ("device1.ids", "a-b".into(), "number"),
        ("device1.source", "beephotos".into(), "absolute"),
        ("device1.source", Value::Array(Vec::new()), "source"),
        ("device1.host", "-oProxyCommand=touch pwned".into(), "host"),
        ("device1.user", "pi;touch pwned".into(), "user"),
    ]);
}

#[test]
fn a_device_named_like_an_option_or_a_path_is_refused() {
    let fleet = fleet();
    for name in ["-oProxyCommand=touch pwned", "../device", "a/b", "", ".", "a\nb"] {
        let config = fleet.config_with("device1.name", name);
        refused(&fleet, config.as_bytes(), &["name"]);
    }
}

#[test]
fn a_device_named_twice_is_refused() {
    let fleet = fleet();
    let source = fleet.device(1).source.clone();
    let twice = format!(
        "{}\n[[device]]\nname = \"device1\"\nsource = \"{source}/b\"\n",
        fleet.config()
    );
    refused(&fleet, twice.as_bytes(), &["device1"]);
    let by_id = twice.replace(
        "name = \"device1\"\nsource = ",
        "name = \"device{id}\"\nids = \"1-3\"\nsource = ",
    );
    refused(&fleet, by_id.as_bytes(), &["device1"]);
}

#[test]
fn overlapping_sources_are_refused() {
    let fleet = fleet();
    let source = fleet.device(1).source.clone();
    for sources in [
        vec![source.clone(), source.clone()],
        vec![source.clone(), format!("{source}/")],
        vec![source.clone(), format!("{source}/day")],
        vec![format!("{source}/day/../x"), source.clone()],
    ] {
        let config = fleet.config_with("device1.source", sources);
        refused(&fleet, config.as_bytes(), &["source"]);
    }
}

#[test]
fn all_errors_are_reported_at_once_each_with_its_line() {
    let fleet = fleet();
    fleet
        .set("store.layout", "{nonsense}")
        .set("defaults.settle", "soon")
        .set("device1.prot", 22);
    let config = fleet.config();
    let outcome = refused(&fleet, config.as_bytes(), &["nonsense", "soon", "prot"]);
    for key in ["layout", "settle = ", "prot"] {
        let line = 1 + config
            .lines()
            .position(|line| line.contains(key))
            .expect("a line");
        assert!(
            outcome.contains(&format!("gleaner.toml:{line}")),
            "line {line} of {key}\n{}",
            outcome.transcript()
        );
    }
}

#[test]
fn a_file_that_is_not_a_configuration_is_refused() {
    let fleet = fleet();
    refused(&fleet, b"", &["store"]);
    refused(&fleet, b"path = \n[[[", &[]);
    refused(&fleet, b"[store]\npath = \"\xff\xfe\"\n", &[]);
    refused(&fleet, "[store]\npath = \"/mnt\"\n".as_bytes(), &["device"]);
}

#[test]
fn a_missing_configuration_is_reported_with_the_remedy() {
    let fleet = fleet();
    fleet
        .gleaner(["-c", "/nowhere/gleaner.toml", "run"])
        .exits(2)
        .says("/nowhere/gleaner.toml");
    fleet
        .call(["run"])
        .without_env("GLEANER_CONFIG")
        .run()
        .exits(2)
        .says("gleaner config init");
    assert_eq!(fleet.device(1).paths(), [Path::new("img.jpg")]);
}

#[test]
fn a_missing_ssh_config_is_reported() {
    let fleet = fleet();
    fleet.init_store();
    fleet.set("ssh.config", "/nowhere/ssh_config");
    let outcome = fleet.gleaner(["run"]).says("/nowhere/ssh_config");
    assert!(matches!(outcome.code(), Some(1 | 2)), "{}", outcome.transcript());
    assert_eq!(fleet.device(1).paths(), [Path::new("img.jpg")]);
}

#[test]
fn a_missing_store_is_reported_with_the_remedy() {
    let fleet = fleet();
    fleet.set("store.path", "/nowhere/store");
    fleet.gleaner(["run"]).exits(3).says("/nowhere/store");
    fleet.gleaner(["audit"]).exits(3);
    fleet.gleaner(["store", "init", "--local"]).says("/nowhere/store");
    assert!(!Path::new("/nowhere").exists());
    assert_eq!(fleet.device(1).paths(), [Path::new("img.jpg")]);
}

#[test]
fn a_ledger_that_cannot_be_created_is_reported() {
    let fleet = fleet();
    fleet.init_store();
    fs::write(fleet.path("file"), "no folder").expect("writing");
    let ledger = fleet.path("file/ledger.db");
    fleet.set("ledger.path", ledger.to_str().expect("a plain path"));
    fleet.gleaner(["run"]).exits(3).says("ledger.db");
    assert_eq!(fleet.device(1).paths(), [Path::new("img.jpg")]);
    assert!(fleet.store_files().is_empty());
}
