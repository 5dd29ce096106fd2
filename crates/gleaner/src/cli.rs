//! The command line. Help, manual pages, completions and `docs/reference/cli.md` are generated from these
//! types.

pub mod reference;
pub mod since;

use std::convert::Infallible;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueHint};

pub use since::Since;

/// Collects the recordings of a fleet of field devices.
#[derive(Debug, Clone, PartialEq, Parser)]
#[command(
    name = "gleaner",
    version,
    about = "Collects the recordings of a fleet of field devices",
    long_about = "gleaner collects the recordings of a fleet of field devices over SSH, makes them durable in a store, \
                  and only then removes them from the devices.",
    after_help = reference::exit_statuses(),
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    propagate_version = true
)]
pub struct CommandLine {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Global {
    /// The configuration file
    #[arg(short, long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, display_order = 90, long_help = CONFIG_HELP)]
    pub config: Option<PathBuf>,

    /// Log more; given twice, log everything
    #[arg(short, long, global = true, display_order = 91, action = ArgAction::Count)]
    pub verbose: u8,

    /// Log less; given twice, log errors only
    #[arg(short, long, global = true, display_order = 92, action = ArgAction::Count, conflicts_with = "verbose")]
    pub quiet: u8,
}

const CONFIG_HELP: &str = "The configuration file\n\nWithout it: the file that $GLEANER_CONFIG names, otherwise the first of \
                           ./gleaner.toml, ~/.config/gleaner/gleaner.toml and /etc/gleaner/gleaner.toml that exists.";

impl Global {
    /// The log level. Without options: events, without the details of each file.
    pub fn log_level(&self) -> tracing::Level {
        match (self.quiet, self.verbose) {
            (2.., _) => tracing::Level::ERROR,
            (1, _) => tracing::Level::WARN,
            (0, 0) => tracing::Level::INFO,
            (0, 1) => tracing::Level::DEBUG,
            (0, _) => tracing::Level::TRACE,
        }
    }
}

/// The commands.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum Command {
    /// Visit each device once: store its finished files, then remove them from the device
    Run(RunArgs),
    /// Show the status of each device: last seen, stored files, what waits and why, free disk space
    ///
    /// Reads only the ledger: works while devices are offline and while a sweep is running.
    Status(StatusArgs),
    /// List every recorded file: its state, its digest, when it was stored and when it was released
    Files(FilesArgs),
    /// Re-read the whole store and compare each file with the ledger
    ///
    /// Changes nothing, unless --quarantine is given. Ends with status 1 if there are findings. With -v it
    /// also lists the files in the store that are not in the ledger.
    Audit(AuditArgs),
    /// Show the size of each device's sources and the free space of its file systems
    ///
    /// Connects to every device. Changes nothing.
    Disk(DiskArgs),
    /// Prepare the store
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Store {
        /// The command for the store.
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Back up the ledger, or take over the ledger of another machine
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Ledger {
        /// The command for the ledger.
        #[command(subcommand)]
        command: LedgerCommand,
    },
    /// Write, check or show the configuration
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Config {
        /// The command for the configuration.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Demonstrate gleaner on a simulated fleet; needs no set-up and ends automatically
    ///
    /// Runs in a temporary folder and on the loopback interface; leaves nothing behind.
    Demo(DemoArgs),
    /// Print a completion script for a shell
    ///
    /// Save it where the shell looks for completions, for bash for example in
    /// ~/.local/share/bash-completion/completions/gleaner.
    Completions(CompletionsArgs),
    /// Print the manual page
    Man(ManArgs),
}

/// Arguments of `gleaner run`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct RunArgs {
    /// Visit only this device; may be given several times
    #[arg(long = "device", value_name = "NAME")]
    pub devices: Vec<String>,

    /// Never set: an argument here is an error that shows the option `--device`.
    #[arg(value_name = "DEVICE", hide = true, value_parser = no_bare_device)]
    pub bare_device: Option<Infallible>,

    /// Survey and plan, but change nothing on device, store or ledger
    #[arg(long)]
    pub dry_run: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

fn no_bare_device(name: &str) -> Result<Infallible, String> {
    let name = model::escaped(name.as_bytes());
    Err(format!("to visit one device: gleaner run --device {name}"))
}

/// Arguments of `gleaner status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct StatusArgs {
    /// Show only this device, in more detail
    #[arg(value_name = "DEVICE")]
    pub device: Option<String>,

    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `gleaner files`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct FilesArgs {
    /// List only files of this device; may be given several times
    #[arg(long = "device", value_name = "NAME")]
    pub devices: Vec<String>,

    /// List only files in this state; may be given several times
    ///
    /// stored: in the store, and still on the device as far as is known. released: in the store, and removed
    /// from the device. kept: in the store, and kept on the device.
    #[arg(long = "state", value_name = "STATE", value_parser = file_state_parser())]
    pub states: Vec<model::FileState>,

    /// List only files stored since then: a duration such as "2h" or "7 days", or a date or time such as
    /// 2026-05-01 or 2026-05-01T12:00:00Z (UTC without an offset)
    #[arg(long, value_name = "WHEN")]
    pub since: Option<Since>,

    /// Print one JSON object per line
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,

    /// Print comma-separated values with a heading
    #[arg(long)]
    pub csv: bool,
}

fn file_state_parser() -> impl clap::builder::TypedValueParser<Value = model::FileState> {
    use clap::builder::TypedValueParser as _;
    clap::builder::PossibleValuesParser::new(model::FileState::ALL.map(model::FileState::code))
        .try_map(|code| model::FileState::from_code(&code).ok_or("no such state"))
}

/// Arguments of `gleaner audit`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct AuditArgs {
    /// Move files whose content differs from the ledger into the control folder of the store
    #[arg(long)]
    pub quarantine: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `gleaner disk`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct DiskArgs {
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// The commands of `gleaner store`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum StoreCommand {
    /// Mark the configured folder as a store, after testing its file system
    ///
    /// The marker lets gleaner detect that the store is not mounted.
    Init(StoreInitArgs),
}

/// Arguments of `gleaner store init`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct StoreInitArgs {
    /// Accept a store on the file system of the operating system
    ///
    /// Without this option, gleaner assumes that the mount is missing.
    #[arg(long)]
    pub local: bool,

    /// Replace the store that the ledger knows, which has this id
    #[arg(long, value_name = "OLD_ID")]
    pub replace: Option<String>,
}

/// The commands of `gleaner ledger`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum LedgerCommand {
    /// Continue here with the ledger of a collector that is gone
    ///
    /// Makes the ledger with this id, unless a copy of it is at `ledger.path` already. Takes over the files
    /// that the other collector received in part. Sweeps then also take those that it withdrew on the
    /// devices. The next sweep of the other collector, if it still lives, is
    /// refused. May be run again at any
    /// time.
    Adopt(LedgerAdoptArgs),
    /// Copy the ledger to a new file; works while a sweep is running
    Backup(LedgerBackupArgs),
}

