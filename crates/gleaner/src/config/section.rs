//! A table of the file: the values of its keys, as far as they are sound.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::findings::Faults;
use super::value::{RawValue, ValueContext, ValueKind};

/// The keys of one table. A key that came to nothing, for a reason that has been reported, is not among its
/// values.
#[derive(Debug, Clone, Default)]
pub struct Section<'d> {
    /// What the meaning of its values may depend on.
    pub context: ValueContext<'d>,
    /// Where the table stands.
    pub span: Range<usize>,
    /// What is written for each key.
    pub values: BTreeMap<&'static str, &'d Spanned<DeValue<'d>>>,
    /// The keys that came to nothing.
    pub invalid: BTreeSet<&'static str>,
    /// Whether the table as a whole came to nothing.
    pub is_invalid: bool,
}

impl Section<'_> {
    /// Whether a key is there or was meant to be: that it is missing is then no news.
    pub fn mentions(&self, key: &str) -> bool {
        self.values.contains_key(key) || self.is_invalid(key)
    }

    /// Whether a key was meant to be there but came to nothing.
    pub fn is_invalid(&self, key: &str) -> bool {
        self.is_invalid || self.invalid.contains(key)
    }

    /// Where the value of a key stands.
    pub fn span_of(&self, key: &str) -> Option<Range<usize>> {
        self.values.get(key).map(|value| value.span())
    }

    /// These keys, and those of the other section that are not there.
    #[must_use]
    pub fn or(&self, defaults: &Self) -> Self {
        let mut merged = self.clone();
        for (key, value) in &defaults.values {
            merged.values.entry(key).or_insert(value);
        }
        merged.invalid.extend(&defaults.invalid);
        merged.is_invalid |= defaults.is_invalid;
        merged
    }

    /// What the value of a key means, or its default, which is TOML, or its absence. Nothing is said about a
    /// key that must be there and is not.
    pub fn get<K: ValueKind>(&self, key: &str, default: Option<&str>) -> Result<K::Resolved, Faults> {
        let default = default.map(DeValue::parse).transpose();
        let default = default.map_err(|_| Faults::new())?;
        match self.values.get(key).copied().or(default.as_ref()) {
            Some(value) => {
                let raw = RawValue::new(key, &K::SYNTAX, value, self.context);
                K::read(&raw.map_err(|_| Faults::new())?)
            }
            None => K::absent().ok_or_else(Faults::new),
        }
    }
}
