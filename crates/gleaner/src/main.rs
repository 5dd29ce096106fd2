//! gleaner: collects the recordings of a fleet of field devices. All code is in the library, where tests can
//! reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    gleaner::run(std::env::args_os(), &gleaner::Environment::of_the_process()).into()
}
