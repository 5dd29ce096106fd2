//! The configuration described: its JSON Schema, and the list of keys from which `docs/reference/configuration.md` and
//! the manual page gleaner.toml(5) are made. Everything comes from the types in [`super::written`] and their comments.

use std::fmt::Write as _;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use serde_json::{Map, Value};

use super::written::File;

/// What precedes the list of keys.
const PREFACE: &str = include_str!("../../assets/configuration.md");

/// The JSON Schema of the configuration file.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<File>();
    RecursiveTransform(without_null).transform(&mut schema);
    schema.to_value()
}

/// TOML has no null: a key that may be left out is simply not required.
fn without_null(schema: &mut Schema) {
    let Some(Value::Array(types)) = schema.get_mut("type") else {
        return;
    };
    types.retain(|kind| kind != "null");
    if let [only] = types.as_slice() {
        let only = only.clone();
        schema.insert("type".to_owned(), only);
    }
}

/// A table of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// As it is written: `[store]`, `[[device]]`.
    pub heading: String,
    /// What it is about.
    pub meaning: String,
    /// Its keys; for `[[device]]`, only those that `[defaults]` does not have.
    pub keys: Vec<Key>,
}

/// A key of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// What kind of value it takes.
    pub kind: String,
    /// The words that it takes, where there are only a few; as TOML.
    pub words: Vec<String>,
    /// The default; as TOML.
    pub default: Option<String>,
    /// Whether it must be there.
    pub required: bool,
    /// What it means.
    pub meaning: String,
    /// A value other than the default; as TOML.
    pub example: Option<String>,
}

/// Every table with its keys, in the order in which the types declare them.
pub fn tables() -> Vec<Table> {
    let schema = schema();
    let properties = |value: &Value| {
        value
            .get("properties")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    };
    let tables = properties(&schema);
    let shared: Vec<String> = tables
        .get("defaults")
        .map(properties)
        .unwrap_or_default()
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    let order = ["store", "ledger", "ssh", "fleet", "defaults", "device"];
    let described = order.iter().filter_map(|name| {
        let table = tables.get(*name)?;
        let (heading, inner) = match table.get("items") {
            Some(inner) => (format!("[[{name}]]"), inner),
            None => (format!("[{name}]"), table),
        };
        let required = inner
            .get("required")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let own = |(name_of_key, _): &(String, Value)| *name != "device" || !shared.contains(name_of_key);
        let keys = properties(inner).into_iter().filter(own);
        let mut keys: Vec<Key> = keys
            .filter_map(|(name, key)| describe(name, key.as_object()?, &required))
            .collect();
        let declared = super::reading::declared_keys(name);
        keys.sort_by_key(|key| declared.iter().position(|known| *known == key.name));
        Some(Table {
            heading,
            meaning: text(table.get("description")),
            keys,
        })
    });
    described.collect()
}

fn describe(name: String, key: &Map<String, Value>, required: &[Value]) -> Option<Key> {
    let as_toml = |value: &Value| toml::Value::try_from(value).map(|value| value.to_string()).ok();
    let words = key
        .get("enum")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let examples = key.get("examples").and_then(Value::as_array);
    Some(Key {
        required: required.iter().any(|required| *required == name),
        kind: text(key.get("title")),
        words: words.iter().filter_map(as_toml).collect(),
        default: key.get("default").and_then(as_toml),
        meaning: text(key.get("description")),
        example: as_toml(examples?.first()?),
        name,
    })
}

/// The text of a comment, with its line breaks taken out.
fn text(value: Option<&Value>) -> String {
    value
        .and_then(Value::as_str)
        .unwrap_or_default()
        .replace('\n', " ")
}

/// `docs/reference/configuration.md`.
pub fn markdown() -> String {
    let mut out = PREFACE.to_owned();
    for table in tables() {
        push(
            &mut out,
            format_args!("\n## `{}`\n\n{}\n", table.heading, table.meaning),
        );
        for key in table.keys {
            push(
                &mut out,
                format_args!("\n### `{}`\n\n{}\n\n", key.name, key.meaning),
            );
            let kind = if key.words.is_empty() {
                key.kind.clone()
            } else {
                let words: Vec<String> = key.words.iter().map(|word| format!("`{word}`")).collect();
                format!("one of {}", words.join(", "))
            };
            let default = match (&key.default, key.required) {
                (Some(default), _) => format!("`{default}`"),
                (None, true) => "none; it must be there".to_owned(),
                (None, false) => "not set".to_owned(),
            };
            push(&mut out, format_args!("- Type: {kind}\n- Default: {default}\n"));
            if let Some(example) = &key.example {
                push(&mut out, format_args!("- Example: `{} = {example}`\n", key.name));
            }
        }
    }
    out
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    text.write_fmt(arguments).unwrap_or_default();
}
