//! What the requests to the script have in common.

use crate::facts::Dialect;
use crate::records::Record;
use crate::request_paths::RequestPaths;
use crate::shell_channel::{PooledChannel, ShellError};

/// The most bytes of names in one request. The device reads them whole.
const MAX_NAME_BYTES: usize = 256 * 1024;

/// Sends a request about files that are named by their paths.
pub(super) async fn request_about<'a>(
    channel: &mut PooledChannel<'_>,
    verb: &str,
    paths: impl Iterator<Item = &'a [u8]> + Clone,
) -> Result<RequestPaths, ShellError> {
    let request_paths = RequestPaths::new(paths.clone());
    channel
        .request(verb, &request_paths, &request_paths.arguments(paths))
        .await?;
    Ok(request_paths)
}

/// The next record of a device whose script speaks this dialect.
pub(super) async fn next_record(
    channel: &mut PooledChannel<'_>,
    dialect: Dialect,
) -> Result<Record, ShellError> {
    let tag = channel.tag();
    let piece = if dialect.ends_records_in_nul() {
        channel.read_until(b"\0").await?
    } else {
        channel.read_until(format!("\n{tag}\n").as_bytes()).await?
    };
    Record::parse(&piece, &tag).ok_or_else(|| ShellError::Unexpected(beginning_of(&piece)))
}

/// The beginning of an invalid reply, for a message.
pub(super) fn beginning_of(answer: &[u8]) -> String {
    model::escaped(answer.get(..80).unwrap_or(answer))
}

pub(super) fn endless_open_files() -> ShellError {
    ShellError::Unexpected("endless open files".to_owned())
}

/// A reply that belongs to another request.
pub(super) fn misplaced_reply() -> ShellError {
    ShellError::Unexpected("a reply to another request".to_owned())
}

/// The names in portions, each of which fits into one request.
pub(super) fn portions(names: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let mut portions: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut room = 0;
    for name in names {
        let length = name.len() + 1;
        match portions.last_mut() {
            Some(portion) if length <= room => {
                room -= length;
                portion.push(name);
            }
            _ => {
                room = MAX_NAME_BYTES.saturating_sub(length);
                portions.push(vec![name]);
            }
        }
    }
    portions
}
