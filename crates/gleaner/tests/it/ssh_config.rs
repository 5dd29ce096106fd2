//! gleaner honours the user's own OpenSSH configuration, and no option in it does harm.

use std::fs;

use testbed::{Port, Session, Tap};
use toml::Value;

use crate::context::Fleet;
use crate::device::key;
use crate::recording::content;

/// Puts lines in front of the fleet's ssh configuration, where the first value of an option counts.
fn prepend(fleet: &Fleet, lines: &str) {
    let file = fleet.path("ssh_config");
    let rest = fs::read_to_string(&file).expect("ssh_config");
    fs::write(&file, format!("{lines}\n{rest}")).expect("ssh_config");
}

#[test]
fn ssh_options_for_interactive_use_do_no_harm() {
    let fleet = Fleet::new(1);
    let (root, port) = (fleet.root().display().to_string(), Port::free());
    prepend(
        &fleet,
        &format!(
            "Host *\n  ControlMaster auto\n  ControlPath {root}/people-%C\n  ControlPersist yes\n  RequestTTY force\n  \
             RemoteCommand exec bash -l\n  PermitLocalCommand yes\n  LocalCommand touch {root}/local-command\n  \
             LocalForward {} localhost:1\n  ForwardAgent yes\n  ForkAfterAuthentication yes\n  StdinNull yes\n  \
             LogLevel QUIET\n  ConnectTimeout 1000\n  BatchMode no\n  StrictHostKeyChecking no\n  VisualHostKey yes\n  \
             EscapeChar ~\n  SessionType none\n  Tunnel no\n",
            port.number()
        ),
    );
    fleet
        .device(1)
        .record_many("day", 10, 1_000)
        .record("big", content("big", 3 << 20));
    fleet.sweep_until_emptied();
    fleet.assert_all_gathered();
    fleet.assert_no_ssh_left();
    assert!(
        !fleet.path("local-command").exists(),
        "a local command was executed"
    );
}

#[test]
fn a_host_key_is_never_accepted_even_if_ssh_config_accepts_any() {
    let fleet = Fleet::new(1);
    prepend(
        &fleet,
        "Host *\n  StrictHostKeyChecking no\n  UpdateHostKeys yes\n",
    );
    fleet.device(1).record("img.jpg", "picture");
    let known = fleet.jump.host_key().known_at("127.0.0.1", fleet.jump.port());
    fs::write(fleet.path("known_hosts"), &known).expect("known_hosts");
    fleet.sweep().exits(1);
    assert_eq!(fleet.class_of("device1").as_deref(), Some("host-key-unknown"));
    assert_eq!(
        fs::read_to_string(fleet.path("known_hosts")).expect("known_hosts"),
        known
    );
    assert!(fleet.store_files().is_empty());
}

#[test]
fn the_ssh_config_of_the_user_is_used_where_none_is_named() {
    let fleet = Fleet::new(1);
    fs::create_dir(fleet.path("home/.ssh")).expect("making .ssh");
    fs::rename(fleet.path("ssh_config"), fleet.path("home/.ssh/config")).expect("moving ssh_config");
    let mut config: toml::Table = fleet.config().parse().expect("the configuration");
    config.remove("ssh");
    let file = fleet.path("without.toml");
    fs::write(&file, config.to_string()).expect("writing the configuration");
    fleet.device(1).record("img.jpg", "picture");
    fleet.wait_until_settled();
    fleet.call(["run"]).env("GLEANER_CONFIG", &file).run().exits(0);
    fleet.assert_all_gathered();
}

#[test]
fn a_device_that_is_described_in_full_needs_no_alias() {
    let fleet = Fleet::new(2);
    let port = i64::from(fleet.device(1).server.port());
    let mut config: toml::Table = fleet.config().parse().expect("the configuration");
    let device = toml::toml! {
        name = "raspberry{id:02}"
        ids = "7"
        host = "localhost"
        jump = "jump"
    };
    let mut device = device;
    device.insert("port".to_owned(), format!("{{id+{}}}", port - 7).into());
    device.insert("source".to_owned(), fleet.device(1).source.as_str().into());
    device.insert(
        "identity".to_owned(),
        key("client").private.display().to_string().into(),
    );
    config.insert("device".to_owned(), Value::Array(vec![Value::Table(device)]));
    let file = fleet.path("described.toml");
    fs::write(&file, config.to_string()).expect("writing the configuration");
    // A device that gleaner describes itself is known by its name, on any port.
    let key = fleet.device(1).server.host_key().public();
    let before = fs::read_to_string(fleet.path("known_hosts")).expect("known_hosts");
    fs::write(fleet.path("known_hosts"), format!("{before}raspberry07 {key}")).expect("known_hosts");
    fleet.device(1).record("img.jpg", "picture");
    fleet.wait_until_settled();
    fleet.call(["run"]).env("GLEANER_CONFIG", &file).run().exits(0);
    fleet.assert_store_holds(&[("raspberry07/img.jpg", "picture")]);
}

#[test]
fn a_jump_host_with_its_usual_limit_on_new_connections_is_not_overrun() {
    let fleet = Fleet::of(&[Session::Gnu; 24]);
    fleet.set("fleet.parallel", 24);
    // The default of sshd: with a few more than ten new connections at once, it begins to refuse some.
    fleet.jump.reconfigure("MaxStartups 10:30:100");
    for device in fleet.devices() {
        device.record("img.jpg", format!("of {}", device.name));
    }
    fleet.sweep().exits(0);
    fleet.assert_all_gathered();
    assert!(
        !fleet.jump.log().contains("drop connection"),
        "the jump host turned connections away"
    );
}

#[test]
fn a_slow_link_is_not_taken_for_a_silent_one() {
    let fleet = Fleet::new(1);
    fleet.set("defaults.stall_timeout", "2s");
    fleet.tap(1).device(1).record("big", content("big", 4_000_000));
    fleet.device(1).link(|tap| tap.slow_to(400_000));
    fleet.sweep().exits(0);
    fleet.device(1).link(Tap::heal);
    fleet.assert_all_gathered();
}
