//! What valid files resolve to.

use std::time::Duration;

use super::*;
use engine::placement::NameRule;
use engine::rules::ReleaseRule;
use ssh::Compression;

use crate::config::keys::TABLES;
use crate::config::value::ValueKind as _;

const SMALLEST: &str = "[store]\npath = \"/srv\"\n[[device]]\nname = \"garden\"\nsource = \"/data\"\n";

#[test]
fn the_smallest_file_resolves_to_the_documented_defaults() {
    let config = resolved(SMALLEST);
    assert_eq!(config.store.path, Path::new("/srv"));
    assert_eq!(config.store.layout.as_str(), "{device}/{path}");
    assert_eq!(config.store.min_free, 1 << 30);
    assert_eq!((config.store.file_mode, config.store.dir_mode), (None, None));
    assert_eq!(config.store.names, NameRule::Bytes);
    assert_eq!(
        config.ledger,
        Path::new("/home/ana/.local/state/gleaner/ledger.db")
    );
    assert_eq!(config.ssh.config, None);
    assert_eq!(config.ssh.connect_timeout, Duration::from_secs(10));
    assert_eq!(config.fleet.parallel, 16);
    assert_eq!(config.fleet.every, Duration::from_mins(1));
    let [device] = config.devices.as_slice() else {
        panic!("{config:?}")
    };
    assert_eq!(device.name.as_str(), "garden");
    assert_eq!(device.sources, [model::SourcePath::new("/data").unwrap()]);
    let address = &device.address;
    assert_eq!((&address.host, address.port, &address.user), (&None, None, &None));
    assert_eq!((&address.identity, &address.jump), (&None, &None));
    let rules = &device.rules;
    assert_eq!(rules.settle, Duration::from_secs(30));
    assert_eq!(rules.settle_blind, Duration::from_mins(10));
    assert_eq!(rules.stall_timeout, Duration::from_mins(1));
    assert!(rules.exclude.patterns().is_empty());
    assert_eq!(rules.done_suffix, None);
    assert_eq!(rules.release, ReleaseRule::Delete);
    assert!(!rules.prune_empty);
    assert_eq!(rules.compress, Compression::Auto);
    assert_eq!(rules.bandwidth, None);
}

/// The reference is generated from the declared defaults; this compares them with the code.
#[test]
fn every_documented_default_is_the_default() {
    let mut raw = "[store]\npath = \"/srv\"\n".to_owned();
    for table in &TABLES {
        if table.heading != "[store]" {
            raw.push_str(&[table.heading, "\n"].concat());
        }
        if table.heading == "[[device]]" {
            raw.push_str("name = \"garden\"\n");
        }
        if table.heading == "[defaults]" {
            raw.push_str("source = \"/data\"\n");
        }
        for key in table.keys() {
            let line = key.default.map(|default| format!("{} = {default}\n", key.name));
            raw.push_str(&line.unwrap_or_default());
        }
    }
    assert!(
        raw.contains("settle = \"30s\"") && raw.contains("parallel = 16"),
        "{raw}"
    );
    assert_eq!(resolved(&raw), resolved(SMALLEST));
}

#[test]
fn every_documented_example_is_valid() {
    for table in &TABLES {
        for key in table.keys() {
            let line = format!("{} = {}", key.name, key.example);
            let file = match (table.heading, key.name) {
                ("[store]", "path") => {
                    format!("[store]\n{line}\n[[device]]\nname = \"a\"\nsource = \"/d\"\n")
                }
                ("[store]", _) => with_store(&line),
                ("[defaults]", "source") => with_device(&format!("name = \"a\"\n{line}")),
                ("[defaults]", _) => with_device(&format!("name = \"a{{id}}\"\nids = \"1\"\n{line}")),
                ("[[device]]", "name") => with_device(&format!("{line}\nids = \"1\"")),
                ("[[device]]", _) => with_device(&format!("name = \"a{{id}}\"\n{line}")),
                (heading, _) => with_device(&format!("name = \"a\"\n{heading}\n{line}")),
            };
            resolved(&file);
        }
    }
}

#[test]
fn ids_are_expanded_in_names_ports_and_sources() {
    let config = resolved(&with_device(
        "name = \"raspberry{id:02}\"\nids = \"1-2, 34\"\nport = \"{id+5000}\"\nhost = \"localhost\"\nuser = \"u{id}\"\n\
         identity = \"~/.ssh/{id}\"\njump = \"gate{id-1}\"\nsource = [\"/data/{id}\", \"/more\"]",
    ));
    let names: Vec<&str> = config.devices.iter().map(|device| device.name.as_str()).collect();
    assert_eq!(names, ["raspberry01", "raspberry02", "raspberry34"]);
    let last = config.device("raspberry34").unwrap();
    assert_eq!(last.address.port.unwrap().get(), 5034);
    assert_eq!(last.address.user.as_deref(), Some("u34"));
    assert_eq!(last.address.identity.as_deref(), Some("~/.ssh/34"));
    assert_eq!(last.address.jump.as_deref(), Some("gate33"));
    assert_eq!(last.sources[0].as_bytes(), b"/data/34");
    assert_eq!(last.sources[1].as_bytes(), b"/more");
}

