//! `gleaner store`.

use std::io::Write as _;
use std::sync::Arc;

use engine::ports::{History as _, HistoryError, StoreError};
use ledger::{Reader, SqliteLedger};
use model::StoreId;
use storage::{InitError, InitOptions, StoreFolder, SystemDisk};

use crate::cli;
use crate::commands::{Context, run, status};
use crate::config::Config;
use crate::exit::{ExitStatus, Failure};
use crate::failures::{ledger_failure, store_failure};
use crate::holding::{self, FoundLedger};
use crate::ledger_mount;
use crate::output::Output;
use crate::wiring::SystemClock;

/// Prepares the store.
pub fn store(arguments: &cli::StoreCommand, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    match arguments {
        cli::StoreCommand::Init(arguments) => init(arguments, context),
    }
}

/// Makes the configured folder a store, and binds the ledger to it.
///
/// Every refusal comes before the first write. An existing ledger is opened first: its lock keeps other
/// processes away. A crash between store and ledger leaves a store that the ledger does not know yet; running
/// the command again completes it.
fn init(arguments: &cli::StoreInitArgs, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    let config = context.configuration()?;
    let replace = replaced_id(arguments)?;
    let disk = Arc::new(SystemDisk::default());
    let remembered = remembered_store(&config)?;
    let store = store_at_path(&disk, &config)?;
    let at_path = store.as_ref().map(|store| store.id().clone());
    let step = decide(at_path.as_ref(), remembered.as_ref(), replace.as_ref())
        .map_err(|refusal| refusal_failure(&refusal, &config))?;
    let now = engine::ports::Clock::now(&SystemClock);
    let found = holding::find(&config, store.as_ref(), now)?;

    let existing = remembered
        .is_some()
        .then(|| open_ledger(&found, &config))
        .transpose()?;
    let id = carry_out(step, &disk, &config, arguments.local, context.output)?;
    let ledger = match existing {
        Some(ledger) => ledger,
        None => open_ledger(&found, &config)?,
    };
    let bound = run::runtime()?.block_on(async {
        match &remembered {
            Some(old) if *old != id => ledger.rebind_store(old, &id).await,
            _ => ledger.bind_store(&id).await,
        }
    });
    bound.map_err(ledger_failure)?;
    remember_ledger(&ledger, &found, &disk, &config)?;
    let shown = model::escaped(config.ledger.as_os_str().as_encoded_bytes());
    context
        .output
        .line(format_args!("The ledger {shown} is bound to it."))?;
    Ok(ExitStatus::Well)
}

fn replaced_id(arguments: &cli::StoreInitArgs) -> Result<Option<StoreId>, Failure> {
    let Some(text) = &arguments.replace else {
        return Ok(None);
    };
    let id = StoreId::new(text.trim());
    let shown = model::escaped(text.as_bytes());
    id.map(Some).ok_or_else(|| {
        Failure::usage(format_args!("`{shown}` is not a store id"))
            .help("the id is in .gleaner/store.toml of the store, and in `gleaner status --json`")
    })
}

/// The store that the ledger knows; `None` without a ledger too.
fn remembered_store(config: &Config) -> Result<Option<StoreId>, Failure> {
    match Reader::open(&config.ledger) {
        Ok(reader) => Ok(reader.store().cloned()),
        Err(HistoryError::Missing { .. }) => Ok(None),
        Err(error) => Err(status::unreadable(error)),
    }
}

fn store_at_path(
    disk: &Arc<SystemDisk>,
    config: &Config,
) -> Result<Option<StoreFolder<SystemDisk>>, Failure> {
    match StoreFolder::open(Arc::clone(disk), &config.store.path, None) {
        Ok(store) => Ok(Some(store)),
        Err(StoreError::NoMarker { .. }) => Ok(None),
        Err(error) => Err(store_failure(error)),
    }
}

/// The step to take.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Make the folder a store.
    Make,
    /// Give the store a new id instead of this one.
    Renew(StoreId),
    /// The folder is the right store already.
    Keep(StoreId),
}

/// Why gleaner refuses.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// The ledger knows a different store than the one at the path, or there is none at the path.
    OtherRemembered {
        remembered: StoreId,
        at_path: Option<StoreId>,
    },
    /// The named id is neither the ledger's nor the store's.
    OtherNamed { named: StoreId, known: Option<StoreId> },
}

/// A ledger or a store gets a second id only if the user names the first one.
fn decide(
    at_path: Option<&StoreId>,
    remembered: Option<&StoreId>,
    named: Option<&StoreId>,
) -> Result<Step, Refusal> {
    let known = remembered.or(at_path);
    if let Some(named) = named
        && Some(named) != known
    {
        return Err(Refusal::OtherNamed {
            named: named.clone(),
            known: known.cloned(),
        });
    }
    match (at_path, remembered) {
        (None, Some(remembered)) if named.is_none() => Err(Refusal::OtherRemembered {
            remembered: remembered.clone(),
            at_path: None,
        }),
        (None, _) => Ok(Step::Make),
        (Some(at_path), Some(remembered)) if at_path != remembered && named.is_none() => {
            Err(Refusal::OtherRemembered {
                remembered: remembered.clone(),
                at_path: Some(at_path.clone()),
            })
        }
        (Some(at_path), _) if Some(at_path) == named => Ok(Step::Renew(at_path.clone())),
        (Some(at_path), _) => Ok(Step::Keep(at_path.clone())),
    }
}

