//! Simulated devices behind a simulated jump host, on loopback, reached by the real `ssh` client.
//!
//! A [`SimulatedJump`] forwards to permitted ports and does nothing else. A [`SimulatedDevice`] serves a real folder
//! of this machine by SFTP, and runs commands on it. What goes wrong is data: a device's [`Behaviour`].
//! [`DemoFleet`] puts eight of them together, with pictures to gather and a [`Camera`] at work.
//!
//! Everything listens on 127.0.0.1 only, lets in one public key only, and ends with its owner. A command that a
//! client asks for runs on this machine as this user: whoever holds the key could do that anyway.
//!
//! Begin reading at [`DemoFleet::start`] or, for one device, at [`SimulatedDevice::start`].

mod camera;
mod demo;
mod device;
mod jump;
mod key;
mod lifetime;
mod listen;
mod picture;
mod wire;

pub use camera::{Camera, Finish, Recording};
pub use demo::{DemoDevice, DemoError, DemoFleet, DemoPlan, Role};
pub use device::{Behaviour, DeviceSettings, Service, SimulatedDevice};
pub use jump::SimulatedJump;
pub use key::{HostKey, KeyError, UserKey};
pub use picture::{FillError, MadeFile, Pictures, Texture, fill};
