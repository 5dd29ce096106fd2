//! The kinds of devices, and what each can report.

use engine::ports::device::NoShell;
use engine::ports::{Abilities, WriterCheck};

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A shell with GNU tools, and a kernel that reports writers.
    Full,
    /// As [`Kind::Full`] without perl, which asks the kernel and reads many files together. Root scans the
    /// open files of all processes.
    NoPerl,
    /// A shell, but the files belong to another user, so the login cannot ask for leases.
    Blind,
    /// The source is on a file system that grants every lease.
    LyingLeases,
    /// SFTP only: no digest, no inode, no clock, whole seconds.
    SftpOnly,
    /// A server that cannot rename atomically.
    NoRename,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Full,
        Self::NoPerl,
        Self::Blind,
        Self::LyingLeases,
        Self::SftpOnly,
        Self::NoRename,
    ];

    pub(in crate::simulator) fn abilities(self) -> Abilities {
        let full = Abilities {
            complete_identities: true,
            digests: true,
            tells_time: true,
            renames_atomically: true,
            reads_together: true,
            no_shell: None,
            is_read_only: false,
            one_view: true,
        };
        match self {
            Self::Full | Self::Blind | Self::LyingLeases => full,
            Self::NoPerl => Abilities {
                reads_together: false,
                ..full
            },
            Self::NoRename => Abilities {
                renames_atomically: false,
                ..full
            },
            Self::SftpOnly => Abilities {
                complete_identities: false,
                digests: false,
                tells_time: false,
                renames_atomically: true,
                reads_together: false,
                no_shell: Some(NoShell::Refused),
                is_read_only: false,
                one_view: true,
            },
        }
    }

    /// How the device's kernel or shell finds writers.
    pub(in crate::simulator) fn writers(self) -> Writers {
        match self {
            Self::Full | Self::NoRename => Writers::Leases,
            Self::NoPerl => Writers::Scan,
            Self::Blind | Self::SftpOnly => Writers::Hidden,
            Self::LyingLeases => Writers::LyingLeases,
        }
    }
}

/// What a device can learn about writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum Writers {
    /// The kernel refuses a lease on a file that is open for writing.
    Leases,
    /// The kernel grants every lease.
    LyingLeases,
    /// A scan of all processes.
    Scan,
    /// Nothing.
    Hidden,
}

impl Writers {
    /// What the device script concludes. It requests a lease on a file of its own that it holds open for
    /// writing: leases count only if that one is refused.
    pub(in crate::simulator) fn check(self) -> WriterCheck {
        match self {
            Self::Leases => WriterCheck::Leases,
            Self::Scan => WriterCheck::Scan,
            Self::LyingLeases | Self::Hidden => WriterCheck::Blind,
        }
    }

    /// Whether the kernel grants a lease on a file.
    pub(in crate::simulator) fn grants_lease(self, is_open: bool) -> bool {
        match self {
            Self::LyingLeases => true,
            _ => !is_open,
        }
    }
}
