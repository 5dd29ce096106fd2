//! Digests that the device makes of the files of a batch, while they are fetched.

use model::{Digest, RelativePath};

use crate::ports::store::RANGE_LENGTH;
use crate::ports::{DigestRequest, Session, StoreStatus};
use crate::recourse::PassError;
use crate::visit::SourceVisit;
use crate::world::World;

/// The device digests a file of up to this many ranges (1 GiB) in one run, and a larger one range by range.
///
/// A range goes through a pipe, which costs the device more than twice the time. But a device that digests
/// 20 MB/s would be silent for longer than `stall_timeout` over a larger file.
const RANGES_DIGESTED_WHOLE: u64 = 64;
const _: () = assert!(RANGES_DIGESTED_WHOLE * RANGE_LENGTH == 1 << 30);

/// Ranges of a large file in one request (4 GiB). Requests stay few, whatever size a device claims.
const RANGES_PER_REQUEST: usize = 256;

/// What the device digested of one file: the whole, or its ranges in order. `None` for what it could not
/// digest. Empty if the device has no digest tool.
pub(super) type DeviceDigests = Vec<Option<Digest>>;

/// Has the device digest its files, in the order of `files` (path and size in bytes).
pub(super) async fn request_digests<W: World>(
    visit: &SourceVisit<'_, W>,
    files: &[(RelativePath, u64)],
) -> Result<Vec<DeviceDigests>, PassError> {
    if !visit.session.abilities().digests {
        return Ok(vec![Vec::new(); files.len()]);
    }
    let is_whole = |size: u64| !is_digested_in_ranges(visit, size);
    let whole: Vec<DigestRequest> = files
        .iter()
        .filter(|(_, size)| is_whole(*size))
        .map(|(path, _)| DigestRequest {
            path: path.clone(),
            offset: 0,
            length: None,
        })
        .collect();
    let whole = if whole.is_empty() {
        Vec::new()
    } else {
        visit.session.digest(visit.source, &whole).await?
    };
    let mut whole = whole.into_iter();
    let mut digests = Vec::with_capacity(files.len());
    for (path, size) in files {
        digests.push(if is_whole(*size) {
            vec![whole.next().flatten()]
        } else {
            request_ranges(visit, path, *size).await?
        });
    }
    Ok(digests)
}

/// Whether a file of this size is digested range by range.
pub(super) fn is_digested_in_ranges<W: World>(visit: &SourceVisit<'_, W>, size: u64) -> bool {
    size > visit.world.store().properties().range_length * RANGES_DIGESTED_WHOLE
}

async fn request_ranges<W: World>(
    visit: &SourceVisit<'_, W>,
    path: &RelativePath,
    size: u64,
) -> Result<DeviceDigests, PassError> {
    let range_length = visit.world.store().properties().range_length;
    let mut digests = Vec::new();
    let mut offset = 0;
    while offset < size {
        let offsets = std::iter::successors(Some(offset), |offset| offset.checked_add(range_length));
        let requests: Vec<DigestRequest> = offsets
            .take_while(|offset| *offset < size)
            .take(RANGES_PER_REQUEST)
            .map(|offset| DigestRequest {
                path: path.clone(),
                offset,
                length: Some(range_length.min(size - offset)),
            })
            .collect();
        offset = requests
            .last()
            .map_or(size, |last| last.offset.saturating_add(range_length));
        digests.extend(visit.session.digest(visit.source, &requests).await?);
    }
    Ok(digests)
}
