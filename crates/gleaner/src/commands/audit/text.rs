//! The report for people: a line for each finding, then the totals.

use std::io;

use engine::ports::Unlisted;
use model::RelativePath;

use crate::output::Output;
use crate::report::amount;

use super::compare::CheckedCopy;
use super::{AuditReport, QuarantineResult, Totals};

pub(super) struct TextReport {
    /// Whether to list files that are not in the ledger.
    pub(super) lists_unknown: bool,
}

impl AuditReport for TextReport {
    fn finding(
        &mut self,
        finding: &CheckedCopy,
        moved: Option<&QuarantineResult>,
        output: &mut Output,
    ) -> io::Result<()> {
        let detail = finding.comparison.detail().map(|detail| format!(": {detail}"));
        let moved = match moved {
            Some(QuarantineResult::Moved) => "; moved into .gleaner/quarantine".to_owned(),
            Some(QuarantineResult::Failed(reason)) => format!("; {reason}"),
            Some(QuarantineResult::MovedEarlier(path)) => {
                format!("; an earlier audit moved a copy to {path}")
            }
            None => String::new(),
        };
        output.line(format_args!(
            "{:10}  {}{}{moved}",
            finding.comparison.code(),
            finding.copy.store_name,
            detail.unwrap_or_default()
        ))?;
        // An audit can take hours: show each finding immediately.
        output.flush()
    }

    fn unknown(&mut self, name: &RelativePath, size: u64, output: &mut Output) -> io::Result<()> {
        output.line(format_args!("{:10}  {name} ({})", "unknown", amount::bytes(size)))
    }

    fn unlisted(&mut self, error: &Unlisted, output: &mut Output) -> io::Result<()> {
        output.line(format_args!(
            "{:10}  {}: {}",
            "unlisted", error.name, error.reason
        ))
    }

    fn end(&mut self, totals: &Totals, output: &mut Output) -> io::Result<()> {
        let compared = totals.compared();
        let size = amount::bytes(compared.bytes);
        let compared_files = amount::count(compared.files, "file");
        if compared == totals.sound {
            output.line(format_args!(
                "{compared_files} ({size}) in the ledger, all of them sound in the store."
            ))?;
        } else {
            output.line(format_args!(
                "{compared_files} ({size}) in the ledger: {} sound, {} missing, {} different, {} unreadable in the store.",
                amount::grouped(totals.sound.files),
                amount::grouped(totals.missing.files),
                amount::grouped(totals.different.files),
                amount::grouped(totals.unreadable.files),
            ))?;
            print_remedies(totals, output)?;
        }
        if totals.quarantined.files > 0 {
            let moved = amount::count(totals.quarantined.files, "file");
            output.line(format_args!(
                "{moved} moved into .gleaner/quarantine of the store."
            ))?;
        } else if totals.different.files > 0 {
            output.line("--quarantine moves files that differ into .gleaner/quarantine of the store.")?;
        }
        if totals.unknown.files > 0 {
            let others = amount::count(totals.unknown.files, "other file");
            let size = amount::bytes(totals.unknown.bytes);
            let hint = if self.lists_unknown { "" } else { "; -v lists them" };
            output.line(format_args!(
                "{others} ({size}) in the store, not in the ledger{hint}."
            ))?;
        }
        Ok(())
    }
}

fn print_remedies(totals: &Totals, output: &mut Output) -> io::Result<()> {
    if totals.missing.files + totals.different.files > 0 {
        output.line(
            "Restore missing and different files from a backup of the store. The next sweep collects again what a device still has.",
        )?;
    }
    if totals.unreadable.files > 0 {
        output.line(
            "Give gleaner's user read access to unreadable files, then audit again: they may be sound.",
        )?;
    }
    Ok(())
}
