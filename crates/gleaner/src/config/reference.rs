//! The reference of the configuration: its JSON Schema, and `docs/reference/configuration.md`. Both are
//! generated from the declarations in [`super::keys`].

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::keys::TABLES;
use super::table::{Key, Table};
use super::value::Syntax;

/// The text before the list of keys.
const PREFACE: &str = include_str!("../../assets/configuration.md");

/// The JSON Schema of the configuration file.
pub fn schema() -> Value {
    let tables = TABLES
        .iter()
        .map(|table| (table.name.to_owned(), table_schema(table)));
    let required = TABLES
        .iter()
        .filter(|table| table.keys().any(Key::is_required))
        .map(|table| table.name);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gleaner.toml",
        "description": "The configuration of gleaner.",
        "type": "object",
        "additionalProperties": false,
        "required": required.collect::<Vec<_>>(),
        "properties": tables.collect::<Map<_, _>>(),
    })
}

fn table_schema(table: &Table) -> Value {
    let required = table.known().filter(|key| key.is_required());
    let required: Vec<&str> = required.map(|key| key.name).collect();
    let keys = table.known().map(|key| (key.name.to_owned(), key_schema(key)));
    let description: Value = table.description().into();
    let schema = [
        ("type", Some("object".into())),
        ("description", (!table.is_list()).then(|| description.clone())),
        ("additionalProperties", Some(false.into())),
        ("required", (!required.is_empty()).then(|| required.into())),
        ("properties", Some(keys.collect::<Map<_, _>>().into())),
    ];
    if table.is_list() {
        json!({ "type": "array", "description": description, "minItems": 1, "items": object(schema) })
    } else {
        object(schema)
    }
}

fn key_schema(key: &Key) -> Value {
    let Syntax {
        title,
        types,
        choices,
        range,
        ..
    } = key.syntax;
    // The TOML of defaults and examples is valid JSON too.
    let json = |toml: &str| -> Value { serde_json::from_str(toml).unwrap_or_default() };
    let kind = match types {
        [only] => json!(only),
        several => json!(several),
    };
    object([
        ("title", Some(title.into())),
        ("description", Some(key.description().into())),
        ("type", Some(kind)),
        (
            "items",
            types.contains(&"array").then(|| json!({ "type": "string" })),
        ),
        (
            "enum",
            (!choices.is_empty()).then(|| choices.iter().map(|word| json(word)).collect()),
        ),
        ("minimum", range.map(|(min, _)| min.into())),
        ("maximum", range.map(|(_, max)| max.into())),
        ("default", key.default.map(json)),
        ("examples", Some([json(key.example)].into())),
    ])
}

/// A JSON object of the members that have a value.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let present = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(present.collect())
}

/// `docs/reference/configuration.md`.
pub fn markdown() -> String {
    let mut out = PREFACE.to_owned();
    for table in &TABLES {
        // Writing to a string cannot fail.
        write_table(table, &mut out).unwrap_or_default();
    }
    out
}

fn write_table(table: &Table, out: &mut String) -> std::fmt::Result {
    write!(out, "\n## `{}`\n\n{}\n", table.heading, table.description())?;
    for key in table.keys() {
        let name = key.name;
        let choices: Vec<String> = key
            .syntax
            .choices
            .iter()
            .map(|word| format!("`{word}`"))
            .collect();
        let kind = if choices.is_empty() {
            key.syntax.title.to_owned()
        } else {
            format!("one of {}", choices.join(", "))
        };
        let default = match key.default {
            Some(default) => format!("`{default}`"),
            None if key.is_required() => "none; required".to_owned(),
            None => "not set".to_owned(),
        };
        let (description, example) = (key.description(), key.example);
        write!(out, "\n### `{name}`\n\n{description}\n\n")?;
        write!(
            out,
            "- Type: {kind}\n- Default: {default}\n- Example: `{name} = {example}`\n"
        )?;
    }
    Ok(())
}