/// Arguments of `gleaner ledger adopt`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct LedgerAdoptArgs {
    /// The id of the ledger; with a wrong one, gleaner lists the ledgers of the store
    #[arg(value_name = "ID")]
    pub id: String,
}

/// Arguments of `gleaner ledger backup`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct LedgerBackupArgs {
    /// The file to make; an existing file is never replaced
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// The commands of `gleaner config`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Write an example configuration with comments; never overwrites an existing file
    Init(ConfigInitArgs),
    /// Report every error in the configuration, or print a summary
    Check,
    /// Print the resolved configuration: every device, every default filled in
    Show(ConfigShowArgs),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
}

/// Arguments of `gleaner config init`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ConfigInitArgs {
    /// The file to write; "-" for standard output
    #[arg(value_name = "PATH", default_value = "gleaner.toml", value_hint = ValueHint::FilePath)]
    pub path: PathBuf,
}

/// Arguments of `gleaner config show`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct ConfigShowArgs {
    /// Show only this device
    #[arg(value_name = "DEVICE")]
    pub device: Option<String>,
}

/// Arguments of `gleaner demo`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct DemoArgs {
    /// Run in this folder, which must not exist yet, and keep it
    ///
    /// To inspect it afterwards: gleaner -c DIR/gleaner.toml status
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub keep: Option<PathBuf>,
}

/// Arguments of `gleaner completions`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Arguments of `gleaner man`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct ManArgs {
    /// Write all pages, one per command and one for the configuration file, into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_valid() {
        use clap::CommandFactory as _;
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_configuration_option_may_follow_the_command() {
        let line =
            CommandLine::try_parse_from(["gleaner", "run", "--device", "a", "--device", "b", "-c", "x.toml"]);
        let line = line.unwrap();
        assert_eq!(line.global.config, Some(PathBuf::from("x.toml")));
        let Command::Run(run) = line.command else {
            panic!("{line:?}")
        };
        assert_eq!(run.devices, ["a", "b"]);
    }

    #[test]
    fn a_device_without_its_option_is_refused_with_the_right_command() {
        let refusal = CommandLine::try_parse_from(["gleaner", "run", "raspberry1"]).unwrap_err();
        let text = refusal.to_string();
        assert!(text.contains("gleaner run --device raspberry1"), "{text}");
        let help = CommandLine::try_parse_from(["gleaner", "run", "--help"]).unwrap_err();
        assert!(!help.to_string().contains("[DEVICE]"), "{help}");
    }

    #[test]
    fn verbose_and_quiet_exclude_each_other() {
        assert!(CommandLine::try_parse_from(["gleaner", "-v", "-q", "disk"]).is_err());
        let level = |flag: &str| {
            let line = CommandLine::try_parse_from(["gleaner", flag, "disk"]).unwrap();
            line.global.log_level()
        };
        assert_eq!(level("-v"), tracing::Level::DEBUG);
        assert_eq!(level("-vvv"), tracing::Level::TRACE);
        assert_eq!(level("-q"), tracing::Level::WARN);
        assert_eq!(level("-qq"), tracing::Level::ERROR);
    }

    #[test]
    fn files_are_filtered_by_the_states_of_the_ledger() {
        let line = CommandLine::try_parse_from(["gleaner", "files", "--state", "stored", "--state", "kept"])
            .unwrap();
        let Command::Files(files) = line.command else {
            panic!("{line:?}")
        };
        assert_eq!(files.states, [model::FileState::Stored, model::FileState::Kept]);
        assert!(CommandLine::try_parse_from(["gleaner", "files", "--state", "lost"]).is_err());
    }
}
