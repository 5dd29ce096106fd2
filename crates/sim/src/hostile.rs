//! A device that misbehaves: a [`SimulatedDevice`] that is honest except where its [`HostileBehaviour`] says
//! otherwise.
//!
//! For tests of gleaner against such devices; never part of what ships. Begin reading at [`HostileDevice`].

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "nothing here is shipped: whatever goes wrong is to end the test"
)]

mod behaviour;
mod handshake;
mod overrides;
mod script;
mod session;
mod sftp;

use std::io;
use std::sync::{Arc, OnceLock};

use tokio::net::TcpListener;

pub use self::{
    behaviour::{HostileBehaviour, LoginStep},
    handshake::HandshakePoint,
    overrides::{Answer, FalseOutput, Override, SftpOverride},
    script::ScriptPoint,
};
use crate::device::{DeviceSettings, SimulatedDevice};
use crate::key::{HostKey, UserKey};
use crate::listen;

/// A device that is honest until [`HostileDevice::turn_hostile`]. It serves until its runtime ends. With
/// [`crate::Service::SftpOnly`] it refuses commands.
#[derive(Debug)]
pub struct HostileDevice {
    device: SimulatedDevice,
    /// The port of the relay in front of the device.
    port: u16,
    behaviour: Arc<OnceLock<HostileBehaviour>>,
}

impl HostileDevice {
    /// Starts the device and the relay in front of it.
    pub async fn start(
        user: &UserKey,
        host_key: HostKey,
        settings: DeviceSettings,
    ) -> io::Result<HostileDevice> {
        let behaviour = Arc::<OnceLock<HostileBehaviour>>::default();
        let device = SimulatedDevice::start_as(user, host_key, settings, {
            let behaviour = behaviour.clone();
            move |honest| session::HostileSession::new(honest, behaviour.clone())
        })
        .await?;
        let (listener, port) = listen::bind().await?;
        tokio::spawn(serve_relay(listener, device.port(), behaviour.clone()));
        Ok(HostileDevice {
            device,
            port,
            behaviour,
        })
    }

    /// Makes the device hostile for good. May be called once.
    pub fn turn_hostile(&self, behaviour: HostileBehaviour) {
        self.behaviour
            .set(behaviour)
            .expect("a device that is honest so far");
    }

    /// The port of the relay.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host key.
    pub fn host_key(&self) -> &HostKey {
        self.device.host_key()
    }
}

async fn serve_relay(listener: TcpListener, device: u16, behaviour: Arc<OnceLock<HostileBehaviour>>) {
    while let Ok((client, _)) = listener.accept().await {
        let fault = behaviour.get().and_then(|behaviour| behaviour.handshake.clone());
        tokio::spawn(handshake::relay(client, device, fault));
    }
}
