//! Shell channels without a process, for tests: the script's output is given, its input is recorded.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use model::{DeviceName, SourcePath};
use tokio::io::AsyncWrite;

use super::{ChannelFactory, ConnectionMode, ShellPool, ShellStreams};
use crate::facts::Facts;
use crate::process::SshCommand;
use crate::script::{FactsRequest, ReplyTag};
use crate::stderr_tail::StderrTail;
use crate::target::Target;

/// The tag that marks its replies.
pub(crate) const TAG: &str = "0123456789abcdef0123456789abcdef";

/// What was written to the script.
#[derive(Debug, Clone, Default)]
pub(crate) struct RecordedInput(Arc<Mutex<Vec<u8>>>);

impl RecordedInput {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl AsyncWrite for RecordedInput {
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

/// The pool of a device with these facts, with one channel that replies `answer` and then ends. No other
/// channel can be opened.
pub(crate) async fn pool_with_replies(
    answer: &[u8],
    known: Facts,
    survey: Option<&SourcePath>,
) -> (ShellPool, RecordedInput) {
    let factory = ChannelFactory {
        client: SshCommand {
            program: PathBuf::from("/nonexistent/ssh"),
            configuration: PathBuf::new(),
        },
        target: Target::alias(DeviceName::new("device").unwrap()),
        mode: ConnectionMode::Multiplexed(PathBuf::new()),
        group: 0,
        received: Arc::default(),
        pending: Arc::default(),
    };
    let input = RecordedInput::default();
    let output = [format!("\n{TAG} ready\n{TAG} end\n").as_bytes(), answer].concat();
    let streams = ShellStreams {
        stdin: Box::new(input.clone()),
        stdout: Box::new(io::Cursor::new(output)),
        stderr: StderrTail::collect(tokio::io::empty()),
        process: None,
    };
    let begun = factory
        .begin(streams, &ReplyTag::new(TAG), FactsRequest::Ask(&[]), survey)
        .await;
    let (channel, _) = begun.unwrap();
    (ShellPool::new(factory, channel, known), input)
}
