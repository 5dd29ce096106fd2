//! Digests that the device makes of its own files.

use std::collections::VecDeque;

use engine::ports::device::DigestRequest;
use model::{Digest, SourcePath};

use super::ShellFiles;
use crate::request_paths::RequestPaths;
use crate::script::device_path;
use crate::shell_channel::ShellError;

/// The device reads and counts in blocks of this size.
const BLOCK: u64 = 1024 * 1024;
/// The most names or ranges in one request.
const MAX_PER_REQUEST: usize = 1000;

/// A request with its index in the result.
struct DigestJob {
    index: usize,
    name: Vec<u8>,
    offset: u64,
    length: Option<u64>,
}

/// `None` for a file that the device cannot digest.
pub(super) async fn digest(
    shell: &ShellFiles,
    source: &SourcePath,
    requests: &[DigestRequest],
) -> Result<Vec<Option<Digest>>, ShellError> {
    let jobs = requests.iter().enumerate().map(|(index, request)| DigestJob {
        index,
        name: device_path(source, &request.path),
        offset: request.offset,
        length: request.length,
    });
    // The tools print names beside digests, each with its own escapes for odd names: those files go as
    // ranges.
    let (whole, ranges): (Vec<_>, Vec<_>) = jobs.partition(|job| {
        let is_odd = job.name.iter().any(|byte| matches!(byte, b'\n' | b'\r' | b'\\'));
        job.offset == 0 && job.length.is_none() && !is_odd
    });
    let mut digests = vec![None; requests.len()];
    digest_files(shell, &whole, &mut digests).await?;
    digest_ranges(shell, &ranges, &mut digests).await?;
    Ok(digests)
}

async fn digest_files(
    shell: &ShellFiles,
    jobs: &[DigestJob],
    digests: &mut [Option<Digest>],
) -> Result<(), ShellError> {
    for chunk in jobs.chunks(MAX_PER_REQUEST) {
        let names = chunk.iter().map(|file| file.name.as_slice());
        let request_paths = RequestPaths::new(names.clone());
        let arguments = request_paths.arguments(names);
        // Files that cannot be read are skipped; the order is kept.
        let mut expected: VecDeque<&DigestJob> = chunk.iter().collect();
        request_digests(shell, "digest", &request_paths, &arguments, |line| {
            let Some((digest, name)) = digest_and_name(line) else {
                return;
            };
            while let Some(file) = expected.pop_front() {
                if request_paths.matches(name, &file.name) {
                    store(digests, file.index, Some(digest));
                    break;
                }
            }
        })
        .await?;
    }
    Ok(())
}

async fn digest_ranges(
    shell: &ShellFiles,
    jobs: &[DigestJob],
    digests: &mut [Option<Digest>],
) -> Result<(), ShellError> {
    for chunk in jobs.chunks(MAX_PER_REQUEST) {
        let request_paths = RequestPaths::new(chunk.iter().map(|range| range.name.as_slice()));
        let arguments: Vec<u8> = chunk
            .iter()
            .flat_map(|range| range_arguments(&request_paths, range))
            .collect();
        let mut expected = chunk.iter();
        request_digests(shell, "ranges", &request_paths, &arguments, |line| {
            if let Some(range) = expected.next() {
                store(
                    digests,
                    range.index,
                    digest_and_name(line).map(|(digest, _)| digest),
                );
            }
        })
        .await?;
    }
    Ok(())
}

/// Sends the request, and passes on each line of the reply as it arrives, up to the tag.
async fn request_digests(
    shell: &ShellFiles,
    verb: &str,
    request_paths: &RequestPaths,
    arguments: &[u8],
    mut take: impl FnMut(&[u8]),
) -> Result<(), ShellError> {
    if shell.views.differ() {
        return Ok(());
    }
    let mut channel = shell.pool.acquire_for_digest().await?;
    let tag = channel.tag();
    channel.request(verb, request_paths, arguments).await?;
    // At most one line for each file, and an empty one before the tag. More is no valid reply.
    for _ in 0..=MAX_PER_REQUEST + 1 {
        let answer = channel.read_until(b"\n").await?;
        if answer == tag.as_bytes() {
            channel.put_back();
            return Ok(());
        }
        take(&answer);
        channel.count_digest();
    }
    Err(ShellError::Unexpected("more digests than requested".to_owned()))
}

/// Name, first block, number of blocks, number of bytes. The numbers are `-` if the range extends to the end.
fn range_arguments(request_paths: &RequestPaths, range: &DigestJob) -> Vec<u8> {
    let first = range.offset / BLOCK;
    let (blocks, bytes) = match range.length {
        Some(length) => (length.div_ceil(BLOCK).to_string(), length.to_string()),
        None => ("-".to_owned(), "-".to_owned()),
    };
    [
        &request_paths.name(&range.name)[..],
        format!("\0{first}\0{blocks}\0{bytes}\0").as_bytes(),
    ]
    .concat()
}

/// `<64 hex digits> *name` as openssl prints it, or with a blank in place of the star as sha256sum does.
fn digest_and_name(line: &[u8]) -> Option<(Digest, &[u8])> {
    let (digest, rest) = line.split_at_checked(64)?;
    let name = rest.strip_prefix(b" *").or_else(|| rest.strip_prefix(b"  "))?;
    Some((Digest::from_hex(digest)?, name))
}

fn store(digests: &mut [Option<Digest>], index: usize, digest: Option<Digest>) {
    if let Some(slot) = digests.get_mut(index) {
        *slot = digest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_given_in_blocks_and_bytes() {
        let range = |offset, length| DigestJob {
            index: 0,
            name: b"/a b".to_vec(),
            offset,
            length,
        };
        let request_paths = RequestPaths::new(std::iter::once(&b"/a b"[..]));
        assert_eq!(
            range_arguments(&request_paths, &range(0, None)),
            b"./a b\x000\0-\0-\0"
        );
        assert_eq!(
            range_arguments(&request_paths, &range(3 * BLOCK, Some(BLOCK + 1))),
            b"./a b\x003\x002\x001048577\0"
        );
    }

    #[test]
    fn only_a_line_with_digest_and_name_is_a_digest() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let parse = |text: String| digest_and_name(text.as_bytes()).map(|(_, name)| name.to_vec());
        assert_eq!(parse(format!("{digest} */a *b")), Some(b"/a *b".to_vec()));
        assert_eq!(parse(format!("{digest}  -")), Some(b"-".to_vec()));
        assert_eq!(parse(format!("\\{digest} */a")), None);
        assert_eq!(parse("-".to_owned()), None);
    }
}
