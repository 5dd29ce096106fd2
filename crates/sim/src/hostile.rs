//! A device that misbehaves: a [`SimulatedDevice`], honest in all things but those that its [`Misbehaviour`] names.
//!
//! For tests of what must survive such a device, never part of what ships. Begin reading at [`HostileDevice`].

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "nothing here is shipped: whatever goes wrong is to end the test"
)]

mod door;
mod files;
mod script;
mod session;
mod speech;

use std::io;
use std::sync::{Arc, OnceLock};

use tokio::net::TcpListener;

pub use self::{
    door::Point,
    files::{Answer, FilesLie},
    script::Moment,
    speech::{Lie, Speech},
};
use crate::device::{DeviceSettings, SimulatedDevice};
use crate::key::{HostKey, UserKey};
use crate::listen;

/// What is odd about a device. Nothing is by default.
#[derive(Clone, Debug, Default)]
pub struct Misbehaviour {
    /// What it says on the wire from a point of the handshake on.
    pub door: Option<Lie<Point>>,
    /// What it says before authentication.
    pub banner: Option<String>,
    /// The step of logging in that it never answers.
    pub mute_at: Option<Step>,
    /// It ends the whole connection when it is asked for a command.
    pub hangs_up_on_commands: bool,
    /// What it says in place of the script's answers.
    pub script: Option<Lie<Moment>>,
    /// What its SFTP server says in place of VERSION.
    pub greeting: Option<Speech>,
    /// What its SFTP server says in place of its answers.
    pub files: Option<FilesLie>,
}

/// A step of logging in that is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The client asks whether its key may be used.
    Authentication,
    /// The client asks for a session.
    Session,
}

/// A device that is honest until [`HostileDevice::misbehave`]. It serves until the runtime ends that it was started
/// on. One for SFTP only refuses commands.
#[derive(Debug)]
pub struct HostileDevice {
    device: SimulatedDevice,
    /// That of the door, which stands before the device.
    port: u16,
    misbehaviour: Arc<OnceLock<Misbehaviour>>,
}

impl HostileDevice {
    /// Starts the device and the door before it.
    pub async fn start(
        user: &UserKey,
        host_key: HostKey,
        settings: DeviceSettings,
    ) -> io::Result<HostileDevice> {
        let misbehaviour = Arc::<OnceLock<Misbehaviour>>::default();
        let device = SimulatedDevice::start_as(user, host_key, settings, {
            let misbehaviour = misbehaviour.clone();
            move |honest| session::HostileSession::new(honest, misbehaviour.clone())
        })
        .await?;
        let (listener, port) = listen::bind().await?;
        tokio::spawn(serve_door(listener, device.port(), misbehaviour.clone()));
        Ok(HostileDevice {
            device,
            port,
            misbehaviour,
        })
    }

    /// Makes it misbehave, once and for all.
    pub fn misbehave(&self, misbehaviour: Misbehaviour) {
        self.misbehaviour
            .set(misbehaviour)
            .expect("a device that is honest so far");
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it proves itself with.
    pub fn host_key(&self) -> &HostKey {
        self.device.host_key()
    }
}

async fn serve_door(listener: TcpListener, device: u16, misbehaviour: Arc<OnceLock<Misbehaviour>>) {
    while let Ok((client, _)) = listener.accept().await {
        let lie = misbehaviour.get().and_then(|odd| odd.door.clone());
        tokio::spawn(door::attend(client, device, lie));
    }
}
