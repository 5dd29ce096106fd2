//! Generates the pages of `docs/reference` into the given folder. `cargo xtask reference` runs it.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use gleaner::exit::ExitStatus;
use gleaner::{cli, config};
use model::{FailureClass, LeaveReason, WaitReason};

const GENERATED: &str = "<!-- Made from the program itself; see CONTRIBUTING.md. -->";

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("which folder?")?.into();
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("cli.md"), cli::reference::markdown())?;
    fs::write(folder.join("configuration.md"), config::reference::markdown())?;
    fs::write(
        folder.join("config.schema.json"),
        format!("{:#}\n", config::reference::schema()),
    )?;
    fs::write(folder.join("failures.md"), failures()?)?;
    fs::write(folder.join("reasons.md"), reasons()?)?;
    Ok(())
}

fn failures() -> Result<String, std::fmt::Error> {
    let mut text = format!(
        "# Why a device could not be served\n\n{GENERATED}\n\n\
         The codes are the same in `gleaner status`, in JSON and in the ledger. They do not change between releases.\n\
         A sweep ends with exit status 5 if some devices could not be reached and everything else succeeded. Any\n\
         other failure makes it end with 1.\n\n\
         | code | meaning | exit status | what to do |\n|---|---|---|---|\n"
    );
    for class in FailureClass::ALL {
        let status = if class.is_unreachable() {
            ExitStatus::Unreachable
        } else {
            ExitStatus::Partial
        };
        writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            class.code(),
            class.meaning(),
            status.code(),
            class.remedy()
        )?;
    }
    Ok(text)
}

fn reasons() -> Result<String, std::fmt::Error> {
    let mut text = format!(
        "# Why a file is still on its device\n\n{GENERATED}\n\n\
         The codes are the same in `gleaner status`, in JSON and in the ledger. They do not change between releases.\n\n\
         ## Waiting files\n\n\
         gleaner retries them automatically. Reasons with an action make the sweep end with exit status 1.\n\n\
         | code | meaning | what to do |\n|---|---|---|\n"
    );
    for reason in WaitReason::ALL {
        write_reason(&mut text, reason.code(), reason.text(), reason.remedy())?;
    }
    text.push_str(
        "\n## Files left on the device\n\n\
         They stay until someone acts. Reasons with an action make the sweep end with exit status 1.\n\n\
         | code | meaning | what to do |\n|---|---|---|\n",
    );
    for reason in LeaveReason::ALL {
        write_reason(&mut text, reason.code(), reason.text(), reason.remedy())?;
    }
    Ok(text)
}

fn write_reason(text: &mut String, code: &str, meaning: &str, remedy: &str) -> std::fmt::Result {
    writeln!(text, "| `{code}` | {meaning} | {remedy} |")
}
