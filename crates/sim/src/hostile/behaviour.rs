//! What a hostile device does wrong.

use super::handshake::HandshakePoint;
use super::overrides::{FalseOutput, Override, SftpOverride};
use super::script::ScriptPoint;

/// How a device misbehaves. By default it does not.
#[derive(Clone, Debug, Default)]
pub struct HostileBehaviour {
    /// What it sends from a point of the handshake on.
    pub handshake: Option<Override<HandshakePoint>>,
    /// The banner that it sends before authentication.
    pub banner: Option<String>,
    /// The login step that it never answers.
    pub mute_at: Option<LoginStep>,
    /// It ends the whole connection when a client requests a command.
    pub hangs_up_on_commands: bool,
    /// What it sends in place of the script's replies.
    pub script: Option<Override<ScriptPoint>>,
    /// What its SFTP server sends in place of VERSION.
    pub greeting: Option<FalseOutput>,
    /// How its SFTP server changes replies.
    pub files: Option<SftpOverride>,
}

/// An encrypted step of the login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginStep {
    /// The client asks whether its key is accepted.
    Authentication,
    /// The client opens a session.
    Session,
}
