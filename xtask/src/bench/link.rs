//! The links that are measured.

use std::time::Duration;

use super::relay::{Character, Outages};

#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) name: &'static str,
    /// For the page.
    pub(super) about: &'static str,
    /// Nothing: no relay stands between client and server.
    pub(super) character: Option<Character>,
}

pub(super) const LINKS: [Link; 3] = [
    Link {
        name: "loopback",
        about: "on loopback, without an emulated link",
        character: None,
    },
    Link {
        name: "wan",
        about: "at a round trip of 100 ms and 100 Mbit/s",
        character: Some(Character {
            one_way_delay: Duration::from_millis(50),
            bits_per_second: 100_000_000,
            outages: None,
        }),
    },
    Link {
        name: "mobile",
        about: "at a round trip of 300 ms and 5 Mbit/s, of which nothing passes for 5 s in every minute",
        character: Some(Character {
            one_way_delay: Duration::from_millis(150),
            bits_per_second: 5_000_000,
            outages: Some(Outages {
                every: Duration::from_mins(1),
                length: Duration::from_secs(5),
                // Early enough that short work meets one as well.
                first: Duration::from_secs(10),
            }),
        }),
    },
];
