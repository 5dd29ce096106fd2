//! The profiles of hostile devices, and false SFTP replies.

use bytes::Bytes;
use sftp::codec::{Extension, Request, Response, Status, StatusCode};
use sim::Service;
use sim::hostile::{
    Answer, FalseOutput, HandshakePoint, HostileBehaviour, Override, ScriptPoint, SftpOverride,
};

/// How a device behaves.
#[derive(Debug, Clone)]
pub(crate) struct DeviceProfile {
    pub(crate) behaviour: HostileBehaviour,
    /// A device with `Service::SftpOnly` executes no command.
    pub(crate) service: Service,
    /// Programs that come before those of this machine: the text of a shell script for each name.
    pub(crate) tools: &'static [(&'static str, &'static str)],
    /// Whether the device is hostile during the first survey too, where a second is needed before a file is
    /// gathered.
    pub(crate) is_hostile_from_start: bool,
}

impl DeviceProfile {
    /// A device with a shell that is honest except for this behaviour.
    pub(crate) fn with_shell(behaviour: HostileBehaviour) -> Self {
        Self {
            behaviour,
            service: Service::Shell,
            tools: &[],
            is_hostile_from_start: false,
        }
    }

    pub(crate) fn in_handshake(from: HandshakePoint, output: FalseOutput) -> Self {
        Self::with_shell(HostileBehaviour {
            handshake: Some(Override { from, output }),
            ..HostileBehaviour::default()
        })
    }

    pub(crate) fn in_script(from: ScriptPoint, output: FalseOutput) -> Self {
        Self::with_shell(HostileBehaviour {
            script: Some(Override { from, output }),
            ..HostileBehaviour::default()
        })
    }

    pub(crate) fn greeting(output: FalseOutput) -> Self {
        Self::with_shell(HostileBehaviour {
            greeting: Some(output),
            ..HostileBehaviour::default()
        })
    }

    /// A device with a shell whose SFTP server sends false replies.
    pub(crate) fn sftp(replies: SftpOverride) -> Self {
        Self::with_shell(HostileBehaviour {
            files: Some(replies),
            ..HostileBehaviour::default()
        })
    }

    /// A device without a shell whose SFTP server sends false replies.
    pub(crate) fn sftp_only(replies: SftpOverride) -> Self {
        Self {
            service: Service::SftpOnly,
            ..Self::sftp(replies)
        }
    }

    /// Like `sftp_only`, and hostile from the first survey on.
    pub(crate) fn sftp_only_from_start(replies: SftpOverride) -> Self {
        Self {
            is_hostile_from_start: true,
            ..Self::sftp_only(replies)
        }
    }

    pub(crate) fn with_tools(tools: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            tools,
            ..Self::with_shell(HostileBehaviour::default())
        }
    }
}

pub(crate) fn once(bytes: &'static [u8]) -> FalseOutput {
    FalseOutput::Once(Bytes::from_static(bytes))
}

pub(crate) fn endless(bytes: &'static [u8]) -> FalseOutput {
    FalseOutput::Endless(Bytes::from_static(bytes))
}

/// Replaces the honest replies to requests of one kind.
pub(crate) fn on_request(
    kind: &'static str,
    answer: impl Fn(Response) -> Answer + Send + Sync + 'static,
) -> SftpOverride {
    SftpOverride::new(move |request, honest| {
        if kind_of(&request) == kind {
            answer(honest(request))
        } else {
            Answer::Response(honest(request))
        }
    })
}

/// Changes every honest reply.
pub(crate) fn on_each_reply(change: impl Fn(Response) -> Response + Send + Sync + 'static) -> SftpOverride {
    SftpOverride::new(move |request, honest| Answer::Response(change(honest(request))))
}

/// Confirms requests of one kind, and does not execute them.
pub(crate) fn only_confirmed(kind: &'static str) -> SftpOverride {
    SftpOverride::new(move |request, honest| {
        Answer::Response(if kind_of(&request) == kind {
            Response::Status(Status::new(StatusCode::Ok, "done"))
        } else {
            honest(request)
        })
    })
}

/// The kind of a request.
fn kind_of(request: &Request) -> &'static str {
    match request {
        Request::Open { .. } => "open",
        Request::Close { .. } => "close",
        Request::Read { .. } => "read",
        Request::Lstat { .. } => "lstat",
        Request::Opendir { .. } => "opendir",
        Request::Readdir { .. } => "readdir",
        Request::Remove { .. } => "remove",
        Request::Mkdir { .. } => "mkdir",
        Request::Rmdir { .. } => "rmdir",
        Request::Extended(Extension::PosixRename { .. }) => "posix-rename",
        Request::Extended(Extension::Limits) => "limits",
        Request::Extended(Extension::Statvfs { .. }) => "statvfs",
        _ => "other",
    }
}
