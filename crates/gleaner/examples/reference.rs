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
         | code | meaning | exit status |\n|---|---|---|\n"
    );
    for class in FailureClass::ALL {
        let status = if class.is_unreachable() {
            ExitStatus::Unreachable
        } else {
            ExitStatus::Partial
        };
        let (code, meaning) = (class.code(), class.meaning());
        writeln!(text, "| `{code}` | {meaning} | {} |", status.code())?;
    }
    let remedies = FailureClass::ALL.map(|class| (class.code(), class.remedy()));
    write_remedies(&mut text, "What to do", &remedies)?;
    Ok(text)
}

fn reasons() -> Result<String, std::fmt::Error> {
    let mut text = format!(
        "# Why a file is still on its device\n\n{GENERATED}\n\n\
         The codes are the same in `gleaner status`, in JSON and in the ledger. They do not change between releases.\n\
         Reasons with an action make the sweep end with exit status 1.\n\n\
         ## Waiting files\n\n\
         gleaner retries them automatically.\n\n\
         | code | meaning |\n|---|---|\n"
    );
    for reason in WaitReason::ALL {
        writeln!(text, "| `{}` | {} |", reason.code(), reason.text())?;
    }
    let remedies = WaitReason::ALL.map(|reason| (reason.code(), reason.remedy()));
    write_remedies(&mut text, "What to do about waiting files", &remedies)?;
    text.push_str(
        "\n## Files left on the device\n\n\
         They stay until someone acts.\n\n\
         | code | meaning |\n|---|---|\n",
    );
    for reason in LeaveReason::ALL {
        writeln!(text, "| `{}` | {} |", reason.code(), reason.text())?;
    }
    let remedies = LeaveReason::ALL.map(|reason| (reason.code(), reason.remedy()));
    write_remedies(&mut text, "What to do about files left on the device", &remedies)?;
    Ok(text)
}

/// A list of the codes that have a remedy.
fn write_remedies(text: &mut String, heading: &str, remedies: &[(&str, &str)]) -> std::fmt::Result {
    write!(text, "\n## {heading}\n\n")?;
    for (code, remedy) in remedies.iter().filter(|(_, remedy)| !remedy.is_empty()) {
        let item = format!("- `{code}`: {}", cli::reference::sentence(remedy));
        writeln!(text, "{}", cli::reference::wrapped(&item))?;
    }
    Ok(())
}
