//! The reference of the command line: the list of exit statuses in the help, and `docs/reference/cli.md`.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::CommandLine;
use crate::exit::ExitStatus;

/// The exit statuses, as the help shows them.
pub fn exit_statuses() -> String {
    let mut text = "Exit status:\n".to_owned();
    for status in ExitStatus::ALL {
        push(
            &mut text,
            format_args!("  {:>3}  {}\n", status.code(), status.meaning()),
        );
    }
    text.trim_end().to_owned()
}

/// `docs/reference/cli.md`.
pub fn markdown() -> String {
    let mut command = CommandLine::command();
    command.build();
    let mut text =
        "# The command line\n\n<!-- Made from the program itself; see CONTRIBUTING.md. -->\n\n".to_owned();
    describe(&command, TOP, &mut text);
    text.push_str("## Exit status\n\n| status | meaning |\n|---|---|\n");
    for status in ExitStatus::ALL {
        push(
            &mut text,
            format_args!("| {} | {} |\n", status.code(), status.meaning()),
        );
    }
    text
}

/// The heading level of the program as a whole.
const TOP: usize = 2;

fn describe(command: &Command, level: usize, text: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let about = command.get_long_about().or_else(|| command.get_about());
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    push(text, format_args!("{} `{name}`\n\n", "#".repeat(level)));
    if let Some(about) = about {
        let about = sentence(&about.to_string());
        for paragraph in about.split("\n\n") {
            push(text, format_args!("{}\n\n", wrapped(paragraph)));
        }
    }
    push(text, format_args!("    {usage}\n\n"));
    let top = level == TOP;
    // The options that every command has are described once, at the top.
    let own = |argument: &&Arg| {
        !argument.is_hide_set() && (top || !argument.is_global_set()) && argument.get_id() != "help"
    };
    let arguments: Vec<&Arg> = command
        .get_arguments()
        .filter(own)
        .filter(|argument| argument.get_id() != "version")
        .collect();
    for argument in &arguments {
        describe_argument(argument, text);
    }
    if !arguments.is_empty() {
        text.push('\n');
    }
    for subcommand in command.get_subcommands() {
        describe(subcommand, level + 1, text);
    }
}

fn describe_argument(argument: &Arg, text: &mut String) {
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let mut names = Vec::new();
    names.extend(argument.get_short().map(|short| format!("-{short}")));
    names.extend(argument.get_long().map(|long| format!("--{long}")));
    let value = argument.get_value_names().and_then(<[_]>::first);
    let shown = match (
        names.is_empty(),
        value.filter(|_| argument.get_action().takes_values()),
    ) {
        (true, Some(value)) if argument.is_required_set() => value.to_string(),
        (true, Some(value)) => format!("[{value}]"),
        (_, Some(value)) => format!("{} {value}", names.join(", ")),
        (_, None) => names.join(", "),
    };
    let mut item = format!("- `{shown}`: {}", sentence(&help));
    let values = argument.get_possible_values();
    if !values.is_empty() && argument.get_action().takes_values() {
        let values: Vec<String> = values
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        push(&mut item, format_args!(" One of {}.", values.join(", ")));
    }
    if let [default] = argument.get_default_values()
        && argument.get_action().takes_values()
    {
        push(
            &mut item,
            format_args!(" Default: `{}`.", default.to_string_lossy()),
        );
    }
    push(text, format_args!("{}\n", wrapped(&item)));
}

/// The width of a line of Markdown.
const WIDTH: usize = 110;

/// The text in lines of at most `WIDTH` characters, where its words allow. Further lines of an item are
/// indented.
pub fn wrapped(text: &str) -> String {
    let indent = if text.starts_with("- ") { "  " } else { "" };
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            push(&mut lines, format_args!("\n{indent}{word}"));
            column = indent.len() + length;
        } else {
            lines.push_str(if column > 0 { " " } else { "" });
            lines.push_str(word);
            column += length + usize::from(column > 0);
        }
    }
    lines
}

/// Restores the full stop that clap strips from the end of a comment, and adds one after its first paragraph.
pub fn sentence(text: &str) -> String {
    let paragraphs = text.trim().split("\n\n").map(|paragraph| {
        let end = if paragraph.ends_with(['.', ':', '!']) {
            ""
        } else {
            "."
        };
        format!("{paragraph}{end}")
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    text.write_fmt(arguments).unwrap_or_default();
}
