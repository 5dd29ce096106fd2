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
    ///
    /// Text that is not 32 hexadecimal digits is no machine id: systemd writes `uninitialized` into an image
    /// before its first boot.
    pub fn new(machine: Option<&str>, ledger_path: &Path) -> Self {
        Self::noted(
            machine.unwrap_or_default(),
            escaped(ledger_path.as_os_str().as_encoded_bytes()),
        )
    }

    /// As a note of the store has it. Earlier releases noted any text as a machine id.
    pub(crate) fn noted(machine: &str, ledger_path: String) -> Self {
        let machine = machine.trim();
        let is_id = machine.len() == 32 && machine.bytes().all(|byte| byte.is_ascii_hexdigit());
        let machine = if is_id { machine } else { "" };
        Self {
            machine: machine.to_owned(),
            ledger_path,
        }
    }

    /// The id of the machine; `None` if it has none: other machines without one cannot be distinguished.
    pub fn machine(&self) -> Option<&str> {
        Some(self.machine.as_str()).filter(|machine| !machine.is_empty())
    }

    /// The path of the ledger on that machine, escaped.
    pub fn ledger_path(&self) -> &str {
        &self.ledger_path
    }

    /// The id of this collector with that ledger: a digest of machine id, ledger path and ledger id. A
    /// collector that lost its ledger gets the ledger's id back from the store, and so has the same id.
    /// Machines that were cloned, with a ledger id each, have different ones. Without a machine id it is the
    /// ledger's id.
    pub fn collector_id(&self, ledger: &LedgerId) -> CollectorId {
        let digested = self.machine().and_then(|machine| {
            let hasher = Sha256::new_with_prefix(PURPOSE)
                .chain_update(machine)
                .chain_update(b"\0")
                .chain_update(&self.ledger_path)
                .chain_update(b"\0")
                .chain_update(ledger.as_str());
            let mut digits = model::Digest::from_bytes(hasher.finalize().into()).to_hex();
            digits.truncate(ID_LENGTH);
            CollectorId::new(digits)
        });
        digested.unwrap_or_else(|| CollectorId::from(ledger))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_id_depends_on_machine_path_and_ledger() {
        let id = |machine, path: &str, ledger: &str| {
            let holder = Holder::new(machine, Path::new(path));
            holder.collector_id(&LedgerId::new(ledger).unwrap())
        };
        let (one, two) = ("1".repeat(32), "2".repeat(32));
        let as_read = format!("{one}\n");
        let first = id(Some(&as_read), "/ledger.db", "one");
        // Staging of earlier processes is found by this id: it must never change.
        assert_eq!(first.as_str(), "7521c434d8212382");
        assert_eq!(id(Some(&one), "/ledger.db", "one"), first);
        assert_ne!(id(Some(&one), "/ledger.db", "two"), first);
        assert_ne!(id(Some(&two), "/ledger.db", "one"), first);
        assert_ne!(id(Some(&one), "/other.db", "one"), first);
        for nothing in [None, Some(""), Some("\n"), Some("uninitialized\n")] {
            assert_eq!(id(nothing, "/ledger.db", "one").as_str(), "one");
        }
    }
}
