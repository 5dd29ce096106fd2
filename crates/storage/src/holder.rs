//! Which collector holds a ledger, and the id that names its staging folders.

use std::path::Path;

use model::{CollectorId, LedgerId, escaped};
use sha2::{Digest as _, Sha256};

/// A collector as the store's notes know it: a machine, and the path of the ledger there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Empty without a machine id.
    machine: String,
    /// Escaped.
    ledger_path: String,
}

/// Precedes what is digested: a digest of the machine id for any other purpose differs.
const PURPOSE: &[u8] = b"gleaner collector\0";

/// Digits of a collector id.
const ID_LENGTH: usize = 16;

impl Holder {
    /// The collector on the machine with this id (the text of `/etc/machine-id`), with a ledger at this path.
    pub fn new(machine: Option<&str>, ledger_path: &Path) -> Self {
        Self {
            machine: machine.unwrap_or_default().trim().to_owned(),
            ledger_path: escaped(ledger_path.as_os_str().as_encoded_bytes()),
        }
    }

    /// As a note of the store has it.
    pub(crate) fn noted(machine: String, ledger_path: String) -> Self {
        Self { machine, ledger_path }
    }

    /// The id of the machine; `None` if it has none: other machines without one cannot be distinguished.
    pub fn machine(&self) -> Option<&str> {
        Some(self.machine.as_str()).filter(|machine| !machine.is_empty())
    }

    /// The path of the ledger on that machine, escaped.
    pub fn ledger_path(&self) -> &str {
        &self.ledger_path
    }

    /// The id of this collector with that ledger: a digest of machine id and ledger path, so that a collector
    /// that lost its ledger has the same id. Without a machine id it is the ledger's id.
    pub fn collector_id(&self, ledger: &LedgerId) -> CollectorId {
        let without_ledger = self.machine().and_then(|machine| {
            let hasher = Sha256::new_with_prefix(PURPOSE)
                .chain_update(machine)
                .chain_update(b"\0")
                .chain_update(&self.ledger_path);
            let mut digits = model::Digest::from_bytes(hasher.finalize().into()).to_hex();
            digits.truncate(ID_LENGTH);
            CollectorId::new(digits)
        });
        without_ledger.unwrap_or_else(|| CollectorId::from(ledger))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_id_depends_on_machine_and_path() {
        let id = |machine, path: &str, ledger: &str| {
            let holder = Holder::new(machine, Path::new(path));
            holder.collector_id(&LedgerId::new(ledger).unwrap())
        };
        let first = id(Some("m1\n"), "/ledger.db", "one");
        // Staging of earlier processes is found by this id: it must never change.
        assert_eq!(first.as_str(), "a98b55575de40fe5");
        assert_eq!(id(Some("m1"), "/ledger.db", "two"), first);
        assert_ne!(id(Some("m2"), "/ledger.db", "one"), first);
        assert_ne!(id(Some("m1"), "/other.db", "one"), first);
        for nothing in [None, Some(""), Some("\n")] {
            assert_eq!(id(nothing, "/ledger.db", "one").as_str(), "one");
        }
    }
}
