//! What a hostile device does wrong.

use super::handshake::HandshakePoint;
use super::overrides::{FalseOutput, Override, SftpOverride};
use super::script::ScriptPoint;

/// What is odd about a device. Nothing is by default.
#[derive(Clone, Debug, Default)]
pub struct HostileBehaviour {
    /// What it says on the wire from a point of the handshake on.
    pub handshake: Option<Override<HandshakePoint>>,
    /// What it says before authentication.
    pub banner: Option<String>,
    /// The step of logging in that it never answers.
    pub mute_at: Option<LoginStep>,
    /// It ends the whole connection when it is asked for a command.
    pub hangs_up_on_commands: bool,
    /// What it says in place of the script's answers.
    pub script: Option<Override<ScriptPoint>>,
    /// What its SFTP server says in place of VERSION.
    pub greeting: Option<FalseOutput>,
    /// What its SFTP server says in place of its answers.
    pub files: Option<SftpOverride>,
}

/// A step of logging in that is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginStep {
    /// The client asks whether its key may be used.
    Authentication,
    /// The client asks for a session.
    Session,
}
