//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::link::LINKS;
use super::tools::TOOLS;
use super::work::WORKS;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// None: all.
    pub(super) works: Vec<String>,
    /// None: all.
    pub(super) links: Vec<String>,
    /// None: those of the plan.
    pub(super) tools: Vec<String>,
    /// None measure nothing: the page is written from what is there.
    pub(super) rounds: usize,
    /// Builds of gleaner to compare. None: the release binary is built.
    pub(super) builds: Vec<PathBuf>,
    pub(super) limit: Duration,
    pub(super) folder: PathBuf,
    pub(super) scale_percent: u64,
    pub(super) write: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            works: Vec::new(),
            links: Vec::new(),
            tools: Vec::new(),
            // The smallest number that has a middle and a spread.
            rounds: 3,
            builds: Vec::new(),
            limit: Duration::from_mins(5),
            folder: std::env::temp_dir(),
            scale_percent: 100,
            write: false,
        }
    }
}

impl Wanted {
    pub(super) fn read(arguments: &[String]) -> Result<Self> {
        let mut wanted = Self::default();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} wants a word after it"))
            };
            match word.as_str() {
                "--work" => wanted
                    .works
                    .push(known(value()?, "work", WORKS.iter().map(|it| it.name))?),
                "--link" => wanted
                    .links
                    .push(known(value()?, "link", LINKS.iter().map(|it| it.name))?),
                "--tool" => wanted
                    .tools
                    .push(known(value()?, "tool", TOOLS.iter().map(|it| it.name))?),
                "--rounds" => wanted.rounds = number(word, value()?)?,
                "--gleaner" => wanted.builds.push(std::path::absolute(value()?)?),
                "--limit" => wanted.limit = Duration::from_secs(number(word, value()?)?),
                "--folder" => wanted.folder = std::path::absolute(value()?)?,
                "--scale" => wanted.scale_percent = number(word, value()?)?,
                "--write" => wanted.write = true,
                other => bail!(
                    "cannot make sense of `{other}`; there are --work, --link, --tool, --rounds, --gleaner, --limit, --folder, \
                     --scale and --write"
                ),
            }
        }
        if !(1..=100).contains(&wanted.scale_percent) {
            bail!("--scale wants a percentage from 1 to 100");
        }
        Ok(wanted)
    }
}

pub(super) fn known<'a>(
    name: &str,
    what: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<String> {
    if names.clone().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let all: Vec<_> = names.collect();
    bail!("there is no {what} `{name}`; there are {}", all.join(", "))
}

pub(super) fn number<T: std::str::FromStr>(word: &str, value: &str) -> Result<T> {
    match value.parse() {
        Ok(number) => Ok(number),
        Err(_) => bail!("{word} wants a whole number, not `{value}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Wanted> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Wanted::read(&words)
    }

    #[test]
    fn every_word_is_understood() {
        let wanted = read(
            "--work big --work small --link wan --tool tar --rounds 5 --gleaner /a/gleaner --gleaner /b/gleaner --limit 9 \
             --folder /c --scale 1 --write",
        )
        .unwrap();
        assert_eq!(
            wanted,
            Wanted {
                works: vec!["big".to_owned(), "small".to_owned()],
                links: vec!["wan".to_owned()],
                tools: vec!["tar".to_owned()],
                rounds: 5,
                builds: vec!["/a/gleaner".into(), "/b/gleaner".into()],
                limit: Duration::from_secs(9),
                folder: "/c".into(),
                scale_percent: 1,
                write: true,
            }
        );
        assert_eq!(read("").unwrap(), Wanted::default());
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_there_are() {
        let message = |line: &str| read(line).unwrap_err().to_string();
        assert_eq!(
            message("--link lan"),
            "there is no link `lan`; there are loopback, wan, mobile"
        );
        assert!(message("--work huge").contains("big, middle, small"));
        assert!(message("--tool scp").contains("rclone-unchecked"));
        assert!(message("--wrok big").contains("--work, --link"));
        assert_eq!(message("--rounds"), "--rounds wants a word after it");
        assert_eq!(
            message("--rounds few"),
            "--rounds wants a whole number, not `few`"
        );
        assert!(message("--scale 0").contains("1 to 100"));
    }
}
