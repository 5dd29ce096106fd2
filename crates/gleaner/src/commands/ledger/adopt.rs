//! `gleaner ledger adopt`: this collector continues for one that is gone.
//!
//! The steps, each of which may be repeated: make the ledger with the id, note in the store that this
//! collector holds it, take over the staging folders. A crash after the first step leaves a ledger that
//! sweeps refuse, because the note names the other collector. A crash after the second leaves staging folders
//! that the next call takes over, because the note names the collector before. Sweeps work meanwhile: they
//! fetch again what is not taken over yet.

use std::fmt::Write as _;
use std::sync::Arc;

use engine::ports::{Ledger as _, StoreError, StoreStatus as _};
use ledger::{OpenOptions, SqliteLedger};
use model::{CollectorId, LedgerId};
use storage::{
    DirectoryStore, Holder, KnownLedger, StoreFolder, StoreSettings, SystemDisk, TakenOver, UntouchedStore,
};

use crate::cli;
use crate::commands::{Context, run, status};
use crate::config::{Config, show_path};
use crate::exit::{ExitStatus, Failure};
use crate::failures::{ledger_failure, store_failure, store_remedy};
use crate::holding::{self, show_holder};
use crate::ledger_mount;
use crate::output::Output;
use crate::report::amount;
use crate::wiring::{SystemClock, store_settings};

/// Staging folders that were left are shown one by one up to this number.
const MAX_LEFT_SHOWN: usize = 10;

/// Takes over a ledger. Every refusal comes before the first change, except that of a store in which no note
/// can be written. It leaves a new ledger that sweeps refuse.
pub(super) fn adopt(
    arguments: &cli::LedgerAdoptArgs,
    context: &mut Context<'_>,
) -> Result<ExitStatus, Failure> {
    let config = context.configuration()?;
    let id = named_id(&arguments.id, &config)?;
    let store = StoreFolder::open(Arc::new(SystemDisk::default()), &config.store.path, None)
        .map_err(store_failure)?;
    let holder = holding::holder(&config);
    if holder.machine().is_none() {
        return Err(no_machine_id());
    }
    let Some(known) = store.known_ledger(&id).map_err(store_failure)? else {
        return Err(unknown(&id, &store)?);
    };
    refuse_other_ledger(&config, &id)?;
    let settings = store_settings(&config, holder.collector_id(&id));
    let outcome = run::runtime()?.block_on(take_over(&config, &store, settings, &holder, known))?;
    outcome.print(&config, context.output)?;
    match outcome.taken {
        Ok(taken) if taken.left.is_empty() => Ok(ExitStatus::Well),
        Ok(_) => Ok(ExitStatus::Partial),
        Err(error) => Err(not_taken_over(error, &id)),
    }
}

/// What the command did.
struct Outcome {
    known: KnownLedger,
    /// The ledger as another collector held it; `None` if this one held it before.
    before: Option<KnownLedger>,
    /// Whether it made the ledger.
    is_new: bool,
    /// Another ledger that this collector held before.
    leaves: Option<LedgerId>,
    taken: Result<TakenOver, StoreError>,
}

async fn take_over(
    config: &Config,
    store: &StoreFolder<SystemDisk>,
    mut settings: StoreSettings,
    holder: &Holder,
    known: KnownLedger,
) -> Result<Outcome, Failure> {
    let fit = UntouchedStore::new(store.clone(), settings.clone());
    fit.condition().await.map_err(store_failure)?;
    let now = engine::ports::Clock::now(&SystemClock);
    if !config.ledger.exists()
        && let Some(warning) = ledger_mount::warning(&config.ledger)
    {
        use std::io::Write as _;
        let path = show_path(&config.ledger);
        writeln!(std::io::stderr(), "gleaner: the ledger {path}: {warning}").unwrap_or_default();
    }
    let leaves = store.find_lost_ledger(holder).map_err(store_failure)?;
    let options = OpenOptions {
        create_with: Some(known.id.clone()),
        at: now,
    };
    let ledger = SqliteLedger::open(&config.ledger, &options).map_err(ledger_failure)?;
    if *ledger.id() != known.id {
        return Err(other_ledger(config, ledger.id(), &known.id));
    }
    ledger.bind_store(store.id()).await.map_err(ledger_failure)?;
    // Another collector may have adopted it meanwhile.
    let known = store
        .known_ledger(&known.id)
        .map_err(store_failure)?
        .unwrap_or(known);
    let (known, before) = if known.holder == *holder {
        (known, None)
    } else {
        let adopted = store.adopt_ledger(&known, holder, now).map_err(store_failure)?;
        (adopted, Some(known))
    };
    let taken = async {
        settings.former_staging = holding::former_staging(store, holder, &known.id)?;
        let open = DirectoryStore::open(store.clone(), settings)?;
        open.take_over(former_collectors(&known)).await
    };
    let taken = taken.await;
    Ok(Outcome {
        leaves: leaves.map(|lost| lost.id).filter(|lost| *lost != known.id),
        is_new: ledger.is_new(),
        before,
        taken,
        known,
    })
}

/// The collectors whose staging folders are taken over: all that have held the ledger, and the one that
/// earlier releases named after the ledger. One that was adopted before its own take-over ended is included.
fn former_collectors(known: &KnownLedger) -> Vec<CollectorId> {
    let Some(adoption) = &known.adopted else {
        return Vec::new();
    };
    let former = adoption
        .former
        .iter()
        .map(|former| former.collector_id(&known.id));
    former.chain([CollectorId::from(&known.id)]).collect()
}

