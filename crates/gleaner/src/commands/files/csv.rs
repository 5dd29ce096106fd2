//! Comma-separated values by RFC 4180, with a heading. Names are escaped, so that each file is one line.

use std::io;

use engine::ports::FileRow;

use crate::commands::status::times::rfc3339;
use crate::output::Output;

use super::FileFormat;

pub(super) struct CsvRows;

const HEADINGS: [&str; 12] = [
    "device",
    "source",
    "path",
    "store_name",
    "size",
    "sha256",
    "device_digest",
    "modified",
    "state",
    "reason",
    "stored_at",
    "released_at",
];

impl FileFormat for CsvRows {
    fn begin(&mut self, output: &mut Output) -> io::Result<()> {
        row(&HEADINGS.map(str::to_owned), output)
    }

    fn file(&mut self, file: &FileRow, output: &mut Output) -> io::Result<()> {
        let values = [
            file.device.to_string(),
            file.source.to_string(),
            file.path.to_string(),
            file.store_name.to_string(),
            file.identity.size.to_string(),
            file.digest.to_hex(),
            file.device_digest.to_string(),
            rfc3339(file.identity.modified),
            file.state.code().to_owned(),
            file.reason
                .map(model::LeaveReason::code)
                .unwrap_or_default()
                .to_owned(),
            rfc3339(file.stored_at),
            file.released_at.map(rfc3339).unwrap_or_default(),
        ];
        row(&values, output)
    }
}

fn row(values: &[String; 12], output: &mut Output) -> io::Result<()> {
    let quoted = values.each_ref().map(|value| quoted(value));
    // RFC 4180 requires CRLF.
    output.line(format_args!("{}\r", quoted.join(",")))
}

fn quoted(value: &str) -> String {
    if value.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}
