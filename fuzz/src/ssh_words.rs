//! Output of ssh and configuration for it: classified without a panic, quoted safely, and no value becomes a
//! line of its own.

use std::path::PathBuf;
use std::time::Duration;

use model::DeviceName;
use ssh::classify::diagnose;
use ssh::fuzzing;
use ssh::{Compression, Target};

use crate::input::Input;

/// The maximum length of a message: a quote of 300 characters, each escaped, and its source.
const MAX_MESSAGE: usize = 300 * 10 + 100;
/// Memory for what is kept of stderr and for the message.
const MAX_HELD: usize = 1 << 20;

/// The first byte selects what the rest is: output of ssh, its explanation of a name, or the fields of a
/// target.
pub(crate) fn hold(input: &[u8]) {
    let mut input = Input(input);
    match input.byte() {
        b'c' => configured(input),
        b'g' => {
            let route = fuzzing::route(&String::from_utf8_lossy(input.0));
            assert_eq!(route, fuzzing::route(&String::from_utf8_lossy(input.0)));
        }
        _ => crate::memory::within(MAX_HELD + 16 * input.0.len(), || words(input.0)),
    }
}

fn words(words: &[u8]) {
    let kept = tail_of(words, usize::MAX);
    assert!(kept.0.len() <= 3 * 16 * 1024, "more is kept than the limit");
    assert_eq!(
        kept,
        tail_of(words, 7),
        "the words depend on how the stream is split"
    );
    let statuses = [None, Some(255), Some(254), Some(127), Some(1), Some(0)];
    for (through_jump, status) in [false, true]
        .into_iter()
        .flat_map(|jump| statuses.map(|status| (jump, status)))
    {
        let judgement = diagnose(&kept.0, through_jump, status);
        assert_eq!(judgement, diagnose(&kept.0, through_jump, status));
        let message = judgement.failure.message;
        assert!(!message.trim().is_empty() && message.len() <= MAX_MESSAGE);
        assert!(!message.chars().any(char::is_control), "{message:?}");
    }
}

/// What is kept of a stream that arrives in pieces, and whether it reported an authentication.
fn tail_of(words: &[u8], step: usize) -> (String, bool) {
    // A long stream in small pieces takes long and finds nothing new.
    let step = step.max(words.len() / 64).max(1);
    let pieces: Vec<Vec<u8>> = words.chunks(step).map(<[u8]>::to_vec).collect();
    crate::server::run(fuzzing::stderr_tail(crate::server::Pieces::new(pieces)))
}

/// Lines: name, host, port, user, identity, jump.
fn configured(mut input: Input<'_>) {
    let Ok(name) = DeviceName::new(input.text()) else {
        return;
    };
    let mut field = || Some(input.text()).filter(|text| !text.is_empty());
    let target = Target {
        name,
        host: field(),
        port: field().and_then(|port| port.parse().ok()),
        user: field(),
        identity: field().map(PathBuf::from),
        jump: field(),
        compression: Compression::Auto,
        bandwidth: None,
        stall_timeout: Duration::from_mins(1),
    };
    if target.check().is_err() {
        return;
    }
    let without = fuzzing::ssh_config(&[]);
    let with = fuzzing::ssh_config(std::slice::from_ref(&target));
    let ours: Vec<&str> = with
        .lines()
        .filter(|line| !without.lines().any(|other| other == *line))
        .map(str::trim_start)
        .collect();
    let has_block = target.host.is_some()
        || target.port.is_some()
        || target.user.is_some()
        || target.identity.is_some()
        || target.jump.is_some();
    assert_eq!(ours.is_empty(), !has_block);
    for line in &ours {
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
        let keyword = line.split(' ').next().unwrap_or_default();
        let known = [
            "Host",
            "HostName",
            "Port",
            "HostKeyAlias",
            "User",
            "IdentityFile",
            "IdentitiesOnly",
            "ProxyJump",
        ];
        assert!(known.contains(&keyword), "{line}");
        assert!(
            ours.iter()
                .filter(|other| other.split(' ').next() == Some(keyword))
                .count()
                == 1
        );
        let words = line.split_ascii_whitespace().count();
        assert!(words == 2 || keyword == "IdentityFile", "{line}");
    }
}
