//! Simulated devices of two kinds: servers on loopback for the real `ssh` client, and (in [`simulator`]) a
//! whole world in memory.
//!
//! A [`SimulatedJump`] forwards to permitted ports and does nothing else. A [`SimulatedDevice`] serves a real
//! folder of this machine by SFTP, and runs commands on it. Faults are data: the [`Behaviour`] of a device,
//! and with the feature `hostile` its [`hostile::HostileBehaviour`]. [`DemoFleet`] combines eight devices
//! with pictures to gather and a working [`Camera`].
//!
//! All servers listen on 127.0.0.1 only, accept a single public key, and end with their owner. Commands of
//! clients run on this machine as this user. That grants nothing new: only this user can read the private
//! key.
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
