//! Notes which ledgers have used a store, and which collector holds each. A collector that lost its ledger
//! finds its old id here, and with it the files that it had withdrawn on the devices.

use std::collections::BTreeSet;
use std::time::Duration;

use engine::ports::StoreError;
use model::names::CONTROL_FOLDER;
use model::{LedgerId, Timestamp};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::fault::is;
use crate::files::{open_or_make_folder, read_small_file, replace_file};
use crate::folder::StoreFolder;
use crate::holder::Holder;
use crate::marker::{parse_time, render_time};

const LEDGERS: &[u8] = b"ledgers";

/// Follows the ledger id in the name of its note.
const NOTED: &str = ".toml";

/// Follows the ledger id in the name of the note of its adoption. Earlier releases ignore such a name.
const ADOPTED: &str = ".adopted.toml";

/// An older note is written again: its age tells a ledger in use from an abandoned one.
const REWRITE_AFTER: Duration = Duration::from_hours(24);

/// Bytes of a note that are read at most; more than any note has.
const MAX_NOTE_LENGTH: u64 = 64 << 10;

/// A ledger that has used a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownLedger {
    /// Its id.
    pub id: LedgerId,
    /// The collector that holds it.
    pub holder: Holder,
    /// When its note was last written: at most a day before its last use.
    pub last_used: Timestamp,
    /// How its holder got it; `None` if it made it.
    pub adopted: Option<Adoption>,
}

/// How a ledger moved from one collector to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// When.
    pub at: Timestamp,
    /// The other collectors that have held it, the last one first.
    pub former: Vec<Holder>,
}

/// The note of a ledger: `ID.toml`. The collector that uses the ledger writes it once a day.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct LedgerNote {
    pub(crate) machine: String,
    pub(crate) ledger: String,
    pub(crate) last_used: String,
    /// The collector's folder in `.gleaner/staging`, for readers. Earlier releases do not write it.
    #[serde(default)]
    pub(crate) staging: String,
}

/// The note of an adoption: `ID.adopted.toml`. It overrides the holder in `ID.toml`.
///
/// Only `gleaner ledger adopt` writes it. A collector that was cut off may write `ID.toml` late, and so may
/// an earlier release of gleaner: neither undoes an adoption.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct AdoptionNote {
    pub(crate) machine: String,
    pub(crate) ledger: String,
    pub(crate) staging: String,
    pub(crate) adopted: String,
    /// The other collectors that have held the ledger, the last one first.
    #[serde(default)]
    pub(crate) former: Vec<FormerHolder>,
}

/// A collector that has held a ledger, with its folder in `.gleaner/staging`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct FormerHolder {
    pub(crate) machine: String,
    pub(crate) ledger: String,
    pub(crate) staging: String,
}

/// The first line of the note of a ledger.
const NOTE_HEADER: &str = "# A ledger of gleaner that uses this store, and the collector that used it last. \
                           A collector that has lost the ledger finds its id here.\n";

/// The first line of the note of an adoption.
const ADOPTION_HEADER: &str = "# The collector that holds a ledger of gleaner since `gleaner ledger adopt`, and those \
                               that held it before.\n";

impl LedgerNote {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        toml::from_str(std::str::from_utf8(text).ok()?).ok()
    }

    fn of(id: &LedgerId, holder: &Holder, now: Timestamp) -> Self {
        Self {
            machine: holder.machine().unwrap_or_default().to_owned(),
            ledger: holder.ledger_path().to_owned(),
            last_used: render_time(now),
            staging: holder.collector_id(id).as_str().to_owned(),
        }
    }

    pub(crate) fn render(&self) -> String {
        format!("{NOTE_HEADER}{}", toml::to_string(self).unwrap_or_default())
    }
}

impl AdoptionNote {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        toml::from_str(std::str::from_utf8(text).ok()?).ok()
    }

    fn of(id: &LedgerId, holder: &Holder, adoption: &Adoption) -> Self {
        let former = |holder: &Holder| FormerHolder {
            machine: holder.machine().unwrap_or_default().to_owned(),
            ledger: holder.ledger_path().to_owned(),
            staging: holder.collector_id(id).as_str().to_owned(),
        };
        let FormerHolder {
            machine,
            ledger,
            staging,
        } = former(holder);
        Self {
            machine,
            ledger,
            staging,
            adopted: render_time(adoption.at),
            former: adoption.former.iter().map(former).collect(),
        }
    }

    fn adoption(self) -> (Holder, Adoption) {
        let former = |former: FormerHolder| Holder::noted(&former.machine, former.ledger);
        let adoption = Adoption {
            at: time(&self.adopted),
            former: self.former.into_iter().map(former).collect(),
        };
        (Holder::noted(&self.machine, self.ledger), adoption)
    }

    pub(crate) fn render(&self) -> String {
        format!("{ADOPTION_HEADER}{}", toml::to_string(self).unwrap_or_default())
    }
}

fn time(text: &str) -> Timestamp {
    parse_time(text).unwrap_or(Timestamp::EPOCH)
}

impl<D: Disk> StoreFolder<D> {
    /// Notes that `holder` uses this store with the ledger `id`. Writes at most once a day.
    ///
    /// Returns the note, unchanged, if another collector holds the ledger.
    pub fn remember_ledger(
        &self,
        id: &LedgerId,
        holder: &Holder,
        now: Timestamp,
    ) -> Result<Option<KnownLedger>, StoreError> {
        let noted = self.known_ledger(id)?;
        if noted.as_ref().is_some_and(|noted| noted.holder != *holder) {
            return Ok(noted);
        }
        if noted
            .as_ref()
            .is_some_and(|noted| now.since(noted.last_used) < REWRITE_AFTER)
        {
            return Ok(None);
        }
        self.write_note(id, holder, now)?;
        Ok(None)
    }

