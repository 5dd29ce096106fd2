//! Small files that come in one stream.

use engine::ports::{Session as _, SmallFileRequest};
use ssh::fuzzing;
use tokio::sync::{mpsc, oneshot};

use crate::{Work, listing, noise, path, runtime};

/// Bytes of each file.
const LENGTH: usize = 4_000;

pub(crate) fn fetch(count: usize) -> Work {
    let runtime = runtime();
    let session = runtime.block_on(listing::session(&said(count)));
    let paths: Vec<_> = (0..count).map(path).collect();
    Box::new(move || {
        runtime.block_on(async {
            let (mut wanted, mut waiting) = (Vec::new(), Vec::new());
            for path in paths {
                let (chunks, taken) = mpsc::unbounded_channel();
                let (outcome, reported) = oneshot::channel();
                waiting.push((taken, reported));
                wanted.push(SmallFileRequest {
                    path,
                    expected_size: LENGTH as u64,
                    chunks,
                    outcome,
                });
            }
            let source = listing::source();
            let consume = async {
                let mut whole = 0;
                for (mut taken, reported) in waiting {
                    let mut length = 0;
                    while let Some(chunk) = taken.recv().await {
                        length += chunk.bytes.len();
                    }
                    whole += usize::from(length == LENGTH && reported.await == Ok(Ok(LENGTH as u64)));
                }
                whole
            };
            let (fetched, whole) = tokio::join!(session.fetch_together(&source, wanted), consume);
            fetched.unwrap();
            whole
        })
    })
}

/// Each file after its length, and the end of the answer.
fn said(count: usize) -> Vec<u8> {
    let content = noise(LENGTH);
    let file = [format!("{LENGTH:08x}").as_bytes(), &content].concat();
    let end = format!("\n{}\n", fuzzing::TAG);
    [file.repeat(count), end.into_bytes()].concat()
}
