//! The checks that every change must pass, within 15 minutes on two cores. They are the same on a developer's
//! machine and on a bare one.
//!
//! Checks that take longer are in [`crate::prove`].

use anyhow::Result;

use crate::checklist::{self, Step};
use crate::command::{cargo, run as run_command};
use crate::workspace::Workspace;
use crate::{debian, deny, reference, testing, tidy};

/// Steps that fail within seconds come before steps that take minutes.
const STEPS: [Step; 8] = [
    Step {
        name: "setup",
        run: |_| debian::install_what_is_missing(),
    },
    Step {
        name: "fmt",
        run: fmt,
    },
    Step {
        name: "tidy",
        run: tidy::run,
    },
    Step {
        name: "deny",
        run: deny::check,
    },
    Step {
        name: "clippy",
        run: clippy,
    },
    Step {
        name: "doc",
        run: doc,
    },
    Step {
        name: "test",
        run: |workspace| testing::run(workspace, &[]),
    },
    Step {
        name: "reference",
        run: reference::check,
    },
];

/// Runs all steps, or only the named ones.
pub(crate) fn run(workspace: &Workspace, names: &[String]) -> Result<()> {
    checklist::run(workspace, &STEPS, names)
}

fn fmt(workspace: &Workspace) -> Result<String> {
    run_command(cargo(&workspace.root).args(["fmt", "--all", "--check"]))?;
    Ok(String::new())
}

fn clippy(workspace: &Workspace) -> Result<String> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    run_command(cargo(&workspace.root).args(arguments))?;
    Ok(String::new())
}

/// The crates are not published. Their pages are for developers and include private items and links to them.
fn doc(workspace: &Workspace) -> Result<String> {
    let arguments = [
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
        "--locked",
    ];
    run_command(
        cargo(&workspace.root)
            .args(arguments)
            .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"),
    )?;
    Ok(String::new())
}
