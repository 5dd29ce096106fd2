//! The manual page gleaner.toml(5), generated from the declarations of the configuration.

use clap_mangen::roff::{Roff, bold, roman};

use crate::config::keys::TABLES;
use crate::config::table::Key;

/// The page.
pub(super) fn page() -> String {
    let mut roff = Roff::new();
    let version = concat!("gleaner ", env!("CARGO_PKG_VERSION"));
    roff.control("TH", ["gleaner.toml", "5", "", version, "gleaner"]);
    section(
        "NAME",
        &["gleaner.toml - the configuration of gleaner"],
        &mut roff,
    );
    section(
        "DESCRIPTION",
        &[
            "gleaner reads one file in TOML: the file named by -c, otherwise by $GLEANER_CONFIG, otherwise the first of \
             ./gleaner.toml, ~/.config/gleaner/gleaner.toml and /etc/gleaner/gleaner.toml that exists.",
            "An unknown key is an error. \"gleaner config check\" reports all errors together, \"gleaner config show\" prints \
             the resolved configuration, with every default filled in.",
            "Durations are whole numbers with units: \"30s\", \"10m\", \"1h30m\", \"2 days\". Sizes are numbers with units: \"1 GiB\" \
             (1024 to the third), \"500 MB\" (1000 squared). Rates are sizes or bits per second: \"2 MiB/s\", \"8 Mbit/s\".",
        ],
        &mut roff,
    );
    for table in &TABLES {
        section(table.heading, &[&table.meaning()], &mut roff);
        for key in table.keys() {
            describe(key, &mut roff);
        }
    }
    roff.control("SH", ["EXAMPLE"]);
    roff.control("nf", []);
    for line in EXAMPLE.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    section(
        "FILES",
        &["/etc/gleaner/gleaner.toml, ~/.config/gleaner/gleaner.toml, ./gleaner.toml"],
        &mut roff,
    );
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("gleaner"), roman("(1), "), bold("ssh_config"), roman("(5)")]);
    roff.render()
}

const EXAMPLE: &str = "\
[store]
path = \"/srv/recordings\"
[defaults]
source = \"/home/pi/recordings\"
[[device]]
name = \"raspberry{id:02}\"
ids = \"1-30, 34, 35\"
host = \"localhost\"
port = \"{id+5000}\"
jump = \"gateway.example.org\"";

fn section(title: &str, paragraphs: &[&str], roff: &mut Roff) {
    roff.control("SH", [title]);
    for (number, paragraph) in paragraphs.iter().enumerate() {
        if number > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(*paragraph)]);
    }
}

fn describe(key: &Key, roff: &mut Roff) {
    roff.control("TP", []);
    let kind = if key.syntax.choices.is_empty() {
        key.syntax.title.to_owned()
    } else {
        key.syntax.choices.join(" | ")
    };
    roff.text([bold(key.name), roman(format!(" = {kind}"))]);
    // A manual page has no markup for code.
    roff.text([roman(key.meaning().replace('`', ""))]);
    let default = match key.default {
        Some(default) => Some(format!("Default: {default}")),
        None if key.is_required() => Some("Required.".to_owned()),
        None => None,
    };
    let example = format!("Example: {} = {}", key.name, key.example);
    for line in default.into_iter().chain([example]) {
        roff.control("br", []);
        roff.text([roman(line)]);
    }
}
