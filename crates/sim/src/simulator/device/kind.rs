//! What devices are able to tell.

use engine::ports::Abilities;

/// What a device can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A shell with GNU tools, and root: everything can be seen.
    Full,
    /// The same without perl, which reads many files together.
    NoPerl,
    /// A shell, but another user's writers cannot be seen.
    Blind,
    /// SFTP only: no digest, no inode, no clock, whole seconds.
    SftpOnly,
    /// A server that cannot rename atomically.
    NoRename,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Full,
        Self::NoPerl,
        Self::Blind,
        Self::SftpOnly,
        Self::NoRename,
    ];

    pub(in crate::simulator) fn abilities(self) -> Abilities {
        let full = Abilities {
            complete_identities: true,
            sees_open_files: true,
            sees_all_processes: true,
            user: Some(0),
            digests: true,
            tells_time: true,
            renames_atomically: true,
            reads_together: true,
        };
        match self {
            Self::Full => full,
            Self::NoPerl => Abilities {
                reads_together: false,
                ..full
            },
            Self::Blind => Abilities {
                sees_open_files: false,
                sees_all_processes: false,
                user: Some(1000),
                ..full
            },
            Self::NoRename => Abilities {
                renames_atomically: false,
                ..full
            },
            Self::SftpOnly => Abilities {
                complete_identities: false,
                sees_open_files: false,
                sees_all_processes: false,
                user: None,
                digests: false,
                tells_time: false,
                renames_atomically: true,
                reads_together: false,
            },
        }
    }
}
