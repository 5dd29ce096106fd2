//! What the end of a channel means for the session.

use std::time::Duration;

use engine::ports::device::DeviceFailure;
use engine::recourse::error_chain;
use model::FailureClass;
use tokio::time::timeout;

use super::supervise::stalled;
use crate::session_end::SessionEnd;
use crate::shell_channel::ShellError;

/// How long a connection that has ended may take to report why.
const END_REASON_GRACE: Duration = Duration::from_secs(3);

/// Ends the session when one of its channels has failed.
#[derive(Debug, Clone)]
pub(super) struct Failures {
    pub(super) session_end: SessionEnd,
    pub(super) stall_timeout: Duration,
}

impl Failures {
    /// The failure of the session after an SFTP error that ended the connection.
    pub(super) async fn of_sftp(&self, error: &sftp::Error) -> DeviceFailure {
        if let sftp::Error::Connection(cause) = error
            && matches!(cause.as_ref(), sftp::ConnectionError::Protocol(_))
        {
            return self.protocol(error_chain(cause.as_ref()));
        }
        self.ended(error_chain(error)).await
    }

    /// The failure of the session after a shell channel has failed. Without its shell, the device can no
    /// longer prove what it proved before.
    pub(super) async fn of_shell(&self, error: ShellError) -> DeviceFailure {
        match error {
            ShellError::Stalled(_) => self.session_end.end(stalled(self.stall_timeout)),
            ShellError::Unexpected(_) | ShellError::Excess(_) => self.protocol(error_chain(&error)),
            ShellError::SessionLimit | ShellError::Ended(_) | ShellError::Stream(_) => {
                self.ended(error_chain(&error)).await
            }
        }
    }

    /// Waits a moment for ssh to end and report why. If it does not, the failure has this message.
    async fn ended(&self, message: String) -> DeviceFailure {
        match timeout(END_REASON_GRACE, self.session_end.ended()).await {
            Ok(failure) => failure,
            Err(_) => self.protocol(message),
        }
    }

    fn protocol(&self, message: String) -> DeviceFailure {
        self.session_end
            .end(DeviceFailure::new(FailureClass::Protocol, message))
    }
}
