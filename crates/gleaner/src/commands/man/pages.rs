//! One page per command, from the command line, and one for the configuration file.

use clap::{Command, CommandFactory as _};
use clap_mangen::roff::{Roff, bold, roman};

use super::configuration;
use crate::cli::CommandLine;
use crate::exit::ExitStatus;

/// A manual page, ready to be written.
#[derive(Debug)]
pub(super) struct Page {
    /// Such as `gleaner-run.1`.
    pub(super) file_name: String,
    /// In the language of roff.
    pub(super) text: String,
}

/// Every page; gleaner(1) first, gleaner.toml(5) last.
pub(super) fn all() -> Vec<Page> {
    let mut pages = Vec::new();
    collect(&CommandLine::command(), "gleaner", &mut pages);
    pages.push(Page {
        file_name: "gleaner.toml.5".to_owned(),
        text: configuration::page(),
    });
    pages
}

/// The page of a command, then those of the commands below it.
fn collect(command: &Command, name: &str, pages: &mut Vec<Page>) {
    let spaced = name.replace('-', " ");
    // Clap wants a name that lives for ever; the few that there are may.
    let title: &'static str = Box::leak(name.to_owned().into_boxed_str());
    let mut shown = command.clone().name(title).display_name(title).bin_name(spaced);
    shown = shown.after_help("").disable_version_flag(true);
    if shown.get_version().is_none() {
        shown = shown.version(env!("CARGO_PKG_VERSION"));
    }
    pages.push(Page {
        file_name: format!("{name}.1"),
        text: page(shown, name),
    });
    for subcommand in command.get_subcommands() {
        collect(subcommand, &format!("{name}-{}", subcommand.get_name()), pages);
    }
}

fn page(command: Command, name: &str) -> String {
    let man = clap_mangen::Man::new(command)
        .manual("gleaner")
        .section("1")
        .title(name);
    let mut text = Vec::new();
    // Writing to memory does not fail.
    man.render(&mut text).unwrap_or_default();
    let mut text = String::from_utf8_lossy(&text).into_owned();
    text.push_str(&ending(name));
    text
}

/// What clap knows nothing of: the exit statuses, and where to read on.
fn ending(name: &str) -> String {
    let mut roff = Roff::new();
    if name == "gleaner" {
        roff.control("SH", ["EXIT STATUS"]);
        for status in ExitStatus::ALL {
            roff.control("TP", []);
            roff.text([bold(status.code().to_string())]);
            roff.text([roman(status.meaning())]);
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([
        bold("gleaner"),
        roman("(1), "),
        bold("gleaner.toml"),
        roman("(5), "),
        bold("ssh_config"),
        roman("(5)"),
    ]);
    roff.render()
}
