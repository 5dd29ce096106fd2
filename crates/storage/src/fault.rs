//! What a failed system call means: for the store, or for one file.

use std::io;
use std::path::Path;
use std::sync::Arc;

use engine::ports::{PublishFault, StoreError};
use rustix::io::Errno;

/// Why a file was not published.
#[derive(Debug)]
pub(crate) enum PublishError {
    /// Concerns this file alone.
    File(PublishFault),
    /// Concerns every file of the store.
    Store(StoreError),
}

impl PublishError {
    /// A failure of one file that may be gone by the next pass.
    pub(crate) fn failed(reason: &str) -> Self {
        Self::File(PublishFault::Failed(reason.to_owned()))
    }
}

/// The store's path as messages show it, escaped.
#[derive(Debug, Clone)]
pub(crate) struct StoreLabel(Arc<str>);

impl StoreLabel {
    pub(crate) fn new(path: &Path) -> Self {
        Self(model::escaped(path.as_os_str().as_encoded_bytes()).into())
    }

    pub(crate) fn location(&self) -> String {
        self.0.as_ref().to_owned()
    }

    /// The error for a folder without a marker.
    pub(crate) fn no_marker(&self) -> StoreError {
        StoreError::NoMarker {
            location: self.location(),
            detail: "there is no .gleaner/store.toml (not mounted, or never made)".to_owned(),
        }
    }

    /// The error for a file system that offers neither of the calls that publish without replacing.
    pub(crate) fn cannot_publish(&self) -> StoreError {
        StoreError::CannotPublish {
            location: self.location(),
            detail: "can neither link nor rename without replacing".to_owned(),
        }
    }

    /// The error for a failed call. `operation` fits after "failed to" and names its object.
    pub(crate) fn fault(&self, operation: impl Into<String>, source: io::Error) -> StoreError {
        let operation = operation.into();
        match errno(&source) {
            Some(Errno::NOSPC | Errno::DQUOT) => StoreError::Full {
                location: self.location(),
                detail: format!("failed to {operation}: {source}"),
            },
            Some(Errno::FBIG) => StoreError::OfFile {
                location: self.location(),
                fault: PublishFault::TooLarge(format!("failed to {operation}: {source}")),
            },
            Some(Errno::ROFS) => StoreError::NotWritable {
                location: self.location(),
                source: source.into(),
            },
            _ => StoreError::System {
                location: self.location(),
                operation,
                source: source.into(),
            },
        }
    }

    /// The error for a failed call on a file system mounted within the store. If that one is full or
    /// read-only, files of other devices can still be stored, so the fault is the file's alone.
    pub(crate) fn fault_on_mount(&self, operation: &str, source: io::Error) -> StoreError {
        let text = format!("failed to {operation}: {source}");
        let fault = match errno(&source) {
            Some(Errno::NOSPC | Errno::DQUOT) => PublishFault::NoRoom(text),
            Some(Errno::ROFS) => PublishFault::Unusable(text),
            _ => return self.fault(operation, source),
        };
        StoreError::OfFile {
            location: self.location(),
            fault,
        }
    }

    /// The error for a failed call on one name. An error that every other name would meet ends the sweep.
    pub(crate) fn publish_error(&self, operation: &str, error: io::Error) -> PublishError {
        match errno(&error) {
            Some(Errno::NAMETOOLONG) => {
                PublishError::File(PublishFault::Unacceptable("it is too long".to_owned()))
            }
            Some(Errno::INVAL | Errno::ILSEQ) => PublishError::File(PublishFault::Forbidden(
                "its file system does not take these characters".to_owned(),
            )),
            Some(Errno::XDEV) => PublishError::failed(
                "its folder is on another file system than the one beside which it was received",
            ),
            _ if is_store_wide(&error) => PublishError::Store(self.fault(operation, error)),
            _ => PublishError::failed(&format!("failed to {operation}: {error}")),
        }
    }

    /// The error for a failed call on one name of a file system mounted within the store. An error that only
    /// that file system's names meet does not end the sweep.
    pub(crate) fn publish_error_on_mount(&self, operation: &str, error: io::Error) -> PublishError {
        match errno(&error) {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::ROFS) => match self.fault_on_mount(operation, error) {
                StoreError::OfFile { fault, .. } => PublishError::File(fault),
                error => PublishError::Store(error),
            },
            _ => self.publish_error(operation, error),
        }
    }
}

/// The error for a failed first write to the store: its most frequent cause is a missing permission.
pub(crate) fn not_writable(fault: StoreError) -> StoreError {
    match fault {
        StoreError::System { location, source, .. } => StoreError::NotWritable { location, source },
        other => other,
    }
}

/// The system's error number; `None` if the error has none.
pub(crate) fn errno(error: &io::Error) -> Option<Errno> {
    Errno::from_io_error(error)
}

pub(crate) fn is(error: &io::Error, number: Errno) -> bool {
    errno(error) == Some(number)
}

/// Whether a path does not exist (any more), or passes through something that is not a folder.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(errno(error), Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

/// Whether every other file would meet the same error.
pub(crate) fn is_store_wide(error: &io::Error) -> bool {
    matches!(
        errno(error),
        Some(
            Errno::NOSPC
                | Errno::DQUOT
                | Errno::ROFS
                | Errno::IO
                | Errno::STALE
                | Errno::NODEV
                | Errno::NXIO
                | Errno::TIMEDOUT
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::NOTCONN
                | Errno::CONNRESET
                | Errno::SHUTDOWN
                | Errno::MFILE
                | Errno::NFILE
                | Errno::NOMEM
        )
    )
}
