//! Long lists, read page by page.

use std::collections::VecDeque;

use engine::ports::{FileFilter, FileRow, HistoryError, StoredCopy};
use model::{BatchId, DeviceName, FileState, SourcePath, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, named_params};

use super::Reader;
use crate::values;

pub(crate) const FILES: &str = include_str!("../sql/read/files.sql");
pub(crate) const FILES_UNRELEASED: &str = include_str!("../sql/read/files_unreleased.sql");
pub(crate) const STORED_COPIES: &str = include_str!("../sql/read/stored_copies.sql");

/// Rows of a page: some hundred kilobytes, and a transaction of a few milliseconds.
const PAGE_LENGTH: i64 = 1000;

/// The recorded files that pass a filter. Ends after the first error.
#[derive(Debug)]
pub(super) struct Files<'a> {
    reader: &'a Reader,
    filter: FileFilter,
    sources: VecDeque<Source>,
    /// The last row of the page before, in the source at the front.
    after: FileKey,
    page: VecDeque<FileRow>,
}

#[derive(Debug)]
struct Source {
    id: i64,
    device: DeviceName,
    path: SourcePath,
}

impl<'a> Files<'a> {
    pub(super) fn new(reader: &'a Reader, filter: FileFilter) -> Result<Self, HistoryError> {
        let mut sources = reader.query(sources)?;
        sources.retain(|source| filter.selects_device(&source.device));
        Ok(Self {
            reader,
            after: beginning(&filter),
            filter,
            sources,
            page: VecDeque::new(),
        })
    }

    /// Reads the next page of the source at the front, or moves on to the next source; `None` at the end.
    fn read_page(&mut self) -> Option<Result<(), HistoryError>> {
        let (source, after) = (self.sources.front()?, self.after);
        let query = if self.filter.selects_state(FileState::Released) {
            FILES
        } else {
            FILES_UNRELEASED
        };
        let rows = match self.reader.query(|ledger| page(ledger, query, source, after)) {
            Ok(rows) => rows,
            Err(error) => return Some(Err(error)),
        };
        match rows.last() {
            Some(last) => self.after = last.key,
            None => {
                self.sources.pop_front();
                self.after = beginning(&self.filter);
            }
        }
        let files = rows.into_iter().map(|row| row.file);
        self.page = files
            .filter(|file| self.filter.selects_state(file.state))
            .collect();
        Some(Ok(()))
    }
}

/// The key just before the first selected file of a source.
fn beginning(filter: &FileFilter) -> FileKey {
    FileKey {
        stored_at: filter.since.map_or(i64::MIN, Timestamp::nanoseconds),
        id: i64::MIN,
    }
}

impl Iterator for Files<'_> {
    type Item = Result<FileRow, HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(file) = self.page.pop_front() {
                return Some(Ok(file));
            }
            if let Err(error) = self.read_page()? {
                self.sources.clear();
                return Some(Err(error));
            }
        }
    }
}

fn sources(ledger: &Connection) -> rusqlite::Result<VecDeque<Source>> {
    let source = |row: &Row<'_>| {
        Ok(Source {
            id: row.get("id")?,
            device: values::device_name(row, "device")?,
            path: values::source(row, "path")?,
        })
    };
    ledger
        .prepare_cached(include_str!("../sql/read/sources.sql"))?
        .query_map((), source)?
        .collect()
}

/// The position of a row in the list of its source.
#[derive(Debug, Clone, Copy)]
struct FileKey {
    stored_at: i64,
    id: i64,
}

struct KeyedFile {
    key: FileKey,
    file: FileRow,
}

fn page(
    ledger: &Connection,
    query: &'static str,
    source: &Source,
    after: FileKey,
) -> rusqlite::Result<Vec<KeyedFile>> {
    let range = named_params! {
        ":source": source.id,
        ":stored_at": after.stored_at,
        ":id": after.id,
        ":limit": PAGE_LENGTH,
    };
    ledger
        .prepare_cached(query)?
        .query_map(range, |row| {
            let key = FileKey {
                stored_at: row.get("stored_at")?,
                id: row.get("id")?,
            };
            let file = file_row(row, source)?;
            Ok(KeyedFile { key, file })
        })?
        .collect()
}

fn file_row(row: &Row<'_>, source: &Source) -> rusqlite::Result<FileRow> {
    let batch: Option<String> = row.get("batch_name")?;
    let batch = batch.map(|name| values::validate("batch", Type::Text, BatchId::new(name)));
    Ok(FileRow {
        device: source.device.clone(),
        source: source.path.clone(),
        path: values::path(row, "path")?,
        identity: values::identity(row)?,
        digest: values::digest(row)?,
        device_digest: row.get("device_digest")?,
        store_name: values::path(row, "store_name")?,
        already_stored: row.get("already_stored")?,
        withdrawn: batch.transpose()?,
        state: values::state(row)?,
        reason: values::leave_reason(row)?,
        stored_at: values::time(row, "stored_at")?,
        released_at: values::optional_time(row, "released_at")?,
    })
}

/// Every recorded copy in the store, ordered by name. Ends after the first error.
#[derive(Debug)]
pub(super) struct Copies<'a> {
    reader: &'a Reader,
    /// The name and row of the last copy of the page before; `None` at the end.
    after: Option<(Vec<u8>, i64)>,
    page: VecDeque<StoredCopy>,
    /// The copies returned so far under the current name. More than one only if the store lost a file and
    /// received another under the same name.
    returned: Vec<StoredCopy>,
}

impl<'a> Copies<'a> {
    pub(super) fn new(reader: &'a Reader) -> Self {
        Self {
            reader,
            after: Some((Vec::new(), i64::MIN)),
            page: VecDeque::new(),
            returned: Vec::new(),
        }
    }

    /// Whether the copy was not returned before.
    fn is_new(&mut self, copy: &StoredCopy) -> bool {
        if self
            .returned
            .first()
            .is_some_and(|returned| returned.store_name != copy.store_name)
        {
            self.returned.clear();
        }
        if self.returned.contains(copy) {
            return false;
        }
        self.returned.push(copy.clone());
        true
    }

    /// Reads the next page; `None` at the end.
    fn read_page(&mut self) -> Option<Result<(), HistoryError>> {
        let after = self.after.take()?;
        let rows = match self.reader.query(|ledger| copies(ledger, &after)) {
            Ok(rows) => rows,
            Err(error) => return Some(Err(error)),
        };
        let (id, last) = rows.back()?;
        self.after = Some((last.store_name.as_bytes().to_vec(), *id));
        self.page = rows.into_iter().map(|(_, copy)| copy).collect();
        Some(Ok(()))
    }
}

impl Iterator for Copies<'_> {
    type Item = Result<StoredCopy, HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.page.pop_front() {
                Some(copy) if self.is_new(&copy) => return Some(Ok(copy)),
                Some(_) => {}
                None => {
                    if let Err(error) = self.read_page()? {
                        return Some(Err(error));
                    }
                }
            }
        }
    }
}

fn copies(ledger: &Connection, after: &(Vec<u8>, i64)) -> rusqlite::Result<VecDeque<(i64, StoredCopy)>> {
    let range = named_params! { ":store_name": after.0, ":id": after.1, ":limit": PAGE_LENGTH };
    let copy = |row: &Row<'_>| {
        let copy = StoredCopy {
            store_name: values::path(row, "store_name")?,
            size: values::size(row)?,
            digest: values::digest(row)?,
        };
        Ok((row.get("id")?, copy))
    };
    ledger
        .prepare_cached(STORED_COPIES)?
        .query_map(range, copy)?
        .collect()
}
