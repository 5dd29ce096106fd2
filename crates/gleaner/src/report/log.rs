//! The log: plain lines on standard error; under systemd, journal entries with the fields `DEVICE=`, `FILE=`
//! and others.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use engine::event::{Event, PassSummary, Reporter};
use engine::ports::{PassOutcome, Placement, Reason};
use model::{Amount, Timestamp};
use tracing::{debug, error, info, trace, warn};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::amount;
use super::progress::{self, Bars};

/// Only their own collector may touch these files while it may still come back.
const STAGING_REMEDY: &str = "`.gleaner/ledgers` says whose folder it is; if that collector is gone, adopt its ledger (`gleaner ledger adopt`), or remove the folder";

/// gleaner follows no symbolic link in the store: any user who may write there could point it anywhere.
const FOLDER_REMEDY: &str =
    "to keep them on another disk, mount that disk (or `mount --bind` its folder) there instead of a link";

/// Starts the log, once per process: to the journal if standard error is connected to it, otherwise to
/// standard error.
pub fn start(level: tracing::Level) {
    // Libraries log at level WARN only.
    let ours = ["gleaner", "engine", "ssh", "storage", "ledger", "sftp"].map(|name| (name, level));
    let filter = Targets::new()
        .with_targets(ours)
        .with_default(tracing::Level::WARN);
    let registry = tracing_subscriber::registry();
    let journal = std::env::var_os("JOURNAL_STREAM")
        .filter(|_| !std::io::stderr().is_terminal())
        .and_then(|_| tracing_journald::layer().ok());
    let started = match journal {
        Some(journal) => registry
            .with(journal.with_field_prefix(None).with_filter(filter))
            .try_init(),
        None => {
            let lines = tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(std::io::stderr().is_terminal())
                .with_target(false)
                // The message contains everything; the fields are for the journal.
                .fmt_fields(tracing_subscriber::fmt::format::debug_fn(
                    |writer, field, value| match field.name() {
                        "message" => write!(writer, "{value:?}"),
                        _ => Ok(()),
                    },
                ))
                .with_timer(tracing_subscriber::fmt::time::SystemTime);
            registry.with(lines.with_filter(filter)).try_init()
        }
    };
    // A second start in one process (in tests) keeps the first log.
    started.unwrap_or_default();
}

/// Logs every event.
#[derive(Debug)]
pub(super) struct EventLog {
    bars: Option<Arc<Bars>>,
}

impl EventLog {
    /// Logs above the bars, if there are any.
    pub(super) fn above(bars: Option<Arc<Bars>>) -> Self {
        Self { bars }
    }
}

impl Reporter for EventLog {
    fn report(&self, _: Timestamp, event: &Event) {
        progress::suspend(self.bars.as_deref(), || write(event));
    }
}

/// Logs one event. Events about single files are details; events that need a person are warnings.
fn write(event: &Event) {
    match event {
        Event::SweepBegan { devices, mode: _ } => {
            info!("sweep of {}", amount::count_items(*devices, "device"));
        }
        Event::ForeignStaging { files } => warn!(
            "{} of other collectors in the store's staging folder, older than a week: {STAGING_REMEDY}",
            amount::count(*files, "file")
        ),
        Event::Connecting { device } => debug!(%device, "{device}: connecting"),
        Event::Connected {
            device, shortcomings, ..
        } => {
            debug!(%device, "{device}: connected");
            for shortcoming in shortcomings {
                info!(%device, "{device}: {shortcoming}");
            }
        }
        Event::Surveyed {
            device,
            source,
            ready,
            remaining,
            ..
        } => debug!(
            %device, %source,
            "{device}: {source}: {} to collect ({}), {} remaining",
            amount::count(ready.files, "file"), amount::bytes(ready.bytes), amount::count(remaining.files, "file"),
        ),
        Event::Planned {
            device, path, action, ..
        } => trace!(%device, file = %path, "{device}: {path}: {action}"),
        Event::Received { .. } => {}
        Event::Resumed { device, path, bytes } => {
            info!(%device, file = %path, "{device}: {path}: resuming after {}", amount::bytes(*bytes));
        }
        Event::FolderReplaced { .. } | Event::TimeNotKept { .. } | Event::Stored { .. } => in_store(event),
        Event::Released { device, path, .. } => debug!(%device, file = %path, "{device}: {path}: released"),
        Event::LeftBehind {
            device,
            path,
            reason,
            detail,
            ..
        } => left_behind(device, path, *reason, detail.as_deref()),
        Event::PassEnded { device, summary } => pass_ended(device, summary),
        Event::SweepEnded {
            took, ledger_failure, ..
        } => sweep_ended(*took, ledger_failure.as_deref()),
    }
}