impl Outcome {
    fn print(&self, config: &Config, output: &mut Output) -> Result<(), Failure> {
        let (id, path) = (&self.known.id, show_path(&config.ledger));
        let text = match &self.before {
            Some(before) => format!(
                "The ledger {id} is now held by this collector, at {path}. Before: {}, noted on {}.\n{}",
                show_holder(&before.holder),
                amount::time(before.last_used),
                if self.is_new {
                    "It is new: the next sweep compares the files on the devices with the store again."
                } else {
                    "It was there already: its records are kept."
                }
            ),
            None => match &self.known.adopted {
                Some(adoption) => format!(
                    "already adopted: this collector holds the ledger {id}, at {path}, since {}.",
                    amount::time(adoption.at)
                ),
                None => {
                    format!("already adopted: this collector has always held the ledger {id}, at {path}.")
                }
            },
        };
        output.line(text)?;
        if self.is_new && self.before.is_none() {
            output.line("It was missing and has been made again, without its records.")?;
        }
        let Ok(taken) = &self.taken else {
            return Ok(());
        };
        let is_repeated = self.before.is_none() && !self.is_new;
        if is_repeated && taken.is_nothing() {
            return Ok(());
        }
        print_taken(taken, output)?;
        if let Some(other) = &self.leaves {
            output.line(format_args!(
                "The last ledger of this collector was {other}: files that it withdrew stay on the devices until a \
                 ledger has that id."
            ))?;
        }
        output.line(
            "Next: `gleaner run`. It first collects what the other collector withdrew on the devices.",
        )?;
        Ok(())
    }
}

fn print_taken(taken: &TakenOver, output: &mut Output) -> Result<(), Failure> {
    if taken.is_nothing() {
        return Ok(output.line("Taken over from staging: nothing.")?);
    }
    output.line(format_args!(
        "Taken over from staging: {} of unfinished files; {} removed, to be fetched again unless published.",
        amount::files_and_bytes(taken.partial),
        amount::count(taken.removed, "file"),
    ))?;
    for area in taken.left.iter().take(MAX_LEFT_SHOWN) {
        output.line(format_args!(
            "Not taken over: the staging folder beside {} ({}). Mend this, or mount what is away, and run this again. \
             If it is gone for good, remove .gleaner/staging/{} from the store.",
            area.beside, area.cause, area.collector
        ))?;
    }
    if let Some(more @ 1..) = taken.left.len().checked_sub(MAX_LEFT_SHOWN) {
        output.line(format_args!("Not taken over: {more} more."))?;
    }
    Ok(())
}

/// The failure of a take-over that ended early, after the note was written.
fn not_taken_over(error: StoreError, id: &LedgerId) -> Failure {
    let remedy = store_remedy(&error);
    Failure::new(ExitStatus::Partial, error).help(format!(
        "{remedy}; then run `gleaner ledger adopt {id}` again, which continues where this ended"
    ))
}

fn named_id(text: &str, config: &Config) -> Result<LedgerId, Failure> {
    let shown = model::escaped(text.as_bytes());
    let Some(id) = LedgerId::new(text) else {
        return Err(
            Failure::usage(format_args!("`{shown}` is not the id of a ledger")).help(
                "an id has at most 40 lower-case letters, digits and \"-\"; `.gleaner/ledgers` in the store lists all",
            ),
        );
    };
    match &config.ledger_id {
        Some(configured) if *configured != id => Err(Failure::usage(format_args!(
            "`ledger.id` in {} is {configured}, not {id}",
            show_path(&config.file)
        ))
        .help(format!("set it to \"{id}\", or remove it"))),
        _ => Ok(id),
    }
}

/// The failure of an id without a note, with the ledgers that have one.
fn unknown(id: &LedgerId, store: &StoreFolder<SystemDisk>) -> Result<Failure, Failure> {
    let known = store.known_ledgers().map_err(store_failure)?;
    let mut help = match known.len() {
        0 => "the store has no note of any ledger; if the id is right, set `ledger.id` to it and run `gleaner run`".to_owned(),
        _ => "the ledgers of this store are:".to_owned(),
    };
    for known in known {
        let (holder, date) = (show_holder(&known.holder), amount::time(known.last_used));
        write!(help, "\n{}: {holder}, noted on {date}", known.id).unwrap_or_default();
    }
    Ok(Failure::usage(format_args!("the store knows no ledger {id}")).help(help))
}

fn refuse_other_ledger(config: &Config, id: &LedgerId) -> Result<(), Failure> {
    match ledger::id_of(&config.ledger).map_err(status::unreadable)? {
        Some(found) if found != *id => Err(other_ledger(config, &found, id)),
        _ => Ok(()),
    }
}

fn other_ledger(config: &Config, found: &LedgerId, wanted: &LedgerId) -> Failure {
    let path = show_path(&config.ledger);
    let error = anyhow::anyhow!("there is a ledger already: {path} has the id {found}, not {wanted}");
    Failure::new(ExitStatus::StoreOrLedger, error).help(format!(
        "to collect for both, give {wanted} a configuration of its own, with another `ledger.path`\n\
         to give up {found}, sweep once more, then move {path} and its -wal and -shm away"
    ))
}

/// Without a machine id, two collectors with one ledger id would share a staging folder.
fn no_machine_id() -> Failure {
    let error =
        anyhow::anyhow!("this machine has no id (/etc/machine-id): the store could not tell it from others");
    Failure::new(ExitStatus::StoreOrLedger, error).help(
        "make one with `systemd-machine-id-setup`; in a container, mount a file with 32 hexadecimal digits of its own \
         at /etc/machine-id. An image that is cloned must not contain one",
    )
}
