//! A table of the file: the values of its keys, as far as they are sound.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::findings::Findings;
use super::value::{Context, Kind, Written};

/// The keys of one table. A key that came to nothing, for a reason that has been reported, is not among its values.
#[derive(Debug, Clone, Default)]
pub struct Section<'d> {
    /// Where the table stands.
    pub span: Range<usize>,
    /// What is written for each key.
    pub values: BTreeMap<&'static str, &'d Spanned<DeValue<'d>>>,
    /// The keys that came to nothing.
    pub spoilt: BTreeSet<&'static str>,
    /// Whether the table as a whole came to nothing.
    pub is_spoilt: bool,
}

impl Section<'_> {
    /// Whether a key is there or was meant to be: that it is missing is then no news.
    pub fn mentions(&self, key: &str) -> bool {
        self.values.contains_key(key) || self.is_spoilt(key)
    }

    /// Whether a key was meant to be there but came to nothing.
    pub fn is_spoilt(&self, key: &str) -> bool {
        self.is_spoilt || self.spoilt.contains(key)
    }

    /// Where the value of a key stands.
    pub fn span_of(&self, key: &str) -> Option<Range<usize>> {
        self.values.get(key).map(|value| value.span())
    }

    /// These keys, and those of the other section that are not there.
    #[must_use]
    pub fn or(&self, defaults: &Self) -> Self {
        let mut merged = defaults.clone();
        merged.values.extend(&self.values);
        merged.spoilt.extend(&self.spoilt);
        merged.is_spoilt |= self.is_spoilt;
        merged.span = self.span.clone();
        merged
    }

    /// What the value of a key means, or its default, which is TOML, or its absence.
    pub fn get<K: Kind>(
        &self,
        key: &str,
        default: Option<&str>,
        context: &Context<'_>,
        findings: &mut Findings<'_>,
    ) -> Option<K::Value> {
        if let Some(value) = self.values.get(key) {
            let written = Written::new(key, &K::FORM, value, context).ok()?;
            return K::read(&written, findings);
        }
        let Some(default) = default else {
            return K::absent();
        };
        let default = DeValue::parse(default).ok()?;
        let written = Written::new(key, &K::FORM, &default, context).ok()?;
        K::read(&written, findings)
    }
}
