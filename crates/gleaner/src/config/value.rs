//! A value of the file: its kind, its syntax, and how it is resolved.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::findings::{Faults, Finding};

/// A kind of value: its syntax, how it is resolved, and how it is written back.
pub trait ValueKind {
    /// The type that a value of this kind resolves to.
    type Resolved;

    /// The syntax of the raw value.
    const SYNTAX: Syntax;

    /// Resolves a raw value.
    fn read(raw: &RawValue<'_>) -> Result<Self::Resolved, Faults>;

    /// Checks a raw value before the device it belongs to is known.
    fn check(raw: &RawValue<'_>) -> Result<(), Faults> {
        Self::read(raw).map(drop)
    }

    /// The value of an absent key; `None` if the key is required.
    fn absent() -> Option<Self::Resolved> {
        None
    }

    /// The value as TOML that resolves to the same value; `None` if there is nothing to show.
    fn show(_value: &Self::Resolved) -> Option<toml::Value> {
        None
    }
}

/// An optional key.
impl<K: ValueKind> ValueKind for Option<K> {
    type Resolved = Option<K::Resolved>;

    const SYNTAX: Syntax = Syntax {
        is_optional: true,
        ..K::SYNTAX
    };

    fn read(raw: &RawValue<'_>) -> Result<Self::Resolved, Faults> {
        K::read(raw).map(Some)
    }

    fn check(raw: &RawValue<'_>) -> Result<(), Faults> {
        K::check(raw)
    }

    fn absent() -> Option<Self::Resolved> {
        Some(None)
    }

    fn show(value: &Self::Resolved) -> Option<toml::Value> {
        value.as_ref().and_then(K::show)
    }
}

/// The syntax of a kind of values.
#[derive(Debug, Clone, Copy)]
pub struct Syntax {
    /// Its name in the reference.
    pub title: &'static str,
    /// Its description in messages, after "must be".
    pub expected: &'static str,
    /// The types of JSON Schema that it allows.
    pub types: &'static [&'static str],
    /// All values as TOML, if there are only a few.
    pub choices: &'static [&'static str],
    /// The smallest and the largest number, for numbers.
    pub range: Option<(usize, usize)>,
    /// Whether the key is optional although it has no default.
    pub is_optional: bool,
}

impl Syntax {
    /// Free text.
    pub const TEXT: Self = Self::text("text", "text in quotes");

    /// One text or a list of texts.
    pub const LIST: Self = Self {
        types: &["string", "array"],
        ..Self::text("text or list of texts", "text in quotes, or a list of texts")
    };

    /// Text with a syntax of its own.
    pub const fn text(title: &'static str, expected: &'static str) -> Self {
        Self {
            title,
            expected,
            types: &["string"],
            choices: &[],
            range: None,
            is_optional: false,
        }
    }

    /// The value as text, or why it does not match: a phrase that follows the name of the key.
    fn scalar<'v>(&self, value: &'v DeValue<'_>) -> Result<Cow<'v, str>, String> {
        let (what, kind, text) = match value {
            DeValue::String(text) => ("text", "string", Cow::Borrowed(text.as_ref())),
            DeValue::Integer(number) => {
                let decimal = i128::from_str_radix(number.as_str(), number.radix());
                let text = decimal.map_or_else(|_| number.to_string(), |number| number.to_string());
                ("number", "integer", text.into())
            }
            DeValue::Float(number) => {
                let decimal = number.as_str().parse().map(|number: f64| number.to_string());
                ("number", "number", decimal.unwrap_or_default().into())
            }
            DeValue::Boolean(value) => ("boolean", "boolean", value.to_string().into()),
            DeValue::Array(_) => return Err(format!("is a list, but must be {}", self.expected)),
            DeValue::Datetime(_) | DeValue::Table(_) => {
                return Err(format!("is a table or a date, but must be {}", self.expected));
            }
        };
        if self.types.contains(&kind) {
            return Ok(text);
        }
        let shown = if kind == "string" {
            quoted(&text)
        } else {
            text.into_owned()
        };
        Err(format!("is the {what} {shown}, but must be {}", self.expected))
    }
}

/// The context that a value is resolved in.
#[derive(Debug, Clone, Copy, Default)]
pub struct ValueContext<'c> {
    /// The configuration file; suggestions for relative paths are made relative to it.
    pub file: Option<&'c Path>,
    /// The id of the device.
    pub id: Option<u32>,
}

/// A raw value of the right type.
#[derive(Debug)]
pub struct RawValue<'w> {
    /// The key.
    pub key: &'w str,
    /// The position of the value in the file.
    pub span: Range<usize>,
    /// The context that it is resolved in.
    pub context: ValueContext<'w>,
    texts: Vec<(Cow<'w, str>, Range<usize>)>,
}

impl<'w> RawValue<'w> {
    /// The value, or the position of the part that does not match and a phrase that follows the name of the
    /// key.
    pub fn new(
        key: &'w str,
        syntax: &Syntax,
        value: &'w Spanned<DeValue<'_>>,
        context: ValueContext<'w>,
    ) -> Result<Self, (Range<usize>, String)> {
        let text = |syntax: &Syntax, value: &'w Spanned<DeValue<'_>>| match syntax.scalar(value.get_ref()) {
            Ok(text) => Ok((text, value.span())),
            Err(problem) => Err((value.span(), problem)),
        };
        let texts = match value.get_ref() {
            DeValue::Array(list) if syntax.types.contains(&"array") => {
                list.iter().map(|value| text(&Syntax::TEXT, value)).collect()
            }
            _ => text(syntax, value).map(|one| vec![one]),
        };
        Ok(Self {
            key,
            span: value.span(),
            context,
            texts: texts?,
        })
    }

    /// The text, or the first text of a list.
    pub fn text(&self) -> &str {
        self.texts
            .first()
            .map(|(text, _)| text.as_ref())
            .unwrap_or_default()
    }

    /// Each text of a list, or the only text, with its position.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &Range<usize>)> {
        self.texts.iter().map(|(text, span)| (text.as_ref(), span))
    }

    /// An error about the value. The phrase goes between the key and the value.
    pub fn fault(&self, problem: &str) -> Finding {
        self.fault_at(&self.span, &format!("{problem}: {}", quoted(self.text())))
    }

    /// An error about the value or a part of it. The phrase follows the key.
    pub fn fault_at(&self, span: &Range<usize>, problem: &str) -> Finding {
        Finding::error(span.clone(), format!("`{}` {problem}", self.key))
    }
}

/// The text in quotes, escaped for a message.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", model::escaped(text.as_bytes()))
}
