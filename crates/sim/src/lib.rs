//! Simulated devices, of two kinds: servers on loopback that the real `ssh` client reaches, and (in [`simulator`]) a whole world in memory.
//!
//! A [`SimulatedJump`] forwards to permitted ports and does nothing else. A [`SimulatedDevice`] serves a real folder
//! of this machine by SFTP, and runs commands on it. What goes wrong is data: a device's [`Behaviour`], and with the
//! feature `hostile` its [`hostile::Misbehaviour`].
//! [`DemoFleet`] puts eight of them together, with pictures to gather and a [`Camera`] at work.
//!
//! Everything listens on 127.0.0.1 only, lets in one public key only, and ends with its owner. A command that a
//! client asks for runs on this machine as this user: whoever holds the key could do that anyway.
//!
//! Begin reading at [`DemoFleet::start`] or, for one device, at [`SimulatedDevice::start`].

#[cfg(feature = "servers")]
mod camera;
#[cfg(feature = "servers")]
mod demo;
#[cfg(feature = "servers")]
mod device;
#[cfg(feature = "hostile")]
pub mod hostile;
#[cfg(feature = "servers")]
mod jump;
#[cfg(feature = "servers")]
mod key;
#[cfg(feature = "servers")]
mod lifetime;
#[cfg(feature = "servers")]
mod listen;
#[cfg(feature = "servers")]
mod picture;
#[cfg(feature = "servers")]
mod wire;

#[cfg(feature = "simulator")]
pub mod simulator;

#[cfg(feature = "servers")]
pub use self::{
    camera::{Camera, Finish, Recording},
    demo::{DemoDevice, DemoError, DemoFleet, DemoPlan, Role},
    device::{Behaviour, DeviceSettings, Service, SimulatedDevice},
    jump::SimulatedJump,
    key::{HostKey, KeyError, UserKey},
    picture::{FillError, MadeFile, Pictures, Texture, fill},
};
