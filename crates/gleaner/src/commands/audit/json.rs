//! One JSON document, written as the audit proceeds. The format is stable: fields are added, never renamed.

use std::io::{self, Write as _};

use engine::ports::Unlisted;
use model::{Amount, RelativePath};
use serde_json::{Value, json};

use crate::output::Output;

use super::compare::CheckedCopy;
use super::{AuditReport, QuarantineResult, Totals};

/// Writes the lists of the document one after the other.
#[derive(Default)]
pub(super) struct JsonReport {
    list: OpenList,
    unlisted: Vec<Value>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum OpenList {
    #[default]
    None,
    Findings,
    Unknown,
}

impl JsonReport {
    fn item(&mut self, list: OpenList, item: &Value, output: &mut Output) -> io::Result<()> {
        let comma = if self.list == list { "," } else { "" };
        self.enter(list, output)?;
        write!(output, "{comma}\n{item}")
    }

    fn enter(&mut self, list: OpenList, output: &mut Output) -> io::Result<()> {
        if self.list == OpenList::None && list != OpenList::None {
            write!(output, "{{\"findings\":[")?;
            self.list = OpenList::Findings;
        }
        if self.list == OpenList::Findings && list == OpenList::Unknown {
            write!(output, "\n],\"unknown_files\":[")?;
            self.list = OpenList::Unknown;
        }
        Ok(())
    }
}

impl AuditReport for JsonReport {
    fn finding(
        &mut self,
        finding: &CheckedCopy,
        moved: Option<&QuarantineResult>,
        output: &mut Output,
    ) -> io::Result<()> {
        let (quarantined, failure, before) = match moved {
            None => (false, None, None),
            Some(QuarantineResult::Moved) => (true, None, None),
            Some(QuarantineResult::Failed(reason)) => (false, Some(reason), None),
            Some(QuarantineResult::MovedEarlier(path)) => (false, None, Some(path)),
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
        self.item(OpenList::Findings, &item, output)
    }

    fn unknown(&mut self, name: &RelativePath, size: u64, output: &mut Output) -> io::Result<()> {
        let item = json!({ "store_name": name.to_string(), "size": size });
        self.item(OpenList::Unknown, &item, output)
    }

    fn unlisted(&mut self, error: &Unlisted, _output: &mut Output) -> io::Result<()> {
        self.unlisted
            .push(json!({ "store_name": error.name, "detail": error.reason }));
        Ok(())
    }

    fn end(&mut self, totals: &Totals, output: &mut Output) -> io::Result<()> {
        self.enter(OpenList::Unknown, output)?;
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
