//! Leases: only the last pass that was begun over a device writes about it.

use engine::ports::{PassLease, RowId};
use model::{DeviceName, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, named_params};

use crate::names;
use crate::values::{to_signed, to_unsigned};

/// Begins a pass, which has no outcome until it is finished. Every earlier lease of the device is stale then.
pub(crate) fn begin(ledger: &Connection, name: &DeviceName, at: Timestamp) -> rusqlite::Result<PassLease> {
    let device = names::device(ledger, name)?;
    let row = named_params! { ":device": device, ":at": at.nanoseconds() };
    let token: i64 = ledger
        .prepare_cached(include_str!("sql/write/begin_lease.sql"))?
        .query_row(row, |row| row.get("lease_token"))?;
    let row = named_params! { ":device": device, ":begun": at.nanoseconds() };
    let row = ledger
        .prepare_cached(include_str!("sql/write/begin_pass.sql"))?
        .insert(row)?;
    Ok(PassLease::new(RowId(row), name.clone(), to_unsigned(token)))
}

/// The id of the lease's device; `None` if the lease is stale.
///
/// Runs in the transaction of the write that the lease permits.
pub(crate) fn device(ledger: &Connection, lease: &PassLease) -> rusqlite::Result<Option<i64>> {
    let row = named_params! { ":name": lease.device().as_str(), ":token": to_signed(lease.token()) };
    ledger
        .prepare_cached(include_str!("sql/read/lease.sql"))?
        .query_row(row, |row| row.get("id"))
        .optional()
}
