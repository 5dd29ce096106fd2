//! The requests to the client, and the properties of each answer.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use sftp::{Budget, Client, Error, Outcome, Piece, PieceSink};
use tokio::sync::mpsc;

use super::{content, shown};
use crate::input::Input;

/// Requests at once.
const MAX_QUESTIONS: u8 = 6;

/// One request to the client.
#[derive(Debug)]
pub(super) enum Question {
    /// Reads a file. May give up on the way, or keep the last piece until the end.
    Download {
        from: u64,
        expected: u64,
        given_up_after: Option<u8>,
        keeps: bool,
    },
    List,
    /// One request with one reply.
    Small(u8),
}

/// What a request may rely on.
#[derive(Debug, Default)]
pub(super) struct ServerFacts {
    /// The size of each file in bytes.
    size: u64,
    lied: AtomicBool,
    short: AtomicBool,
}

impl ServerFacts {
    pub(super) fn of(size: u64) -> Self {
        Self {
            size,
            ..Self::default()
        }
    }

    /// The server sent something that no correct server sends.
    pub(super) fn lie(&self) {
        self.lied.store(true, Relaxed);
    }

    pub(super) fn has_lied(&self) -> bool {
        self.lied.load(Relaxed)
    }

    /// A reply had fewer bytes than there are.
    pub(super) fn answer_short(&self) {
        self.short.store(true, Relaxed);
    }

    /// A budget that is too small for some downloads but not for others.
    pub(super) fn budget(&self) -> u32 {
        64 + u32::try_from(self.size % 50_000).unwrap_or(0)
    }
}

impl Question {
    /// Takes a few requests from the input.
    pub(super) fn some(input: &mut Input<'_>) -> Vec<Self> {
        let count = 1 + input.byte() % MAX_QUESTIONS;
        (0..count).map(|_| Self::read(input)).collect()
    }

    fn read(input: &mut Input<'_>) -> Self {
        let kind = input.byte();
        match kind % 8 {
            0..=3 => Self::Download {
                from: u64::from(input.byte()) * u64::from(kind),
                expected: u64::from(input.number()),
                given_up_after: (kind % 8 == 1).then(|| input.byte() % 8),
                keeps: kind % 8 == 2,
            },
            4 => Self::List,
            _ => Self::Small(kind / 8),
        }
    }

    pub(super) async fn ask(self, client: Client, budget: Budget, facts: Arc<ServerFacts>) {
        match self {
            Self::Download {
                from,
                expected,
                given_up_after,
                keeps,
            } => {
                let received = Received::new(from.min(expected), expected, keeps);
                let Some(steps) = given_up_after else {
                    return download(&client, &budget, received, &facts).await;
                };
                let given_up = async {
                    for _ in 0..steps {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    biased;
                    () = download(&client, &budget, received, &facts) => {}
                    () = given_up => {}
                }
            }
            Self::List => list(&client).await,
            Self::Small(kind) => small(&client, kind).await,
        }
    }
}

/// The destination of the pieces of one download.
#[derive(Debug)]
struct Received {
    from: u64,
    expected: u64,
    next: Arc<AtomicU64>,
    keeps: bool,
    /// The last piece. No further piece is needed, so its credit may be held until the file is complete.
    kept: Option<Piece>,
}

impl Received {
    fn new(from: u64, expected: u64, keeps: bool) -> Self {
        Self {
            from,
            expected,
            next: Arc::new(AtomicU64::new(from)),
            keeps,
            kept: None,
        }
    }
}

impl PieceSink for Received {
    fn deliver(&mut self, piece: Piece) -> bool {
        let next = self.next.load(Relaxed);
        assert_eq!(piece.offset, next, "a gap, or bytes twice");
        assert!(!piece.bytes.is_empty());
        let end = next + piece.bytes.len() as u64;
        assert!(end <= self.expected, "more bytes than requested");
        assert_eq!(piece.credit.num_permits(), piece.bytes.len());
        self.next.store(end, Relaxed);
        self.kept = (self.keeps && end == self.expected).then_some(piece);
        true
    }
}

async fn download(client: &Client, budget: &Budget, received: Received, facts: &Arc<ServerFacts>) {
    let (from, expected, next) = (received.from, received.expected, received.next.clone());
    let checked = Compared {
        received,
        facts: Arc::clone(facts),
    };
    let outcome = client.download(b"file", from, expected, budget, checked).await;
    let end = next.load(Relaxed);
    let is_honest = !facts.has_lied();
    match outcome {
        Ok(Outcome::Complete) => {
            assert_eq!(end, expected);
            // A short reply may end at the expected size. If nothing remains to be read, no byte can be
            // missing.
            let may_be_larger = facts.short.load(Relaxed);
            let may_be_smaller = from == expected;
            let fits = match facts.size.cmp(&expected) {
                Ordering::Less => may_be_smaller,
                Ordering::Equal => true,
                Ordering::Greater => may_be_larger,
            };
            assert!(fits || !is_honest, "{} bytes in place of {expected}", facts.size);
        }
        Ok(Outcome::LeftOff) => panic!("no caller stopped the download"),
        Ok(Outcome::Grown) => {
            assert_eq!(end, expected);
            assert!(!is_honest || facts.size > expected);
        }
        Ok(Outcome::Truncated { size }) => {
            assert!(size < expected);
            assert_eq!(end, size.max(from), "the download is incomplete");
            assert!(!is_honest || size == facts.size.max(from));
        }
        Err(error) => {
            shown(&error);
            assert!(end <= expected);
        }
    }
}

/// Compares contents, unless the server swapped replies.
struct Compared {
    received: Received,
    facts: Arc<ServerFacts>,
}

impl PieceSink for Compared {
    fn deliver(&mut self, piece: Piece) -> bool {
        let is_right = || piece.bytes == content(piece.offset, piece.bytes.len());
        assert!(
            self.facts.has_lied() || is_right(),
            "the bytes differ from those sent"
        );
        self.received.deliver(piece)
    }
}

async fn list(client: &Client) {
    let (sink, mut entries) = mpsc::channel::<Vec<sftp::Entry>>(2);
    let consume = async {
        let mut count = 0;
        while let Some(batch) = entries.recv().await {
            for entry in &batch {
                assert!(entry.name != "." && entry.name != "..");
            }
            count += batch.len() as u64;
        }
        count
    };
    let produce = async move { client.list(b"folder", &sink).await };
    let (listed, count) = tokio::join!(produce, consume);
    match listed {
        Ok(facts) => assert_eq!(facts, count),
        Err(error) => shown(&error),
    }
}

async fn small(client: &Client, kind: u8) {
    let path = b"path".as_slice();
    let failed: Result<(), Error> = match kind % 9 {
        0 => client.lstat(path).await.map(drop),
        1 => client.stat(path).await.map(drop),
        2 => client.realpath(path).await.map(drop),
        3 => client.remove(path).await,
        4 => client.mkdir(path, 0o700).await,
        5 => client.rmdir(path).await,
        6 => client.posix_rename(path, b"other").await,
        7 => client.statvfs(path).await.map(drop),
        _ => open_and_read(client, path).await,
    };
    if let Err(error) = failed {
        shown(&error);
    }
}

async fn open_and_read(client: &Client, path: &[u8]) -> Result<(), Error> {
    let file = client.open_read(path).await?;
    client.fstat(&file).await?;
    if let Some(bytes) = client.read(&file, 0, 10).await? {
        assert!((1..=10).contains(&bytes.len()));
    }
    client.close(file).await
}
