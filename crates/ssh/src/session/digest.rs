//! Digests that the device makes of its own files.

use std::collections::VecDeque;

use engine::ports::device::{DeviceFailure, DigestRequest};
use model::{Digest, SourcePath};

use super::SshSession;
use crate::lane::LaneError;
use crate::naming::Naming;

/// The device reads and counts in blocks of this size.
const BLOCK: u64 = 1024 * 1024;
/// Names and ranges in one question.
const MAX_AT_ONCE: usize = 1000;

/// A request with its place in the answer.
struct Wanted {
    place: usize,
    name: Vec<u8>,
    offset: u64,
    length: Option<u64>,
}

impl SshSession {
    pub(super) async fn digest_all(
        &self,
        source: &SourcePath,
        requests: &[DigestRequest],
    ) -> Result<Vec<Option<Digest>>, DeviceFailure> {
        let wanted = requests.iter().enumerate().map(|(place, request)| Wanted {
            place,
            name: Self::path(source, &request.path),
            offset: request.offset,
            length: request.length,
        });
        // The tools print names beside digests, and each has its own way with odd ones: those go by themselves.
        let (whole, ranges): (Vec<_>, Vec<_>) = wanted.partition(|wanted| {
            let is_odd = wanted
                .name
                .iter()
                .any(|byte| matches!(byte, b'\n' | b'\r' | b'\\'));
            wanted.offset == 0 && wanted.length.is_none() && !is_odd
        });
        let mut digests = vec![None; requests.len()];
        let found = async {
            self.digest_files(&whole, &mut digests).await?;
            self.digest_ranges(&ranges, &mut digests).await
        };
        match found.await {
            Ok(()) => Ok(digests),
            Err(error) => Err(self.lane_lost(error).await),
        }
    }

    async fn digest_files(&self, wanted: &[Wanted], digests: &mut [Option<Digest>]) -> Result<(), LaneError> {
        for some in wanted.chunks(MAX_AT_ONCE) {
            let names = some.iter().map(|file| file.name.as_slice());
            let naming = Naming::of(names.clone());
            let arguments = naming.arguments(names);
            // Files that cannot be read are passed over, the order is kept.
            let mut expected: VecDeque<&Wanted> = some.iter().collect();
            self.ask_for_digests("digest", (&naming, &arguments), |line| {
                let Some((digest, name)) = digest_and_name(line) else {
                    return;
                };
                while let Some(file) = expected.pop_front() {
                    if naming.is(name, &file.name) {
                        put(digests, file.place, Some(digest));
                        break;
                    }
                }
            })
            .await?;
        }
        Ok(())
    }

    async fn digest_ranges(
        &self,
        wanted: &[Wanted],
        digests: &mut [Option<Digest>],
    ) -> Result<(), LaneError> {
        for some in wanted.chunks(MAX_AT_ONCE) {
            let naming = Naming::of(some.iter().map(|range| range.name.as_slice()));
            let arguments: Vec<u8> = some
                .iter()
                .flat_map(|range| range_arguments(&naming, range))
                .collect();
            let mut expected = some.iter();
            self.ask_for_digests("ranges", (&naming, &arguments), |line| {
                if let Some(range) = expected.next() {
                    put(
                        digests,
                        range.place,
                        digest_and_name(line).map(|(digest, _)| digest),
                    );
                }
            })
            .await?;
        }
        Ok(())
    }

    /// Asks, and takes the answer line by line as it comes, up to the tag.
    async fn ask_for_digests(
        &self,
        verb: &str,
        (naming, arguments): (&Naming, &[u8]),
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), LaneError> {
        let Some(lanes) = self.shell() else {
            return Ok(());
        };
        let mut lane = lanes.lease_for_digest().await?;
        let tag = lane.tag();
        lane.ask_about(verb, naming, arguments).await?;
        // A line for each file at most, and an empty one before the tag; beyond that it is no answer to this.
        for _ in 0..=MAX_AT_ONCE + 1 {
            let answer = lane.until(b"\n").await?;
            if answer == tag.as_bytes() {
                lane.put_back();
                return Ok(());
            }
            take(&answer);
            lane.note_digest();
        }
        Err(LaneError::Nonsense("more digests than were asked for".to_owned()))
    }
}

/// Name, first block, number of blocks, number of bytes; `-` where the range reaches to the end.
fn range_arguments(naming: &Naming, range: &Wanted) -> Vec<u8> {
    let first = range.offset / BLOCK;
    let (blocks, bytes) = match range.length {
        Some(length) => (length.div_ceil(BLOCK).to_string(), length.to_string()),
        None => ("-".to_owned(), "-".to_owned()),
    };
    [
        &naming.name(&range.name)[..],
        format!("\0{first}\0{blocks}\0{bytes}\0").as_bytes(),
    ]
    .concat()
}

/// `<64 hex digits> *name` as openssl prints it, or with a blank for the star as sha256sum does.
fn digest_and_name(line: &[u8]) -> Option<(Digest, &[u8])> {
    let (digest, rest) = line.split_at_checked(64)?;
    let name = rest.strip_prefix(b" *").or_else(|| rest.strip_prefix(b"  "))?;
    Some((Digest::from_hex(digest)?, name))
}

fn put(digests: &mut [Option<Digest>], place: usize, digest: Option<Digest>) {
    if let Some(slot) = digests.get_mut(place) {
        *slot = digest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_told_in_blocks_and_bytes() {
        let range = |offset, length| Wanted {
            place: 0,
            name: b"/a b".to_vec(),
            offset,
            length,
        };
        let naming = Naming::of(std::iter::once(&b"/a b"[..]));
        assert_eq!(range_arguments(&naming, &range(0, None)), b"./a b\x000\0-\0-\0");
        assert_eq!(
            range_arguments(&naming, &range(3 * BLOCK, Some(BLOCK + 1))),
            b"./a b\x003\x002\x001048577\0"
        );
    }

    #[test]
    fn only_a_line_of_digest_and_name_is_one() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let parse = |text: String| digest_and_name(text.as_bytes()).map(|(_, name)| name.to_vec());
        assert_eq!(parse(format!("{digest} */a *b")), Some(b"/a *b".to_vec()));
        assert_eq!(parse(format!("{digest}  -")), Some(b"-".to_vec()));
        assert_eq!(parse(format!("\\{digest} */a")), None);
        assert_eq!(parse("-".to_owned()), None);
    }
}
