//! gleaner: gathers what a fleet of field devices has recorded. Everything is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    gleaner::run(std::env::args_os(), &gleaner::Environment::of_the_process()).into()
}
