//! One document for programs, written as it comes in. The form is stable: fields are added, never renamed.

use std::io::{self, Write as _};

use model::{Amount, RelativePath};
use serde_json::{Value, json};
use storage::audit::WalkError;

use crate::Output;

use super::compare::Compared;
use super::{Form, Moved, Totals};

/// Each part is a list of its own; they come one after the other.
#[derive(Default)]
pub(super) struct Document {
    part: Part,
    unlisted: Vec<Value>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    #[default]
    None,
    Findings,
    Unknown,
}

impl Document {
    fn item(&mut self, part: Part, item: &Value, output: &mut Output) -> io::Result<()> {
        let comma = if self.part == part { "," } else { "" };
        self.enter(part, output)?;
        write!(output, "{comma}\n{item}")
    }

    fn enter(&mut self, part: Part, output: &mut Output) -> io::Result<()> {
        if self.part == Part::None && part != Part::None {
            write!(output, "{{\"findings\":[")?;
            self.part = Part::Findings;
        }
        if self.part == Part::Findings && part == Part::Unknown {
            write!(output, "\n],\"unknown_files\":[")?;
            self.part = Part::Unknown;
        }
        Ok(())
    }
}

impl Form for Document {
    fn finding(&mut self, finding: &Compared, moved: Option<&Moved>, output: &mut Output) -> io::Result<()> {
        let (quarantined, failure, before) = match moved {
            None => (false, None, None),
            Some(Moved::Aside) => (true, None, None),
            Some(Moved::Not(reason)) => (false, Some(reason), None),
            Some(Moved::Before(place)) => (false, None, Some(place)),
        };
        let item = json!({
            "kind": finding.comparison.code(),
            "store_name": finding.copy.store_name.to_string(),
            "size": finding.copy.size,
            "sha256": finding.copy.digest.to_hex(),
            "detail": finding.comparison.detail(),
            "quarantined": quarantined,
            "quarantine_failure": failure,
            "quarantined_before": before,
        });
        self.item(Part::Findings, &item, output)
    }

    fn unknown(&mut self, name: &RelativePath, size: u64, output: &mut Output) -> io::Result<()> {
        let item = json!({ "store_name": name.to_string(), "size": size });
        self.item(Part::Unknown, &item, output)
    }

    fn unlisted(&mut self, error: &WalkError, _output: &mut Output) -> io::Result<()> {
        self.unlisted
            .push(json!({ "store_name": error.name, "detail": error.source.to_string() }));
        Ok(())
    }

    fn end(&mut self, totals: &Totals, output: &mut Output) -> io::Result<()> {
        self.enter(Part::Unknown, output)?;
        let amount = |count: Amount| json!({ "files": count.files, "bytes": count.bytes });
        let totals = json!({
            "sound": amount(totals.sound),
            "missing": amount(totals.missing),
            "different": amount(totals.different),
            "unreadable": amount(totals.unreadable),
            "quarantined": amount(totals.quarantined),
            "unknown": amount(totals.unknown),
        });
        let unlisted = Value::from(std::mem::take(&mut self.unlisted));
        output.line(format_args!("\n],\"unlisted\":{unlisted},\"totals\":{totals}}}"))
    }
}
