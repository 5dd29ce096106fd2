//! Claims: which folder each source is.

use engine::ports::{Claim, ClaimedFolder, FolderNumbers};
use model::{DeviceName, SourcePath};
use rusqlite::{Connection, Row, named_params};

use crate::names;
use crate::values::{self, to_signed};

/// Replaces the claims of a device.
pub(crate) fn replace(
    ledger: &Connection,
    device: i64,
    claims: &[(SourcePath, Claim)],
) -> rusqlite::Result<()> {
    let row = named_params! { ":device": device };
    ledger
        .prepare_cached(include_str!("sql/write/forget_claims.sql"))?
        .execute(row)?;
    for (source, claim) in claims {
        let row = named_params! {
            ":source": names::source(ledger, device, source)?,
            ":boot_id": claim.folder.boot_id,
            ":device_number": to_signed(claim.folder.numbers.device_number),
            ":inode": to_signed(claim.folder.numbers.inode),
            ":since": claim.since.nanoseconds(),
        };
        ledger
            .prepare_cached(include_str!("sql/write/claim.sql"))?
            .execute(row)?;
    }
    Ok(())
}

/// The claims of all devices, also of those no longer configured.
pub(crate) fn all(ledger: &Connection) -> rusqlite::Result<Vec<(DeviceName, SourcePath, Claim)>> {
    ledger
        .prepare_cached(include_str!("sql/read/claims.sql"))?
        .query_map((), claim_row)?
        .collect()
}

fn claim_row(row: &Row<'_>) -> rusqlite::Result<(DeviceName, SourcePath, Claim)> {
    let folder = ClaimedFolder {
        boot_id: row.get("boot_id")?,
        numbers: FolderNumbers {
            device_number: values::count(row, "device_number")?,
            inode: values::count(row, "inode")?,
        },
    };
    let since = values::time(row, "since")?;
    Ok((
        values::device_name(row, "name")?,
        values::source(row, "path")?,
        Claim { folder, since },
    ))
}
