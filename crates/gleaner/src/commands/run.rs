//! `gleaner run`: one sweep.

use std::io::IsTerminal as _;
use std::time::Duration;

use engine::fleet::{self, Bounds, Chosen, SweepError, SweepResult, SweepSummary};
use engine::ports::Store;
use engine::rules::{DeviceRules, Mode};
use engine::world::{Stop, World as _};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli;
use crate::commands::Context;
use crate::commands::config::no_such_device;
use crate::config::Config;
use crate::exit::{ExitStatus, Failure};
use crate::failures::{ledger_failure, store_failure};
use crate::report::{self, SweepReporter};
use crate::wiring::{self, Collector};

/// How long batches in progress may take to finish after a stop request. The rest is dropped, as in a crash.
const STOP_GRACE: Duration = Duration::from_secs(20);

/// Visits each device once.
pub fn run(arguments: &cli::RunArgs, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    let config = context.configuration()?;
    let configured = wiring::device_rules(&config);
    let visited = choose_devices(&config, &configured, &arguments.devices)?;
    let chosen = Chosen {
        visited: &visited,
        configured: &configured,
    };
    report::start_log(context.global.log_level());
    let reporter = reporter(arguments);
    let mode = if arguments.dry_run {
        Mode::DryRun
    } else {
        Mode::Act
    };
    raise_descriptor_limit();
    let parallel = limit_parallel(config.fleet.parallel, &reporter);
    let runtime = runtime()?;
    let (summary, interrupted) = runtime.block_on(async {
        ignore_file_size_signal();
        match mode {
            Mode::Act => sweep(&Collector::open(&config, reporter).await?, chosen, parallel, mode).await,
            Mode::DryRun => {
                sweep(
                    &Collector::open_read_only(&config, reporter).await?,
                    chosen,
                    parallel,
                    mode,
                )
                .await
            }
        }
    })?;
    if interrupted {
        let text = "Interrupted. Nothing is lost; the next run continues. `gleaner status` shows what is stored and what waits.";
        return if arguments.json {
            Ok(ExitStatus::Interrupted)
        } else {
            context
                .output
                .line(text)
                .map(|()| ExitStatus::Interrupted)
                .map_err(Failure::from)
        };
    }
    match mode {
        _ if arguments.json => {}
        Mode::Act => report::print_summary(&summary, context.output)?,
        Mode::DryRun => report::print_plan(&summary, context.output)?,
    }
    Ok(status(&summary))
}

/// A limit low enough for programs that close every possible descriptor at start: ssh's child processes
/// inherit it.
const MAX_DESCRIPTORS: u64 = 65_536;

/// Raises the soft limit of open files to the hard limit. Shells and systemd start with 1024 for
/// compatibility. A device at work takes about 30 descriptors, a device being connected 7; without
/// descriptors a device fails.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current else { return };
    let most = limit
        .maximum
        .map_or(MAX_DESCRIPTORS, |most| most.min(MAX_DESCRIPTORS));
    let raised = Rlimit {
        current: Some(most.max(current)),
        ..limit
    };
    // If this fails, the current limit may be enough.
    setrlimit(Resource::Nofile, raised).unwrap_or_default();
}

/// Descriptors for the store, the ledger, the log and the runtime.
const OWN_DESCRIPTORS: u64 = 40;
/// Descriptors for one device at work, four being connected, and one overdue.
const DESCRIPTORS_PER_DEVICE: u64 = 60;

/// Limits the number of devices at a time to the available descriptors: others would fail.
fn limit_parallel(parallel: usize, reporter: &SweepReporter) -> usize {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return parallel;
    };
    let devices = limit.saturating_sub(OWN_DESCRIPTORS) / DESCRIPTORS_PER_DEVICE;
    let most = usize::try_from(devices).unwrap_or(usize::MAX).max(1);
    if most < parallel {
        reporter.notice(&format!(
            "the limit of {limit} open files allows {most} instead of {parallel} devices at a time; raise LimitNOFILE"
        ));
    }
    parallel.min(most)
}

/// Makes a write beyond the file size limit of the process fail, instead of ending the process. Must run
/// within the runtime.
fn ignore_file_size_signal() {
    // An installed handler stays, even without a listener. Child processes start with the default action.
    signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).ok();
}

/// A runtime with one thread for the sessions and the sweep. Each of a thousand small files passes through
/// several tasks; on one thread, a handover wakes no other thread, which took more time than the work itself.
/// The disk has its own threads; encryption runs in ssh.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                ExitStatus::Partial,
                anyhow::Error::new(error).context("cannot start the runtime"),
            )
        })
}

fn choose_devices(
    config: &Config,
    configured: &[DeviceRules],
    names: &[String],
) -> Result<Vec<DeviceRules>, Failure> {
    if let Some(unknown) = names.iter().find(|name| config.device(name).is_none()) {
        return Err(no_such_device(config, unknown));
    }
    let is_chosen =
        |device: &&DeviceRules| names.is_empty() || names.iter().any(|name| name == device.name.as_str());
    Ok(configured.iter().filter(is_chosen).cloned().collect())
}

fn reporter(arguments: &cli::RunArgs) -> SweepReporter {
    if arguments.json {
        SweepReporter::json()
    } else if arguments.dry_run {
        SweepReporter::plan()
    } else if std::io::stderr().is_terminal() {
        SweepReporter::bars()
    } else {
        SweepReporter::log_only()
    }
}

/// Sweeps until done, or until a signal and `STOP_GRACE` after it, and ends the report. Also returns whether
/// a signal arrived.
pub(crate) async fn sweep<S: Store>(
    collector: &Collector<S>,
    chosen: Chosen<'_>,
    parallel: usize,
    mode: Mode,
) -> Result<(SweepSummary, bool), Failure> {
    let outcome = sweep_until_signal(collector, chosen, parallel, mode).await;
    collector.reporter().finish();
    outcome
}

async fn sweep_until_signal<S: Store>(
    collector: &Collector<S>,
    chosen: Chosen<'_>,
    parallel: usize,
    mode: Mode,
) -> Result<(SweepSummary, bool), Failure> {
    let stop = Stop::default();
    let sweeping = fleet::sweep_some(collector, chosen, Bounds::with_parallel(parallel), mode, &stop);
    let mut sweeping = std::pin::pin!(sweeping);
    let result = tokio::select! {
        result = &mut sweeping => return result.map(|summary| (summary, false)).map_err(failure),
        () = stop_signal() => {
            stop.request();
            collector.reporter().notice("stopping after the current batches; interrupt again to stop at once");
            tokio::select! {
                result = &mut sweeping => Some(result),
                () = stop_signal() => None,
                () = tokio::time::sleep(STOP_GRACE) => None,
            }
        }
    };
    let dropped = || SweepSummary {
        passes: Vec::new(),
        not_visited: Vec::new(),
        ledger_failure: None,
    };
    result
        .unwrap_or_else(|| Ok(dropped()))
        .map(|summary| (summary, true))
        .map_err(failure)
}

/// Returns when the process receives SIGINT (from the terminal) or SIGTERM (from systemd).
pub(crate) async fn stop_signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn failure(error: SweepError) -> Failure {
    match error {
        SweepError::Store(error) => store_failure(error),
        SweepError::Ledger(error) => ledger_failure(error),
    }
}

fn status(summary: &SweepSummary) -> ExitStatus {
    match summary.result() {
        SweepResult::Well => ExitStatus::Well,
        SweepResult::Partial => ExitStatus::Partial,
        SweepResult::Unreachable => ExitStatus::Unreachable,
        SweepResult::Interrupted => ExitStatus::Interrupted,
    }
}