    /// Notes that `holder` takes over the ledger from the collector that holds it. Durable once it returns. A
    /// crash or an error before leaves the old holder, or the new one.
    pub fn adopt_ledger(
        &self,
        known: &KnownLedger,
        holder: &Holder,
        now: Timestamp,
    ) -> Result<KnownLedger, StoreError> {
        let mut former = vec![known.holder.clone()];
        let earlier = known.adopted.iter().flat_map(|adoption| &adoption.former);
        former.extend(earlier.filter(|earlier| **earlier != known.holder).cloned());
        former.retain(|former| former != holder);
        let adopted = KnownLedger {
            id: known.id.clone(),
            holder: holder.clone(),
            last_used: now,
            adopted: Some(Adoption { at: now, former }),
        };
        if let Some(adoption) = &adopted.adopted {
            let text = AdoptionNote::of(&known.id, holder, adoption).render();
            self.write(&known.id, ADOPTED, &text)?;
        }
        // The adoption is enough. The note is written again within a day.
        self.write_note(&known.id, holder, now).unwrap_or_default();
        Ok(adopted)
    }

    fn write_note(&self, id: &LedgerId, holder: &Holder, now: Timestamp) -> Result<(), StoreError> {
        self.write(id, NOTED, &LedgerNote::of(id, holder, now).render())
    }

    fn write(&self, id: &LedgerId, suffix: &str, text: &str) -> Result<(), StoreError> {
        let fault = |error| {
            self.label
                .fault(format!("note the ledger {id} in .gleaner/ledgers"), error)
        };
        let control = self.disk.open_folder(&self.root, CONTROL_FOLDER).map_err(fault)?;
        let folder = open_or_make_folder(&*self.disk, &control, LEDGERS).map_err(fault)?;
        replace_file(&*self.disk, &folder, format!("{id}{suffix}").as_bytes(), text).map_err(fault)?;
        self.disk.flush_folder(&control).map_err(fault)
    }

    /// The ledger of that id; `None` if it has no readable note.
    pub fn known_ledger(&self, id: &LedgerId) -> Result<Option<KnownLedger>, StoreError> {
        match self.open_notes()? {
            Some(folder) => self.read_ledger(&folder, id.clone()),
            None => Ok(None),
        }
    }

    /// Every ledger with a readable note, the one last used first.
    pub fn known_ledgers(&self) -> Result<Vec<KnownLedger>, StoreError> {
        let Some(folder) = self.open_notes()? else {
            return Ok(Vec::new());
        };
        let fault = |error| self.label.fault("list known ledgers in .gleaner/ledgers", error);
        let mut ids = BTreeSet::new();
        for entry in self.disk.entries(&folder).map_err(fault)? {
            ids.extend(id_of(&entry.map_err(fault)?.name));
        }
        let mut found = Vec::new();
        for id in ids {
            found.extend(self.read_ledger(&folder, id)?);
        }
        found.sort_by(|one, other| other.last_used.cmp(&one.last_used).then(one.id.cmp(&other.id)));
        Ok(found)
    }

    /// The ledger that this collector held last, for a collector that finds no ledger at its path. Always
    /// `None` without a machine id.
    pub fn find_lost_ledger(&self, holder: &Holder) -> Result<Option<KnownLedger>, StoreError> {
        if holder.machine().is_none() {
            return Ok(None);
        }
        let known = self.known_ledgers()?;
        Ok(known.into_iter().find(|known| known.holder == *holder))
    }

    fn open_notes(&self) -> Result<Option<D::Folder>, StoreError> {
        let path = [CONTROL_FOLDER, b"/", LEDGERS].concat();
        match self.disk.open_folder(&self.root, &path) {
            Err(error) if is(&error, Errno::NOENT) => Ok(None),
            opened => opened
                .map(Some)
                .map_err(|error| self.label.fault("list known ledgers in .gleaner/ledgers", error)),
        }
    }

    /// A note that cannot be parsed counts as missing: at worst its collector starts with a new ledger id, or
    /// the ledger is adopted again.
    fn read_ledger(&self, folder: &D::Folder, id: LedgerId) -> Result<Option<KnownLedger>, StoreError> {
        let note = self.read(folder, &format!("{id}{NOTED}"))?;
        let note = note.and_then(|text| LedgerNote::parse(&text));
        let adoption = self.read(folder, &format!("{id}{ADOPTED}"))?;
        let adoption = adoption.and_then(|text| AdoptionNote::parse(&text));
        let last_used = note.as_ref().map(|note| time(&note.last_used));
        Ok(match (adoption.map(AdoptionNote::adoption), note) {
            (Some((holder, adoption)), _) => Some(KnownLedger {
                id,
                holder,
                last_used: last_used.unwrap_or(adoption.at),
                adopted: Some(adoption),
            }),
            (None, Some(note)) => Some(KnownLedger {
                id,
                last_used: time(&note.last_used),
                holder: Holder::noted(&note.machine, note.ledger),
                adopted: None,
            }),
            (None, None) => None,
        })
    }

    fn read(&self, folder: &D::Folder, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        read_small_file(&*self.disk, folder, name.as_bytes(), MAX_NOTE_LENGTH)
            .map_err(|error| self.label.fault(format!("read .gleaner/ledgers/{name}"), error))
    }
}

/// The ledger whose note, or whose adoption, has this name.
fn id_of(name: &[u8]) -> Option<LedgerId> {
    let text = std::str::from_utf8(name).ok()?;
    LedgerId::new(text.strip_suffix(ADOPTED).or_else(|| text.strip_suffix(NOTED))?)
}
