//! Devices reached by the system's OpenSSH client: the port `engine::ports::device`.
//!
//! [`SshDevices`] starts `ssh` with a private configuration. Its stdio carries gleaner's own SFTP client. The
//! same process is the `ControlMaster` over which a constant shell script runs, for everything that SFTP
//! cannot do. The processes of a connection form a process group, whose guard ends them when gleaner ends,
//! even by SIGKILL.
//!
//! This crate never touches a local file outside its private folder, opens no socket, and puts no name into a
//! shell command line. Begin with [`connect`], then [`session`].

mod bandwidth;
pub mod classify;
mod compression;
mod configuration;
pub mod connect;
mod facts;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod guard;
mod jump;
mod open_files;
mod pacing;
mod pipeline;
mod process;
mod records;
mod request_paths;
mod resolve;
mod runtime_dir;
mod script;
pub mod session;
mod session_end;
mod shell_channel;
mod stall;
mod stderr_tail;
mod target;

pub use connect::SshDevices;
pub use runtime_dir::SetupError;
pub use session::SshSession;
pub use target::{Compression, SshOptions, Target, TargetError};
