//! The port `Session`.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::ports::device::SmallFileRequest;
use engine::ports::{
    Chunk, DigestRequest, Entry, EntryKind, FileFault, FileFaultKind, Inspection, ListingEnd, Move, Openness,
    Session, SurveyItem, WriterCheck,
};
use model::{Digest, FailureClass, RelativePath, SourcePath};
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::{Checked, ensure, message, path, same};

/// Looks at a file that is to be closed any moment.
const MAX_LOOKS: usize = 100;

/// A device with an empty source, and a session with it.
pub trait DeviceFixture {
    /// The implementation.
    type Session: Session;

    /// The session.
    fn session(&self) -> &Self::Session;

    /// The source.
    fn source(&self) -> &SourcePath;

    /// Writes a file as a camera does, with the folders above it; one that is there is written anew, in place.
    fn write(&self, path: &str, bytes: &[u8]);

    /// Holds a file open for writing until [`DeviceFixture::let_go`].
    fn hold(&self, path: &str);

    /// Closes what is held open.
    fn let_go(&self);

    /// What is in a file.
    fn read(&self, path: &str) -> Option<Vec<u8>>;

    /// Lets some time pass on the device: more than a step of its clock.
    fn wait(&self) -> impl Future<Output = ()>;
}

/// Every promise of the port, each with a fresh device.
pub async fn check<P: DeviceFixture>(fresh: impl AsyncFn() -> P) -> Vec<String> {
    crate::hold_to!(
        fresh().await,
        a_survey_tells_what_is_there,
        a_missing_source_fails_and_the_session_goes_on,
        a_rename_moves_a_file_and_makes_its_folders,
        a_rename_leaves_everything_of_an_identity_but_the_time_of_change,
        every_write_shows_in_the_identity,
        a_file_that_is_held_open_is_told_as_open,
        a_file_comes_whole_or_from_an_offset,
        what_has_grown_shrunk_or_gone_is_told,
        files_come_together_in_their_order,
        the_device_digests_its_own_bytes,
        what_is_removed_is_gone_and_what_is_missing_counts_as_removed,
        only_empty_folders_are_removed,
    )
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn step(from: &str, to: &str) -> Result<Move, String> {
    Ok(Move {
        from: path(from)?,
        to: path(to)?,
    })
}

/// What there is now: the first listing of a session may be of the moment at which it began.
async fn survey<P: DeviceFixture>(fixture: &P) -> Result<BTreeMap<Vec<u8>, Entry>, String> {
    list(fixture).await?;
    let is_early = fixture.session().has_early_listing(fixture.source());
    same("whether a second listing may be an early one", &is_early, &false)?;
    list(fixture).await
}

async fn list<P: DeviceFixture>(fixture: &P) -> Result<BTreeMap<Vec<u8>, Entry>, String> {
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

async fn inspect<P: DeviceFixture>(fixture: &P, name: &str) -> Result<Result<Inspection, FileFault>, String> {
    let found = fixture
        .session()
        .inspect(fixture.source(), &[path(name)?])
        .await
        .map_err(message)?;
    found.into_iter().next().ok_or_else(|| "no answer".to_owned())
}

async fn look<P: DeviceFixture>(fixture: &P, name: &str) -> Result<Inspection, String> {
    inspect(fixture, name).await?.map_err(message)
}

async fn rename<P: DeviceFixture>(fixture: &P, moves: &[Move]) -> Result<Vec<Option<FileFaultKind>>, String> {
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

async fn fetch<P: DeviceFixture>(
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

async fn collect(mut chunks: mpsc::UnboundedReceiver<Chunk>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.recv().await {
        bytes.extend_from_slice(&chunk.bytes);
    }
    bytes
}

async fn a_survey_tells_what_is_there<P: DeviceFixture>(fixture: &P) -> Checked {
    fixture.write("a", b"12345");
    fixture.write("day/with 'quotes' and \nlines", b"");
    let entries = survey(fixture).await?;
    let kinds: Vec<(Vec<u8>, EntryKind)> = entries
        .iter()
        .map(|(name, entry)| (name.clone(), entry.kind))
        .collect();
    let expected = vec![
        (b"a".to_vec(), EntryKind::File),
        (b"day".to_vec(), EntryKind::Folder),
        (b"day/with 'quotes' and \nlines".to_vec(), EntryKind::File),
    ];
    ensure(kinds == expected, || format!("{kinds:?}"))?;
    let sizes: Vec<u64> = entries
        .values()
        .filter(|entry| entry.kind == EntryKind::File)
        .map(|entry| entry.identity.size)
        .collect();
    same("sizes", &sizes, &vec![5, 0])?;
    let abilities = fixture.session().abilities();
    let complete = entries
        .get(b"a".as_slice())
        .is_some_and(|entry| entry.identity.is_complete());
    same("complete identity", &complete, &abilities.complete_identities)
}

async fn a_missing_source_fails_and_the_session_goes_on<P: DeviceFixture>(fixture: &P) -> Checked {
    fixture.write("a", b"12345");
    let missing = SourcePath::new(format!("{}-missing", fixture.source())).map_err(message)?;
    let (sender, _receiver) = mpsc::channel(1);
    let listed = fixture.session().survey(&missing, sender).await;
    let class = listed.err().map(|failure| failure.class);
    same("how it ended", &class, &Some(FailureClass::SourceMissing))?;
    same("files of the other", &survey(fixture).await?.len(), &1)
}

async fn a_rename_moves_a_file_and_makes_its_folders<P: DeviceFixture>(fixture: &P) -> Checked {
    fixture.write("a", b"first");
    fixture.write("b", b"second");
    let moves = [
        step("a", "x/y/a")?,
        step("missing", "x/y/missing")?,
        step("b", "x/b")?,
    ];
    let faults = rename(fixture, &moves).await?;
    same("faults", &faults, &vec![None, Some(FileFaultKind::Missing), None])?;
    same("the old name", &fixture.read("a"), &None)?;
    same("the new name", &fixture.read("x/y/a"), &Some(b"first".to_vec()))?;
    same("another", &fixture.read("x/b"), &Some(b"second".to_vec()))
}

async fn a_rename_leaves_everything_of_an_identity_but_the_time_of_change<P: DeviceFixture>(
    fixture: &P,
) -> Checked {
    fixture.write("a", b"first");
    let before = look(fixture, "a").await?.identity;
    fixture.wait().await;
    rename(fixture, &[step("a", "x/a")?]).await?;
    let after = look(fixture, "x/a").await?.identity;
    ensure(before.is_renamed(&after), || {
        format!("{before:?} became {after:?}")
    })?;
    let missing = inspect(fixture, "a").await?.err().map(|fault| fault.kind);
    same("the old name", &missing, &Some(FileFaultKind::Missing))
}

async fn every_write_shows_in_the_identity<P: DeviceFixture>(fixture: &P) -> Checked {
    fixture.write("a", b"first");
    let before = look(fixture, "a").await?.identity;
    same(
        "identity of what nobody wrote to",
        &look(fixture, "a").await?.identity,
        &before,
    )?;
    fixture.wait().await;
    fixture.write("a", b"other");
    ensure(look(fixture, "a").await?.identity != before, || {
        "a write of the same size does not show".to_owned()
    })
}

async fn a_file_that_is_held_open_is_told_as_open<P: DeviceFixture>(fixture: &P) -> Checked {
    fixture.write("a", b"first");
    fixture.write("b", b"second");
    // Not the first listing of the session, which may be of the moment at which it began.
    let files = survey(fixture).await?;
    let files = files.values().filter(|entry| entry.kind == EntryKind::File);
    let check = files.filter_map(|entry| entry.openness.check()).min();
    let (shut, open, listed) = match check {
        Some(WriterCheck::Leases) => (Openness::Closed, Openness::Open, Openness::Unasked),
        Some(WriterCheck::Scan) => (Openness::Closed, Openness::Open, Openness::Open),
        Some(WriterCheck::Blind) => (Openness::Unknown, Openness::Unknown, Openness::Unknown),
        None => return Err("the device does not say how it proves that nobody writes".to_owned()),
    };
    becomes(fixture, "a", shut).await?;
    fixture.hold("a");
    same("while it is held", &look(fixture, "a").await?.openness, &open)?;
    becomes(fixture, "b", shut).await?;
    let entries = survey(fixture).await?;
    let told_open = entries.get(b"a".as_slice()).map(|entry| entry.openness);
    same("in a survey", &told_open, &Some(listed))?;
    let moved = rename(fixture, &[step("a", "x/a")?]).await?;
    let name = if check == Some(WriterCheck::Leases) {
        same("a rename of it", &moved, &vec![Some(FileFaultKind::Open)])?;
        "a"
    } else {
        same("a rename of it", &moved, &vec![None])?;
        "x/a"
    };
    same(
        "after it was to be renamed",
        &look(fixture, name).await?.openness,
        &open,
    )?;
    fixture.let_go();
    becomes(fixture, name, shut).await
}

/// A process that has just been started may have a file open for a moment that its parent had open.
async fn becomes<P: DeviceFixture>(fixture: &P, name: &str, expected: Openness) -> Checked {
    for _ in 0..MAX_LOOKS {
        if look(fixture, name).await?.openness == expected {
            return Ok(());
        }
        fixture.wait().await;
    }
    same(name, &look(fixture, name).await?.openness, &expected)
}

async fn a_file_comes_whole_or_from_an_offset<P: DeviceFixture>(fixture: &P) -> Checked {
    let bytes = crate::simulator::rng::Rng::new(1).bytes(100_000);
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

async fn what_has_grown_shrunk_or_gone_is_told<P: DeviceFixture>(fixture: &P) -> Checked {
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

async fn files_come_together_in_their_order<P: DeviceFixture>(fixture: &P) -> Checked {
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
        // One that is passed over is read by itself; nothing of it may have come.
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

/// Offsets of digests are multiples of this.
const PART: usize = 1 << 20;

async fn the_device_digests_its_own_bytes<P: DeviceFixture>(fixture: &P) -> Checked {
    if !fixture.session().abilities().digests {
        return Ok(());
    }
    let bytes = crate::simulator::rng::Rng::new(2).bytes(PART + 10);
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

async fn what_is_removed_is_gone_and_what_is_missing_counts_as_removed<P: DeviceFixture>(
    fixture: &P,
) -> Checked {
    fixture.write("x/a", b"first");
    fixture.write("x/b", b"second");
    let names: Vec<RelativePath> = vec![path("x/a")?, path("x/missing")?];
    let answers = fixture
        .session()
        .remove(fixture.source(), &names, &[])
        .await
        .map_err(message)?;
    ensure(answers.len() == 2 && answers.iter().all(Result::is_ok), || {
        format!("{answers:?}")
    })?;
    same("what was removed", &fixture.read("x/a"), &None)?;
    same("another", &fixture.read("x/b"), &Some(b"second".to_vec()))
}

async fn only_empty_folders_are_removed<P: DeviceFixture>(fixture: &P) -> Checked {
    fixture.write("x/y/a", b"first");
    fixture.write("z/b", b"second");
    let folders = [path("x/y")?, path("x")?, path("z")?, path("missing")?];
    fixture
        .session()
        .remove(fixture.source(), &[path("x/y/a")?], &folders)
        .await
        .map_err(message)?;
    let left: Vec<Vec<u8>> = survey(fixture).await?.into_keys().collect();
    same("what is left", &left, &vec![b"z".to_vec(), b"z/b".to_vec()])
}

/// How long a step of a device's clock may take, for those that wait in real time.
pub const CLOCK_STEP: Duration = Duration::from_millis(1100);
