//! Notes which ledgers have used a store. A collector that lost its ledger finds its old id here, and with it
//! the files that it had withdrawn on the devices.

use std::path::Path;
use std::time::Duration;

use engine::ports::StoreError;
use model::names::CONTROL_FOLDER;
use model::{LedgerId, Timestamp, escaped};
use rustix::io::Errno;
use serde::Deserialize;

use crate::disk::Disk;
use crate::fault::is;
use crate::files::{open_or_make_folder, read_small_file, replace_file};
use crate::folder::StoreFolder;
use crate::marker::{parse_time, render_time};

const LEDGERS: &[u8] = b"ledgers";

/// An older note is written again: its age tells a ledger in use from an abandoned one.
const REWRITE_AFTER: Duration = Duration::from_hours(24);

/// Bytes of a note that are read at most; more than any note has.
const MAX_NOTE_LENGTH: u64 = 64 << 10;

/// A ledger that has used a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownLedger {
    /// Its id.
    pub id: LedgerId,
    /// When its note was last written.
    pub last_used: Timestamp,
}

/// The note of a ledger.
#[derive(Debug, Deserialize)]
pub(crate) struct LedgerNote {
    pub(crate) machine: String,
    pub(crate) ledger: String,
    pub(crate) last_used: String,
}

impl LedgerNote {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        toml::from_str(std::str::from_utf8(text).ok()?).ok()
    }

    pub(crate) fn render(self) -> String {
        format!(
            "# A ledger of gleaner that uses this store. \
             A collector that has lost the ledger finds its id here.\n\
             machine = {}\nledger = {}\nlast_used = {}\n",
            toml::Value::from(self.machine),
            toml::Value::from(self.ledger),
            toml::Value::from(self.last_used)
        )
    }
}

impl<D: Disk> StoreFolder<D> {
    /// Notes that the ledger at `ledger_path` on `machine` (the text of `/etc/machine-id`) uses this store.
    /// Writes at most once a day. Without a machine id it writes nothing: the ledger could not be
    /// distinguished from those of other machines.
    pub fn remember_ledger(
        &self,
        id: &LedgerId,
        machine: Option<&str>,
        ledger_path: &Path,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(machine) = machine.map(str::trim).filter(|machine| !machine.is_empty()) else {
            return Ok(());
        };
        let fault = |error| {
            self.label
                .fault(format!("note the ledger {id} in .gleaner/ledgers"), error)
        };
        let control = self.disk.open_folder(&self.root, CONTROL_FOLDER).map_err(fault)?;
        let folder = open_or_make_folder(&*self.disk, &control, LEDGERS).map_err(fault)?;
        let name = format!("{id}.toml");
        let path = escaped(ledger_path.as_os_str().as_encoded_bytes());
        if let Some(note) = self.read_ledger(&folder, name.as_bytes())? {
            let age = parse_time(&note.last_used).map(|time| now.since(time));
            let is_fresh = age.is_some_and(|age| age < REWRITE_AFTER);
            if is_fresh && note.machine == machine && note.ledger == path {
                return Ok(());
            }
        }
        let note = LedgerNote {
            machine: machine.to_owned(),
            ledger: path,
            last_used: render_time(now),
        };
        replace_file(&*self.disk, &folder, name.as_bytes(), &note.render()).map_err(fault)?;
        self.disk.flush_folder(&control).map_err(fault)
    }

    /// The ledger that was last used at `ledger_path` on `machine`, for a collector that finds no ledger
    /// there. Always `None` without a machine id.
    pub fn find_lost_ledger(
        &self,
        machine: Option<&str>,
        ledger_path: &Path,
    ) -> Result<Option<KnownLedger>, StoreError> {
        let Some(machine) = machine.map(str::trim).filter(|machine| !machine.is_empty()) else {
            return Ok(None);
        };
        let fault = |error| self.label.fault("list known ledgers in .gleaner/ledgers", error);
        let path = [CONTROL_FOLDER, b"/", LEDGERS].concat();
        let folder = match self.disk.open_folder(&self.root, &path) {
            Err(error) if is(&error, Errno::NOENT) => return Ok(None),
            opened => opened.map_err(fault)?,
        };
        let ledger_path = escaped(ledger_path.as_os_str().as_encoded_bytes());
        let mut newest: Option<KnownLedger> = None;
        for entry in self.disk.entries(&folder).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            let Some(id) = id_of(&entry.name) else { continue };
            let Some(note) = self.read_ledger(&folder, &entry.name)? else {
                continue;
            };
            let last_used = parse_time(&note.last_used).unwrap_or(Timestamp::EPOCH);
            let is_ours = note.machine == machine && note.ledger == ledger_path;
            if is_ours && newest.as_ref().is_none_or(|known| known.last_used < last_used) {
                newest = Some(KnownLedger { id, last_used });
            }
        }
        Ok(newest)
    }

    /// `None` also for a note that cannot be parsed: at worst its collector starts with a new ledger id.
    fn read_ledger(&self, folder: &D::Folder, name: &[u8]) -> Result<Option<LedgerNote>, StoreError> {
        let text = read_small_file(&*self.disk, folder, name, MAX_NOTE_LENGTH).map_err(|error| {
            self.label
                .fault(format!("read .gleaner/ledgers/{}", escaped(name)), error)
        })?;
        Ok(text.and_then(|text| LedgerNote::parse(&text)))
    }
}

fn id_of(name: &[u8]) -> Option<LedgerId> {
    let text = std::str::from_utf8(name).ok()?;
    LedgerId::new(text.strip_suffix(".toml")?)
}
