//! Why a file waits or stays on its device, in the user's words.

/// Why a file is not gathered yet. It will be, without anyone doing anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WaitReason {
    /// Touched less than `settle` ago.
    Settling,
    /// Some process on the device has it open for writing.
    Open,
    /// Whether it is open cannot be seen; touched less than `settle_blind` ago.
    SettlingBlind,
    /// The device's clock cannot be trusted; it must stay unchanged between two surveys.
    ClockUntrusted,
    /// Its `done_suffix` marker is not there yet.
    NotMarkedDone,
    /// It changed while it was gathered; it is gathered again.
    Changed,
    /// The pass ended before its turn came.
    NotReached,
    /// Its content could not be proved in this pass; it is fetched again in the next.
    Unproved,
    /// It is larger than the room that is left in the store.
    NoRoom,
}

impl WaitReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Settling,
        Self::Open,
        Self::SettlingBlind,
        Self::ClockUntrusted,
        Self::NotMarkedDone,
        Self::Changed,
        Self::NotReached,
        Self::Unproved,
        Self::NoRoom,
    ];

    /// The stable code in ledger and JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Settling => "settling",
            Self::Open => "open",
            Self::SettlingBlind => "settling-blind",
            Self::ClockUntrusted => "clock-untrusted",
            Self::NotMarkedDone => "not-marked-done",
            Self::Changed => "changed",
            Self::NotReached => "not-reached",
            Self::Unproved => "unproved",
            Self::NoRoom => "no-room",
        }
    }

    /// What a person reads.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Settling => "still settling: touched a moment ago",
            Self::Open => "a program on the device has it open for writing",
            Self::SettlingBlind => "settling longer, because open files cannot be seen on this device",
            Self::ClockUntrusted => "the device's clock is not to be trusted; waiting for a second look",
            Self::NotMarkedDone => "its done marker is not there yet",
            Self::Changed => "changed while it was gathered",
            Self::NotReached => "its turn has not come yet",
            Self::Unproved => "its content could not be proved yet",
            Self::NoRoom => "the store has no room for it",
        }
    }

    /// What a person can do about it; empty where it passes by itself.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Unproved => {
                "if it stays so, look at the detail in `gleaner status DEVICE`: a bad card, or a store folder that cannot be written"
            }
            Self::NoRoom => "make room in the store, or lower `store.min_free`",
            _ => "",
        }
    }

    /// Whether somebody should act: such a file makes the sweep end with exit status 1.
    pub const fn is_fault(self) -> bool {
        matches!(self, Self::Unproved | Self::NoRoom)
    }
}

/// Why a file stays on the device until somebody does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeaveReason {
    /// It matches `exclude`.
    Excluded,
    /// The file system keeps it for itself.
    FileSystem,
    /// A symbolic link.
    Link,
    /// A pipe, socket or device node.
    Special,
    /// Its name cannot be stored.
    Name,
    /// The file system of the store does not take the characters of its name.
    StoreName,
    /// Its folder in the store cannot be used.
    StoreFolder,
    /// The store cannot hold a file of its size, however much room there is.
    TooLarge,
    /// It cannot be read.
    Unreadable,
    /// A folder that cannot be listed; what is in it is not known.
    FolderUnreadable,
    /// Stored, but its folder cannot be written, so it cannot be released.
    FolderUnwritable,
    /// Stored, but marked immutable or append-only, so it cannot be released.
    Immutable,
    /// Stored, but it is another user's in a folder with the sticky bit, so it cannot be released.
    Sticky,
    /// Stored, but the device cannot rename safely, so it cannot be released.
    RenameUnsupported,
    /// Stored, but the device's SFTP server is read-only, so it cannot be released.
    ServerReadOnly,
    /// Stored; the rules keep it on the device.
    KeptByRule,
    /// Stored, but the device refused to remove it.
    RemovalRefused,
    /// A withdrawn folder that cannot be listed; what is in it is not known.
    WithdrawnUnreadable,
    /// Withdrawn by another gleaner more than a week ago.
    ForeignWithdrawn,
}

impl LeaveReason {
    /// Every reason.
    pub const ALL: [Self; 19] = [
        Self::Excluded,
        Self::FileSystem,
        Self::Link,
        Self::Special,
        Self::Name,
        Self::StoreName,
        Self::StoreFolder,
        Self::TooLarge,
        Self::Unreadable,
        Self::FolderUnreadable,
        Self::FolderUnwritable,
        Self::Immutable,
        Self::Sticky,
        Self::RenameUnsupported,
        Self::ServerReadOnly,
        Self::KeptByRule,
        Self::RemovalRefused,
        Self::WithdrawnUnreadable,
        Self::ForeignWithdrawn,
    ];

