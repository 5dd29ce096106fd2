//! One table of the file: the valid values of its keys.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::findings::Faults;
use super::value::{RawValue, ValueContext, ValueKind};

/// The keys of one table. A key whose value is invalid, and already reported, is not in `values`.
#[derive(Debug, Clone, Default)]
pub struct Section<'d> {
    /// The context for resolving its values.
    pub context: ValueContext<'d>,
    /// The position of the table in the file.
    pub span: Range<usize>,
    /// The raw value of each key.
    pub values: BTreeMap<&'static str, &'d Spanned<DeValue<'d>>>,
    /// The keys with invalid values.
    pub invalid: BTreeSet<&'static str>,
    /// Whether the table as a whole is invalid.
    pub is_invalid: bool,
}

impl Section<'_> {
    /// Whether a key is present, valid or not. A missing-key error is then not reported.
    pub fn mentions(&self, key: &str) -> bool {
        self.values.contains_key(key) || self.is_invalid(key)
    }

    /// Whether a key is present but invalid.
    pub fn is_invalid(&self, key: &str) -> bool {
        self.is_invalid || self.invalid.contains(key)
    }

    /// The position of the value of a key.
    pub fn span_of(&self, key: &str) -> Option<Range<usize>> {
        self.values.get(key).map(|value| value.span())
    }

    /// These keys, completed with the keys of `defaults` that are absent here.
    #[must_use]
    pub fn with_defaults(&self, defaults: &Self) -> Self {
        let mut merged = self.clone();
        for (key, value) in &defaults.values {
            merged.values.entry(key).or_insert(value);
        }
        merged.invalid.extend(&defaults.invalid);
        merged.is_invalid |= defaults.is_invalid;
        merged
    }

    /// Resolves the value of a key, its default (as TOML), or its absence. A required key that is missing
    /// returns an empty error: the caller reports it.
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
