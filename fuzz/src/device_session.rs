//! A whole session with a device whose script may send anything. Each result must be admissible, must have
//! been sent by the device, and must not depend on how the stream is split.

use std::fmt::Debug;
use std::time::Duration;

use engine::ports::device::{
    Chunk, DeviceFailure, DigestRequest, FileFault, InspectResult, Move, Openness, SMALL_FILE_MAX, Session,
    SmallFileRequest, SurveyItem,
};
use model::{DeviceName, Identity, RelativePath, SourcePath, Timestamp};
use ssh::{SshSession, fuzzing};
use tokio::sync::{mpsc, oneshot};

use crate::input::Input;
use crate::server::{Pieces, client_of_an_empty_server, run};

/// Paths in one request. Enough for several in each of two portions.
const MAX_PATHS: usize = 16;
/// Files in one request to confirm their identity. Enough for the device to answer with one digest.
const CONFIRMED: usize = 40;
/// After this time since connecting, the early listing is stale.
const STALE: Duration = Duration::from_secs(11);
/// Requests in one session.
const MAX_QUESTIONS: usize = 6;
/// Memory that a session may hold beside what the device sent: buffers, and the budget of small files.
const BESIDE: usize = 8 << 20;
/// A digit of a record is one byte. In memory a record takes more, with its path.
const TIMES: usize = 64;
/// More noise than this ends a session, at a point that depends on how the stream is split.
const MAX_INPUT: usize = 60_000;

/// The first line has a letter for each request; a leading `e` requests the listing while connecting. The
/// second line has paths separated by `|`, each with its expected size after `=`. The rest is everything that
/// the device sends.
pub(crate) fn hold(input: &[u8]) {
    if input.len() > MAX_INPUT {
        return;
    }
    let mut input = Input(input);
    let questions = input.line();
    let paths: Vec<(RelativePath, u64)> = input
        .line()
        .split(|byte| *byte == b'|')
        .filter_map(path_and_size)
        .take(MAX_PATHS)
        .collect();
    let said = input.0.to_vec();
    let asked = |pieces: Vec<Vec<u8>>| run(conversation(questions, &paths, pieces, &said));
    let limit = BESIDE + TIMES * said.len();
    let at_once = crate::memory::within(limit, || asked(vec![said.clone()]));
    let in_pieces = said.chunks(1 + said.len() / 40).map(<[u8]>::to_vec).collect();
    assert_eq!(
        at_once,
        asked(in_pieces),
        "the result depends on how the stream is split"
    );
}

fn path_and_size(text: &[u8]) -> Option<(RelativePath, u64)> {
    let text = String::from_utf8_lossy(text);
    let (path, size) = text.split_once('=').unwrap_or((&text, ""));
    Some((
        RelativePath::new(path).ok()?,
        size.parse().unwrap_or(SMALL_FILE_MAX),
    ))
}

/// Sends all requests in turn and returns their results as text.
async fn conversation(
    questions: &[u8],
    paths: &[(RelativePath, u64)],
    pieces: Vec<Vec<u8>>,
    said: &[u8],
) -> Vec<String> {
    let source = SourcePath::new("/data").unwrap();
    let device = DeviceName::new("device").unwrap();
    let files = client_of_an_empty_server().await;
    let early = questions.first().filter(|first| **first == b'e').map(|_| &source);
    let sources = std::slice::from_ref(&source);
    let begun = fuzzing::session(device, Pieces::new(pieces), files, sources, early).await;
    let session = match begun {
        Ok(session) => session,
        Err(failure) => return vec![failed(&failure)],
    };
    let names: Vec<RelativePath> = paths.iter().map(|(path, _)| path.clone()).collect();
    let mut outcomes = vec![format!("{:?} {:?}", session.abilities(), session.facts())];
    for question in questions.iter().take(MAX_QUESTIONS) {
        outcomes.push(match question {
            b's' => survey(&session, &source).await,
            // The listing that was requested while connecting becomes stale.
            b'w' => {
                tokio::time::sleep(STALE).await;
                session.has_early_listing(&source).to_string()
            }
            b'i' => {
                let seen = session.inspect(&source, &names).await;
                none_closed_unsaid(seen.as_deref().unwrap_or_default(), said);
                each_answered(seen, names.len())
            }
            b'c' => {
                let many = names.iter().cycle().take(CONFIRMED.min(names.len() * CONFIRMED));
                let noted: Vec<_> = many.map(|name| (name.clone(), identity())).collect();
                each_answered(session.confirm(&source, &noted).await, noted.len())
            }
            b'd' => digests(&session, &source, &names, said).await,
            b't' => together(&session, &source, paths, said).await,
            b'm' => {
                let moves = names.iter().map(moved).collect::<Vec<_>>();
                each_answered(session.rename(&source, &moves).await, moves.len())
            }
            b'r' => each_answered(session.remove(&source, &names, &names).await, names.len()),
            _ => continue,
        });
    }
    session.close().await;
    outcomes
}

/// A file counts as closed only if the device reported a lease or a complete scan.
fn none_closed_unsaid(seen: &[InspectResult], said: &[u8]) {
    let has_said = |record: &[u8]| said.windows(record.len()).any(|window| window == record);
    if !has_said(b"k ") && !has_said(b"w\0") && !has_said(b"w\n") {
        let mut looks = seen.iter().flatten();
        assert!(looks.all(|look| look.openness != Openness::Closed), "{seen:?}");
    }
}

