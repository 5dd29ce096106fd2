//! The stages of the way of a file, in order. Each takes the proof of the one before.
//!
//! The proofs (`Withdrawn`, `Fetched`, `Verified`, `Published`, `Recorded`) have private fields and are made
//! only in the module of their stage. Code that leaves out a stage, or releases a file that is not recorded,
//! does not compile.

pub(crate) mod survey;

pub(crate) mod foresee;

pub(crate) mod withdraw;

pub(crate) mod fetch;

pub(crate) mod verify;

pub(crate) mod publish;

pub(crate) mod record;

pub(crate) mod release;

pub(crate) mod tidy;

mod store_name;
