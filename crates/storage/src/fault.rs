//! From what the system says to what it means for the store.

use std::io;
use std::path::Path;
use std::sync::Arc;

use engine::ports::{PublishFault, StoreError};
use rustix::io::Errno;

/// The store as it is called in messages.
#[derive(Debug, Clone)]
pub(crate) struct Place(Arc<str>);

impl Place {
    pub(crate) fn new(path: &Path) -> Self {
        Self(model::escaped(path.as_os_str().as_encoded_bytes()).into())
    }

    pub(crate) fn path(&self) -> String {
        self.0.as_ref().to_owned()
    }

    /// What a failed call means on another file system than that of the store: where that has no room or is
    /// read-only, other devices' files still have their place.
    pub(crate) fn fault_beside(&self, operation: &str, source: io::Error) -> StoreError {
        let told = format!("failed to {operation}: {source}");
        let fault = match errno(&source) {
            Some(Errno::NOSPC | Errno::DQUOT) => PublishFault::NoRoom(told),
            Some(Errno::ROFS) => PublishFault::Unusable(told),
            _ => return self.fault(operation, source),
        };
        StoreError::OfFile {
            path: self.path(),
            fault,
        }
    }

    /// What a failed call means. `operation` fits after "failed to" and names its object.
    pub(crate) fn fault(&self, operation: impl Into<String>, source: io::Error) -> StoreError {
        let operation = operation.into();
        match errno(&source) {
            Some(Errno::NOSPC | Errno::DQUOT) => StoreError::Full {
                path: self.path(),
                detail: format!("failed to {operation}: {source}"),
            },
            Some(Errno::FBIG) => StoreError::OfFile {
                path: self.path(),
                fault: PublishFault::TooLarge(format!("failed to {operation}: {source}")),
            },
            Some(Errno::ROFS) => StoreError::NotWritable {
                path: self.path(),
                source,
            },
            _ => StoreError::System {
                path: self.path(),
                operation,
                source,
            },
        }
    }
}

/// A fault while the store was about to be written for the first time: most often a lack of permission.
pub(crate) fn not_writable(fault: StoreError) -> StoreError {
    match fault {
        StoreError::System { path, source, .. } => StoreError::NotWritable { path, source },
        other => other,
    }
}

/// The system's number of an error, if it has one.
pub(crate) fn errno(error: &io::Error) -> Option<Errno> {
    Errno::from_io_error(error)
}

pub(crate) fn is(error: &io::Error, number: Errno) -> bool {
    errno(error) == Some(number)
}
