//! Reads gleaner's JSON: the one place to adapt when its form changes. It reads only the fields that a
//! promise is about.

use std::path::PathBuf;

use serde_json::Value;

use crate::context::Fleet;
use crate::outcome::Outcome;
use crate::recording;

impl Outcome {
    /// Standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON: {error}\n{}", self.transcript()))
    }

    /// Standard output as one JSON value per line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let text = self.out();
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let parse =
            |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON: {error}: {line}"));
        lines.map(parse).collect()
    }
}

/// A line of `files --json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileRow {
    pub(crate) device: String,
    pub(crate) path: String,
    pub(crate) store_name: String,
    /// `path` and `store_name` as they are, not escaped.
    pub(crate) original: PathBuf,
    pub(crate) stored_as: PathBuf,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    pub(crate) state: String,
    pub(crate) released: bool,
}

impl Fleet {
    /// The record, one row for each file.
    #[track_caller]
    pub(crate) fn files(&self) -> Vec<FileRow> {
        self.gleaner(["files", "--json"])
            .exits(0)
            .json_lines()
            .iter()
            .map(row)
            .collect()
    }

    /// The entry of a device in `status --json`.
    #[track_caller]
    pub(crate) fn status_of(&self, device: &str) -> Value {
        let outcome = self.gleaner(["status", "--json"]).exits(0);
        let document = outcome.json();
        let devices = document.get("devices").and_then(Value::as_array);
        let found = devices.and_then(|devices| devices.iter().find(|value| value["name"] == device));
        found
            .cloned()
            .unwrap_or_else(|| panic!("no status of {device}\n{}", outcome.transcript()))
    }

    /// The failure class of the last pass over the device.
    #[track_caller]
    pub(crate) fn class_of(&self, device: &str) -> Option<String> {
        let status = self.status_of(device);
        status["last_outcome"]["class"].as_str().map(str::to_owned)
    }

    /// Asserts that the status lists the file as waiting for this reason.
    #[track_caller]
    pub(crate) fn assert_waits(&self, device: &str, path: &str, reason: &str) {
        self.assert_reason(device, path, reason);
    }

    /// Asserts that the status lists the file as left for this reason.
    #[track_caller]
    pub(crate) fn assert_left(&self, device: &str, path: &str, reason: &str) {
        self.assert_reason(device, path, reason);
    }

    #[track_caller]
    fn assert_reason(&self, device: &str, path: &str, reason: &str) {
        let status = self.status_of(device);
        let mut entries = Vec::new();
        objects_with(&status, "path", &mut entries);
        let found = entries
            .iter()
            .any(|entry| entry["path"] == path && entry["reason"] == reason);
        assert!(
            found,
            "{path} of {device} is not said to be {reason}:\n{status:#}"
        );
    }
}

#[track_caller]
fn row(value: &Value) -> FileRow {
    let text = |key: &str| {
        let found = value.get(key).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no {key} in {value}")).to_owned()
    };
    FileRow {
        device: text("device"),
        path: text("path"),
        store_name: text("store_name"),
        original: exact_name(value, "path"),
        stored_as: exact_name(value, "store_name"),
        size: value["size"]
            .as_u64()
            .unwrap_or_else(|| panic!("no size in {value}")),
        sha256: text("sha256"),
        state: text("state"),
        released: value.get("released_at").is_some_and(|time| !time.is_null()),
    }
}

/// A name of any bytes: from its hexadecimal field if its text is escaped.
fn exact_name(value: &Value, key: &str) -> PathBuf {
    let digits = value.get(format!("{key}_bytes")).and_then(Value::as_str);
    let Some(digits) = digits else {
        return PathBuf::from(value[key].as_str().expect("a name"));
    };
    let byte = |position: usize| u8::from_str_radix(&digits[position..position + 2], 16).expect("digits");
    recording::path((0..digits.len()).step_by(2).map(byte).collect::<Vec<u8>>())
}

/// Collects all objects, at any depth, that have the key.
fn objects_with<'value>(value: &'value Value, key: &str, found: &mut Vec<&'value Value>) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key(key) {
                found.push(value);
            }
            fields.values().for_each(|field| objects_with(field, key, found));
        }
        Value::Array(items) => items.iter().for_each(|item| objects_with(item, key, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
