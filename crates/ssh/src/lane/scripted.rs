//! Lanes without a process, for tests: what the script says is known before, and what it hears is kept.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use model::{DeviceName, SourcePath};
use tokio::io::AsyncWrite;

use super::{Lanes, Opener, Over, Streams};
use crate::facts::Facts;
use crate::last_words::LastWords;
use crate::process::Client;
use crate::script::{Knowledge, Tag};
use crate::target::Target;

/// What it marks its answers with.
pub(crate) const TAG: &str = "0123456789abcdef0123456789abcdef";

/// What the script has heard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl AsyncWrite for Heard {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Lanes of a device of which this is known, with one that says `answer` and then ends. No other can be opened.
pub(crate) async fn lanes_that_say(
    answer: &[u8],
    known: Facts,
    survey: Option<&SourcePath>,
) -> (Lanes, Heard) {
    let opener = Opener {
        client: Client {
            program: PathBuf::from("/nonexistent/ssh"),
            configuration: PathBuf::new(),
        },
        target: Target::alias(DeviceName::new("device").unwrap()),
        over: Over::Connection(PathBuf::new()),
        group: 0,
        received: Arc::default(),
        debt: Arc::default(),
    };
    let heard = Heard::default();
    let said = [format!("\n{TAG} ready\n{TAG} end\n").as_bytes(), answer].concat();
    let streams = Streams {
        stdin: Box::new(heard.clone()),
        stdout: Box::new(io::Cursor::new(said)),
        words: LastWords::collect(tokio::io::empty()),
        process: None,
    };
    let begun = opener
        .begin(streams, &Tag::new(TAG), Knowledge::None(&[]), survey)
        .await;
    let (lane, _) = begun.unwrap();
    (Lanes::new(opener, lane, known), heard)
}
