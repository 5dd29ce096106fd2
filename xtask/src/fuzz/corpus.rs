//! Which inputs the repository keeps: those named by a person, and the few others that reach the most code.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The limits for the inputs of all targets together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    files: usize,
    bytes: usize,
}

impl Room {
    /// Limits the size of the repository. A test of the crate `fuzz` permits a few more files, for findings.
    pub(super) const MAX: Self = Self {
        files: 590,
        bytes: 1_000_000,
    };

    /// The room that remains after adding a file of this size.
    fn beside(self, bytes: usize) -> Option<Self> {
        Some(Self {
            files: self.files.checked_sub(1)?,
            bytes: self.bytes.checked_sub(bytes)?,
        })
    }
}

/// An input, and the edges that it reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Input {
    pub(super) file: PathBuf,
    pub(super) bytes: usize,
    /// Each edge follows the number of its target, because each target counts from zero.
    edges: Vec<(usize, u32)>,
}

/// Whether a person named the file. The fuzzer names an input after its SHA-1.
pub(super) fn is_named(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().as_encoded_bytes();
    name.len() != 40 || !name.iter().all(u8::is_ascii_hexdigit)
}

/// Reads libFuzzer's record of a merge. It holds the number of files, the number of files in the first folder
/// and a line for each file. Then come `STARTED <file> <bytes>` and `FT <file> <edge>...` for each. A file
/// that failed has no `FT`.
pub(super) fn read_record(target: usize, record: &str) -> Result<Vec<Input>> {
    let mut lines = record.lines();
    let count = lines.next().and_then(|count| count.parse().ok());
    let count = count.context("the record of the merge has no number of files")?;
    let files: Vec<_> = lines.by_ref().skip(1).take(count).collect();
    let (mut inputs, mut bytes) = (Vec::new(), 0);
    for line in lines {
        let mut words = line.split(' ');
        let kind = words.next();
        let mut numbers = words.map_while(|word| word.parse::<u32>().ok());
        let number = numbers.next().unwrap_or_default() as usize;
        match kind {
            Some("STARTED") => bytes = numbers.next().unwrap_or_default() as usize,
            Some("FT") => inputs.push(Input {
                file: files
                    .get(number)
                    .context("the record names an unknown file")?
                    .into(),
                bytes,
                edges: numbers.map(|edge| (target, edge)).collect(),
            }),
            _ => {}
        }
    }
    Ok(inputs)
}

/// Chooses the inputs to keep: all named ones, then repeatedly the one that reaches the most new edges, the
/// smallest of equals, while there is room.
pub(super) fn choose(inputs: Vec<Input>, mut room: Room) -> Result<Vec<Input>> {
    let (mut chosen, found): (Vec<_>, Vec<_>) = inputs.into_iter().partition(|input| is_named(&input.file));
    let mut reached = HashSet::new();
    for named in &chosen {
        let rest = room.beside(named.bytes);
        room = rest.context("the named inputs alone exceed the limits")?;
        reached.extend(&named.edges);
    }
    let candidates = found.into_iter().map(|input| Candidate::new(input, &reached));
    let mut candidates: BinaryHeap<_> = candidates.collect();
    while let Some(candidate) = candidates.pop() {
        // Inputs chosen since then may have lowered its number of new edges, but never raised it.
        let candidate = Candidate::new(candidate.input, &reached);
        let Some(rest) = room
            .beside(candidate.input.bytes)
            .filter(|_| candidate.new_edges > 0)
        else {
            continue;
        };
        if candidates.peek().is_some_and(|next| *next > candidate) {
            candidates.push(candidate);
            continue;
        }
        room = rest;
        reached.extend(&candidate.input.edges);
        chosen.push(candidate.input);
    }
    Ok(chosen)
}

/// The greatest candidate is the best.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    new_edges: usize,
    bytes: Reverse<usize>,
    input: Input,
}

impl Candidate {
    fn new(input: Input, reached: &HashSet<(usize, u32)>) -> Self {
        Self {
            new_edges: input.edges.iter().filter(|edge| !reached.contains(edge)).count(),
            bytes: Reverse(input.bytes),
            input,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, bytes: usize, edges: &[u32]) -> Input {
        Input {
            file: PathBuf::from(name),
            bytes,
            edges: edges.iter().map(|edge| (0, *edge)).collect(),
        }
    }

    fn chosen(files: usize, bytes: usize) -> Vec<usize> {
        let found = ["a", "b", "c", "d", "e"].map(|digit| digit.repeat(40));
        let inputs = vec![
            input("a-name", 5, &[0, 1, 2]),
            input(&found[0], 60, &[3, 4]),
            input(&found[1], 41, &[4]),
            input(&found[2], 40, &[5]),
            input(&found[3], 10, &[6]),
            input(&found[4], 1, &[2]),
        ];
        let chosen = choose(inputs, Room { files, bytes });
        chosen
            .unwrap_or_default()
            .into_iter()
            .map(|input| input.bytes)
            .collect()
    }

    #[test]
    fn inputs_named_by_a_person_and_by_the_fuzzer_are_distinguished() {
        assert!(!is_named(Path::new("a/da39a3ee5e6b4b0d3255bfef95601890afd80709")));
        assert!(is_named(Path::new("a/a-real-listing")));
    }

    #[test]
    fn a_record_has_the_edges_of_each_input_that_did_not_fail() {
        let record =
            "3\n1\na/b\na/c\na/d\nSTARTED 0 7\nFT 0 8 17\nCOV 0 1\nSTARTED 1 9\nSTARTED 2 5\nFT 2\nCOV 2\n";
        let inputs = read_record(0, record).unwrap();
        assert_eq!(inputs, [input("a/b", 7, &[8, 17]), input("a/d", 5, &[])]);
        assert!(read_record(0, "").is_err() && read_record(0, "1\n1\na\nFT 1 8\n").is_err());
    }

    #[test]
    fn most_new_edges_come_first_then_fewest_bytes() {
        assert_eq!(chosen(9, 999), [5, 60, 10, 40]);
    }

    #[test]
    fn the_chosen_inputs_fit_the_room_in_files_and_bytes() {
        assert_eq!(chosen(3, 999), [5, 60, 10]);
        assert_eq!(chosen(9, 75), [5, 60, 10]);
        assert_eq!(chosen(9, 55), [5, 10, 40]);
        assert_eq!(chosen(1, 5), [5]);
        assert_eq!(chosen(9, 4), [0; 0], "the named inputs exceed the room");
    }
}
