//! The profiles of hostile devices, and false SFTP replies.

use bytes::Bytes;
use sftp::codec::{Extension, Request, Response, Status, StatusCode};
use sim::Service;
use sim::hostile::{
    Answer, FalseOutput, HandshakePoint, HostileBehaviour, Override, ScriptPoint, SftpOverride,
};

/// How a device behaves.
#[derive(Debug, Clone)]
pub(crate) struct Character {
    pub(crate) misbehaviour: HostileBehaviour,
    /// A device with `Service::SftpOnly` executes no command.
    pub(crate) service: Service,
    /// Programs that come before those of this machine: the text of a shell script for each name.
    pub(crate) tools: &'static [(&'static str, &'static str)],
    /// Whether the device is hostile during the first survey too, where a second is needed before a file is
    /// gathered.
    pub(crate) from_the_first: bool,
}

impl Character {
    /// A device with a shell that is honest except for this behaviour.
    pub(crate) fn odd(misbehaviour: HostileBehaviour) -> Self {
        Self {
            misbehaviour,
            service: Service::Shell,
            tools: &[],
            from_the_first: false,
        }
    }

    pub(crate) fn door(from: HandshakePoint, speech: FalseOutput) -> Self {
        Self::odd(HostileBehaviour {
            handshake: Some(Override { from, output: speech }),
            ..HostileBehaviour::default()
        })
    }

    pub(crate) fn script(from: ScriptPoint, speech: FalseOutput) -> Self {
        Self::odd(HostileBehaviour {
            script: Some(Override { from, output: speech }),
            ..HostileBehaviour::default()
        })
    }

    pub(crate) fn greeting(speech: FalseOutput) -> Self {
        Self::odd(HostileBehaviour {
            greeting: Some(speech),
            ..HostileBehaviour::default()
        })
    }

    /// A device with a shell whose SFTP server sends false replies.
    pub(crate) fn files(lie: SftpOverride) -> Self {
        Self::odd(HostileBehaviour {
            files: Some(lie),
            ..HostileBehaviour::default()
        })
    }

    /// A device without a shell whose SFTP server sends false replies.
    pub(crate) fn files_only(lie: SftpOverride) -> Self {
        Self {
            service: Service::SftpOnly,
            ..Self::files(lie)
        }
    }

    /// Like `sftp_only`, and hostile from the first survey on.
    pub(crate) fn files_always(lie: SftpOverride) -> Self {
        Self {
            from_the_first: true,
            ..Self::files_only(lie)
        }
    }

    pub(crate) fn tools(tools: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            tools,
            ..Self::odd(HostileBehaviour::default())
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
pub(crate) fn at(
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
pub(crate) fn changed(change: impl Fn(Response) -> Response + Send + Sync + 'static) -> SftpOverride {
    SftpOverride::new(move |request, honest| Answer::Response(change(honest(request))))
}

/// Confirms requests of one kind, and does not execute them.
pub(crate) fn only_said(kind: &'static str) -> SftpOverride {
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
