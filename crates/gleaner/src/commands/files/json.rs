//! One JSON object per line. `docs/reference/json.md` documents the format. It is stable: fields are added,
//! never renamed.

use std::fmt::Write as _;
use std::io;

use engine::ports::FileRow;
use serde_json::{Value, json};

use crate::commands::status::times::rfc3339;
use crate::output::Output;

use super::FileFormat;

pub(super) struct JsonLines;

impl FileFormat for JsonLines {
    fn begin(&mut self, _output: &mut Output) -> io::Result<()> {
        Ok(())
    }

    fn file(&mut self, file: &FileRow, output: &mut Output) -> io::Result<()> {
        output.line(object(file))
    }
}

fn object(file: &FileRow) -> Value {
    let mut object = json!({
        "device": file.device.as_str(),
        "source": file.source.to_string(),
        "path": file.path.to_string(),
        "store_name": file.store_name.to_string(),
        "size": file.identity.size,
        "sha256": file.digest.to_hex(),
        "device_digest": file.device_digest,
        "was_there": file.already_stored,
        "modified": rfc3339(file.identity.modified),
        "state": file.state.code(),
        "reason": file.reason.map(model::LeaveReason::code),
        "stored_at": rfc3339(file.stored_at),
        "released_at": file.released_at.map(rfc3339),
    });
    for (key, name) in [("path_bytes", &file.path), ("store_name_bytes", &file.store_name)] {
        if let (Some(fields), true) = (object.as_object_mut(), is_escaped(name)) {
            fields.insert(key.into(), hexadecimal(name.as_bytes()).into());
        }
    }
    object
}

/// Whether the displayed name differs from its bytes.
fn is_escaped(name: &model::RelativePath) -> bool {
    name.to_string().as_bytes() != name.as_bytes()
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            write!(text, "{byte:02x}").unwrap_or_default();
            text
        })
}
