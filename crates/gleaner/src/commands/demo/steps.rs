//! The steps of the demonstration, in order.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::fleet::Chosen;
use engine::rules::Mode;
use sim::{DemoFleet, DemoPlan, Role};
use storage::{InitOptions, SystemDisk};

use super::inventory;
use crate::commands::{Context, run};
use crate::config::Config;
use crate::environment::Environment;
use crate::exit::{ExitStatus, Failure};
use crate::output::Output;
use crate::report::{self, SweepReporter};
use crate::wiring::{self, Collector};

/// Enough for the camera on any machine. The demonstration ends within a minute.
const CAMERA_TIMEOUT: Duration = Duration::from_secs(20);

/// The settle time here; the default in the field is 30 s.
const SETTLE: Duration = Duration::from_secs(1);

/// Starts the fleet, sweeps it twice, and accounts for every file.
pub(super) fn run(keep: Option<&Path>, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    report::start_log(context.global.log_level());
    let folder = DemoFolder::make(keep)?;
    let runtime = run::runtime()?;
    let output = &mut *context.output;
    let result = runtime.block_on(async {
        tokio::select! {
            result = show(folder.path(), output) => result,
            () = run::stop_signal() => Ok(ExitStatus::Interrupted),
        }
    });
    if result.is_ok() && keep.is_some() {
        output.line(format_args!("\nThe files are in {}.", folder.path().display()))?;
    }
    result
}

/// The folder of the demonstration: removed afterwards, unless kept.
enum DemoFolder {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl DemoFolder {
    fn make(keep: Option<&Path>) -> Result<Self, Failure> {
        let failure = |path: &Path, error: std::io::Error| {
            let shown = model::escaped(path.as_os_str().as_encoded_bytes());
            Failure::new(
                ExitStatus::Usage,
                anyhow::Error::new(error).context(format!("cannot make the folder {shown}")),
            )
        };
        match keep {
            Some(path) => {
                std::fs::create_dir(path).map_err(|error| failure(path, error))?;
                let whole = path.canonicalize().map_err(|error| failure(path, error))?;
                Ok(Self::Kept(whole))
            }
            None => {
                let made = tempfile::Builder::new().prefix("gleaner-demo-").tempdir();
                made.map(Self::Temporary)
                    .map_err(|error| failure(&std::env::temp_dir(), error))
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

async fn show(folder: &Path, output: &mut Output) -> Result<ExitStatus, Failure> {
    output.line("Starting a simulated fleet: eight devices behind a jump host, all on this machine.")?;
    output.flush()?;
    let fleet_folder = folder.join("fleet");
    std::fs::create_dir(&fleet_folder)?;
    let fleet = DemoFleet::start(&fleet_folder, &plan()).map_err(|error| {
        Failure::new(
            ExitStatus::Partial,
            anyhow::Error::new(error).context("cannot start the simulated fleet"),
        )
    })?;
    describe_devices(&fleet, output)?;
    let config = configure(folder, &fleet)?;

    let began = tokio::time::Instant::now();
    tokio::time::sleep(SETTLE).await;
    output.line("\nFirst sweep.")?;
    sweep(&config, output).await?;
    describe_first_sweep(&fleet, output)?;

    wait_for_camera(&fleet).await;
    tokio::time::sleep(SETTLE * 2).await;
    output.line("\nSecond sweep.")?;
    sweep(&config, output).await?;
    output.line(format_args!(
        "\nBoth sweeps together took {}.",
        report::amount::span(began.elapsed())
    ))?;

    let inventory = inventory::count_files(&fleet, &config.store.path);
    fleet.shutdown();
    inventory.print(output)?;
    Ok(if inventory.is_whole() {
        ExitStatus::Well
    } else {
        ExitStatus::Partial
    })
}

/// The long recording is large enough that its first half is flushed when the link is cut: the second sweep
/// resumes from there.
fn plan() -> DemoPlan {
    DemoPlan {
        long_recording_bytes: 48 << 20,
        ..DemoPlan::default()
    }
}

fn describe_devices(fleet: &DemoFleet, output: &mut Output) -> Result<(), Failure> {
    for device in fleet.devices() {
        let what = match device.role {
            Role::SameNames => "has the same file names as another device, but other pictures",
            Role::Offline => "is switched off",
            Role::BlackHole => "accepts connections and never replies",
            Role::Camera => "has a camera that is still writing a picture",
            Role::CutOff => "will lose its link in the middle of a long recording",
            _ => "is an ordinary device",
        };
        let files = report::amount::count(u64::try_from(device.files.len()).unwrap_or(0), "file");
        output.line(format_args!("  {}: {files}; {what}", device.name))?;
    }
    Ok(())
}

fn configure(folder: &Path, fleet: &DemoFleet) -> Result<Config, Failure> {
    let store = folder.join("store");
    std::fs::create_dir(&store)?;
    storage::init(
        &Arc::new(SystemDisk::default()),
        &store,
        &InitOptions {
            local: true,
            replace: None,
            now: engine::ports::Clock::now(&wiring::SystemClock),
        },
    )
    .map_err(|error| Failure::new(ExitStatus::StoreOrLedger, error))?;
    let quoted = |path: &Path| toml::Value::from(path.to_string_lossy().into_owned()).to_string();
    let mut text = format!(
        "[store]\npath = {}\nmin_free = 0\n[ledger]\npath = {}\n[ssh]\nconfig = {}\nconnect_timeout = \"4s\"\n\
         [defaults]\nsettle = \"{}s\"\nsettle_blind = \"{}s\"\n",
        quoted(&store),
        quoted(&folder.join("ledger.db")),
        quoted(fleet.ssh_config()),
        SETTLE.as_secs(),
        SETTLE.as_secs(),
    );
    for device in fleet.devices() {
        let name = toml::Value::from(device.name.clone());
        let block = format!("[[device]]\nname = {name}\nsource = {}\n", quoted(&device.source));
        text.push_str(&block);
    }
    let file = folder.join("gleaner.toml");
    std::fs::write(&file, &text)?;
    let checked = crate::config::check(&file, text.as_bytes(), &Environment::default());
    checked.map(|checked| checked.config).map_err(|faults| {
        Failure::usage("the configuration of the demonstration has faults").findings(faults.to_string())
    })
}

async fn sweep(config: &Config, output: &mut Output) -> Result<(), Failure> {
    output.flush()?;
    let reporter = if std::io::stderr().is_terminal() {
        SweepReporter::bars()
    } else {
        SweepReporter::log_only()
    };
    let collector = Collector::open(config, reporter).await?;
    let devices = wiring::device_rules(config);
    let chosen = Chosen {
        visited: &devices,
        configured: &devices,
    };
    let (summary, _) = run::sweep(&collector, chosen, config.fleet.parallel, Mode::Act).await?;
    report::print_summary(&summary, output)?;
    output.flush()?;
    Ok(())
}

fn describe_first_sweep(fleet: &DemoFleet, output: &mut Output) -> Result<(), Failure> {
    if fleet.link_was_cut() {
        output.line("One link was cut in the middle of a file: the next sweep resumes there.")?;
    }
    if !fleet.camera_finished() {
        output.line(
            "One camera is still writing its picture: gleaner does not touch it before it is finished.",
        )?;
    }
    Ok(output.flush()?)
}

async fn wait_for_camera(fleet: &DemoFleet) {
    let finished = async {
        while !fleet.camera_finished() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // If the camera never finishes, its picture is found on the device.
    tokio::time::timeout(CAMERA_TIMEOUT, finished)
        .await
        .unwrap_or_default();
}
