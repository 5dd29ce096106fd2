//! What can go wrong with a device, or with one file on it.

use std::time::Duration;

use model::{FailureClass, SourcePath};

use crate::rules::MAX_STALLS;

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
#[error("{}", self.text())]
pub struct DeviceFailure {
    /// Its class, which decides exit status and remedy.
    pub class: FailureClass,
    /// What happened, as a sentence fragment. Text from outside is escaped.
    pub message: String,
    /// What to do about this cause, where the remedy of the class does not help.
    pub remedy: Option<String>,
    /// What else is known: the files in transit, the consequence, an earlier failure. [`DeviceFailure::text`] appends
    /// them, in this order.
    pub notes: Vec<String>,
}

impl DeviceFailure {
    /// A failure with the remedy of its class.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            remedy: None,
            notes: Vec::new(),
        }
    }

    /// The same failure with a remedy for its cause.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The same failure with a further note.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The message and all notes, on one line.
    pub fn text(&self) -> String {
        let mut text = self.message.clone();
        for note in &self.notes {
            text.push_str("; ");
            text.push_str(note);
        }
        text
    }

    /// A listing of `source` that was given up after `limit`.
    pub fn endless_listing(source: &SourcePath, limit: Duration) -> Self {
        let seconds = limit.as_secs_f64();
        let message = format!(
            "the listing of {source} did not end within {seconds} s ({MAX_STALLS} times stall_timeout)"
        );
        Self::new(FailureClass::Stalled, message)
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        self.remedy.as_deref().unwrap_or(self.class.remedy())
    }
}
