//! Names and ids of devices, ledgers, stores and batches.

use std::fmt;

/// The name of a device: unique in the fleet, part of store names and of ssh command lines.
///
/// Not empty, at most 200 bytes, no blank, slash, backslash, quote, `@` or control character, and no `-` or
/// `.` at the beginning: safe in all of these.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceName(String);

impl DeviceName {
    /// Accepts a name, or returns what is wrong with it, to follow "the device name …".
    pub fn new(name: impl Into<String>) -> Result<Self, &'static str> {
        let name = name.into();
        if name.is_empty() {
            return Err("is empty");
        }
        if name.len() > 200 {
            return Err("is longer than 200 bytes");
        }
        if name.starts_with('-') {
            return Err("begins with '-', which ssh would take for an option");
        }
        if name.starts_with('.') {
            return Err("begins with '.'");
        }
        if name.contains(|c: char| {
            c.is_control() || c.is_whitespace() || matches!(c, '/' | '\\' | '@' | '"' | '\'')
        }) {
            return Err("contains a blank, a slash, a quote, '@' or a control character");
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $length:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Accepts only lower-case letters, digits and `-`, up to a fixed length, because the text
            /// becomes part of paths; `None` for any other text.
            pub fn new(text: impl Into<String>) -> Option<Self> {
                let text = text.into();
                let fits = !text.is_empty()
                    && text.len() <= $length
                    && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                fits.then_some(Self(text))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

identifier!(
    /// The id of a ledger, unique among all ledgers. Names its withdrawn folders on the devices.
    LedgerId,
    40
);
identifier!(
    /// The id of a collector, unique among the collectors of a store. Names its staging folders.
    CollectorId,
    40
);
impl From<&LedgerId> for CollectorId {
    /// The id of a collector that only its ledger distinguishes from others.
    fn from(ledger: &LedgerId) -> Self {
        Self(ledger.0.clone())
    }
}

identifier!(
    /// The id of a store, unique among all stores. The store's marker file contains it.
    StoreId,
    40
);
identifier!(
    /// The id of a batch of withdrawn files, unique for all times and collectors.
    ///
    /// It is the `<batch>` part of `.gleaner-withdrawn/<ledger id>/<batch>/<original path>`. Each batch has
    /// its own id: if a camera reuses a name within a pass, the new file can never be renamed onto a file
    /// withdrawn before.
    BatchId,
    60
);
