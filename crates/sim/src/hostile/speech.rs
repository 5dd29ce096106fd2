//! What a device says in place of the truth.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

/// The pause of a device that says one byte at a time. Where `stall_timeout` is longer, it is never quite silent.
pub(super) const CRUMB_EVERY: Duration = Duration::from_millis(300);

/// From when on a device is not honest, and what it says then.
#[derive(Clone, Debug)]
pub struct Lie<From> {
    /// The device is honest until then.
    pub from: From,
    /// What it says from then on.
    pub speech: Speech,
}

/// What a device says in place of what an honest one would say.
#[derive(Clone, Debug)]
pub enum Speech {
    /// Nothing.
    Silence,
    /// The same, byte by byte.
    Crumbs,
    /// These bytes, then nothing.
    Once(Bytes),
    /// These bytes again and again, for as long as the client takes them.
    Endless(Bytes),
    /// As `Endless`, on the standard error of a command.
    EndlessErrors(Bytes),
    /// These bytes every now and then.
    NowAndThen(Bytes),
    /// These bytes, then the end.
    Last(Bytes),
}

impl Speech {
    /// Returns only when the device is to hang up, or when the client has done so.
    pub(super) async fn deliver(
        &self,
        mut honest: impl AsyncRead + Unpin,
        to_client: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        match self {
            Speech::Silence => {}
            Speech::Crumbs => {
                while let Ok(byte) = honest.read_u8().await {
                    sleep(CRUMB_EVERY).await;
                    to_client.write_all(&[byte]).await?;
                }
            }
            Speech::Once(bytes) => to_client.write_all(bytes).await?,
            Speech::Endless(bytes) | Speech::EndlessErrors(bytes) => {
                let many = bytes.repeat((32 * 1024 / bytes.len()).max(1));
                loop {
                    to_client.write_all(&many).await?;
                }
            }
            Speech::NowAndThen(bytes) => loop {
                to_client.write_all(bytes).await?;
                sleep(CRUMB_EVERY).await;
            },
            Speech::Last(bytes) => return to_client.write_all(bytes).await,
        }
        std::future::pending().await
    }
}
