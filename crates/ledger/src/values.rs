//! How types are stored in columns. A column with any other content is an error, never a guess.

use std::time::Duration;

use engine::ports::{Reason, WriterCheck};
use model::{
    DeviceName, Digest, FileState, Identity, LeaveReason, LedgerId, RelativePath, SourcePath, StoreId,
    Timestamp, WaitReason,
};
use rusqlite::types::Type;
use rusqlite::{Connection, Row};

/// The signed number with the same 64 bits, as SQLite stores it.
pub(crate) const fn to_signed(number: u64) -> i64 {
    number.cast_signed()
}

/// The number that [`to_signed`] stored.
pub(crate) const fn to_unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

/// The nanoseconds of a duration, at most `i64::MAX` (292 years).
pub(crate) fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The duration that [`nanoseconds`] stored; zero for a negative number.
pub(crate) fn duration(nanoseconds: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default())
}

/// The day that contains `at`: days since 1970-01-01 in UTC.
pub(crate) const fn day(at: Timestamp) -> i64 {
    at.seconds().div_euclid(86_400)
}

pub(crate) fn ledger_id(ledger: &Connection) -> rusqlite::Result<LedgerId> {
    ledger.query_row("SELECT id FROM ledger", (), |row| {
        let text: String = row.get("id")?;
        validate("id", Type::Text, LedgerId::new(text))
    })
}

pub(crate) fn store_id(ledger: &Connection) -> rusqlite::Result<Option<StoreId>> {
    ledger.query_row("SELECT store_id FROM ledger", (), |row| {
        let text: Option<String> = row.get("store_id")?;
        text.map(|text| validate("store_id", Type::Text, StoreId::new(text)))
            .transpose()
    })
}

pub(crate) fn writer_check(row: &Row<'_>) -> rusqlite::Result<Option<WriterCheck>> {
    let code: Option<String> = row.get("writer_check")?;
    code.map(|code| validate("writer_check", Type::Text, WriterCheck::from_code(&code)))
        .transpose()
}

pub(crate) fn identity(row: &Row<'_>) -> rusqlite::Result<Identity> {
    Ok(Identity {
        device_number: optional_number(row, "device_number")?,
        inode: optional_number(row, "inode")?,
        size: size(row)?,
        modified: time(row, "modified")?,
        changed: optional_time(row, "changed")?,
    })
}

pub(crate) fn size(row: &Row<'_>) -> rusqlite::Result<u64> {
    row.get("size").map(to_unsigned)
}

pub(crate) fn count(row: &Row<'_>, column: &'static str) -> rusqlite::Result<u64> {
    row.get(column).map(to_unsigned)
}

pub(crate) fn optional_number(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(to_unsigned))
}

pub(crate) fn time(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_nanoseconds)
}

pub(crate) fn optional_time(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row
        .get::<_, Option<i64>>(column)?
        .map(Timestamp::from_nanoseconds))
}

pub(crate) fn digest(row: &Row<'_>) -> rusqlite::Result<Digest> {
    row.get("digest").map(Digest::from_bytes)
}

pub(crate) fn device_name(row: &Row<'_>, column: &'static str) -> rusqlite::Result<DeviceName> {
    let text: String = row.get(column)?;
    validate(column, Type::Text, DeviceName::new(text).ok())
}

/// A path of any depth: older versions of gleaner recorded paths without a limit.
pub(crate) fn path(row: &Row<'_>, column: &'static str) -> rusqlite::Result<RelativePath> {
    let bytes: Vec<u8> = row.get(column)?;
    validate(column, Type::Blob, RelativePath::from_recorded(bytes).ok())
}

pub(crate) fn source(row: &Row<'_>, column: &'static str) -> rusqlite::Result<SourcePath> {
    let bytes: Vec<u8> = row.get(column)?;
    validate(column, Type::Blob, SourcePath::new(bytes).ok())
}

pub(crate) fn state(row: &Row<'_>) -> rusqlite::Result<FileState> {
    let code: String = row.get("state")?;
    validate("state", Type::Text, FileState::from_code(&code))
}

pub(crate) fn reason(row: &Row<'_>) -> rusqlite::Result<Reason> {
    let code: String = row.get("reason")?;
    let wait = || WaitReason::ALL.into_iter().find(|reason| reason.code() == code);
    let reason = leave(&code)
        .map(Reason::Leave)
        .or_else(|| wait().map(Reason::Wait));
    validate("reason", Type::Text, reason)
}

pub(crate) fn leave_reason(row: &Row<'_>) -> rusqlite::Result<Option<LeaveReason>> {
    let code: Option<String> = row.get("reason")?;
    code.map(|code| validate("reason", Type::Text, leave(&code)))
        .transpose()
}

fn leave(code: &str) -> Option<LeaveReason> {
    LeaveReason::ALL.into_iter().find(|reason| reason.code() == code)
}

/// The value, or an error if the column holds a value that no gleaner with this schema writes.
pub(crate) fn validate<T>(column: &'static str, kind: Type, value: Option<T>) -> rusqlite::Result<T> {
    let refusal = || rusqlite::Error::FromSqlConversionFailure(0, kind, format!("column {column}").into());
    value.ok_or_else(refusal)
}
