//! Which ledger this collector may use: the id of a new one, and whether another collector holds it.
//!
//! Decided before anything is opened for writing, and again once the ledger is open: meanwhile another
//! process may have made it, or another collector may have adopted it. Changes nothing but the note in the
//! store.

use engine::ports::StoreError;
use ledger::OpenOptions;
use model::{LedgerId, Timestamp};
use storage::{Holder, KnownLedger, StoreFolder, SystemDisk};

use crate::config::{Config, show_path};
use crate::exit::{ExitStatus, Failure};
use crate::failures::store_failure;
use crate::report::amount;

/// The id of this machine, where systemd and D-Bus keep it.
const MACHINE_ID: &str = "/etc/machine-id";

/// A ledger that this collector may use, or may make.
#[derive(Debug)]
pub(crate) struct FoundLedger {
    /// This collector.
    pub(crate) holder: Holder,
    /// How to make the ledger if it is missing.
    pub(crate) options: OpenOptions,
    /// The id that a new ledger takes over from the lost ledger of this collector.
    pub(crate) takes_over: Option<LedgerId>,
    /// The lost ledger of this collector whose id a new ledger does not take over.
    pub(crate) leaves: Option<LedgerId>,
}

/// This collector.
pub(crate) fn holder(config: &Config) -> Holder {
    let machine = std::fs::read_to_string(MACHINE_ID).ok();
    Holder::new(machine.as_deref(), &config.ledger)
}

/// Finds out which ledger this collector uses or makes. Refuses a ledger that another collector holds, and
/// one with another id than the configured. `store`: `None` if there is none yet. `at`: the time of a new
/// ledger.
pub(crate) fn find(
    config: &Config,
    store: Option<&StoreFolder<SystemDisk>>,
    at: Timestamp,
) -> Result<FoundLedger, Failure> {
    let mut found = FoundLedger {
        holder: holder(config),
        options: OpenOptions {
            create_with: config.ledger_id.clone(),
            at,
        },
        takes_over: None,
        leaves: None,
    };
    match ledger::id_of(&config.ledger) {
        Ok(Some(id)) => check(config, store, &found.holder, &id)?,
        Ok(None) => {
            if let Some(store) = store {
                found.choose_id(config, store)?;
            }
        }
        // Opening it for writing may repair it, or reports the error.
        Err(_) => {}
    }
    Ok(found)
}

impl FoundLedger {
    /// What the operator should know when the ledger is missing. Empty if it is there.
    pub(crate) fn warnings(&self, config: &Config) -> Vec<String> {
        let path = show_path(&config.ledger);
        let taken_over = self.takes_over.as_ref().map(|id| {
            format!(
                "the ledger {path} is missing; a new one gets its id {id}, and compares files with the store again"
            )
        });
        let left = self.leaves.as_ref().map(|id| {
            format!("the last ledger at {path} was {id}: files that it withdrew stay on the devices until a ledger has that id")
        });
        taken_over.into_iter().chain(left).collect()
    }

    /// Chooses the id of a new ledger: the configured one, otherwise that of the lost ledger.
    fn choose_id(&mut self, config: &Config, store: &StoreFolder<SystemDisk>) -> Result<(), Failure> {
        let lost = store.find_lost_ledger(&self.holder).map_err(store_failure)?;
        let lost = lost.map(|lost| lost.id);
        let Some(configured) = &config.ledger_id else {
            self.options.create_with.clone_from(&lost);
            self.takes_over = lost;
            return Ok(());
        };
        let known = store.known_ledger(configured).map_err(store_failure)?;
        match known {
            // Without a machine id the holder may be another machine.
            Some(known) if known.holder != self.holder || self.holder.machine().is_none() => {
                return Err(held_although_missing(&known, &self.holder));
            }
            Some(known) => self.takes_over = Some(known.id),
            None => {}
        }
        self.leaves = lost.filter(|lost| lost != configured);
        Ok(())
    }
}

/// Refuses an existing ledger that this collector must not use.
pub(crate) fn check(
    config: &Config,
    store: Option<&StoreFolder<SystemDisk>>,
    holder: &Holder,
    id: &LedgerId,
) -> Result<(), Failure> {
    if let Some(configured) = &config.ledger_id
        && configured != id
    {
        return Err(other_id(config, id, configured));
    }
    let known = store.map(|store| store.known_ledger(id)).transpose();
    match known.map_err(store_failure)?.flatten() {
        Some(known) if known.holder != *holder => Err(held(config, &known)),
        _ => Ok(()),
    }
}

