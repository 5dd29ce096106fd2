//! `gleaner man`: the manual pages.

mod configuration;
mod pages;

use std::io::Write as _;

use crate::cli;
use crate::commands::Context;
use crate::config::show_path;
use crate::exit::{ExitStatus, Failure};

/// Prints gleaner(1), or writes every page into a folder.
pub fn man(arguments: &cli::ManArgs, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    let pages = pages::all();
    let Some(folder) = &arguments.out else {
        let first = pages.into_iter().next().map(|page| page.text).unwrap_or_default();
        context.output.write_all(first.as_bytes())?;
        return Ok(ExitStatus::Well);
    };
    let fail = |cause, path: &std::path::Path| {
        let error = anyhow::Error::new(cause).context(format!("cannot write {}", show_path(path)));
        Failure::new(ExitStatus::Partial, error)
    };
    std::fs::create_dir_all(folder).map_err(|cause| fail(cause, folder))?;
    for page in pages {
        let path = folder.join(&page.file_name);
        std::fs::write(&path, page.text).map_err(|cause| fail(cause, &path))?;
    }
    Ok(ExitStatus::Well)
}
