//! Reading and digesting files.

use engine::ports::device::SmallFileRequest;
use engine::ports::{DigestRequest, FileFaultKind, Session};
use model::Digest;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::fixture::{DeviceFixture, collect, fetch, size};
use crate::simulator::conformance::{Checked, ensure, message, path, same};
use crate::simulator::rng::Rng;

pub(super) async fn a_file_is_read_whole_or_from_an_offset<P: DeviceFixture>(fixture: &P) -> Checked {
    let bytes = Rng::new(1).bytes(100_000);
    fixture.write("large", &bytes);
    fixture.write("empty", b"");
    let rest = bytes.get(70_000..).unwrap_or_default().to_vec();
    same(
        "the whole",
        &fetch(fixture, "large", 0, 100_000).await?,
        &(Ok(100_000), bytes),
    )?;
    same(
        "the rest",
        &fetch(fixture, "large", 70_000, 100_000).await?,
        &(Ok(30_000), rest),
    )?;
    same(
        "nothing",
        &fetch(fixture, "empty", 0, 0).await?,
        &(Ok(0), Vec::new()),
    )
}

pub(super) async fn a_file_that_grew_shrank_or_vanished_is_reported<P: DeviceFixture>(
    fixture: &P,
) -> Checked {
    fixture.write("a", b"12345");
    let (outcome, bytes) = fetch(fixture, "a", 0, 3).await?;
    same("grown", &outcome, &Err(FileFaultKind::Grown))?;
    ensure(bytes.len() <= 3, || format!("{} bytes came of 3", bytes.len()))?;
    same(
        "shrunk",
        &fetch(fixture, "a", 0, 9).await?,
        &(Ok(5), b"12345".to_vec()),
    )?;
    same(
        "gone",
        &fetch(fixture, "missing", 0, 9).await?.0,
        &Err(FileFaultKind::Missing),
    )
}

pub(super) async fn files_fetched_together_arrive_in_order<P: DeviceFixture>(fixture: &P) -> Checked {
    if !fixture.session().abilities().reads_together {
        return Ok(());
    }
    let files: Vec<(String, Vec<u8>)> = (0..20_u8)
        .map(|number| {
            (
                format!("day/file {number}"),
                vec![number; usize::from(number) * 100],
            )
        })
        .collect();
    let (mut wanted, mut coming) = (Vec::new(), Vec::new());
    for (name, bytes) in &files {
        fixture.write(name, bytes);
        let ((chunks, receiver), (outcome, outcomes)) = (mpsc::unbounded_channel(), oneshot::channel());
        wanted.push(SmallFileRequest {
            path: path(name)?,
            expected_size: size(bytes),
            chunks,
            outcome,
        });
        coming.push((receiver, outcomes));
    }
    fixture
        .session()
        .fetch_together(fixture.source(), wanted)
        .await
        .map_err(message)?;
    for ((name, bytes), (receiver, outcome)) in files.iter().zip(coming) {
        // The caller reads a skipped file individually; none of its bytes may have arrived here.
        let came = collect(receiver).await;
        match outcome.await {
            Ok(outcome) => same(
                name,
                &(outcome.map_err(message)?, came),
                &(size(bytes), bytes.clone()),
            )?,
            Err(_) => same(name, &came, &Vec::new())?,
        }
    }
    Ok(())
}

/// Offsets of digests are multiples of this number of bytes.
pub(super) const PART: usize = 1 << 20;

pub(super) async fn the_device_digests_its_own_bytes<P: DeviceFixture>(fixture: &P) -> Checked {
    if !fixture.session().abilities().digests {
        return Ok(());
    }
    let bytes = Rng::new(2).bytes(PART + 10);
    fixture.write("a", &bytes);
    fixture.write("empty", b"");
    let request = |name: &str, offset: u64, length: Option<u64>| -> Result<DigestRequest, String> {
        Ok(DigestRequest {
            path: path(name)?,
            offset,
            length,
        })
    };
    let (first, rest) = bytes.split_at(PART);
    let requests = [
        request("a", 0, None)?,
        request("a", size(first), Some(size(rest)))?,
        request("a", 0, Some(size(first)))?,
        request("empty", 0, None)?,
        request("missing", 0, None)?,
    ];
    let found = fixture
        .session()
        .digest(fixture.source(), &requests)
        .await
        .map_err(message)?;
    let digest = |bytes: &[u8]| Some(Digest::from_bytes(Sha256::digest(bytes).into()));
    same(
        "digests",
        &found,
        &vec![digest(&bytes), digest(rest), digest(first), digest(b""), None],
    )
}
