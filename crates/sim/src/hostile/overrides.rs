//! What a device says in place of the truth.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sftp::codec::{Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

/// The pause of a device that says one byte at a time. Where `stall_timeout` is longer, it is never quite silent.
pub(super) const TRICKLE_INTERVAL: Duration = Duration::from_millis(300);

/// From when on a device is not honest, and what it says then.
#[derive(Clone, Debug)]
pub struct Override<From> {
    /// The device is honest until then.
    pub from: From,
    /// What it says from then on.
    pub output: FalseOutput,
}

/// What a device says in place of what an honest one would say.
#[derive(Clone, Debug)]
pub enum FalseOutput {
    /// Nothing.
    Silence,
    /// The same, byte by byte.
    Trickle,
    /// These bytes, then nothing.
    Once(Bytes),
    /// These bytes again and again, for as long as the client takes them.
    Endless(Bytes),
    /// As `Endless`, on the standard error of a command.
    EndlessStderr(Bytes),
    /// These bytes every now and then.
    Periodic(Bytes),
    /// These bytes, then the end.
    Last(Bytes),
}

/// What becomes of a request. The honest server answers whatever the second argument is called with.
type Answering = dyn Fn(Request, &mut dyn FnMut(Request) -> Response) -> Answer + Send + Sync;

/// A lie of an SFTP server.
#[derive(Clone)]
pub struct SftpOverride(pub(super) Arc<Answering>);

impl SftpOverride {
    /// Answers each request by this.
    pub fn new(
        answering: impl Fn(Request, &mut dyn FnMut(Request) -> Response) -> Answer + Send + Sync + 'static,
    ) -> SftpOverride {
        SftpOverride(Arc::new(answering))
    }
}

impl fmt::Debug for SftpOverride {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SftpOverride")
    }
}

/// What the client hears in answer to one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This response.
    Response(Response),
    /// This response, twice.
    Twice(Response),
    /// This response with another id.
    Misdirected(Response),
    /// These bytes, whatever they are.
    Raw(Vec<u8>),
    /// Nothing to this request, but answers to others.
    None,
    /// Nothing any more.
    Silence,
    /// The first half of this response, and nothing any more.
    Half(Response),
    /// This response byte by byte, and nothing any more.
    Trickle(Response),
    /// This response after a pause.
    Late(Response),
    /// The end of the channel's output, and then this response after all.
    AfterEnd(Response),
    /// The end.
    HangUp,
}

impl FalseOutput {
    /// Returns only when the device is to hang up, or when the client has done so.
    pub(super) async fn deliver(
        &self,
        mut honest: impl AsyncRead + Unpin,
        to_client: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        match self {
            FalseOutput::Silence => {}
            FalseOutput::Trickle => {
                while let Ok(byte) = honest.read_u8().await {
                    sleep(TRICKLE_INTERVAL).await;
                    to_client.write_all(&[byte]).await?;
                }
            }
            FalseOutput::Once(bytes) => to_client.write_all(bytes).await?,
            FalseOutput::Endless(bytes) | FalseOutput::EndlessStderr(bytes) => {
                let many = bytes.repeat((32 * 1024 / bytes.len()).max(1));
                loop {
                    to_client.write_all(&many).await?;
                }
            }
            FalseOutput::Periodic(bytes) => loop {
                to_client.write_all(bytes).await?;
                sleep(TRICKLE_INTERVAL).await;
            },
            FalseOutput::Last(bytes) => return to_client.write_all(bytes).await,
        }
        std::future::pending().await
    }
}
