//! What can be typed. The help, the manual pages, the completions and `docs/reference/cli.md` come from here.

pub mod reference;
pub mod since;

use std::convert::Infallible;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueHint};

pub use since::Since;

/// Gathers what a fleet of field devices has recorded.
#[derive(Debug, Clone, PartialEq, Parser)]
#[command(
    name = "gleaner",
    version,
    about = "Gathers what a fleet of field devices has recorded",
    long_about = "gleaner gathers what a fleet of field devices has recorded, brings it over SSH safely into the store at \
                  home, and only then clears it from the device.",
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
    /// What is to be done.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Global {
    /// The configuration file
    #[arg(short, long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, display_order = 90, long_help = CONFIG_HELP)]
    pub config: Option<PathBuf>,

    /// Log more; twice, everything
    #[arg(short, long, global = true, display_order = 91, action = ArgAction::Count)]
    pub verbose: u8,

    /// Log less; twice, errors only
    #[arg(short, long, global = true, display_order = 92, action = ArgAction::Count, conflicts_with = "verbose")]
    pub quiet: u8,
}

const CONFIG_HELP: &str = "The configuration file\n\nWithout it, the one that $GLEANER_CONFIG names; else the first of \
                           ./gleaner.toml, ~/.config/gleaner/gleaner.toml and /etc/gleaner/gleaner.toml that exists.";

impl Global {
    /// What is to be logged: by default what happens, without its details.
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
    /// Visit each device once: gather what is finished into the store, then clear it from the device
    Run(RunArgs),
    /// Tell, for each device: last seen, what came, what waits and why, how full its disk is
    ///
    /// Reads the ledger only: it works while devices are offline, and beside a gleaner that is at work.
    Status(StatusArgs),
    /// List the record, file by file: where it is, its digest, when it was stored and when it was released
    Files(FilesArgs),
    /// Read the whole store again and compare each file with the ledger
    ///
    /// Changes nothing unless --quarantine is given. Ends with status 1 if there are findings. With -v it also lists the files in the
    /// store that the ledger does not know.
    Audit(AuditArgs),
    /// Ask each device how large its sources are and how full its file system is
    Disk(DiskArgs),
    /// Prepare the place where the files go
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Store {
        /// What is to be done with the store.
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Write, check or show the configuration
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Config {
        /// What is to be done with the configuration.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Watch a simulated fleet being emptied; needs no set-up and ends by itself
    ///
    /// Everything happens in a temporary folder and on the loopback interface, and is gone afterwards.
    Demo(DemoArgs),
    /// Print a completion script for a shell
    ///
    /// It goes to where the shell looks for such scripts, for bash for example to
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

    /// Never there: whoever names a device without `--device` is told how.
    #[arg(value_name = "DEVICE", hide = true, value_parser = no_bare_device)]
    pub bare_device: Option<Infallible>,

    /// Look and plan, but change nothing on device, store or ledger
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
    /// Only this device, in more detail
    #[arg(value_name = "DEVICE")]
    pub device: Option<String>,

    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `gleaner files`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct FilesArgs {
    /// Only files of this device; may be given several times
    #[arg(long = "device", value_name = "NAME")]
    pub devices: Vec<String>,

    /// Only files in this state; may be given several times
    ///
    /// stored: in the store, and still on the device as far as is known. released: in the store, and gone from the
    /// device. kept: in the store, and staying on the device.
    #[arg(long = "state", value_name = "STATE", value_parser = file_state_parser())]
    pub states: Vec<model::FileState>,

    /// Only files stored since then: a span such as "2h" or "7 days", or a date or time such as
    /// 2026-05-01 or 2026-05-01T12:00:00Z (UTC unless it says otherwise)
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
    /// Move files whose content is not what the ledger says into the control folder of the store
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
    /// Mark the configured folder as a store, after trying out what its file system can do
    ///
    /// The mark tells the store from the empty folder that is left when it is not mounted.
    Init(StoreInitArgs),
}

/// Arguments of `gleaner store init`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct StoreInitArgs {
    /// Accept a store on the file system of the operating system
    ///
    /// Without this, such a place is taken for a mount that is missing.
    #[arg(long)]
    pub local: bool,

    /// Put this store in the place of the one that the ledger knows, which has this id
    #[arg(long, value_name = "OLD_ID")]
    pub replace: Option<String>,
}

/// The commands of `gleaner config`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Write an example configuration with comments; never over an existing file
    Init(ConfigInitArgs),
    /// Report everything that is wrong with the configuration, or sum it up
    Check,
    /// Print what the configuration means: every device, every default filled in
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
    /// Only this device
    #[arg(value_name = "DEVICE")]
    pub device: Option<String>,
}

/// Arguments of `gleaner demo`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct DemoArgs {
    /// Do it all in this folder, which must not exist yet, and leave it there
    ///
    /// To look at it afterwards: gleaner -c DIR/gleaner.toml status
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub keep: Option<PathBuf>,
}

/// Arguments of `gleaner completions`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CompletionsArgs {
    /// The shell that is to read it
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
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_configuration_file_may_be_named_after_the_command() {
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
    fn a_device_without_its_option_is_refused_with_the_right_line() {
        let refusal = CommandLine::try_parse_from(["gleaner", "run", "raspberry1"]).unwrap_err();
        let text = refusal.to_string();
        assert!(text.contains("gleaner run --device raspberry1"), "{text}");
        let help = CommandLine::try_parse_from(["gleaner", "run", "--help"]).unwrap_err();
        assert!(!help.to_string().contains("[DEVICE]"), "{help}");
    }

    #[test]
    fn more_and_less_log_exclude_each_other() {
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
    fn files_are_chosen_by_the_states_of_the_ledger() {
        let line = CommandLine::try_parse_from(["gleaner", "files", "--state", "stored", "--state", "kept"])
            .unwrap();
        let Command::Files(files) = line.command else {
            panic!("{line:?}")
        };
        assert_eq!(files.states, [model::FileState::Stored, model::FileState::Kept]);
        assert!(CommandLine::try_parse_from(["gleaner", "files", "--state", "lost"]).is_err());
    }
}
