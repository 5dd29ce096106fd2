//! Why a session ended: found out once, seen by all its users.

use engine::ports::device::DeviceFailure;
use tokio::sync::watch;

/// The end of a session, if it has ended. The first failure stays.
#[derive(Debug, Clone)]
pub(crate) struct SessionEnd {
    sender: watch::Sender<Option<DeviceFailure>>,
}

impl SessionEnd {
    pub(crate) fn open() -> Self {
        Self {
            sender: watch::Sender::new(None),
        }
    }

    /// Ends the session unless it has ended, and returns the first failure.
    pub(crate) fn end(&self, failure: DeviceFailure) -> DeviceFailure {
        let mut first = failure;
        self.sender.send_if_modified(|failure| match failure {
            Some(earlier) => {
                first.clone_from(earlier);
                false
            }
            None => {
                *failure = Some(first.clone());
                true
            }
        });
        first
    }

    /// Whether the session has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.sender.borrow().is_some()
    }

    /// Waits until the session ends.
    pub(crate) async fn ended(&self) -> DeviceFailure {
        let mut receiver = self.sender.subscribe();
        match receiver
            .wait_for(Option::is_some)
            .await
            .map(|failure| failure.clone())
        {
            Ok(Some(failure)) => failure,
            // `self` holds the sender, so it is never dropped here.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Runs `work` unless the session ends first.
    pub(crate) async fn unless_ended<T>(&self, work: impl Future<Output = T>) -> Result<T, DeviceFailure> {
        tokio::select! {
            biased;
            failure = self.ended() => Err(failure),
            done = work => Ok(done),
        }
    }
}
