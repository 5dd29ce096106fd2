//! What a device can do for us, and how much of it at a time.

use engine::ports::device::Abilities;

use sftp::codec::names;

use crate::facts::{Dialect, Facts};

/// Bytes that may be asked for and not yet consumed. A link of 100 Mbit/s and 300 ms holds 3.75 MB, ssh's channel window
/// 2 MiB; as much again covers the time that a consumer takes to write what has come.
const BUDGET: u32 = 8 * 1024 * 1024;
/// The least, however narrow the bandwidth: a few reads.
const MIN_BUDGET: u32 = 256 * 1024;

/// What follows from what the device told about itself.
pub(super) fn of(facts: &Facts, files: &sftp::Client) -> Abilities {
    let has_shell = facts.dialect != Dialect::Unsupported;
    Abilities {
        complete_identities: facts.dialect == Dialect::Gnu,
        digests: has_shell && facts.digests.is_some(),
        tells_time: facts.clock.is_some() && facts.boot_id.is_some() && facts.uptime.is_some(),
        renames_atomically: files.supports(names::POSIX_RENAME),
        is_read_only: is_read_only(files),
        reads_together: false,
        no_shell: None,
        one_view: true,
    }
}

/// What is left where the shell shows other folders than SFTP. The clock that it told is that of the same
/// kernel.
pub(super) fn by_sftp_alone(with_shell: Abilities) -> Abilities {
    Abilities {
        complete_identities: false,
        digests: false,
        reads_together: false,
        one_view: false,
        ..with_shell
    }
}

/// OpenSSH's server does not name what it refuses when it is read-only (`-R`).
fn is_read_only(files: &sftp::Client) -> bool {
    let writes = [names::POSIX_RENAME, names::HARDLINK, names::FSYNC];
    files.supports(names::STATVFS) && !writes.iter().any(|name| files.supports(name))
}

/// Less where little may be received, so that what is asked between files does not wait behind megabytes: one second's
/// worth.
pub(super) fn budget(bandwidth: Option<u64>) -> u32 {
    let second = bandwidth.map_or(BUDGET, |rate| u32::try_from(rate).unwrap_or(u32::MAX));
    second.clamp(MIN_BUDGET, BUDGET)
}