fn moved(path: &RelativePath) -> Move {
    Move {
        from: path.clone(),
        to: RelativePath::new("new").unwrap().join(path),
    }
}

fn identity() -> Identity {
    Identity {
        device_number: Some(65024),
        inode: Some(7),
        size: 5,
        modified: Timestamp::from_seconds(1_795_370_892),
        changed: Some(Timestamp::from_seconds(1_795_370_892)),
    }
}

/// A failure's message is shown to people.
fn failed(failure: &DeviceFailure) -> String {
    shown(&failure.message);
    format!("{failure:?}")
}

fn shown(message: &str) {
    assert!(!message.chars().any(char::is_control), "{message:?}");
}

fn each_answered<T: Debug>(
    answers: Result<Vec<Result<T, FileFault>>, DeviceFailure>,
    count: usize,
) -> String {
    match answers {
        Ok(answers) => {
            assert_eq!(answers.len(), count, "one answer for each request");
            for fault in answers.iter().filter_map(|answer| answer.as_ref().err()) {
                shown(&fault.message);
            }
            format!("{answers:?}")
        }
        Err(failure) => failed(&failure),
    }
}

async fn survey(session: &SshSession, source: &SourcePath) -> String {
    let (items, mut taken) = mpsc::channel(1);
    let consume = async {
        let mut all = Vec::new();
        while let Some(batch) = taken.recv().await {
            all.extend(batch);
        }
        all
    };
    let (surveyed, items) = tokio::join!(session.survey(source, items), consume);
    for item in &items {
        match item {
            SurveyItem::Entry(entry) => {
                admissible(&entry.path);
                assert!(entry.identity.is_complete() || !session.abilities().complete_identities);
            }
            SurveyItem::Unlistable(path) => admissible(path),
            SurveyItem::Refused(name, _) => shown(name),
        }
    }
    let surveyed = surveyed.map_err(|failure| failed(&failure));
    format!("{surveyed:?} {items:?}")
}

/// Checks a path without the code under test.
fn admissible(path: &RelativePath) {
    for part in path.as_bytes().split(|byte| *byte == b'/') {
        assert!(
            !matches!(part, b"" | b"." | b"..") && !part.contains(&0),
            "{path}"
        );
    }
    assert!(path.as_bytes().len() <= 4096);
}

/// Every digest must have been sent by the device.
async fn digests(session: &SshSession, source: &SourcePath, names: &[RelativePath], said: &[u8]) -> String {
    let ranged = |(place, path): (usize, &RelativePath)| DigestRequest {
        path: path.clone(),
        offset: (place as u64 % 2) << 20,
        length: None,
    };
    let requests: Vec<_> = names.iter().enumerate().map(ranged).collect();
    match session.digest(source, &requests).await {
        Ok(digests) => {
            assert_eq!(digests.len(), requests.len());
            for digest in digests.iter().flatten() {
                let hex = digest.to_hex().into_bytes();
                let is_said = said.windows(64).any(|window| window.eq_ignore_ascii_case(&hex));
                assert!(is_said, "the device never sent {digest}");
            }
            format!("{digests:?}")
        }
        Err(failure) => failed(&failure),
    }
}

/// Files read together: as many bytes as announced, contiguous as sent, never more than expected.
async fn together(
    session: &SshSession,
    source: &SourcePath,
    paths: &[(RelativePath, u64)],
    said: &[u8],
) -> String {
    if !session.abilities().reads_together {
        return "not together".to_owned();
    }
    let (mut wanted, mut waiting) = (Vec::new(), Vec::new());
    for (path, expected_size) in paths {
        let (chunks, taken) = mpsc::unbounded_channel();
        let (outcome, reported) = oneshot::channel();
        waiting.push((*expected_size, taken, reported));
        wanted.push(SmallFileRequest {
            path: path.clone(),
            expected_size: *expected_size,
            chunks,
            outcome,
        });
    }
    let read = async {
        let read = session.fetch_together(source, wanted).await;
        read.map_err(|failure| failed(&failure))
    };
    let consume = async {
        let mut outcomes = Vec::new();
        for (expected, taken, reported) in waiting {
            outcomes.push(one_of_them(expected, taken, reported, said).await);
        }
        outcomes
    };
    let (read, outcomes) = tokio::join!(read, consume);
    format!("{read:?} {outcomes:?}")
}

async fn one_of_them(
    expected: u64,
    mut taken: mpsc::UnboundedReceiver<Chunk>,
    reported: oneshot::Receiver<Result<u64, FileFault>>,
    said: &[u8],
) -> String {
    let mut bytes = Vec::new();
    while let Some(chunk) = taken.recv().await {
        let credit = chunk
            .credit
            .as_ref()
            .map_or(0, tokio::sync::OwnedSemaphorePermit::num_permits);
        assert_eq!(credit, chunk.bytes.len());
        bytes.extend_from_slice(&chunk.bytes);
    }
    assert!(bytes.len() as u64 <= expected.min(SMALL_FILE_MAX));
    assert!(bytes.is_empty() || said.windows(bytes.len()).any(|window| window == bytes));
    match reported.await {
        Ok(Ok(size)) => assert_eq!(
            size,
            bytes.len() as u64,
            "the reported size differs from the bytes sent"
        ),
        Ok(Err(fault)) => {
            shown(&fault.message);
            assert!(bytes.is_empty());
        }
        Err(_) => assert!(bytes.is_empty(), "bytes of a skipped file"),
    }
    format!("{bytes:?}")
}
