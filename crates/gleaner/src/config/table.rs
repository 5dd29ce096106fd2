//! Declares the tables of the configuration: each key once, with everything about it.

use std::fmt;

use super::findings::Faults;
use super::value::{RawValue, Syntax};

/// A table of the configuration.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its heading: `[store]`, `[[device]]`.
    pub heading: &'static str,
    /// Its description.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [&'static [Key]],
    /// Keys of another table that are allowed here too.
    pub shared: &'static [&'static [Key]],
}

impl Table {
    /// A table that shares no keys.
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

    /// Every key that is allowed here.
    pub fn known(&self) -> impl Iterator<Item = &'static Key> + Clone {
        self.keys().chain(self.shared.iter().copied().flatten())
    }

    /// Whether the file may contain several of it.
    pub fn is_list(&self) -> bool {
        self.heading.starts_with("[[")
    }

    /// Its description, in lines.
    pub fn description(&self) -> String {
        lines(self.about)
    }

    /// Its description, without line breaks.
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
    /// The syntax of its values.
    pub syntax: Syntax,
    /// The default, as TOML.
    pub default: Option<&'static str>,
    /// A value other than the default, as TOML.
    pub example: &'static str,
    /// Checks a value.
    pub check: fn(&RawValue<'_>) -> Result<(), Faults>,
}

impl Key {
    /// Its description, in the lines of the comment.
    pub fn description(&self) -> String {
        lines(self.comment)
    }

    /// Its description, without line breaks.
    pub fn meaning(&self) -> String {
        self.description().replace('\n', " ")
    }

    /// Whether it is required.
    pub fn is_required(&self) -> bool {
        self.default.is_none() && !self.syntax.is_optional
    }
}

/// The lines of a comment, without the leading blank.
fn lines(comment: &str) -> String {
    let lines: Vec<&str> = comment.lines().map(str::trim).collect();
    lines.join("\n")
}

/// Declares the keys of a table, and the struct of the resolved values. Each key has a comment (the reference
/// is generated from it), the kind of its values, a default unless it is optional or required, and an
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

            /// Resolves a section. Absent keys come from `base`, otherwise from the default. `None` if a
            /// required key is missing or a key is invalid.
            pub fn read(
                section: &$crate::config::section::Section<'_>,
                base: Option<&Self>,
                findings: &mut $crate::config::findings::Findings<'_>,
            ) -> Option<Self> {
                $(let $key = match base {
                    Some(base) if !section.values.contains_key(stringify!($key)) => Some(Clone::clone(&base.$key)),
                    _ => findings.accept(section.get::<$kind>(
                        stringify!($key),
                        $crate::config::table::table!(@toml $($default)?),
                    )),
                };)*
                Some(Self { $($key: $key?),* })
            }

            /// Writes a line for each key; keys without a value become comments.
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

/// Writes the line of a key. TOML has no null: without a value the line is a comment.
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
