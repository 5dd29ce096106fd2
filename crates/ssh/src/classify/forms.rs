//! The forms of ssh's own lines. A login banner may contain any words, but hardly a whole line of ssh's.

/// Whether a line has a certain form.
pub(super) type Form = fn(&str) -> bool;

/// ssh's messages about its configuration.
pub(super) const CONFIGURATION: [Form; 4] = [
    |line| line.contains(": line ") && line.contains(": Bad configuration option: "),
    |line| line.starts_with("Bad owner or permissions on "),
    |line| line.contains(": line ") && (line.contains("nsupported option")),
    |line| line.contains(": terminating, ") && line.ends_with(" bad configuration options"),
];

/// Lines that are never the reason for an end.
pub(crate) fn is_chatter(line: &str) -> bool {
    line.is_empty()
        || line.starts_with("Authenticated to ")
        || line.starts_with("Transferred: ")
        || line.starts_with("Bytes per second: ")
        || line.starts_with("Killed by signal ")
        || line.starts_with("Warning: Permanently added")
}

pub(super) fn is_changed_key(line: &str) -> bool {
    line.starts_with('@')
        && (line.contains("REMOTE HOST IDENTIFICATION HAS CHANGED")
            || line.contains("REVOKED HOST KEY DETECTED"))
}

pub(super) fn is_host_of_changed_key(line: &str) -> bool {
    line.contains(" has changed and you have requested strict checking")
}

pub(super) fn is_unknown_key(line: &str) -> bool {
    line.starts_with("No ") && line.contains(" host key is known for ")
}

pub(super) fn is_failed_verification(line: &str) -> bool {
    line.starts_with("Host key verification failed")
}

pub(super) fn is_refused_forwarding(line: &str) -> bool {
    line.split_once(": open failed: ")
        .is_some_and(|(channel, _)| channel.starts_with("channel "))
}

/// `USER@HOST: Permission denied (METHODS).`
pub(super) fn is_refused_authentication(line: &str) -> bool {
    line.ends_with(").")
        && line
            .split_once(": Permission denied (")
            .is_some_and(|(whom, _)| whom.contains('@') && is_word(whom))
}

pub(super) fn is_too_many_keys(line: &str) -> bool {
    line.starts_with("Received disconnect from ") && line.ends_with("Too many authentication failures")
}

pub(super) fn is_unresolved(line: &str) -> bool {
    is_of_program(line, ": Could not resolve hostname ")
}

pub(super) fn is_unconnected(line: &str) -> bool {
    is_of_program(line, ": connect to host ")
}

pub(super) fn is_keepalive_unanswered(line: &str) -> bool {
    line.starts_with("Timeout, server ") && line.ends_with(" not responding.")
}

/// The kernel's error, or ssh's own timeout.
pub(super) fn is_timeout(line: &str) -> bool {
    let of_kernel = [
        "kex_exchange_identification: ",
        "banner exchange: ",
        "ssh_dispatch_run_fatal: ",
        "client_loop: ",
        "Read from remote host ",
    ];
    line == "Connection timed out during banner exchange"
        || (line.starts_with("Connection to ") && line.contains(" port ") && line.ends_with(" timed out"))
        || (line.ends_with("timed out") && of_kernel.iter().any(|beginning| line.starts_with(beginning)))
}

pub(super) fn is_without_common_algorithm(line: &str) -> bool {
    line.starts_with("Unable to negotiate with ")
}

pub(super) fn is_hang_up_at_once(line: &str) -> bool {
    line.starts_with("kex_exchange_identification: ")
}

/// The other side ended the connection, at any stage.
pub(super) fn is_hang_up(line: &str) -> bool {
    let beginnings = [
        "Connection closed by ",
        "Connection reset by ",
        "Disconnected from ",
        "Received disconnect from ",
    ];
    line.contains(" port ") && beginnings.iter().any(|beginning| line.starts_with(beginning))
}

pub(super) fn is_refused_subsystem(line: &str) -> bool {
    line.starts_with("subsystem request failed on channel ")
}

/// ssh's message when the device refuses a session over another process's connection (`MaxSessions`).
pub(crate) fn is_refused_session(line: &str) -> bool {
    line.starts_with("mux_client_request_session: ") && line.contains("session request failed: ")
}

/// The errors of getaddrinfo(3) that waiting does not cure.
pub(super) fn is_unknown_name(reason: &str) -> bool {
    reason.starts_with("Name or service not known")
        || reason.starts_with("No address associated with hostname")
        || reason.starts_with("nodename nor servname provided")
}

/// Whether the line begins with the name of a program, and continues with `rest`.
fn is_of_program(line: &str, rest: &str) -> bool {
    line.split_once(rest).is_some_and(|(program, _)| is_word(program))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}
