//! The id of a ledger, read before anything is opened for writing.

use std::path::Path;

use engine::ports::HistoryError;
use model::LedgerId;

use crate::error::from_sqlite;
use crate::reader::open_existing;
use crate::values;

/// The id of the ledger at `path`, of this or an older schema; `None` if there is no ledger yet. Neither
/// creates nor changes it.
pub fn id_of(path: &Path) -> Result<Option<LedgerId>, HistoryError> {
    let connection = match open_existing(path) {
        Err(HistoryError::Missing { .. }) => return Ok(None),
        opened => opened?.0,
    };
    let id = values::ledger_id(&connection);
    id.map(Some)
        .map_err(|error| from_sqlite(&error, "open", path).into())
}
