//! Small files that come in one stream of tar.

use engine::ports::{Session as _, Wanted};
use ssh::fuzzing;
use tokio::sync::{mpsc, oneshot};

use crate::{Work, file_name, listing, noise, path, runtime};

/// Bytes of each file.
const LENGTH: usize = 4_000;
/// What tar pads everything to.
const BLOCK: usize = 512;

pub(crate) fn fetch(count: usize) -> Work {
    let runtime = runtime();
    let session = runtime.block_on(listing::session(&said(count)));
    let paths: Vec<_> = (0..count).map(path).collect();
    Box::new(move || {
        runtime.block_on(async {
            let (mut wanted, mut waiting) = (Vec::new(), Vec::new());
            for path in paths {
                let (chunks, taken) = mpsc::unbounded_channel();
                let (outcome, told) = oneshot::channel();
                waiting.push((taken, told));
                wanted.push(Wanted {
                    path,
                    expected_size: LENGTH as u64,
                    chunks,
                    outcome,
                });
            }
            let source = listing::source();
            let consume = async {
                let mut whole = 0;
                for (mut taken, told) in waiting {
                    let mut length = 0;
                    while let Some(chunk) = taken.recv().await {
                        length += chunk.bytes.len();
                    }
                    whole += usize::from(length == LENGTH && told.await == Ok(Ok(LENGTH as u64)));
                }
                whole
            };
            let (fetched, whole) = tokio::join!(session.fetch_together(&source, wanted), consume);
            fetched.unwrap();
            whole
        })
    })
}

/// An archive as `tar --format=gnu` writes it, and the end of the answer.
fn said(count: usize) -> Vec<u8> {
    let content = noise(LENGTH);
    let mut said = Vec::new();
    for number in 0..count {
        said.extend(header(&format!("/data/{}", file_name(number))));
        said.extend_from_slice(&content);
        said.resize(said.len().next_multiple_of(BLOCK), 0);
    }
    said.resize(said.len() + 2 * BLOCK, 0);
    said.extend_from_slice(format!("\n{}\n", fuzzing::TAG).as_bytes());
    said
}

fn header(name: &str) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\x000000000\x000000000\0");
    put(124, &format!("{LENGTH:011o}\x0014524770400\0        0"));
    put(257, "ustar  ");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
