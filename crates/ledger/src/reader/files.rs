//! Long lists, page by page.

use std::collections::VecDeque;

use model::{
    BatchId, DeviceName, Digest, FileState, Identity, LeaveReason, RelativePath, SourcePath, Timestamp,
};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, named_params};

use super::{ReadError, Reader};
use crate::values;

pub(crate) const FILES: &str = include_str!("../sql/read/files.sql");
pub(crate) const FILES_UNRELEASED: &str = include_str!("../sql/read/files_unreleased.sql");
pub(crate) const STORED_COPIES: &str = include_str!("../sql/read/stored_copies.sql");

/// Rows in a page: some hundred kilobytes, and a transaction of a few milliseconds.
const PAGE: i64 = 1000;

/// Which files are asked for. The default asks for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileFilter {
    /// Only those of these devices; empty: of all.
    pub devices: Vec<DeviceName>,
    /// Only those in these states; empty: in any.
    pub states: Vec<FileState>,
    /// Only those stored at that time or later.
    pub since: Option<Timestamp>,
}

impl FileFilter {
    fn leaves_out_released(&self) -> bool {
        !self.states.is_empty() && !self.states.contains(&FileState::Released)
    }

    fn admits(&self, file: &FileRow) -> bool {
        self.states.is_empty() || self.states.contains(&file.state)
    }
}

/// A recorded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// The device it came from.
    pub device: DeviceName,
    /// The source there.
    pub source: SourcePath,
    /// Its original path below the source.
    pub path: RelativePath,
    /// Its identity as verified.
    pub identity: Identity,
    /// The digest of its content.
    pub digest: Digest,
    /// Whether the device made the same digest of its own bytes.
    pub device_digest: bool,
    /// Where it is in the store.
    pub store_name: RelativePath,
    /// Whether that content was in the store before.
    pub was_there: bool,
    /// The batch it was withdrawn with; `None` where it was gathered in place.
    pub withdrawn: Option<BatchId>,
    /// How far it has come.
    pub state: FileState,
    /// Why it is kept, where it is.
    pub reason: Option<LeaveReason>,
    /// When it was recorded.
    pub stored_at: Timestamp,
    /// When it was released.
    pub released_at: Option<Timestamp>,
}

/// The recorded files that pass a filter. After an error it is at its end.
#[derive(Debug)]
pub struct Files<'a> {
    reader: &'a Reader,
    filter: FileFilter,
    sources: VecDeque<Source>,
    /// Time and row of the last one of the page before, in the source at the front.
    after: (i64, i64),
    page: VecDeque<FileRow>,
}

#[derive(Debug)]
struct Source {
    id: i64,
    device: DeviceName,
    path: SourcePath,
}

impl<'a> Files<'a> {
    pub(super) fn new(reader: &'a Reader, filter: FileFilter) -> Result<Self, ReadError> {
        let mut sources = reader.asked(sources)?;
        if !filter.devices.is_empty() {
            sources.retain(|source| filter.devices.contains(&source.device));
        }
        Ok(Self {
            reader,
            after: beginning(&filter),
            filter,
            sources,
            page: VecDeque::new(),
        })
    }

    /// Fills the page from the source at the front, or goes on to the next source; `None` at the end.
    fn turn_page(&mut self) -> Option<Result<(), ReadError>> {
        let (source, after) = (self.sources.front()?, self.after);
        let query = if self.filter.leaves_out_released() {
            FILES_UNRELEASED
        } else {
            FILES
        };
        let rows = match self.reader.asked(|ledger| page(ledger, query, source, after)) {
            Ok(rows) => rows,
            Err(error) => return Some(Err(error)),
        };
        match rows.last() {
            Some((key, _)) => self.after = *key,
            None => {
                self.sources.pop_front();
                self.after = beginning(&self.filter);
            }
        }
        let files = rows.into_iter().map(|(_, file)| file);
        self.page = files.filter(|file| self.filter.admits(file)).collect();
        Some(Ok(()))
    }
}

