//! A table for people. Columns of unknown width come last.

use std::io;

use engine::ports::FileRow;
use model::{DeviceName, Timestamp};

use crate::commands::status::times;
use crate::output::Output;
use crate::report::amount;

use super::FileFormat;

/// Displayed digits of the digest: enough to compare by eye. The other formats have all digits.
const DIGEST_DIGITS: usize = 12;

pub(super) struct FileTable {
    name_width: usize,
}

impl FileTable {
    /// A table wide enough for these names.
    pub(super) fn for_names(names: impl IntoIterator<Item = DeviceName>) -> Self {
        let widths = names.into_iter().map(|name| name.as_str().chars().count());
        Self {
            name_width: widths.max().unwrap_or_default().max("DEVICE".len()),
        }
    }

    fn line(&self, cells: [&str; 8], output: &mut Output) -> io::Result<()> {
        let [state, stored, released, size, digest, device, path, store_name] = cells;
        let width = self.name_width;
        output.line(format_args!(
            "{state:8}  {stored:19}  {released:19}  {size:>8}  {digest:DIGEST_DIGITS$}  {device:width$}  {path}  {store_name}"
        ))
    }
}

impl FileFormat for FileTable {
    fn begin(&mut self, output: &mut Output) -> io::Result<()> {
        let headings = [
            "STATE",
            "STORED (UTC)",
            "RELEASED (UTC)",
            "SIZE",
            "SHA-256",
            "DEVICE",
            "PATH",
            "-> NAME IN THE STORE",
        ];
        self.line(headings, output)
    }

    fn file(&mut self, file: &FileRow, output: &mut Output) -> io::Result<()> {
        let time = |time: Option<Timestamp>| time.map_or_else(|| "-".into(), times::to_the_second);
        let digest: String = file.digest.to_hex().chars().take(DIGEST_DIGITS).collect();
        let cells = [
            file.state.code(),
            &time(Some(file.stored_at)),
            &time(file.released_at),
            &amount::bytes(file.identity.size),
            &digest,
            file.device.as_str(),
            &file.path.to_string(),
            &format!("-> {}", file.store_name),
        ];
        self.line(cells, output)
    }
}
