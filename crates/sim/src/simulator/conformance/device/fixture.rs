//! A device to check, and the requests that the checks make.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::ports::{
    Chunk, Entry, FileFault, FileFaultKind, Inspection, ListingEnd, Move, Session, SurveyItem,
};
use model::SourcePath;
use tokio::sync::mpsc;

use crate::simulator::conformance::{message, path, same};

/// How often a check inspects a file that is about to be closed.
pub(super) const MAX_INSPECTIONS: usize = 100;

/// A device with an empty source, and a session with it.
pub trait DeviceFixture {
    /// The implementation under test.
    type Session: Session;

    /// The session under test.
    fn session(&self) -> &Self::Session;

    /// The source folder.
    fn source(&self) -> &SourcePath;

    /// Writes a file as a camera does and creates its parent folders. An existing file is rewritten in place.
    fn write(&self, path: &str, bytes: &[u8]);

    /// Holds a file open for writing until [`DeviceFixture::close_held`].
    fn hold(&self, path: &str);

    /// Closes every held file.
    fn close_held(&self);

    /// The content of a file; `None` if the file is missing.
    fn read(&self, path: &str) -> Option<Vec<u8>>;

    /// Lets time pass on the device: more than one step of its clock.
    fn wait(&self) -> impl Future<Output = ()>;
}

pub(super) fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

pub(super) fn step(from: &str, to: &str) -> Result<Move, String> {
    Ok(Move {
        from: path(from)?,
        to: path(to)?,
    })
}

/// The current entries. The first listing of a session may describe the moment at which the session began, so
/// it is discarded.
pub(super) async fn survey<P: DeviceFixture>(fixture: &P) -> Result<BTreeMap<Vec<u8>, Entry>, String> {
    list(fixture).await?;
    let is_early = fixture.session().has_early_listing(fixture.source());
    same("whether a second listing may be an early one", &is_early, &false)?;
    list(fixture).await
}

pub(super) async fn list<P: DeviceFixture>(fixture: &P) -> Result<BTreeMap<Vec<u8>, Entry>, String> {
    let (sender, mut receiver) = mpsc::channel(1);
    let collecting = async {
        let mut items = Vec::new();
        while let Some(some) = receiver.recv().await {
            items.extend(some);
        }
        items
    };
    let (outcome, items) = tokio::join!(fixture.session().survey(fixture.source(), sender), collecting);
    same("how it ended", &outcome.map_err(message)?, &ListingEnd::Whole)?;
    let mut entries = BTreeMap::new();
    for item in items {
        match item {
            SurveyItem::Entry(entry) => drop(entries.insert(entry.path.as_bytes().to_vec(), entry)),
            other => return Err(format!("{other:?}")),
        }
    }
    Ok(entries)
}

pub(super) async fn inspect<P: DeviceFixture>(
    fixture: &P,
    name: &str,
) -> Result<Result<Inspection, FileFault>, String> {
    let found = fixture
        .session()
        .inspect(fixture.source(), &[path(name)?])
        .await
        .map_err(message)?;
    found.into_iter().next().ok_or_else(|| "no answer".to_owned())
}

pub(super) async fn inspection<P: DeviceFixture>(fixture: &P, name: &str) -> Result<Inspection, String> {
    inspect(fixture, name).await?.map_err(message)
}

pub(super) async fn rename<P: DeviceFixture>(
    fixture: &P,
    moves: &[Move],
) -> Result<Vec<Option<FileFaultKind>>, String> {
    let answers = fixture
        .session()
        .rename(fixture.source(), moves)
        .await
        .map_err(message)?;
    Ok(answers
        .into_iter()
        .map(|answer| answer.err().map(|fault| fault.kind))
        .collect())
}

pub(super) async fn fetch<P: DeviceFixture>(
    fixture: &P,
    name: &str,
    offset: u64,
    expected: u64,
) -> Result<(Result<u64, FileFaultKind>, Vec<u8>), String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let name = path(name)?;
    let fetching = fixture
        .session()
        .fetch(fixture.source(), &name, offset, expected, sender);
    let (outcome, bytes) = tokio::join!(fetching, collect(receiver));
    Ok((outcome.map_err(message)?.map_err(|fault| fault.kind), bytes))
}

pub(super) async fn collect(mut chunks: mpsc::UnboundedReceiver<Chunk>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.recv().await {
        bytes.extend_from_slice(&chunk.bytes);
    }
    bytes
}

/// How long one step of a device's clock may take. For fixtures that wait in real time.
pub const CLOCK_STEP: Duration = Duration::from_millis(1100);
