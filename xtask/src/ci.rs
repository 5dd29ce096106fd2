//! What every change must pass, within a quarter of an hour on two cores: the same at the desk and on a bare machine.
//!
//! What takes longer is in [`crate::prove`].

use anyhow::Result;

use crate::checklist::{self, Step};
use crate::command::{cargo, run as run_command};
use crate::workspace::Workspace;
use crate::{debian, deny, reference, testing, tidy};

/// What fails in seconds comes before what takes minutes.
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

/// Runs all steps, or those that are named.
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

/// The crates are not published: their pages are for developers, private items and links to them included.
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