    /// The stable code in ledger and JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Excluded => "excluded",
            Self::FileSystem => "file-system",
            Self::Link => "link",
            Self::Special => "special",
            Self::Name => "name",
            Self::StoreName => "store-name",
            Self::StoreFolder => "store-folder",
            Self::TooLarge => "too-large",
            Self::Unreadable => "unreadable",
            Self::FolderUnreadable => "folder-unreadable",
            Self::FolderUnwritable => "folder-unwritable",
            Self::Immutable => "immutable",
            Self::Sticky => "sticky",
            Self::RenameUnsupported => "rename-unsupported",
            Self::ServerReadOnly => "server-read-only",
            Self::KeptByRule => "kept-by-rule",
            Self::RemovalRefused => "removal-refused",
            Self::WithdrawnUnreadable => "withdrawn-unreadable",
            Self::ForeignWithdrawn => "foreign-withdrawn",
        }
    }

    /// What a person reads.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Excluded => "left by an `exclude` rule",
            Self::FileSystem => "the file system keeps it for itself (`lost+found`)",
            Self::Link => "a symbolic link",
            Self::Special => "a pipe, socket or device node",
            Self::Name => "its name cannot be stored",
            Self::StoreName => "the store's file system does not take its name",
            Self::StoreFolder => "its folder in the store cannot be used",
            Self::TooLarge => "the store cannot hold a file of its size",
            Self::Unreadable => "the device does not let us read it",
            Self::FolderUnreadable => "the device does not let us list this folder",
            Self::FolderUnwritable => "stored, but its folder on the device cannot be written",
            Self::Immutable => {
                "stored, but it or its folder is marked immutable or append-only on the device"
            }
            Self::Sticky => "stored, but it is another user's, and the sticky bit of its folder protects it",
            Self::RenameUnsupported => "stored, but the device cannot rename safely",
            Self::ServerReadOnly => "stored, but the device's SFTP server only reads",
            Self::KeptByRule => "stored, and kept by `release = \"keep\"`",
            Self::RemovalRefused => "stored, but the device refused to remove it",
            Self::WithdrawnUnreadable => {
                "another login has withdrawn files into this folder, and the device does not let us list it"
            }
            Self::ForeignWithdrawn => "withdrawn by another gleaner",
        }
    }

    /// What a person can do about it; empty where nothing needs doing.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Excluded | Self::FileSystem | Self::Link | Self::Special | Self::KeptByRule => "",
            Self::Name => "rename it on the device, or change `store.layout`",
            Self::StoreName => {
                "set `names = \"portable\"` under [store]; if it is set, mount the store so that it takes UTF-8 names"
            }
            Self::StoreFolder => {
                "see the detail in `gleaner status DEVICE`, and mend that folder or its mount"
            }
            Self::TooLarge => {
                "keep the store on a file system without that limit (FAT ends at 4 GiB), or raise the limit of the process (`LimitFSIZE=`)"
            }
            Self::Unreadable => "let the login user read it",
            Self::FolderUnreadable => "let the login user list it, or name it in `exclude`",
            Self::FolderUnwritable | Self::RemovalRefused => {
                "let the login user write the folder, or set `release = \"keep\"`; if it may write there, look at the file and its folder with `ls -ld` and `lsattr -d`"
            }
            Self::Immutable => {
                "as root on the device, `chattr -i -a` the file and its folder, or set `release = \"keep\"`"
            }
            Self::Sticky => {
                "log in as the owner of the files or as root, or take the sticky bit off the folder (`chmod -t`), or set `release = \"keep\"`"
            }
            Self::WithdrawnUnreadable => {
                "give the folder to the login: as root on the device, `chown -R LOGIN` the folder; then its files are gathered"
            }
            Self::RenameUnsupported => "use OpenSSH's sftp-server on the device, or set `release = \"keep\"`",
            Self::ServerReadOnly => {
                "take `-R` (read-only) from the line `Subsystem sftp` or `ForceCommand` in the device's sshd_config, or set `release = \"keep\"`"
            }
            Self::ForeignWithdrawn => {
                "see whether that gleaner still runs; if not, move the files back by hand"
            }
        }
    }

    /// Whether somebody should act: such a file makes the sweep end with exit status 1.
    pub const fn is_fault(self) -> bool {
        !matches!(
            self,
            Self::Excluded | Self::FileSystem | Self::Link | Self::Special | Self::KeptByRule
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_reasons_share_a_code() {
        let waits = WaitReason::ALL.map(WaitReason::code);
        let leaves = LeaveReason::ALL.map(LeaveReason::code);
        let all: HashSet<_> = waits.iter().chain(&leaves).collect();
        assert_eq!(all.len(), waits.len() + leaves.len());
    }
}
