//! Converts SFTP's few status codes to faults of files.

use engine::ports::device::{FileFault, FileFaultKind};
use sftp::StatusCode;

/// The fault of the file that the status is about; `None` if the error ended the connection.
pub(in crate::session) fn fault(error: &sftp::Error) -> Option<FileFault> {
    let kind = match error.status()? {
        StatusCode::NoSuchFile => FileFaultKind::Missing,
        StatusCode::PermissionDenied => FileFaultKind::Permission,
        StatusCode::OpUnsupported => FileFaultKind::Unsupported,
        _ => FileFaultKind::Other,
    };
    Some(FileFault {
        kind,
        message: message(error),
    })
}

/// The operation and the server's reason. Without the path, which the reader of the message knows.
fn message(error: &sftp::Error) -> String {
    let sftp::Error::Status {
        operation,
        code,
        message,
        ..
    } = error
    else {
        return error.to_string();
    };
    let reason = model::escaped(message);
    if reason.is_empty() || reason.eq_ignore_ascii_case(&code.to_string()) {
        format!("{operation}: {code}")
    } else {
        format!("{operation}: {code} ({reason})")
    }
}
