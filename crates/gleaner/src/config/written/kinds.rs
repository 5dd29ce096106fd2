//! The kinds of values that a configuration is written with: text of a certain form, a number, a list.

use std::fmt;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value and the bytes of the file that it stands at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Range<usize>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = toml::Spanned::<T>::deserialize(deserializer)?;
        let span = spanned.span();
        let value = spanned.into_inner();
        Ok(Self { value, span })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Declares kinds that are text; numbers and switches, where admitted, become text as well.
macro_rules! text_kinds {
    ($($(#[$doc:meta])* $name:ident = $title:literal, $expected:literal, numbers: $numbers:literal, switches: $switches:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(pub String);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let reader = ScalarReader { expected: $expected, text: true, numbers: $numbers, switches: $switches };
                deserializer.deserialize_any(reader).map(Self)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                $title.into()
            }

            fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
                match ($numbers, $switches) {
                    (true, _) => json_schema!({ "title": $title, "type": ["string", "integer"] }),
                    (_, true) => json_schema!({ "title": $title, "type": ["string", "boolean"] }),
                    _ => json_schema!({ "title": $title, "type": "string" }),
                }
            }
        }
    )*};
}

text_kinds! {
    /// Text of no particular form.
    Text = "text", "text in quotes", numbers: false, switches: false;
    /// A path on this machine.
    LocalPath = "path", "a path in quotes", numbers: false, switches: false;
    /// A span of time.
    DurationText = "duration", "a duration in quotes, such as \"30s\" or \"10m\"", numbers: false, switches: false;
    /// A number of bytes.
    SizeText = "size", "a size in quotes, such as \"1 GiB\"", numbers: true, switches: false;
    /// Bytes per second.
    RateText = "rate", "a rate in quotes, such as \"2 MiB/s\", or \"off\"", numbers: false, switches: false;
    /// Permissions of a file or folder.
    ModeText = "mode", "permissions as octal digits in quotes, such as \"0640\"", numbers: false, switches: false;
    /// Text with the id of the device in it.
    TemplateText = "text with {id}", "text in quotes", numbers: false, switches: false;
    /// A port number, or an expression of the id.
    PortText = "port", "a number, or an expression in quotes such as \"{id+5000}\"", numbers: true, switches: false;
    /// Numbers and ranges.
    IdsText = "ids", "ranges and numbers in quotes, such as \"1-30, 34, 35\"", numbers: true, switches: false;
    /// When to compress.
    CompressText = "compression", "\"auto\", \"always\" or \"never\"", numbers: false, switches: true;
}

/// A whole number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number(pub String);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (expected, numbers) = ("a whole number without quotes, such as 16", true);
        let reader = ScalarReader {
            expected,
            text: false,
            numbers,
            switches: false,
        };
        deserializer.deserialize_any(reader).map(Self)
    }
}

impl JsonSchema for Number {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "number".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "title": "number", "type": "integer" })
    }
}

/// Yes or no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch(pub bool);

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (expected, switches) = ("true or false, without quotes", true);
        let reader = ScalarReader {
            expected,
            text: false,
            numbers: false,
            switches,
        };
        Ok(Self(deserializer.deserialize_any(reader)? == "true"))
    }
}

impl JsonSchema for Switch {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "switch".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "title": "true or false", "type": "boolean" })
    }
}

/// One text, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMany(pub Vec<At<Text>>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A single text has no place of its own here: that of the whole value stands for it.
        let one_at = |text| {
            vec![At {
                value: Text(text),
                span: 0..0,
            }]
        };
        match deserializer.deserialize_any(ListReader)? {
            Listed::One(text) => Ok(Self(one_at(text))),
            Listed::Many(texts) => Ok(Self(texts)),
        }
    }
}

impl JsonSchema for OneOrMany {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "texts".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "text or list of texts",
            "type": ["string", "array"],
            "items": { "type": "string" }
        })
    }
}

impl At<OneOrMany> {
    /// Each text with its place.
    pub fn texts(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        self.value.0.iter().map(|text| {
            let span = if text.span.is_empty() {
                self.span.clone()
            } else {
                text.span.clone()
            };
            (text.value.0.as_str(), span)
        })
    }
}

/// Reads a scalar as text and refuses everything else in words that fit after the name of a key.
struct ScalarReader {
    expected: &'static str,
    text: bool,
    numbers: bool,
    switches: bool,
}

impl ScalarReader {
    fn admit<E: Error>(&self, admitted: bool, value: &dyn fmt::Display, what: &str) -> Result<String, E> {
        if admitted {
            Ok(value.to_string())
        } else {
            Err(E::custom(format_args!(
                "is the {what} {value}, but must be {}",
                self.expected
            )))
        }
    }
}

impl<'de> Visitor<'de> for ScalarReader {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        if self.text {
            Ok(text.to_owned())
        } else {
            let shown = format!("\"{}\"", model::escaped(text.as_bytes()));
            self.admit(false, &shown, "text")
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
        self.admit(self.numbers, &number, "number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
        self.admit(self.numbers, &number, "number")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<String, E> {
        self.admit(false, &number, "number")
    }

    fn visit_bool<E: Error>(self, switch: bool) -> Result<String, E> {
        self.admit(self.switches, &switch, "switch")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _list: A) -> Result<String, A::Error> {
        Err(A::Error::custom(format_args!(
            "is a list, but must be {}",
            self.expected
        )))
    }

    fn visit_map<A: MapAccess<'de>>(self, _table: A) -> Result<String, A::Error> {
        Err(A::Error::custom(format_args!(
            "is a table or a date, but must be {}",
            self.expected
        )))
    }
}

enum Listed {
    One(String),
    Many(Vec<At<Text>>),
}

const LIST: &str = "text in quotes, or a list of texts";

/// Reads one text or a list of them.
struct ListReader;

impl<'de> Visitor<'de> for ListReader {
    type Value = Listed;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(LIST)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Listed, E> {
        Ok(Listed::One(text.to_owned()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Listed, E> {
        Err(E::custom(format_args!(
            "is the number {number}, but must be {LIST}"
        )))
    }

    fn visit_bool<E: Error>(self, switch: bool) -> Result<Listed, E> {
        Err(E::custom(format_args!(
            "is the switch {switch}, but must be {LIST}"
        )))
    }

    fn visit_map<A: MapAccess<'de>>(self, _table: A) -> Result<Listed, A::Error> {
        Err(A::Error::custom(format_args!(
            "is a table or a date, but must be {LIST}"
        )))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Listed, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element()? {
            texts.push(text);
        }
        Ok(Listed::Many(texts))
    }
}