/// The ledger, if a staging folder with its id is this collector's, from an earlier release. One of an
/// adopted ledger is not: a collector that still lives may write there.
pub(crate) fn former_staging(
    store: &StoreFolder<SystemDisk>,
    holder: &Holder,
    id: &LedgerId,
) -> Result<Option<LedgerId>, StoreError> {
    let known = store.known_ledger(id)?;
    let is_ours = known.is_none_or(|known| known.adopted.is_none() && known.holder == *holder);
    Ok(is_ours.then(|| id.clone()))
}

/// Notes in the store that this collector holds the ledger. Refuses if another does.
///
/// Without a machine id, only a ledger with a configured id is noted: one with a random id could not be found
/// again by its note.
pub(crate) fn remember(
    config: &Config,
    store: &StoreFolder<SystemDisk>,
    holder: &Holder,
    id: &LedgerId,
    now: Timestamp,
) -> Result<(), Failure> {
    if holder.machine().is_none()
        && config.ledger_id.is_none()
        && store.known_ledger(id).map_err(store_failure)?.is_none()
    {
        return Ok(());
    }
    match store.remember_ledger(id, holder, now).map_err(store_failure)? {
        Some(other) => Err(held(config, &other)),
        None => Ok(()),
    }
}

/// The collector, as messages name it.
pub(crate) fn show_holder(holder: &Holder) -> String {
    let machine = holder.machine().unwrap_or("unknown");
    let machine = model::escaped(machine.as_bytes());
    format!("machine {machine}, path {}", holder.ledger_path())
}

/// The failure of a ledger with another id than the configured.
pub(crate) fn other_id(config: &Config, id: &LedgerId, configured: &LedgerId) -> Failure {
    let path = show_path(&config.ledger);
    let error = anyhow::anyhow!("the ledger {path} has the id {id}, not {configured} as configured");
    Failure::new(ExitStatus::StoreOrLedger, error).help(format!(
        "set `ledger.id` to \"{id}\"; or, for a second ledger, set `ledger.path` to another file"
    ))
}

/// The failure of a ledger at its path that another collector holds.
fn held(config: &Config, known: &KnownLedger) -> Failure {
    let (id, holder) = (&known.id, show_holder(&known.holder));
    let since = match &known.adopted {
        Some(adoption) => format!("adopted on {}", amount::time(adoption.at)),
        None => format!("noted on {}", amount::time(known.last_used)),
    };
    let error = anyhow::anyhow!("another gleaner holds this ledger: {id} ({holder}, {since})");
    let path = show_path(&config.ledger);
    let new_id = match &config.ledger_id {
        Some(_) => ", and choose another `ledger.id`",
        None => "",
    };
    Failure::new(ExitStatus::Busy, error).help(format!(
        "to continue here, stop the other gleaner and run `gleaner ledger adopt {id}`\n\
         if only this machine's id or `ledger.path` has changed, run the same command\n\
         to collect here beside it, move {path} and its -wal and -shm away{new_id}: a new ledger is made"
    ))
}

/// The failure of a missing ledger whose id another collector holds.
fn held_although_missing(known: &KnownLedger, own: &Holder) -> Failure {
    let (id, holder) = (&known.id, show_holder(&known.holder));
    let date = amount::time(known.last_used);
    if own.machine().is_none() {
        let error = anyhow::anyhow!(
            "the ledger {id} is missing, and this may be another machine ({holder}, noted on {date})"
        );
        return Failure::new(ExitStatus::StoreOrLedger, error).help(format!(
            "give this machine an id (/etc/machine-id), then run `gleaner ledger adopt {id}`; otherwise choose another \
             `ledger.id`"
        ));
    }
    let error = anyhow::anyhow!("the ledger {id} is held by another collector ({holder}, noted on {date})");
    Failure::new(ExitStatus::StoreOrLedger, error).help(format!(
        "if that collector is gone, run `gleaner ledger adopt {id}`; otherwise choose another `ledger.id`"
    ))
}