/// The place just before the first file asked for.
fn beginning(filter: &FileFilter) -> (i64, i64) {
    (filter.since.map_or(i64::MIN, Timestamp::nanoseconds), i64::MIN)
}

impl Iterator for Files<'_> {
    type Item = Result<FileRow, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(file) = self.page.pop_front() {
                return Some(Ok(file));
            }
            if let Err(error) = self.turn_page()? {
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

type Keyed<T> = ((i64, i64), T);

fn page(
    ledger: &Connection,
    query: &'static str,
    source: &Source,
    after: (i64, i64),
) -> rusqlite::Result<Vec<Keyed<FileRow>>> {
    let range = named_params! { ":source": source.id, ":stored_at": after.0, ":id": after.1, ":limit": PAGE };
    ledger
        .prepare_cached(query)?
        .query_map(range, |row| {
            Ok(((row.get("stored_at")?, row.get("id")?), file_row(row, source)?))
        })?
        .collect()
}

fn file_row(row: &Row<'_>, source: &Source) -> rusqlite::Result<FileRow> {
    let batch: Option<String> = row.get("batch_name")?;
    let batch = batch.map(|name| values::admitted("batch", Type::Text, BatchId::new(name)));
    Ok(FileRow {
        device: source.device.clone(),
        source: source.path.clone(),
        path: values::path(row, "path")?,
        identity: values::identity(row)?,
        digest: values::digest(row)?,
        device_digest: row.get("device_digest")?,
        store_name: values::path(row, "store_name")?,
        was_there: row.get("was_there")?,
        withdrawn: batch.transpose()?,
        state: values::state(row)?,
        reason: values::leave_reason(row)?,
        stored_at: values::time(row, "stored_at")?,
        released_at: values::optional_time(row, "released_at")?,
    })
}

/// Something that should be in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCopy {
    /// Its name there.
    pub store_name: RelativePath,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
}

/// Everything that should be in the store, by name. After an error it is at its end.
#[derive(Debug)]
pub struct StoredCopies<'a> {
    reader: &'a Reader,
    /// Name and row of the last one of the page before; `None` at the end.
    after: Option<(Vec<u8>, i64)>,
    page: VecDeque<StoredCopy>,
    /// What has been given out under the name that is at hand: more than one only if the store lost a file and got another.
    given: Vec<StoredCopy>,
}

impl<'a> StoredCopies<'a> {
    pub(super) fn new(reader: &'a Reader) -> Self {
        Self {
            reader,
            after: Some((Vec::new(), i64::MIN)),
            page: VecDeque::new(),
            given: Vec::new(),
        }
    }

    /// Whether the copy is another than those given out before.
    fn is_new(&mut self, copy: &StoredCopy) -> bool {
        if self
            .given
            .first()
            .is_some_and(|given| given.store_name != copy.store_name)
        {
            self.given.clear();
        }
        if self.given.contains(copy) {
            return false;
        }
        self.given.push(copy.clone());
        true
    }

    /// Fills the page; `None` at the end.
    fn turn_page(&mut self) -> Option<Result<(), ReadError>> {
        let after = self.after.take()?;
        let rows = match self.reader.asked(|ledger| copies(ledger, &after)) {
            Ok(rows) => rows,
            Err(error) => return Some(Err(error)),
        };
        let (id, last) = rows.back()?;
        self.after = Some((last.store_name.as_bytes().to_vec(), *id));
        self.page = rows.into_iter().map(|(_, copy)| copy).collect();
        Some(Ok(()))
    }
}

impl Iterator for StoredCopies<'_> {
    type Item = Result<StoredCopy, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.page.pop_front() {
                Some(copy) if self.is_new(&copy) => return Some(Ok(copy)),
                Some(_) => {}
                None => {
                    if let Err(error) = self.turn_page()? {
                        return Some(Err(error));
                    }
                }
            }
        }
    }
}

fn copies(ledger: &Connection, after: &(Vec<u8>, i64)) -> rusqlite::Result<VecDeque<(i64, StoredCopy)>> {
    let range = named_params! { ":store_name": after.0, ":id": after.1, ":limit": PAGE };
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