/// Logs what happened to a file or a folder in the store.
fn in_store(event: &Event) {
    match event {
        Event::FolderReplaced {
            device,
            folder,
            obstacle,
            replacement,
        } => warn!(
            %device,
            "{device}: {folder} in the store is {}, so files go to {replacement}: {FOLDER_REMEDY}", obstacle.text()
        ),
        Event::TimeNotKept {
            device,
            path,
            store_name,
            modified,
            kept,
        } => {
            let (shown, name) = (amount::time(*modified), store_name.to_string());
            warn!(
                %device, file = %path, store_name = %name,
                "{device}: {path}: last modified {shown}, which the store cannot keep: {name} has {} (the ledger has the true time)",
                amount::time(*kept),
            );
        }
        Event::Stored {
            device,
            path,
            store_name,
            size,
            digest,
            placed,
            conflict,
            ..
        } => {
            let how = match placed {
                Placement::New => "stored as",
                Placement::Same => "already stored as",
            };
            let name = store_name.to_string();
            if *conflict {
                warn!(%device, file = %path, store_name = %name, "{device}: {path}: name taken by other content, {how} {name}");
            } else {
                debug!(%device, file = %path, store_name = %name, size, sha256 = %digest, "{device}: {path}: {how} {name}");
            }
        }
        _ => {}
    }
}

fn sweep_ended(took: Duration, ledger_failure: Option<&str>) {
    if let Some(failure) = ledger_failure {
        error!("the ledger failed: {failure}");
    }
    debug!("sweep ended after {}", amount::span(took));
}

fn left_behind(device: &model::DeviceName, path: &model::RelativePath, reason: Reason, detail: Option<&str>) {
    let (text, code) = (reason.text(), reason.code());
    let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
    // A reason to wait, such as a full store, applies to every file of a backlog: the end of the pass warns
    // once.
    let is_of_this_file = matches!(reason, Reason::Leave(_));
    if is_of_this_file && reason.is_fault() {
        warn!(%device, file = %path, reason = code, "{device}: {path}: {text}{detail}");
    } else {
        debug!(%device, file = %path, reason = code, "{device}: {path}: {text}{detail}");
    }
}

fn pass_ended(device: &model::DeviceName, summary: &PassSummary) {
    let Amount { files, bytes } = summary.released;
    match &summary.outcome {
        PassOutcome::Well | PassOutcome::Partial if files == 0 => {
            debug!(%device, "{device}: nothing to release");
        }
        PassOutcome::Well | PassOutcome::Partial => info!(
            %device, files, bytes,
            "{device}: released {} ({}) in {}",
            amount::count(files, "file"), amount::bytes(bytes), amount::span(summary.took),
        ),
        PassOutcome::Failed { class, message, .. } => {
            warn!(%device, class = class.code(), "{device}: {}: {message}", class.meaning());
        }
        PassOutcome::CollectorFailed { message } => error!(%device, "{device}: {message}"),
        PassOutcome::Interrupted => info!(%device, "{device}: interrupted"),
    }
    let remaining = summary.remaining.iter().flat_map(|remaining| &remaining.totals);
    for (reason, amount) in remaining {
        if reason.is_fault() {
            let (text, code) = (reason.text(), reason.code());
            warn!(%device, reason = code, "{device}: {}: {text}", amount::remaining(*reason, *amount));
        }
    }
}
