//! What a hostile device can lie about: each lie is a value, and all the rest of the device is honest.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use sftp::codec::{Extension, Request, Response};

use super::door::Door;

/// A device's whole character.
#[derive(Debug, Clone)]
pub(crate) struct Character {
    pub(crate) door: Door,
    pub(crate) files: Option<FilesLie>,
    pub(crate) shell: Shell,
    /// It lies at the first look, too, where one is needed before anything is gathered.
    pub(crate) from_the_first: bool,
}

/// What commands are answered with.
#[derive(Debug, Clone)]
pub(crate) enum Shell {
    /// None is executed.
    None,
    /// A shell with the tools of this machine.
    Honest,
    /// The same; but from the moment that it is asked this, it lies.
    Lying(Stage, Speech),
    /// The same, with other tools: the text of a shell script for each name.
    Tools(&'static [(&'static str, &'static str)]),
}

/// When the shell begins to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before the script has said its first word.
    Opening,
    /// At the request of that name.
    Verb(&'static str),
    /// At that request, but only after so many bytes of the honest answer.
    Amid(&'static str, usize),
}

/// What the shell says in place of the honest answer. `{tag}` in a text stands for what answers are marked with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Speech {
    /// Nothing.
    Silence,
    /// The honest answer, byte by byte.
    Crumbs,
    /// These bytes, then nothing.
    Once(&'static [u8]),
    /// These bytes, as long as somebody takes them.
    Endless(&'static [u8]),
    /// These bytes, every now and then.
    NowAndThen(&'static [u8]),
    /// As `Endless`, on the standard error, with silence on the standard output.
    EndlessErrors(&'static [u8]),
    /// The end of the session.
    HangUp,
}

/// What is made of an honest server's answer to a question.
type Answering = Arc<dyn Fn(&Request, Response) -> Answer + Send + Sync>;

/// A lie of the SFTP server.
#[derive(Clone)]
pub(crate) struct FilesLie {
    /// Changes a question before the honest server hears it.
    pub(crate) ask: Arc<dyn Fn(Request) -> Request + Send + Sync>,
    /// Changes the honest server's answer.
    pub(crate) answer: Answering,
    /// In place of VERSION.
    pub(crate) greeting: Option<Greeting>,
}

/// What comes in place of VERSION.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Greeting {
    Silence,
    Crumbs,
    Raw(&'static [u8]),
    Endless(&'static [u8]),
}

/// What the client gets to hear.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// This response to its question.
    Response(Response),
    /// Several responses to one question.
    Twice(Response),
    /// The response with another id.
    Misdirected(Response),
    /// These bytes, whatever they are, and then honest answers.
    Raw(Vec<u8>),
    /// Nothing to this question, but honest answers to others.
    None,
    /// Nothing any more.
    Silence,
    /// The first half of this response, and nothing any more.
    Half(Response),
    /// This and all that follows byte by byte.
    Crumbs(Response),
    /// This response after a pause, as are all that follow.
    Late(Response),
    /// The end of the channel's output, and then this response after all.
    AfterEnd(Response),
    /// The end.
    HangUp,
}

impl FilesLie {
    pub(crate) fn greeting(greeting: Greeting) -> Self {
        Self {
            greeting: Some(greeting),
            ..Self::answers(|_, response| Answer::Response(response))
        }
    }

    pub(crate) fn answers(answer: impl Fn(&Request, Response) -> Answer + Send + Sync + 'static) -> Self {
        Self {
            ask: Arc::new(|request| request),
            answer: Arc::new(answer),
            greeting: None,
        }
    }

    /// Lies about the requests of one kind only.
    pub(crate) fn at(
        kind: &'static str,
        answer: impl Fn(Response) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::answers(move |request, response| match kind_of(request) == kind {
            true => answer(response),
            false => Answer::Response(response),
        })
    }

    /// Says of requests of one kind that they are done, and does not carry them out.
    pub(crate) fn only_says(kind: &'static str) -> Self {
        let done = || Response::Status(sftp::codec::Status::new(sftp::codec::StatusCode::Ok, "done"));
        // What is asked in its place is answered by attributes, which nothing else in this session is at this path.
        let instead = Bytes::from_static(b"/");
        let asked = instead.clone();
        Self {
            ask: Arc::new(move |request| match kind_of(&request) == kind {
                true => Request::Stat {
                    path: instead.clone(),
                },
                false => request,
            }),
            answer: Arc::new(move |request, response| match request {
                Request::Stat { path } if *path == asked => Answer::Response(done()),
                _ => Answer::Response(response),
            }),
            greeting: None,
        }
    }
}

impl fmt::Debug for FilesLie {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FilesLie")
    }
}

/// What kind of question it is.
pub(crate) fn kind_of(request: &Request) -> &'static str {
    match request {
        Request::Open { .. } => "open",
        Request::Close { .. } => "close",
        Request::Read { .. } => "read",
        Request::Lstat { .. } => "lstat",
        Request::Stat { .. } => "stat",
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

impl Character {
    /// A device with a shell, honest through and through.
    pub(crate) fn honest() -> Self {
        Self {
            door: Door::Honest,
            files: None,
            shell: Shell::Honest,
            from_the_first: false,
        }
    }

    pub(crate) fn door(door: Door) -> Self {
        Self {
            door,
            ..Self::honest()
        }
    }

    /// A device with a shell whose SFTP server lies.
    pub(crate) fn files(lie: FilesLie) -> Self {
        Self {
            files: Some(lie),
            ..Self::honest()
        }
    }

    /// A device without a shell whose SFTP server lies.
    pub(crate) fn files_only(lie: FilesLie) -> Self {
        Self {
            files: Some(lie),
            shell: Shell::None,
            ..Self::honest()
        }
    }

    /// The same, and it lies from the first look on.
    pub(crate) fn files_always(lie: FilesLie) -> Self {
        Self {
            from_the_first: true,
            ..Self::files_only(lie)
        }
    }

    pub(crate) fn shell(stage: Stage, speech: Speech) -> Self {
        Self {
            shell: Shell::Lying(stage, speech),
            ..Self::honest()
        }
    }

    pub(crate) fn tools(tools: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            shell: Shell::Tools(tools),
            ..Self::honest()
        }
    }
}
