//! A value of the file: what kind it is of, what it may look like, and what it means.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::findings::{Faults, Finding};

/// A kind of value: what it looks like, what it means, and how that is written again.
pub trait ValueKind {
    /// What a value of this kind means.
    type Resolved;

    /// What it looks like.
    const SYNTAX: Syntax;

    /// What it means.
    fn read(raw: &RawValue<'_>) -> Result<Self::Resolved, Faults>;

    /// What is wrong with it, before it is known for which device it is.
    fn check(raw: &RawValue<'_>) -> Result<(), Faults> {
        Self::read(raw).map(drop)
    }

    /// What it means that the key is not there; `None` where the key must be there.
    fn absent() -> Option<Self::Resolved> {
        None
    }

    /// The value as TOML, so that it reads back as the same; `None` where nothing is to be shown.
    fn show(_value: &Self::Resolved) -> Option<toml::Value> {
        None
    }
}

/// A key that may be left out.
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

/// What the values of a kind look like.
#[derive(Debug, Clone, Copy)]
pub struct Syntax {
    /// What they are called in the reference.
    pub title: &'static str,
    /// The same for messages, after "must be".
    pub expected: &'static str,
    /// Their types, as JSON Schema calls them.
    pub types: &'static [&'static str],
    /// All of them as TOML, where there are only a few.
    pub choices: &'static [&'static str],
    /// The least and the greatest, where they are numbers.
    pub range: Option<(usize, usize)>,
    /// Whether the key may be left out although it has no default.
    pub is_optional: bool,
}

impl Syntax {
    /// Text without a form of its own.
    pub const TEXT: Self = Self::text("text", "text in quotes");

    /// A text or a list of them.
    pub const LIST: Self = Self {
        types: &["string", "array"],
        ..Self::text("text or list of texts", "text in quotes, or a list of texts")
    };

    /// Text of a certain form.
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

    /// The value as text, or why it is not of this form, in words that fit after the name of the key.
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
            DeValue::Boolean(switch) => ("switch", "boolean", switch.to_string().into()),
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

/// What the meaning of a value may depend on.
#[derive(Debug, Clone, Copy, Default)]
pub struct ValueContext<'c> {
    /// The configuration file, beside which a relative path was probably meant.
    pub file: Option<&'c Path>,
    /// The id of the device.
    pub id: Option<u32>,
}

/// A value of the right type, as it is written.
#[derive(Debug)]
pub struct RawValue<'w> {
    /// The key.
    pub key: &'w str,
    /// Where the value stands.
    pub span: Range<usize>,
    /// What its meaning may depend on.
    pub context: ValueContext<'w>,
    texts: Vec<(Cow<'w, str>, Range<usize>)>,
}

impl<'w> RawValue<'w> {
    /// The value, or the place of what is not of the form, and words that fit after the name of the key.
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

    /// The text, if the value is no list.
    pub fn text(&self) -> &str {
        self.texts
            .first()
            .map(|(text, _)| text.as_ref())
            .unwrap_or_default()
    }

    /// Each text, if the value is a list, and its place.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &Range<usize>)> {
        self.texts.iter().map(|(text, span)| (text.as_ref(), span))
    }

    /// What is wrong with the value, in words that fit between the key and the value.
    pub fn fault(&self, problem: &str) -> Finding {
        self.fault_at(&self.span, &format!("{problem}: {}", quoted(self.text())))
    }

    /// What is wrong with the value or a part of it, in words that fit after the key.
    pub fn fault_at(&self, span: &Range<usize>, problem: &str) -> Finding {
        Finding::error(span.clone(), format!("`{}` {problem}", self.key))
    }
}

/// What was written, as it may be shown in a message.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", model::escaped(text.as_bytes()))
}
