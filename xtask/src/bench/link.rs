//! The links between the tools and the jump host.
//!
//! A new kind of link needs a [`Medium`] and, for the time that it is up, a [`Route`].

use anyhow::Result;
use serde::Deserialize;

use super::relay::{Character, Passed, Relay};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    pub(super) name: String,
    /// Description for the page.
    pub(super) about: String,
    medium: Medium,
}

/// What a link is made of.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Medium {
    /// Client and server are connected directly.
    Loopback,
    /// Threads that forward streams.
    Relay(Character),
}

/// A link that is up. Dropping it cuts its connections.
#[derive(Debug)]
pub(super) enum Route {
    Loopback { port: u16 },
    Relay(Relay),
}

impl Link {
    /// Sets up a new link to the jump host's port.
    pub(super) fn set_up(&self, port: u16) -> Result<Route> {
        match self.medium {
            Medium::Loopback => Ok(Route::Loopback { port }),
            Medium::Relay(character) => Relay::start(character, port).map(Route::Relay),
        }
    }
}

impl Route {
    /// The address at which clients reach the jump host.
    pub(super) fn near_end(&self) -> (&'static str, u16) {
        match self {
            Self::Loopback { port } => ("127.0.0.1", *port),
            Self::Relay(relay) => ("127.0.0.1", relay.port),
        }
    }

    /// The traffic since the link was set up, if it is counted.
    pub(super) fn passed(&self) -> Option<Passed> {
        match self {
            Self::Loopback { .. } => None,
            Self::Relay(relay) => Some(relay.passed()),
        }
    }
}
