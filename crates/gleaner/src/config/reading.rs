//! From the text of a configuration file to what is written in it, key by key, so that every unknown key and every
//! value of a wrong kind is found, not only the first.

use std::ops::Range;

use serde::de::value::Error as IntrospectionError;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::findings::Findings;
use super::suggest;
use super::written::{Device, File, Fleet, Identification, Ledger, Settings, Ssh, Store};

/// What the sections are called in messages.
pub(super) const STORE: &str = "[store]";
pub(super) const DEFAULTS: &str = "[defaults]";
pub(super) const DEVICE: &str = "[[device]]";

/// What tells one `[[device]]` from the others among the keys that came to nothing.
pub(super) fn device_section(span: &Range<usize>) -> String {
    format!("{DEVICE} {}", span.start)
}

/// The tables at the top.
const TABLES: [&str; 6] = ["store", "ledger", "ssh", "fleet", "defaults", "device"];

/// Reads the file; `None` where it is not TOML at all, which is then all there is to say.
pub(super) fn read(text: &str, findings: &mut Findings<'_>) -> Option<File> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        report_syntax(text, &errors, findings);
        return None;
    }
    let mut file = File::default();
    for (key, value) in document.into_inner() {
        let at = key.span();
        match key.get_ref().as_ref() {
            "store" => file.store = section(STORE, value, findings),
            "ledger" => file.ledger = section("[ledger]", value, findings),
            "ssh" => file.ssh = section("[ssh]", value, findings),
            "fleet" => file.fleet = section("[fleet]", value, findings),
            "defaults" => file.defaults = section(DEFAULTS, value, findings),
            "device" => file.device = devices(&at, value, findings),
            unknown => report_unknown_table(unknown, at, findings),
        }
    }
    Some(file)
}

/// One error for each line: what follows on the same line is mostly the parser finding its feet again.
fn report_syntax(text: &str, errors: &[toml::de::Error], findings: &mut Findings<'_>) {
    let mut last_line = None;
    for error in errors {
        let span = error.span();
        let line = span.as_ref().map(|span| findings.line(span));
        if line.is_none() || line != last_line {
            let message = error.message().trim_end();
            let what = span.clone().and_then(|span| text.get(span));
            match what {
                Some(key) if message == "duplicate key" => {
                    let text = format!("`{}` is there twice", model::escaped(key.as_bytes()));
                    findings.error(span, text).help("leave one of them out");
                }
                _ => {
                    findings.error(span, message);
                }
            }
        }
        last_line = line;
    }
}

fn report_unknown_table(unknown: &str, at: Range<usize>, findings: &mut Findings<'_>) {
    let shown = model::escaped(unknown.as_bytes());
    let home = home_of(unknown);
    if let Some(table) = suggest::nearest(unknown, TABLES) {
        spoil_table(table, findings);
    }
    let finding = findings.error(at, format!("unknown table or key `{shown}`"));
    let sections = || {
        TABLES.map(|table| {
            if table == "device" {
                "[[device]]".to_owned()
            } else {
                format!("[{table}]")
            }
        })
    };
    match (suggest::nearest(unknown, TABLES), home) {
        (Some("device"), _) => finding.help("did you mean `[[device]]`?"),
        (Some(table), _) => finding.help(format!("did you mean `[{table}]`?")),
        (None, Some(home)) => finding.help(format!("`{shown}` belongs in {home}")),
        (None, None) => finding.help(format!("the tables are {}", sections().join(", "))),
    }
}

/// What a table that came to nothing would have held, of what must be there.
fn spoil_table(table: &str, findings: &mut Findings<'_>) {
    match table {
        "store" => findings.spoil(STORE, "path"),
        "defaults" => findings.spoil(DEFAULTS, "source"),
        "device" => findings.spoil(DEVICE, "name"),
        _ => {}
    }
}

/// The table that a key belongs in, if it is known anywhere.
fn home_of(key: &str) -> Option<&'static str> {
    let home = TABLES
        .into_iter()
        .find(|table| declared_keys(table).contains(&key))?;
    Some(match home {
        "store" => "[store]",
        "ledger" => "[ledger]",
        "ssh" => "[ssh]",
        "fleet" => "[fleet]",
        "device" => "[[device]]",
        _ => "[defaults] or [[device]]",
    })
}

fn devices(at: &Range<usize>, value: Spanned<DeValue<'_>>, findings: &mut Findings<'_>) -> Vec<Device> {
    let sections = match value.into_inner() {
        DeValue::Array(sections) => sections,
        other => {
            let what = other.type_str();
            let finding = findings.error(
                at.clone(),
                format!("`device` is a {what}, but must be a list of tables"),
            );
            finding.help("write `[[device]]`, with two brackets, above each device");
            spoil_table("device", findings);
            return Vec::new();
        }
    };
    sections
        .into_iter()
        .map(|section| device(section, findings))
        .collect()
}

