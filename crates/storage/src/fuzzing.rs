//! The parsers of the control folder's files, for the package `fuzz` alone.

use model::Timestamp;

use crate::ledgers::LedgerNote;
use crate::marker::{self, Marker};
use crate::partial::PartialName;

/// Parses a marker, or returns what is wrong with it.
pub fn marker(text: &[u8]) -> Result<Marker, String> {
    Marker::parse(text)
}

/// Renders a marker.
pub fn render_marker(marker: &Marker, created: Timestamp) -> String {
    marker.render(created)
}

/// Parses the note of a ledger: its machine, its path and when it was last used.
pub fn known_ledger(text: &[u8]) -> Option<[String; 3]> {
    let note = LedgerNote::parse(text)?;
    Some([note.machine, note.ledger, note.last_used])
}

/// Renders the note of a ledger.
pub fn render_known_ledger(machine: &str, ledger: &str, last_used: &str) -> String {
    let note = LedgerNote {
        machine: machine.to_owned(),
        ledger: ledger.to_owned(),
        last_used: last_used.to_owned(),
        ..LedgerNote::default()
    };
    note.render()
}

/// Parses the name of a partial file: its flushed ranges, and the name rendered again.
pub fn partial_name(name: &[u8]) -> Option<(u64, Vec<u8>)> {
    let name = PartialName::parse(name)?;
    Some((name.ranges, name.to_bytes()))
}

/// Renders a time as in markers and notes.
pub fn render_time(time: Timestamp) -> String {
    marker::render_time(time)
}

/// Parses a time as in markers and notes.
pub fn time(text: &str) -> Option<Timestamp> {
    marker::parse_time(text)
}
