//! The links between the tools and the jump host.
//!
//! For root, packets pass between two network namespaces (`network.rs`). Without root, streams pass through
//! threads (`streams.rs`), which leaves out what packets do.

mod character;
mod line;
mod network;
mod packets;
mod streams;

use std::sync::Arc;

use anyhow::Result;
use serde::Deserialize;

use character::Character;
pub(super) use network::{FAR_ADDRESS, Network};
use streams::Relay;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    pub(super) name: String,
    /// Description for the page.
    pub(super) about: String,
    /// Without it, client and server are connected directly.
    pub(super) character: Option<Character>,
}

/// A link that is up.
#[derive(Debug)]
pub(super) enum Route {
    Loopback { port: u16 },
    Packets { port: u16, network: Arc<Network> },
    Streams(Relay),
}

/// The traffic of a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Passed {
    /// Towards the devices.
    pub(super) up_bytes: u64,
    /// From the devices.
    pub(super) down_bytes: u64,
}

impl Link {
    /// Sets up a new link to the jump host's port. The jump host is on the far side of the network, if there
    /// is a network.
    pub(super) fn set_up(&self, port: u16, network: Option<&Arc<Network>>) -> Result<Route> {
        match (self.character, network) {
            (None, _) => Ok(Route::Loopback { port }),
            (Some(character), Some(network)) => {
                network.set_up(character)?;
                Ok(Route::Packets {
                    port,
                    network: Arc::clone(network),
                })
            }
            (Some(character), None) => Relay::start(character, port).map(Route::Streams),
        }
    }
}

impl Route {
    /// The address at which clients reach the jump host.
    pub(super) fn near_end(&self) -> (&'static str, u16) {
        match self {
            Self::Loopback { port } => ("127.0.0.1", *port),
            Self::Packets { port, .. } => (FAR_ADDRESS, *port),
            Self::Streams(relay) => ("127.0.0.1", relay.port),
        }
    }

    /// The traffic since the link was set up, if it is counted.
    pub(super) fn passed(&self) -> Option<Passed> {
        match self {
            Self::Loopback { .. } => None,
            Self::Packets { network, .. } => Some(network.passed()),
            Self::Streams(relay) => Some(relay.passed()),
        }
    }
}