/// A device's section is two tables in one: what it is, and what holds for it.
fn device(section: Spanned<DeValue<'_>>, findings: &mut Findings<'_>) -> Device {
    let span = section.span();
    let place = Place {
        name: DEVICE,
        id: device_section(&span),
    };
    let DeValue::Table(table) = section.into_inner() else {
        let finding = findings.error(span.clone(), "a device is a table");
        finding.help("write `[[device]]` above each device, and below it one line for each key");
        findings.spoil(place.id.clone(), "name");
        findings.spoil(place.id, "source");
        return Device {
            span,
            ..Device::default()
        };
    };
    let own = keys_of::<Identification>();
    let known = [own, keys_of::<Settings>()].concat();
    let mut identification = DeTable::new();
    let mut settings = DeTable::new();
    for (key, value) in known_only(&place, table, &known, findings) {
        let half = if own.contains(&key.get_ref().as_ref()) {
            &mut identification
        } else {
            &mut settings
        };
        half.insert(key, value);
    }
    Device {
        identification: typed(&place, identification, span.clone(), findings),
        settings: typed(&place, settings, span.clone(), findings),
        span,
    }
}

fn section<T: for<'de> Deserialize<'de> + Default>(
    name: &'static str,
    value: Spanned<DeValue<'_>>,
    findings: &mut Findings<'_>,
) -> T {
    let span = value.span();
    match value.into_inner() {
        DeValue::Table(table) => {
            let place = Place {
                name,
                id: name.to_owned(),
            };
            let table = known_only(&place, table, keys_of::<T>(), findings);
            typed(&place, table, span, findings)
        }
        other => {
            let what = other.type_str();
            findings.error(span, format!("{name} is a {what}, but must be a table"));
            spoil_table(name.trim_matches(['[', ']']), findings);
            T::default()
        }
    }
}

/// A section: what it is called in messages, and what tells it from all others.
struct Place {
    name: &'static str,
    id: String,
}

/// Leaves out and reports the keys that nobody knows.
fn known_only<'i>(
    place: &Place,
    table: DeTable<'i>,
    known: &[&str],
    findings: &mut Findings<'_>,
) -> DeTable<'i> {
    let mut kept = DeTable::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        if known.contains(&name) {
            kept.insert(key, value);
            continue;
        }
        let meant = suggest::nearest(name, known.iter().copied());
        if let Some(meant) = meant {
            findings.spoil(&place.id, meant);
        }
        let shown = model::escaped(name.as_bytes());
        let finding = findings.error(key.span(), format!("unknown key `{shown}` in {}", place.name));
        let all = suggest::list(known.iter().copied());
        match (meant, home_of(name)) {
            (Some(meant), _) => finding.help(format!("did you mean `{meant}`? known here are {all}")),
            (None, Some(home)) => finding.help(format!("`{shown}` belongs in {home}; known here are {all}")),
            (None, None) => finding.help(format!("known here are {all}")),
        }
    }
    kept
}

/// Reads each key alone first, so that one value of a wrong kind does not hide the next; then what was left together.
fn typed<T: for<'de> Deserialize<'de> + Default>(
    place: &Place,
    table: DeTable<'_>,
    span: Range<usize>,
    findings: &mut Findings<'_>,
) -> T {
    let mut sound = DeTable::new();
    for (key, value) in table {
        let value_span = value.span();
        let alone = DeTable::from_iter([(key.clone(), value.clone())]);
        let read = T::deserialize(toml::Deserializer::from(Spanned::new(span.clone(), alone)));
        match read {
            Ok(_) => {
                sound.insert(key, value);
            }
            Err(error) => {
                let name = key.get_ref().as_ref();
                findings.spoil(&place.id, name);
                let at = error.span().unwrap_or(value_span);
                findings.error(
                    at,
                    format!("`{name}` in {} {}", place.name, error.message().trim_end()),
                );
            }
        }
    }
    T::deserialize(toml::Deserializer::from(Spanned::new(span.clone(), sound))).unwrap_or_else(|error| {
        findings.error(span, format!("{} {}", place.name, error.message()));
        T::default()
    })
}

/// The keys that a table at the top has of its own, in the order in which its type declares them.
pub(super) fn declared_keys(table: &str) -> &'static [&'static str] {
    match table {
        "store" => keys_of::<Store>(),
        "ledger" => keys_of::<Ledger>(),
        "ssh" => keys_of::<Ssh>(),
        "fleet" => keys_of::<Fleet>(),
        "defaults" => keys_of::<Settings>(),
        "device" => keys_of::<Identification>(),
        _ => &[],
    }
}

/// The keys of a table, in the order in which its type declares them.
fn keys_of<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut keys: &'static [&'static str] = &[];
    // It always ends with an error: all that is wanted is what serde asks for on the way.
    drop(T::deserialize(Introspection(&mut keys)));
    keys
}

/// Is asked for a struct, notes its fields, and has nothing to give.
struct Introspection<'k>(&'k mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Introspection<'_> {
    type Error = IntrospectionError;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, IntrospectionError> {
        Err(IntrospectionError::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, IntrospectionError> {
        *self.0 = fields;
        Err(IntrospectionError::custom("only the fields were asked for"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
