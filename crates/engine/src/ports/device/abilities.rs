//! What a device can do, and what it says about itself.

use std::time::Duration;

use model::{SourcePath, Timestamp};

/// What earlier sessions found out about how to connect to a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectHints {
    /// What [`super::Session::compression_paid`] returned.
    pub compression_paid: Option<bool>,
    /// The device ended the whole connection over a command beside SFTP ([`NoShell::HangsUp`]).
    pub hangs_up_on_commands: bool,
}

/// What a device can do.
#[allow(
    clippy::struct_excessive_bools,
    reason = "abilities that a device has or lacks independently of each other"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Identities have all parts (GNU find and stat). Otherwise size and whole-second mtime only.
    pub complete_identities: bool,
    /// The device digests its own files.
    pub digests: bool,
    /// The device reported its clock, boot id and uptime.
    pub tells_time: bool,
    /// The device renames atomically and replaces the target (`posix-rename@openssh.com`).
    pub renames_atomically: bool,
    /// Its SFTP server refuses everything that writes (`sftp-server -R`).
    pub is_read_only: bool,
    /// [`super::Session::fetch_together`] may be used.
    pub reads_together: bool,
    /// Why no command can be run, where none can. The device may have the tools that are missing here.
    pub no_shell: Option<NoShell>,
    /// The device's shell and its SFTP server show the same folders, as far as is known. Otherwise only SFTP
    /// is used.
    pub one_view: bool,
}

/// Why no command can be run on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoShell {
    /// The login is for SFTP only.
    Refused,
    /// The device ended the whole connection over a command beside SFTP.
    HangsUp,
    /// The device permits one session in a connection, and no second connection.
    OneSession,
    /// The login's start-up files, or the shell, did not end in time.
    Silent,
    /// They print without end.
    Chatters,
}

impl NoShell {
    /// In a few words, for `status`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Refused => "no shell: the login runs no commands, only SFTP",
            Self::HangsUp => "no shell: the SSH server hangs up when a command is requested beside SFTP",
            Self::OneSession => {
                "no shell: the device permits one session (MaxSessions 1), and no second connection"
            }
            Self::Silent => "no shell: the login's start-up files do not end within connect_timeout",
            Self::Chatters => "no shell: the login's start-up files print without end",
        }
    }
}

impl Abilities {
    /// What the device lacks, in a few words for `status`. Empty for a full device.
    pub fn shortcomings(&self) -> Vec<&'static str> {
        let mut shortcomings = Vec::new();
        shortcomings.extend(self.no_shell.map(NoShell::text));
        if !self.one_view {
            shortcomings.push(
                "its SFTP server shows other folders than its shell: only SFTP is used, so files settle for \
                 settle_blind, and content is proved by size and time only",
            );
            return shortcomings;
        }
        let has_shell = self.no_shell.is_none();
        if !self.complete_identities {
            shortcomings.push(if has_shell {
                "no GNU find and stat: files are identified by size and mtime only"
            } else {
                "files are identified by size and mtime only"
            });
        }
        if !self.digests {
            shortcomings.push(if has_shell {
                "no digest tool: content is proved by size and time only"
            } else {
                "the device digests nothing: content is proved by size and time only"
            });
        }
        if !self.tells_time {
            shortcomings.push("its clock cannot be read: files must stay unchanged between two surveys");
        }
        if self.is_read_only {
            shortcomings.push("its SFTP server is read-only: files are stored, but stay on the device");
        } else if !self.renames_atomically {
            shortcomings.push("no atomic rename: files are stored, but stay on the device");
        }
        shortcomings
    }
}

/// What a device says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceFacts {
    /// The device's own clock.
    pub clock: Option<Timestamp>,
    /// The kernel's boot id.
    pub boot_id: Option<String>,
    /// Time since boot.
    pub uptime: Option<Duration>,
    /// For each source asked about: its file system. `None` if that could not be determined.
    pub disks: Vec<(SourcePath, Option<DiskUse>)>,
    /// For each source asked about: which folder it is, with links followed. `None` if that could not be
    /// determined.
    pub folders: Vec<(SourcePath, Option<FolderNumbers>)>,
}

/// Identifies a folder of one kernel: no two folders that exist at the same time have the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FolderNumbers {
    /// The device number of its file system.
    pub device_number: u64,
    /// Its inode.
    pub inode: u64,
}

/// How full a file system is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskUse {
    /// The size of the file system.
    pub total: u64,
    /// What the login user may still write.
    pub available: u64,
}
