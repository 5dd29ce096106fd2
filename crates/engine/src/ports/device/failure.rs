//! What can go wrong with a device, or with one file on it.

use model::FailureClass;

/// Why one file failed. The session continues.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FileFault {
    /// What kind of fault.
    pub kind: FileFaultKind,
    /// Operation and cause, as a fragment that fits after the file's name. Text from the device is escaped.
    pub message: String,
}

/// What kind of fault a single file had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFaultKind {
    /// It does not exist, or no longer.
    Missing,
    /// The device does not permit the operation.
    Permission,
    /// It cannot be renamed or removed, because its folder cannot be written.
    FolderUnwritable,
    /// It or its folder is marked immutable or append-only.
    Immutable,
    /// Another user owns it, and the sticky bit of its folder protects it.
    Sticky,
    /// The file system is read-only.
    ReadOnly,
    /// The target is on another file system (EXDEV). SFTP reports this as a general failure: see the message.
    OtherFileSystem,
    /// The device does not support the operation.
    Unsupported,
    /// It is no regular file.
    NotAFile,
    /// Its size is not the expected one.
    Grown,
    /// A process has it open for writing: it was not renamed.
    Open,
    /// Anything else that the device replied.
    Other,
}

/// Why a device could not be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DeviceFailure {
    /// Its class, which decides exit status and remedy.
    pub class: FailureClass,
    /// What happened, as a sentence fragment. Text from outside is escaped.
    pub message: String,
    /// What to do about this cause, where the remedy of the class does not help.
    pub remedy: Option<String>,
}

impl DeviceFailure {
    /// What to do about it.
    pub fn remedy(&self) -> &str {
        self.remedy.as_deref().unwrap_or(self.class.remedy())
    }
}