fn refusal_failure(refusal: &Refusal, config: &Config) -> Failure {
    let store = model::escaped(config.store.path.as_os_str().as_encoded_bytes());
    let ledger = model::escaped(config.ledger.as_os_str().as_encoded_bytes());
    let text = match refusal {
        Refusal::OtherRemembered { remembered, at_path } => {
            let found = match at_path {
                Some(at_path) => format!("{store} is the store {at_path}"),
                None => format!("{store} is not a store (not mounted, or never initialised)"),
            };
            return Failure::new(
                ExitStatus::StoreOrLedger,
                anyhow::anyhow!("{found}, but the ledger {ledger} belongs to the store {remembered}"),
            )
            .help(format!(
                "mount the store that the ledger belongs to; to replace it for good, add `--replace {remembered}`"
            ));
        }
        Refusal::OtherNamed {
            named,
            known: Some(known),
        } => format!("the store to replace is {known}, not {named}"),
        Refusal::OtherNamed { named, known: None } => {
            format!(
                "there is no store {named} to replace: neither {store} nor the ledger {ledger} has a store id"
            )
        }
    };
    Failure::usage(text)
}

fn carry_out(
    step: Step,
    disk: &Arc<SystemDisk>,
    config: &Config,
    local: bool,
    output: &mut Output,
) -> Result<StoreId, Failure> {
    let shown = model::escaped(config.store.path.as_os_str().as_encoded_bytes());
    let replace = match step {
        Step::Keep(id) => {
            output.line(format_args!("{shown} is a store; its id is {id}."))?;
            return Ok(id);
        }
        Step::Make => None,
        Step::Renew(id) => Some(id),
    };
    let options = InitOptions {
        local,
        replace,
        now: engine::ports::Clock::now(&SystemClock),
    };
    let done = storage::init(disk, &config.store.path, &options).map_err(init_failure)?;
    match &done {
        storage::Initialised::Made(id) => {
            output.line(format_args!("{shown} is now a store; its id is {id}."))?;
        }
        storage::Initialised::Already(id) => {
            output.line(format_args!("{shown} is a store; its id is {id}."))?;
        }
        storage::Initialised::Replaced { old, new } => {
            output.line(format_args!(
                "The id of the store {shown} was {old} and is now {new}."
            ))?;
        }
    }
    Ok(done.id().clone())
}

fn init_failure(error: InitError) -> Failure {
    match error {
        InitError::Store(error) => store_failure(error),
        other => Failure::new(ExitStatus::StoreOrLedger, other),
    }
}

/// Records the ledger in the store, so that a new ledger can take over the id of a lost one.
fn remember_ledger(
    ledger: &SqliteLedger,
    found: &FoundLedger,
    disk: &Arc<SystemDisk>,
    config: &Config,
) -> Result<(), Failure> {
    let id = engine::ports::Ledger::id(ledger);
    let store = StoreFolder::open(Arc::clone(disk), &config.store.path, None).map_err(store_failure)?;
    holding::check(config, Some(&store), &found.holder, id)?;
    holding::remember(config, &store, &found.holder, id, found.options.at)
}

/// Opens and locks the ledger. A missing one is created; if the store remembers a ledger of this machine at
/// this path, the new one takes over its id, unless another is configured.
fn open_ledger(found: &FoundLedger, config: &Config) -> Result<SqliteLedger, Failure> {
    for warning in found.warnings(config) {
        // If standard error is closed, there is no other place for this.
        writeln!(std::io::stderr(), "gleaner: {warning}").unwrap_or_default();
    }
    if let Some(warning) = ledger_mount::warning(&config.ledger) {
        let shown = model::escaped(config.ledger.as_os_str().as_encoded_bytes());
        writeln!(std::io::stderr(), "gleaner: the ledger {shown}: {warning}").unwrap_or_default();
    }
    SqliteLedger::open(&config.ledger, &found.options).map_err(ledger_failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> StoreId {
        StoreId::new(text).unwrap()
    }

    #[test]
    fn a_second_id_is_given_only_if_the_first_is_named() {
        let other_remembered = |at_path: Option<&str>| {
            Err(Refusal::OtherRemembered {
                remembered: id("x"),
                at_path: at_path.map(id),
            })
        };
        let other_named = |known: Option<&str>| {
            Err(Refusal::OtherNamed {
                named: id("z"),
                known: known.map(id),
            })
        };
        for (at_path, remembered, named, expected) in [
            (None, None, None, Ok(Step::Make)),
            (Some("y"), None, None, Ok(Step::Keep(id("y")))),
            (Some("x"), Some("x"), None, Ok(Step::Keep(id("x")))),
            (None, Some("x"), None, other_remembered(None)),
            (Some("y"), Some("x"), None, other_remembered(Some("y"))),
            (None, Some("x"), Some("x"), Ok(Step::Make)),
            (Some("y"), Some("x"), Some("x"), Ok(Step::Keep(id("y")))),
            (Some("x"), Some("x"), Some("x"), Ok(Step::Renew(id("x")))),
            (Some("y"), None, Some("y"), Ok(Step::Renew(id("y")))),
            (None, None, Some("z"), other_named(None)),
            (Some("y"), None, Some("z"), other_named(Some("y"))),
            (Some("z"), Some("x"), Some("z"), other_named(Some("x"))),
        ] {
            let [at_path_id, remembered_id, named_id] = [at_path, remembered, named].map(|text| text.map(id));
            let step = decide(at_path_id.as_ref(), remembered_id.as_ref(), named_id.as_ref());
            assert_eq!(step, expected, "{at_path:?} {remembered:?} {named:?}");
        }
    }
}
