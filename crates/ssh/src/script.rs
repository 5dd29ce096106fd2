//! The script that runs on the device, and how it gets there.

use model::{RelativePath, SourcePath};

use crate::facts::{DigestTool, Facts};

/// The device's half of the protocol.
pub(crate) const DEVICE_SCRIPT: &str = include_str!("script/device.sh");

/// The command for the login shell, whichever it is: bash, dash, fish, csh. The script comes by standard
/// input.
pub(crate) const COMMAND: &str = r#"exec /bin/sh -c 'IFS= read -r s && eval "$(printf %b "$s")"'"#;

/// A random tag by which gleaner recognises the script's replies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReplyTag {
    first_half: String,
    second_half: String,
}

impl ReplyTag {
    /// `chance` is 32 random hexadecimal digits.
    pub(crate) fn new(chance: &str) -> Self {
        let (first_half, second_half) = chance.split_at_checked(chance.len() / 2).unwrap_or((chance, ""));
        Self {
            first_half: first_half.to_owned(),
            second_half: second_half.to_owned(),
        }
    }

    /// Both halves.
    pub(crate) fn whole(&self) -> String {
        format!("{}{}", self.first_half, self.second_half)
    }
}

/// Whether the script must find out the facts about the device.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FactsRequest<'a> {
    /// It must, and those about the file systems of these folders.
    Ask(&'a [SourcePath]),
    /// An earlier run has reported them.
    Reuse(&'a Facts),
}

/// All that is sent before the first request: the script as one line, the tag in two halves, the request for
/// facts.
pub(crate) fn preamble(tag: &ReplyTag, facts_request: FactsRequest<'_>) -> Vec<u8> {
    let mut preamble = as_one_line(DEVICE_SCRIPT).into_bytes();
    preamble.extend_from_slice(format!("\n{}\n{}\n", tag.first_half, tag.second_half).as_bytes());
    match facts_request {
        FactsRequest::Reuse(facts) => {
            let records = if facts.dialect.ends_records_in_nul() {
                "nul"
            } else {
                "tag"
            };
            let leases = if facts.read_leases.is_some() {
                "leases"
            } else {
                "none"
            };
            let digests = facts.digests.map_or("", DigestTool::name);
            preamble.extend_from_slice(format!("{records} {leases} {digests}\n").as_bytes());
        }
        FactsRequest::Ask(sources) => {
            preamble.extend_from_slice(format!("unknown\n{}\n", sources.len()).as_bytes());
            for source in sources {
                preamble.extend_from_slice(&anchored(source.as_bytes()));
                preamble.push(b'\n');
            }
        }
    }
    preamble
}

/// A path that no program takes for an option: absolute, or beginning with `./`.
pub(crate) fn anchored(path: &[u8]) -> Vec<u8> {
    match path.first() {
        Some(b'/') => path.to_vec(),
        _ => [b"./", path].concat(),
    }
}

/// The path of a file as SFTP and the script take it.
pub(crate) fn device_path(source: &SourcePath, path: &RelativePath) -> Vec<u8> {
    anchored(&source.join(path))
}

/// The script without its comments, for `printf %b`.
fn as_one_line(script: &str) -> String {
    let is_comment = |line: &&str| line.trim_start().starts_with('#');
    let lines = script
        .lines()
        .filter(|line| !is_comment(line) && !line.is_empty());
    lines.map(|line| line.replace('\\', "\\\\") + "\\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_travels_as_one_line_without_its_comments() {
        let line = as_one_line("# why\nprintf '\\0'\n\n  # more\necho #no\n");
        assert_eq!(line, "printf '\\\\0'\\necho #no\\n");
        assert!(!as_one_line(DEVICE_SCRIPT).contains('\n'));
    }

    #[test]
    fn no_source_can_be_taken_for_an_option() {
        assert_eq!(anchored(b"-rf"), b"./-rf");
        assert_eq!(anchored(b"/data"), b"/data");
    }
}
