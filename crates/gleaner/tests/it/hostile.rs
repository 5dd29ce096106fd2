//! Devices that send false replies: each in one respect, beside an honest device that must not be affected.
//! They are the simulated devices of `sim` with hostile behaviour. gleaner and ssh are real; behind the false
//! replies are a real shell and an honest SFTP server.
//!
//! `profile` describes how a device behaves, `lying_device` is a device with a profile. `fleet` sweeps a
//! fleet of them and checks what must hold in every case. The other modules are the tests: false replies by
//! theme, each with the expected end of the pass.

mod fleet;
mod lying_device;
mod profile;

mod endless;
mod names;
mod script;
mod sftp_replies;
mod silence;
