//! Reads the tables of a configuration file key by key, and reports every unknown key and every invalid
//! value, not only the first.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::findings::{Finding, Findings};
use super::keys::{DEFAULTS, DEVICE, TABLES};
use super::section::Section;
use super::suggest;
use super::table::Table;
use super::value::{RawValue, ValueContext};

/// The tables of a file.
#[derive(Debug, Default)]
pub(super) struct File<'d> {
    tables: BTreeMap<&'static str, Section<'d>>,
    /// Every `[[device]]` section.
    pub(super) devices: Vec<Section<'d>>,
}

impl<'d> File<'d> {
    /// The table of that name; empty if the file has none.
    pub(super) fn table(&mut self, name: &'static str) -> &mut Section<'d> {
        self.tables.entry(name).or_default()
    }
}

/// Reports one error per line: later errors on a line mostly come from the parser recovering.
pub(super) fn report_syntax(text: &str, errors: &[toml::de::Error], findings: &mut Findings<'_>) {
    let mut last_line = None;
    for error in errors {
        let span = error.span();
        let line = span.as_ref().map(|span| findings.line(span));
        if line.is_none() || line != last_line {
            let message = error.message().trim_end();
            let what = span.clone().and_then(|span| text.get(span));
            match what {
                Some(key) if message == "duplicate key" => {
                    let text = format!("`{}` appears twice", model::escaped(key.as_bytes()));
                    findings.add(Finding::error(span, text).help("remove one of them"));
                }
                _ => findings.add(Finding::error(span, message)),
            }
        }
        last_line = line;
    }
}

/// Reads the tables.
pub(super) fn read<'d>(
    document: &'d DeTable<'d>,
    context: ValueContext<'d>,
    findings: &mut Findings<'_>,
) -> File<'d> {
    let mut file = File::default();
    for (name, value) in document {
        let known = TABLES.into_iter().find(|table| table.name == *name.get_ref());
        let Some(table) = known else {
            report_unknown_table(name, &mut file, findings);
            continue;
        };
        let section = file.table(table.name);
        section.context = context;
        let what = value.get_ref().type_str();
        match value.get_ref() {
            DeValue::Array(list) if table.is_list() => {
                let devices = list.iter().map(|value| device(value, context, findings));
                file.devices = devices.collect();
            }
            _ if table.is_list() => {
                section.is_invalid = true;
                let text = format!("`device` is a {what}, but must be a list of tables");
                let remedy = "write `[[device]]`, with two brackets, above each device";
                findings.add(Finding::error(name.span(), text).help(remedy));
            }
            DeValue::Table(keys) => read_keys(keys, &table, section, findings),
            _ => {
                section.is_invalid = true;
                let text = format!("{} is a {what}, but must be a table", table.heading);
                findings.add(Finding::error(value.span(), text));
            }
        }
    }
    file
}

fn device<'d>(
    value: &'d Spanned<DeValue<'d>>,
    context: ValueContext<'d>,
    findings: &mut Findings<'_>,
) -> Section<'d> {
    let span = value.span();
    let mut section = Section {
        context,
        span: span.clone(),
        ..Section::default()
    };
    if let DeValue::Table(keys) = value.get_ref() {
        read_keys(keys, &DEVICE, &mut section, findings);
    } else {
        let remedy = "write `[[device]]` above each device, and below it one line for each key";
        findings.add(Finding::error(span, "a device is a table").help(remedy));
        section.is_invalid = true;
    }
    section
}

/// Adds known keys with valid values to the section, and reports the others.
fn read_keys<'d>(
    keys: &'d DeTable<'d>,
    table: &Table,
    section: &mut Section<'d>,
    findings: &mut Findings<'_>,
) {
    for (name, value) in keys {
        let Some(key) = table.known().find(|key| key.name == *name.get_ref()) else {
            let similar = report_unknown_key(name, table, findings);
            section.invalid.extend(similar);
            continue;
        };
        let checked = match RawValue::new(key.name, &key.syntax, value, section.context) {
            Ok(raw) => (key.check)(&raw),
            Err((span, problem)) => {
                let text = format!("`{}` in {} {problem}", key.name, table.heading);
                Err(Finding::error(span, text).into())
            }
        };
        if findings.accept(checked).is_some() {
            section.values.insert(key.name, value);
        } else {
            section.invalid.insert(key.name);
        }
    }
}

type KeyName<'d> = Spanned<std::borrow::Cow<'d, str>>;

/// Reports an unknown key. Returns the known key with the most similar name.
fn report_unknown_key(
    name: &KeyName<'_>,
    table: &Table,
    findings: &mut Findings<'_>,
) -> Option<&'static str> {
    let names = || table.known().map(|key| key.name);
    let similar = suggest::nearest(name.get_ref(), names());
    let shown = model::escaped(name.get_ref().as_bytes());
    let finding = Finding::error(name.span(), format!("unknown key `{shown}` in {}", table.heading));
    let hint = match (similar, table_of(name.get_ref())) {
        (Some(similar), _) => format!("did you mean `{similar}`? "),
        (None, Some(table)) => format!("`{shown}` belongs in {table}; "),
        (None, None) => String::new(),
    };
    let all: Vec<String> = names().map(|name| format!("`{name}`")).collect();
    findings.add(finding.help(format!("{hint}known keys here: {}", all.join(", "))));
    similar
}

fn report_unknown_table(name: &KeyName<'_>, file: &mut File<'_>, findings: &mut Findings<'_>) {
    let shown = model::escaped(name.get_ref().as_bytes());
    let names = TABLES.iter().map(|table| table.name);
    let similar = suggest::nearest(name.get_ref(), names);
    let similar = similar.and_then(|similar| TABLES.into_iter().find(|table| table.name == similar));
    let remedy = if let Some(table) = similar {
        file.table(table.name).is_invalid = true;
        format!("did you mean `{}`?", table.heading)
    } else if let Some(table) = table_of(name.get_ref()) {
        format!("`{shown}` belongs in {table}")
    } else {
        format!("the tables are {}", TABLES.map(|table| table.heading).join(", "))
    };
    let finding = Finding::error(name.span(), format!("unknown table or key `{shown}`"));
    findings.add(finding.help(remedy));
}

/// The table that a key belongs in, if any table has it.
fn table_of(key: &str) -> Option<&'static str> {
    let table = TABLES
        .into_iter()
        .find(|table| table.keys().any(|known| known.name == key))?;
    if table.name == DEFAULTS.name {
        return Some("[defaults] or [[device]]");
    }
    Some(table.heading)
}
