//! ssh's standard error: the progress of a connection, and the reason for its end.

use std::sync::Arc;

use parking_lot::Mutex;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

/// Bytes kept. The reason is at the end, and a warning of a changed host key has a kilobyte.
const MAX_KEPT: usize = 16 * 1024;
/// The beginning of the line that says that a hop has authenticated us. Printed with `LogLevel VERBOSE`.
const AUTHENTICATED: &[u8] = b"Authenticated to ";

/// The last 16 KiB of a stream, which a task of its own reads to its end.
#[derive(Debug, Clone)]
pub(crate) struct StderrTail {
    kept: Arc<Mutex<Vec<u8>>>,
    progress: watch::Receiver<Progress>,
}

/// The progress of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// At least one hop has authenticated us.
    pub(crate) authenticated: bool,
    /// Every process that had the stream open has ended.
    pub(crate) ended: bool,
}

impl StderrTail {
    /// Starts reading the stream to its end. It is read even if the tail is dropped: ssh must never block on
    /// writing to it.
    pub(crate) fn collect(stream: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (sender, progress) = watch::channel(Progress::default());
        tokio::spawn(read(stream, kept.clone(), sender));
        Self { kept, progress }
    }

    /// The tail so far.
    pub(crate) fn text(&self) -> String {
        let kept = self.kept.lock();
        String::from_utf8_lossy(&kept).into_owned()
    }

    /// Whether a hop has authenticated us so far.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn has_authenticated(&self) -> bool {
        self.progress.borrow().authenticated
    }

    /// Waits until a hop has authenticated us, or the stream has ended.
    pub(crate) async fn authenticated(&self) {
        let mut progress = self.progress.clone();
        // A dropped sender has reported that the stream has ended.
        progress
            .wait_for(|progress| progress.authenticated || progress.ended)
            .await
            .ok();
    }

    /// Waits until the stream has ended.
    pub(crate) async fn ended(&self) {
        let mut progress = self.progress.clone();
        progress.wait_for(|progress| progress.ended).await.ok();
    }
}

async fn read(
    mut stream: impl AsyncRead + Unpin,
    kept: Arc<Mutex<Vec<u8>>>,
    progress: watch::Sender<Progress>,
) {
    let mut buffer = [0; 2048];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let authenticated = {
            let mut kept = kept.lock();
            kept.extend_from_slice(buffer.get(..length).unwrap_or_default());
            let excess = kept.len().saturating_sub(MAX_KEPT);
            kept.drain(..excess);
            kept.split(|byte| *byte == b'\n')
                .any(|line| line.starts_with(AUTHENTICATED))
        };
        progress.send_if_modified(|progress| {
            let news = authenticated && !progress.authenticated;
            progress.authenticated |= authenticated;
            news
        });
    }
    progress.send_modify(|progress| progress.ended = true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_end_is_kept_of_any_amount() {
        let noise = [
            &b"x".repeat(100_000)[..],
            b"\nAuthenticated to jump\nthe reason\n",
        ]
        .concat();
        let tail = StderrTail::collect(std::io::Cursor::new(noise));
        tail.ended().await;
        assert!(tail.progress.borrow().authenticated);
        assert_eq!(tail.text().len(), MAX_KEPT);
        assert!(tail.text().ends_with("the reason\n"));
    }
}