#[test]
fn a_device_overrides_the_defaults() {
    let config = resolved(
        "[store]\npath = \"/srv\"\n[defaults]\nsource = \"/data\"\nport = 22\nexclude = [\"*.tmp\"]\nrelease = \"keep\"\n\
         bandwidth = \"1 MiB/s\"\ncompress = \"never\"\n\
         [[device]]\nname = \"a\"\n\
         [[device]]\nname = \"b\"\nport = 23\nexclude = []\nrelease = \"delete\"\nbandwidth = \"off\"\ncompress = true\n\
         source = [\"/x\"]\nsettle = \"20m\"\ndone_suffix = \".ok\"\nprune_empty = true\n",
    );
    let [first, second] = config.devices.as_slice() else {
        panic!("{config:?}")
    };
    assert_eq!(first.address.port.unwrap().get(), 22);
    assert_eq!(first.rules.exclude.patterns(), ["*.tmp"]);
    assert_eq!(first.rules.release, ReleaseRule::Keep);
    assert_eq!(first.rules.bandwidth, Some(1 << 20));
    assert_eq!(first.rules.compress, Compression::Never);
    assert_eq!(second.address.port.unwrap().get(), 23);
    assert!(second.rules.exclude.patterns().is_empty());
    assert_eq!(second.rules.release, ReleaseRule::Delete);
    assert_eq!(second.rules.bandwidth, None);
    assert_eq!(second.rules.compress, Compression::Always);
    assert_eq!(second.sources, [model::SourcePath::new("/x").unwrap()]);
    assert_eq!(second.rules.settle, Duration::from_mins(20));
    assert_eq!(
        second.rules.settle_blind,
        Duration::from_mins(20),
        "must wait at least as long with less information"
    );
    assert_eq!(second.rules.done_suffix.as_deref(), Some(".ok"));
    assert!(second.rules.prune_empty);
}

#[test]
fn permissions_are_octal() {
    let config = resolved(&with_store(
        "file_mode = \"0640\"\ndir_mode = \"2750\"\nmin_free = 4096\nnames = \"portable\"",
    ));
    assert_eq!(config.store.file_mode, Some(0o640));
    assert_eq!(config.store.dir_mode, Some(0o2750));
    assert_eq!(config.store.min_free, 4096);
    assert_eq!(config.store.names, NameRule::Portable);
}

#[test]
fn ten_thousand_devices_are_possible() {
    let config = resolved(&with_device(
        "name = \"a{id}\"\nids = \"1-10000\"\nhost = \"nas\"\nsource = \"/data/{id}\"",
    ));
    assert_eq!(config.devices.len(), 10_000);
}

#[test]
fn the_example_is_valid_and_shows_the_defaults() {
    let checked = checked(EXAMPLE).unwrap();
    assert_eq!(checked.warnings.warnings(), 0, "{}", checked.warnings);
    // The example has every key, commented out or not.
    for table in &TABLES {
        for key in table.keys() {
            let there = EXAMPLE.lines().any(|line| {
                line.trim_start_matches("# ")
                    .starts_with(&format!("{} = ", key.name))
            });
            assert!(there, "{} is not in the example", key.name);
        }
    }
    // The commented-out lines are valid too.
    let commented = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest)
            if rest.starts_with('[') || rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) =>
        {
            rest
        }
        _ => line,
    });
    let all = commented.collect::<Vec<_>>().join("\n");
    let config = resolved(&all);
    assert_eq!(config.devices.len(), 33);
    // Where the example says that a value is the default, it is.
    let unset = [
        "done_suffix",
        "file_mode",
        "dir_mode",
        "path",
        "config",
        "host",
        "port",
        "user",
        "identity",
        "jump",
        "ids",
        "name",
    ];
    for table in &TABLES {
        for key in table.keys().filter(|key| !unset.contains(&key.name)) {
            if let Some(default) = key.default {
                assert!(
                    EXAMPLE.contains(&format!("# {} = {default} ", key.name))
                        || EXAMPLE.contains(&format!("# {} = {default}\n", key.name)),
                    "{}",
                    key.name
                );
            }
        }
    }
}

#[test]
fn the_shown_configuration_resolves_to_the_same() {
    let config = resolved(
        "[store]\npath = \"/srv/a b\"\nlayout = \"{mtime:%Y}/{device}/{source}/{path}\"\nmin_free = \"1500\"\nfile_mode = \"0640\"\n\
         [ledger]\npath = \"/var/lib/l.db\"\n[ssh]\nconfig = \"/etc/ssh_config\"\nconnect_timeout = \"1500ms\"\n[fleet]\nparallel = 3\n\
         [[device]]\nname = \"a{id}\"\nids = \"1-3\"\nsource = [\"/d/{{x}}\", \"/e\\\"\"]\nhost = \"h\"\nport = \"{id+20}\"\nuser = \"pi\"\n\
         identity = \"~/k\"\njump = \"x,y\"\nexclude = [\"*.tmp\", \"/{a,b}/\"]\ndone_suffix = \".done\"\nbandwidth = \"1500 kB/s\"\n\
         settle = \"90s\"\nrelease = \"keep\"\ncompress = false\nprune_empty = true\n[[device]]\nname = \"b\"\nsource = \"/d\"\n",
    );
    let shown = show::ConfigDisplay::all(&config).to_string();
    assert_eq!(resolved(&shown), config, "{shown}");
    let one = show::ConfigDisplay::only(&config, config.device("a2").unwrap()).to_string();
    assert_eq!(resolved(&one).devices, config.devices[1..2], "{one}");
}

#[test]
fn choices_are_shown_by_their_first_word() {
    let shown = |word: &str| Some(word.into());
    assert_eq!(Compression::show(&Compression::Always), shown("always"));
    assert_eq!(Compression::show(&Compression::Never), shown("never"));
    assert_eq!(ReleaseRule::show(&ReleaseRule::Keep), shown("keep"));
    assert_eq!(NameRule::show(&NameRule::Portable), shown("portable"));
}
