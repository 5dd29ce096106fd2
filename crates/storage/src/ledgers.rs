//! Notes which ledgers have used a store, and which collector holds each. A collector that lost its ledger
//! finds its old id here, and with it the files that it had withdrawn on the devices.

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
use crate::holder::Holder;
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
    /// The collector that holds it.
    pub holder: Holder,
    /// When its note was last written.
    pub last_used: Timestamp,
    /// How its holder got it; `None` if it made it.
    pub adopted: Option<Adoption>,
}

/// How a ledger moved from one collector to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// When.
    pub at: Timestamp,
    /// The collector that held it before.
    pub from: Holder,
    /// When that collector's note was last written.
    pub from_last_used: Timestamp,
}

/// The note of a ledger.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct LedgerNote {
    pub(crate) machine: String,
    pub(crate) ledger: String,
    pub(crate) last_used: String,
    /// The last four only if the ledger was adopted.
    pub(crate) adopted: Option<String>,
    pub(crate) from_machine: Option<String>,
    pub(crate) from_ledger: Option<String>,
    pub(crate) from_last_used: Option<String>,
}

impl LedgerNote {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        toml::from_str(std::str::from_utf8(text).ok()?).ok()
    }

    fn of(known: &KnownLedger) -> Self {
        let text = |text: &str| text.to_owned();
        let (adopted, from) = match &known.adopted {
            Some(adoption) => (Some(render_time(adoption.at)), Some(&adoption.from)),
            None => (None, None),
        };
        Self {
            machine: text(known.holder.machine().unwrap_or_default()),
            ledger: text(known.holder.ledger_path()),
            last_used: render_time(known.last_used),
            adopted,
            from_machine: from.map(|from| text(from.machine().unwrap_or_default())),
            from_ledger: from.map(|from| text(from.ledger_path())),
            from_last_used: known
                .adopted
                .as_ref()
                .map(|adoption| render_time(adoption.from_last_used)),
        }
    }

    fn known(self, id: LedgerId) -> KnownLedger {
        let time = |text: &str| parse_time(text).unwrap_or(Timestamp::EPOCH);
        let adopted = match (self.adopted, self.from_machine, self.from_ledger) {
            (Some(at), Some(machine), Some(ledger)) => Some(Adoption {
                at: time(&at),
                from: Holder::noted(machine, ledger),
                from_last_used: time(self.from_last_used.as_deref().unwrap_or_default()),
            }),
            _ => None,
        };
        KnownLedger {
            id,
            holder: Holder::noted(self.machine, self.ledger),
            last_used: time(&self.last_used),
            adopted,
        }
    }

    pub(crate) fn render(self) -> String {
        use std::fmt::Write as _;
        let mut text = "# A ledger of gleaner that uses this store, and the collector that holds it. \
                        A collector that has lost the ledger finds its id here.\n"
            .to_owned();
        for (key, value) in [
            ("machine", Some(self.machine)),
            ("ledger", Some(self.ledger)),
            ("last_used", Some(self.last_used)),
            ("adopted", self.adopted),
            ("from_machine", self.from_machine),
            ("from_ledger", self.from_ledger),
            ("from_last_used", self.from_last_used),
        ] {
            if let Some(value) = value {
                writeln!(text, "{key} = {}", toml::Value::from(value)).unwrap_or_default();
            }
        }
        text
    }
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
        self.write_note(&KnownLedger {
            id: id.clone(),
            holder: holder.clone(),
            last_used: now,
            adopted: noted.and_then(|noted| noted.adopted),
        })?;
        Ok(None)
    }

    /// Notes that `holder` takes over the ledger from the collector that holds it. Durable once it returns. A
    /// crash before leaves the old note, whole.
    pub fn adopt_ledger(
        &self,
        known: &KnownLedger,
        holder: &Holder,
        now: Timestamp,
    ) -> Result<KnownLedger, StoreError> {
        let adopted = KnownLedger {
            id: known.id.clone(),
            holder: holder.clone(),
            last_used: now,
            adopted: Some(Adoption {
                at: now,
                from: known.holder.clone(),
                from_last_used: known.last_used,
            }),
        };
        self.write_note(&adopted)?;
        Ok(adopted)
    }

    fn write_note(&self, known: &KnownLedger) -> Result<(), StoreError> {
        let id = &known.id;
        let fault = |error| {
            self.label
                .fault(format!("note the ledger {id} in .gleaner/ledgers"), error)
        };
        let control = self.disk.open_folder(&self.root, CONTROL_FOLDER).map_err(fault)?;
        let folder = open_or_make_folder(&*self.disk, &control, LEDGERS).map_err(fault)?;
        let text = LedgerNote::of(known).render();
        replace_file(&*self.disk, &folder, format!("{id}.toml").as_bytes(), &text).map_err(fault)?;
        self.disk.flush_folder(&control).map_err(fault)
    }

    /// The ledger of that id; `None` if it has no readable note.
    pub fn known_ledger(&self, id: &LedgerId) -> Result<Option<KnownLedger>, StoreError> {
        let Some(folder) = self.open_notes()? else {
            return Ok(None);
        };
        let note = self.read_ledger(&folder, format!("{id}.toml").as_bytes())?;
        Ok(note.map(|note| note.known(id.clone())))
    }

    /// Every ledger with a readable note, the one last used first.
    pub fn known_ledgers(&self) -> Result<Vec<KnownLedger>, StoreError> {
        let Some(folder) = self.open_notes()? else {
            return Ok(Vec::new());
        };
        let fault = |error| self.label.fault("list known ledgers in .gleaner/ledgers", error);
        let mut found = Vec::new();
        for entry in self.disk.entries(&folder).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            let Some(id) = id_of(&entry.name) else { continue };
            let note = self.read_ledger(&folder, &entry.name)?;
            found.extend(note.map(|note| note.known(id)));
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
