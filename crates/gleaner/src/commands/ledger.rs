//! `gleaner ledger`: back up the ledger, take over that of another collector.

mod adopt;

use ::ledger::BackupError;

use crate::cli;
use crate::commands::Context;
use crate::config::show_path;
use crate::exit::{ExitStatus, Failure};
use crate::report::amount;

/// Runs the command.
pub fn ledger(command: &cli::LedgerCommand, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    match command {
        cli::LedgerCommand::Adopt(arguments) => adopt::adopt(arguments, context),
        cli::LedgerCommand::Backup(arguments) => backup(arguments, context),
    }
}

/// Copies the ledger. A crash leaves no file with that name, or the complete copy.
fn backup(arguments: &cli::LedgerBackupArgs, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    let config = context.configuration()?;
    let made = ::ledger::backup(&config.ledger, &arguments.file).map_err(backup_failure)?;
    context.output.line(format_args!(
        "{}: a copy of the ledger {}, {}, {} recorded.",
        show_path(&arguments.file),
        show_path(&config.ledger),
        amount::bytes(made.bytes),
        amount::count(made.files, "file"),
    ))?;
    Ok(ExitStatus::Well)
}

fn backup_failure(error: BackupError) -> Failure {
    let status = match &error {
        BackupError::Ledger(_) => ExitStatus::StoreOrLedger,
        BackupError::Exists { .. } => ExitStatus::Usage,
        BackupError::Failed { .. } => ExitStatus::Partial,
    };
    let remedy = error.remedy();
    Failure::new(status, error).help(remedy)
}
