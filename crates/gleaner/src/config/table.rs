//! How a table of the configuration is declared: each key once, with all that is said about it.

use std::fmt;

use super::findings::Faults;
use super::value::{RawValue, Syntax};

/// A table of the configuration.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// As it is written: `[store]`, `[[device]]`.
    pub heading: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [&'static [Key]],
    /// Keys of another table that may stand here too.
    pub shared: &'static [&'static [Key]],
}

impl Table {
    /// A table with keys of its own only.
    pub const fn new(
        name: &'static str,
        heading: &'static str,
        about: &'static str,
        keys: &'static [&'static [Key]],
    ) -> Self {
        Self {
            name,
            heading,
            about,
            keys,
            shared: &[],
        }
    }

    /// Its keys, in the order of the reference.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> + Clone {
        self.keys.iter().copied().flatten()
    }

    /// Every key that may stand here.
    pub fn known(&self) -> impl Iterator<Item = &'static Key> + Clone {
        self.keys().chain(self.shared.iter().copied().flatten())
    }

    /// Whether there may be several of it.
    pub fn is_list(&self) -> bool {
        self.heading.starts_with("[[")
    }

    /// What it is about, in lines.
    pub fn description(&self) -> String {
        lines(self.about)
    }

    /// What it is about, without line breaks.
    pub fn meaning(&self) -> String {
        self.description().replace('\n', " ")
    }
}

/// A key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The comment at its declaration.
    pub comment: &'static str,
    /// What its values look like.
    pub syntax: Syntax,
    /// The default, as TOML.
    pub default: Option<&'static str>,
    /// A value other than the default, as TOML.
    pub example: &'static str,
    /// What is wrong with a value.
    pub check: fn(&RawValue<'_>) -> Result<(), Faults>,
}

impl Key {
    /// What it means, in the lines of the comment.
    pub fn description(&self) -> String {
        lines(self.comment)
    }

    /// What it means, without line breaks.
    pub fn meaning(&self) -> String {
        self.description().replace('\n', " ")
    }

    /// Whether it must be there.
    pub fn is_required(&self) -> bool {
        self.default.is_none() && !self.syntax.is_optional
    }
}

/// The lines of a comment, without the blank that each begins with.
fn lines(comment: &str) -> String {
    let lines: Vec<&str> = comment.lines().map(str::trim).collect();
    lines.join("\n")
}

/// Declares the keys of a table, and the struct with what they mean. Each key has a comment, which the
/// reference is made from, the kind of its values, a default unless it may or must be left out, and an
/// example, both as TOML.
macro_rules! table {
    (@toml) => { None };
    (@toml $value:tt) => { Some(stringify!($value)) };
    (
        #[doc = $about:literal]
        $table:ident:
        $($(#[doc = $comment:literal])* $key:ident: $kind:ty $(= $default:tt)?, example $example:tt;)*
    ) => {
        #[doc = $about]
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $table {$(
            $(#[doc = $comment])*
            pub $key: <$kind as $crate::config::value::ValueKind>::Resolved,
        )*}

        impl $table {
            /// What the table is about.
            pub const ABOUT: &'static str = $about;

            /// The keys, in the order of the reference.
            pub const KEYS: &'static [$crate::config::table::Key] = &[$($crate::config::table::Key {
                name: stringify!($key),
                comment: concat!($($comment, "\n"),*),
                syntax: <$kind as $crate::config::value::ValueKind>::SYNTAX,
                default: $crate::config::table::table!(@toml $($default)?),
                example: stringify!($example),
                check: <$kind as $crate::config::value::ValueKind>::check,
            }),*];

            /// What a section means, where what it does not say is as in `base`, or else the default; `None` where a key
            /// that must be there is missing or wrong.
            pub fn read(
                section: &$crate::config::section::Section<'_>,
                base: Option<&Self>,
                findings: &mut $crate::config::findings::Findings<'_>,
            ) -> Option<Self> {
                $(let $key = match base {
                    Some(base) if !section.values.contains_key(stringify!($key)) => Some(Clone::clone(&base.$key)),
                    _ => findings.sound(section.get::<$kind>(
                        stringify!($key),
                        $crate::config::table::table!(@toml $($default)?),
                    )),
                };)*
                Some(Self { $($key: $key?),* })
            }

            /// Writes a line for each key; those that are not there become comments.
            pub fn show(&self, absent: &str, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $($crate::config::table::show(
                    stringify!($key),
                    <$kind as $crate::config::value::ValueKind>::show(&self.$key),
                    absent,
                    out,
                )?;)*
                Ok(())
            }
        }
    };
}
pub(super) use table;

/// Writes the line of a key. TOML has no word for nothing: without a value the line is a comment.
pub(super) fn show(
    key: &str,
    value: Option<toml::Value>,
    absent: &str,
    out: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match value {
        Some(value) => writeln!(out, "{key} = {value}"),
        None => writeln!(out, "# {key}: {absent}"),
    }
}
