//! What the store promises, on real file systems.

mod context;
mod mounts;
mod watched;

mod audit;
mod condition;
mod faults;
mod flushes;
mod init;
mod ledgers;
mod publish;
mod races;
mod resume;
mod seal;
mod staging;
