//! What a device can do, and how much of it at a time.

use engine::ports::device::Abilities;

use sftp::codec::names;

use crate::facts::{Dialect, Facts};

/// The most bytes requested and not yet consumed. A link of 100 Mbit/s and 300 ms holds 3.75 MB, ssh's
/// channel window 2 MiB. As much again covers the time that a consumer takes to write what has arrived.
const BUDGET: u32 = 8 * 1024 * 1024;
/// The minimum for any bandwidth: a few reads.
const MIN_BUDGET: u32 = 256 * 1024;

/// The abilities that follow from the device's facts.
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

/// The abilities that are left where the shell shows other folders than SFTP. The reported clock stays valid:
/// both have the same kernel.
pub(super) fn by_sftp_alone(with_shell: Abilities) -> Abilities {
    Abilities {
        complete_identities: false,
        digests: false,
        reads_together: false,
        one_view: false,
        ..with_shell
    }
}

/// When it is read-only (`-R`), OpenSSH's server does not announce the extensions that it refuses.
fn is_read_only(files: &sftp::Client) -> bool {
    let writes = [names::POSIX_RENAME, names::HARDLINK, names::FSYNC];
    files.supports(names::STATVFS) && !writes.iter().any(|name| files.supports(name))
}

/// One second's worth where the bandwidth is limited, so that requests between files do not wait behind
/// megabytes.
pub(super) fn budget(bandwidth: Option<u64>) -> u32 {
    let second = bandwidth.map_or(BUDGET, |rate| u32::try_from(rate).unwrap_or(u32::MAX));
    second.clamp(MIN_BUDGET, BUDGET)
}
