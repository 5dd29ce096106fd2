//! What the parts of a fleet are called.

use std::fmt;

/// The name of a device: unique in the fleet, part of store names and of ssh command lines.
///
/// The configuration admits only names that are safe in all of these places: not empty, at most 200 bytes, no
/// slash, no control character, not beginning with `-` or `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceName(String);

impl DeviceName {
    /// Admits a name, or says what is wrong with it in words that fit after "the device name …".
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
            /// Admits lower-case letters, digits and `-` only, up to a fixed length: the text becomes part of paths.
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
    /// Tells one ledger from every other; names this collector's staging and withdrawn folders.
    LedgerId,
    40
);
identifier!(
    /// Tells one store from every other; stands in the store's marker file.
    StoreId,
    40
);
identifier!(
    /// Tells one batch of withdrawn files from every other, for all times and all collectors.
    ///
    /// It is the `<pass>` part of `.gleaner-withdrawn/<ledger id>/<pass>/<original path>`. Each batch has one of its
    /// own, so that a name that a camera uses again within a pass can never be renamed onto a file withdrawn before.
    BatchId,
    60
);
