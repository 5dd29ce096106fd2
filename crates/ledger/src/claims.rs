//! Which folders the sources of devices are.

use engine::ports::{Claim, ClaimedFolder, FolderNumbers};
use model::{DeviceName, SourcePath};
use rusqlite::{Connection, Row, named_params};

use crate::names;
use crate::values::{self, bits};

/// Replaces what was known of a device.
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
            ":device_number": bits(claim.folder.numbers.device_number),
            ":inode": bits(claim.folder.numbers.inode),
            ":since": claim.since.nanoseconds(),
        };
        ledger
            .prepare_cached(include_str!("sql/write/claim.sql"))?
            .execute(row)?;
    }
    Ok(())
}

/// What is known of all devices.
pub(crate) fn all(ledger: &Connection) -> rusqlite::Result<Vec<(DeviceName, SourcePath, Claim)>> {
    ledger
        .prepare_cached(include_str!("sql/read/claims.sql"))?
        .query_map((), of_row)?
        .collect()
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<(DeviceName, SourcePath, Claim)> {
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
