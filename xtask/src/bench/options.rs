//! The command line of the measurement.

use std::io;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::catalogue::Catalogue;
use super::work::Subject;

/// Compare gleaner with other tools over emulated links; takes some hours in all
#[derive(Debug, PartialEq, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
    /// Only this work; may be repeated
    #[arg(long = "work", value_name = "NAME", value_parser = known(|it| names(it.works.iter().map(|it| &it.name))))]
    pub(super) works: Vec<String>,
    /// Only over this link; may be repeated
    #[arg(long = "link", value_name = "NAME", value_parser = known(|it| names(it.links.iter().map(|it| &it.name))))]
    pub(super) links: Vec<String>,
    /// Use this tool instead of the planned ones; may be repeated
    #[arg(long = "tool", value_name = "NAME", value_parser = known(|it| names(it.compared_tools().map(|it| &it.name))))]
    pub(super) tools: Vec<String>,
    /// Percentage of each work; `--scale 1 --rounds 1` is a trial
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub(super) scale: u64,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, PartialEq, Subcommand)]
pub(crate) enum Verb {
    /// Measure how the cost grows with the files on a device, the ledger, the fleet
    Growth(GrowthOptions),
}

#[derive(Debug, PartialEq, Args)]
pub(crate) struct GrowthOptions {
    /// Only works in which this grows; may be repeated
    #[arg(long, value_enum)]
    pub(super) of: Vec<Subject>,
    /// Only sizes from this one on
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) least: usize,
    /// Only sizes up to this one; sizes that take most of an hour are measured only if this includes them
    #[arg(long, value_name = "N")]
    pub(super) most: Option<usize>,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, Clone, PartialEq, Args)]
pub(super) struct Common {
    /// How often each is measured; 0 measures nothing
    // Three is the smallest number that has a middle and a spread.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(super) rounds: usize,
    /// Measure this build of gleaner instead of building one; several are measured side by side
    #[arg(long = "gleaner", value_name = "PATH", value_parser = absolute)]
    pub(super) builds: Vec<PathBuf>,
    /// The time after which a run is killed: by default 5 minutes, or 30 for works that grow
    #[arg(long, value_name = "SECONDS")]
    pub(super) limit: Option<u64>,
    /// The folder for the servers, the devices' files and the store
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir(), value_parser = absolute)]
    pub(super) folder: PathBuf,
    /// Write the page of the documents from all results
    #[arg(long)]
    pub(super) write: bool,
}

impl Options {
    pub(super) fn works_grow(&self) -> bool {
        self.verb.is_some()
    }

    pub(super) fn common(&self) -> &Common {
        match &self.verb {
            Some(Verb::Growth(growth)) => &growth.common,
            None => &self.common,
        }
    }
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names.cloned().collect()
}

/// Accepts the names in the catalogue.
fn known(names: fn(&Catalogue) -> Vec<String>) -> PossibleValuesParser {
    // A test reads the catalogue, and the run reports a catalogue that cannot be read.
    PossibleValuesParser::new(Catalogue::load().map(|it| names(&it)).unwrap_or_default())
}

fn absolute(path: &str) -> io::Result<PathBuf> {
    std::path::absolute(path)
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    pub(in crate::bench) fn read(line: &str) -> Result<Options, clap::Error> {
        let words = std::iter::once("bench").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.options)
    }

    fn common() -> Common {
        Common {
            rounds: 5,
            builds: vec!["/a/gleaner".into(), "/b/gleaner".into()],
            limit: Some(9),
            folder: "/c".into(),
            write: true,
        }
    }

    #[test]
    fn every_option_is_parsed() {
        let options = read(
            "--work big --work small --link wan --tool tar --rounds 5 --gleaner /a/gleaner --gleaner /b/gleaner --limit 9 \
             --folder /c --scale 1 --write",
        )
        .unwrap();
        assert_eq!(
            options,
            Options {
                verb: None,
                works: vec!["big".to_owned(), "small".to_owned()],
                links: vec!["wan".to_owned()],
                tools: vec!["tar".to_owned()],
                scale: 1,
                common: common(),
            }
        );
        let nothing = read("").unwrap();
        assert_eq!((nothing.scale, nothing.common.rounds), (100, 3));
        assert_eq!(nothing.common.folder, std::env::temp_dir());
    }

    #[test]
    fn every_option_of_growth_is_parsed() {
        let options = read(
            "growth --of files --of fleet --least 10 --most 1000 --rounds 5 --gleaner /a/gleaner --gleaner /b/gleaner --limit 9 \
             --folder /c --write",
        )
        .unwrap();
        let growth = GrowthOptions {
            of: vec![Subject::Files, Subject::Fleet],
            least: 10,
            most: Some(1000),
            common: common(),
        };
        assert_eq!(options.common(), &growth.common);
        assert_eq!(options.verb, Some(Verb::Growth(growth)));
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let message = |line: &str| read(line).unwrap_err().to_string();
        assert!(
            message("--link lan")
                .contains("[possible values: loopback, wan, lossy, lossy-bbr, very-lossy, mobile]")
        );
        assert!(message("--work huge").contains("big, middle, small"));
        assert!(message("--tool scp").contains("rclone-unchecked"));
        assert!(message("--wrok big").contains("--work"));
        assert!(message("--rounds").contains("a value is required"));
        assert!(message("--rounds few").contains("invalid value 'few'"));
        assert!(message("--scale 0").contains("1..=100"));
        assert!(message("growth --of memory").contains("[possible values: files, ledger, fleet]"));
        assert!(message("--work big growth").contains("cannot be used"));
    }
}
