//! Why a file waits or stays on its device, with the text that the user reads.

/// Why a file is not gathered yet. gleaner tries again in every pass, without a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WaitReason {
    /// It changed less than `settle` ago.
    Settling,
    /// A process on the device has it open for writing.
    Open,
    /// The device cannot show whether it is open; it changed less than `settle_blind` ago.
    SettlingBlind,
    /// The device's clock cannot be trusted; it must stay unchanged between two surveys.
    ClockUntrusted,
    /// Its `done_suffix` marker does not exist yet.
    NotMarkedDone,
    /// It changed while it was gathered; a later pass gathers it again.
    Changed,
    /// The pass ended before it reached the file.
    NotReached,
    /// This pass could not verify its content; the next pass fetches it again.
    Unproved,
    /// It is larger than the free space of the store.
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

    /// The text that the user reads.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Settling => "still settling: changed less than `settle` ago",
            Self::Open => "a program on the device has it open for writing",
            Self::SettlingBlind => {
                "still settling: changed less than `settle_blind` ago (the device cannot show which files are open)"
            }
            Self::ClockUntrusted => "the device's clock cannot be trusted; waiting for a second survey",
            Self::NotMarkedDone => "its `done_suffix` marker does not exist yet",
            Self::Changed => "changed while it was gathered; a later pass gathers it again",
            Self::NotReached => "the pass ended before it reached this file",
            Self::Unproved => "its content could not be verified yet",
            Self::NoRoom => "the store has no room for it",
        }
    }

    /// What the operator can do about it; empty if waiting is enough.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Unproved => {
                "if this repeats, read the detail in `gleaner status DEVICE`: the card may be bad, or gleaner cannot write a folder of the store"
            }
            Self::NoRoom => "free space in the store, or lower `store.min_free`",
            _ => "",
        }
    }

    /// Whether the operator should act: such a file makes the sweep end with exit status 1.
    pub const fn is_fault(self) -> bool {
        matches!(self, Self::Unproved | Self::NoRoom)
    }
}

/// Why a file stays on the device until the operator acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeaveReason {
    /// It matches `exclude`.
    Excluded,
    /// The file system reserves it.
    FileSystem,
    /// A symbolic link.
    Link,
    /// A pipe, socket or device node.
    Special,
    /// Its name cannot be stored.
    Name,
    /// The file system of the store does not accept the characters of its name.
    StoreName,
    /// Its folder in the store cannot be used.
    StoreFolder,
    /// The store cannot hold a file of this size, even with enough free space.
    TooLarge,
    /// It cannot be read.
    Unreadable,
    /// A folder that cannot be listed; its content is unknown.
    FolderUnreadable,
    /// Stored, but its folder cannot be written, so it cannot be released.
    FolderUnwritable,
    /// Stored, but marked immutable or append-only, so it cannot be released.
    Immutable,
    /// Stored, but it belongs to another user in a folder with the sticky bit, so it cannot be released.
    Sticky,
    /// Stored, but the device cannot rename safely, so it cannot be released.
    RenameUnsupported,
    /// Stored, but the device's SFTP server is read-only, so it cannot be released.
    ServerReadOnly,
    /// Stored; `release = "keep"` keeps it on the device.
    KeptByRule,
    /// Stored, but the device refused to remove it.
    RemovalRefused,
    /// A withdrawn folder that cannot be listed; its content is unknown.
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

    /// The text that the user reads.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Excluded => "matches an `exclude` rule",
            Self::FileSystem => "reserved by the file system (`lost+found`)",
            Self::Link => "a symbolic link",
            Self::Special => "a pipe, socket or device node",
            Self::Name => "its name cannot be stored",
            Self::StoreName => "the store's file system does not accept its name",
            Self::StoreFolder => "its folder in the store cannot be used",
            Self::TooLarge => "the store cannot hold a file of this size",
            Self::Unreadable => "the login may not read it",
            Self::FolderUnreadable => "gleaner cannot list this folder on the device",
            Self::FolderUnwritable => "stored, but gleaner cannot write its folder on the device",
            Self::Immutable => {
                "stored, but it or its folder is marked immutable or append-only on the device"
            }
            Self::Sticky => {
                "stored, but it belongs to another user, and the sticky bit of its folder protects it"
            }
            Self::RenameUnsupported => "stored, but the device cannot rename safely",
            Self::ServerReadOnly => "stored, but the device's SFTP server is read-only",
            Self::KeptByRule => "stored, and kept by `release = \"keep\"`",
            Self::RemovalRefused => "stored, but the device refused to remove it",
            Self::WithdrawnUnreadable => {
                "another login withdrew files into this folder, and gleaner cannot list it"
            }
            Self::ForeignWithdrawn => "withdrawn by another gleaner",
        }
    }

    /// What the operator can do about it; empty if there is nothing to do.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Excluded | Self::FileSystem | Self::Link | Self::Special | Self::KeptByRule => "",
            Self::Name => "rename it on the device, or change `store.layout`",
            Self::StoreName => {
                "set `names = \"portable\"` under [store]; if it is set already, mount the store so that it accepts UTF-8 names"
            }
            Self::StoreFolder => {
                "read the detail in `gleaner status DEVICE`, and repair that folder or its mount"
            }
            Self::TooLarge => {
                "move the store to a file system without this limit (FAT: 4 GiB), or raise the limit of the process (`LimitFSIZE=`)"
            }
            Self::Unreadable => "let the login user read it",
            Self::FolderUnreadable => "let the login user list it, or name it in `exclude`",
            Self::FolderUnwritable | Self::RemovalRefused => {
                "let the login user write the folder, or set `release = \"keep\"`; if it may write there already, inspect the file and its folder with `ls -ld` and `lsattr -d`"
            }
            Self::Immutable => {
                "run `chattr -i -a` on the file and its folder as root on the device, or set `release = \"keep\"`"
            }
            Self::Sticky => {
                "log in as the owner of the files or as root, or remove the sticky bit of the folder (`chmod -t`), or set `release = \"keep\"`"
            }
            Self::WithdrawnUnreadable => {
                "make the login the owner of the folder: run `chown -R LOGIN` on it as root on the device; gleaner then gathers its files"
            }
            Self::RenameUnsupported => "use OpenSSH's sftp-server on the device, or set `release = \"keep\"`",
            Self::ServerReadOnly => {
                "remove `-R` (read-only) from the line `Subsystem sftp` or `ForceCommand` in the device's sshd_config, or set `release = \"keep\"`"
            }
            Self::ForeignWithdrawn => {
                "if that gleaner is gone, run `gleaner ledger adopt` with the ledger id in the path, or move the files back"
            }
        }
    }

    /// Whether the operator should act: such a file makes the sweep end with exit status 1.
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
