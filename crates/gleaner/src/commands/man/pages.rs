//! One page per command, generated from the command line, and one for the configuration file.

use std::io::Write as _;

use clap::{Command, CommandFactory as _};
use clap_mangen::roff::{Roff, bold, roman};

use super::configuration;
use crate::cli::CommandLine;
use crate::exit::ExitStatus;

/// A manual page.
#[derive(Debug)]
pub(super) struct Page {
    /// Such as `gleaner-run.1`.
    pub(super) file_name: String,
    /// The roff source.
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

/// Adds the page of a command, then the pages of its subcommands.
fn collect(command: &Command, name: &str, pages: &mut Vec<Page>) {
    pages.push(Page {
        file_name: format!("{name}.1"),
        text: page(command, name),
    });
    for subcommand in command.get_subcommands() {
        collect(subcommand, &format!("{name}-{}", subcommand.get_name()), pages);
    }
}

fn page(command: &Command, name: &str) -> String {
    let typed = name.replace('-', " ");
    let named = command
        .clone()
        .name(name.to_owned())
        .display_name(name.to_owned())
        .bin_name(typed);
    let usage = named.clone().render_usage().to_string();
    let version = concat!("gleaner ", env!("CARGO_PKG_VERSION"));
    let man = clap_mangen::Man::new(named.disable_help_flag(true).disable_version_flag(true));
    let man = man.title(name).section("1").source(version).manual("gleaner");
    let mut text = Vec::new();
    let rendered = man
        .render_title(&mut text)
        .and_then(|()| man.render_name_section(&mut text))
        .and_then(|()| text.write_all(synopsis(&usage).as_bytes()))
        .and_then(|()| man.render_description_section(&mut text))
        .and_then(|()| options(command, &man, &mut text))
        .and_then(|()| text.write_all(ending(name).as_bytes()));
    // Writing to memory cannot fail.
    rendered.unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

fn synopsis(usage: &str) -> String {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([roman(usage.trim_start_matches("Usage: "))]);
    roff.render()
}

fn options(command: &Command, man: &clap_mangen::Man, text: &mut Vec<u8>) -> std::io::Result<()> {
    if command.get_arguments().next().is_some() {
        man.render_options_section(text)?;
    }
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(text)?;
    }
    Ok(())
}

/// The sections that clap cannot generate: exit statuses, environment, files, and related pages.
fn ending(name: &str) -> String {
    let mut roff = Roff::new();
    if name == "gleaner" {
        roff.control("SH", ["EXIT STATUS"]);
        for status in ExitStatus::ALL {
            item(&status.code().to_string(), status.meaning(), &mut roff);
        }
        roff.control("SH", ["ENVIRONMENT"]);
        for (variable, meaning) in ENVIRONMENT {
            item(variable, meaning, &mut roff);
        }
        roff.control("SH", ["FILES"]);
        for (file, meaning) in FILES {
            item(file, meaning, &mut roff);
        }
    } else {
        roff.control("SH", ["OPTIONS OF EVERY COMMAND"]);
        roff.text([
            roman("The options "),
            bold("-c"),
            roman(", "),
            bold("-v"),
            roman(" and "),
            bold("-q"),
            roman(" and the exit statuses are explained in "),
            bold("gleaner"),
            roman("(1)."),
        ]);
    }
    let main_page = [bold("gleaner"), roman("(1), ")];
    let others = [
        bold("gleaner.toml"),
        roman("(5), "),
        bold("ssh_config"),
        roman("(5)"),
    ];
    roff.control("SH", ["SEE ALSO"]);
    roff.text(
        main_page
            .into_iter()
            .filter(|_| name != "gleaner")
            .chain(others)
            .collect::<Vec<_>>(),
    );
    roff.render()
}

const ENVIRONMENT: [(&str, &str); 4] = [
    (
        "GLEANER_CONFIG",
        "The configuration file, if -c does not name one.",
    ),
    (
        "STATE_DIRECTORY",
        "The folder of the ledger, unless the configuration sets its path; systemd sets it for the service.",
    ),
    (
        "XDG_STATE_HOME",
        "Without STATE_DIRECTORY: the ledger is in its subfolder gleaner. Without it: ~/.local/state.",
    ),
    (
        "XDG_CONFIG_HOME",
        "The user's configuration is in its subfolder gleaner. Without it: ~/.config.",
    ),
];

const FILES: [(&str, &str); 3] = [
    (
        "./gleaner.toml, ~/.config/gleaner/gleaner.toml, /etc/gleaner/gleaner.toml",
        "The configuration: the first of these that exists, if none is named.",
    ),
    (
        "~/.local/state/gleaner/ledger.db",
        "The ledger, unless the configuration sets its path.",
    ),
    (
        ".gleaner",
        "In the store: its marker, and files not yet published. It belongs to gleaner.",
    ),
];

fn item(term: &str, meaning: &str, roff: &mut Roff) {
    roff.control("TP", []);
    roff.text([bold(term)]);
    roff.text([roman(meaning)]);
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn every_command_and_the_configuration_has_a_page() {
        let names: Vec<String> = all().into_iter().map(|page| page.file_name).collect();
        assert_eq!(names.first().map(String::as_str), Some("gleaner.1"));
        assert_eq!(names.last().map(String::as_str), Some("gleaner.toml.5"));
        for name in [
            "gleaner-run.1",
            "gleaner-config-init.1",
            "gleaner-store-init.1",
            "gleaner-man.1",
        ] {
            assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
        }
    }

    /// Without groff, the test still checks groff's strictest rule: ASCII only.
    #[test]
    fn every_page_is_formatted_without_a_warning() {
        for page in all() {
            assert!(
                page.text.is_ascii(),
                "{}: {:?}",
                page.file_name,
                page.text.chars().find(|c| !c.is_ascii())
            );
            let groff = Command::new("groff")
                .args(["-ww", "-man", "-Tascii", "-z"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn();
            let Ok(mut groff) = groff else { return };
            groff
                .stdin
                .take()
                .unwrap()
                .write_all(page.text.as_bytes())
                .unwrap();
            let output = groff.wait_with_output().unwrap();
            let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                output.status.success() && warnings.is_empty(),
                "{}: {warnings}",
                page.file_name
            );
        }
    }
}
