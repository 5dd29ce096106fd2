//! What a hostile device sends in place of honest output.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sftp::codec::{Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

/// The pause of a device that sends one byte at a time. With a longer `stall_timeout` the device is never
/// silent for long enough.
pub(super) const TRICKLE_INTERVAL: Duration = Duration::from_millis(300);

/// False output, and the point at which it begins.
#[derive(Clone, Debug)]
pub struct Override<From> {
    /// The device is honest up to this point.
    pub from: From,
    /// What it sends from then on.
    pub output: FalseOutput,
}

/// What a device sends in place of honest output.
#[derive(Clone, Debug)]
pub enum FalseOutput {
    /// It sends nothing.
    Silence,
    /// It sends the honest output byte by byte.
    Trickle,
    /// It sends these bytes, then nothing.
    Once(Bytes),
    /// It repeats these bytes as long as the client reads.
    Endless(Bytes),
    /// As `Endless`, on the standard error of a command.
    EndlessStderr(Bytes),
    /// It sends these bytes at intervals.
    Periodic(Bytes),
    /// It sends these bytes, then closes.
    Last(Bytes),
}

/// Decides the reply to a request. The second argument passes a request to the honest server.
type Answering = dyn Fn(Request, &mut dyn FnMut(Request) -> Response) -> Answer + Send + Sync;

/// How an SFTP server changes requests and replies.
#[derive(Clone)]
pub struct SftpOverride(pub(super) Arc<Answering>);

impl SftpOverride {
    /// Uses this function for each request.
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

/// What the client receives for one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This response.
    Response(Response),
    /// This response twice.
    Twice(Response),
    /// This response with another id.
    Misdirected(Response),
    /// These bytes, whatever they are.
    Raw(Vec<u8>),
    /// No reply to this request, but replies to later ones.
    None,
    /// No reply to this or any later request.
    Silence,
    /// The first half of this response, and nothing after it.
    Half(Response),
    /// This response byte by byte, and nothing after it.
    Trickle(Response),
    /// This response after a pause.
    Late(Response),
    /// The end of the channel's output, followed by this response.
    AfterEnd(Response),
    /// The end of the channel.
    HangUp,
}

impl FalseOutput {
    /// Sends this output. Returns only when the device should close the channel, or when the client has
    /// closed it.
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
