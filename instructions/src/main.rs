//! Runs one scenario, or lists all of them as TOML.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the output of a program"
)]

use std::process::ExitCode;

use instructions::{SCENARIOS, run};

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1);
    let Some(wanted) = wanted else {
        println!("processor = {:?}", processor());
        for scenario in &SCENARIOS {
            println!(
                "[[scenarios]]\nname = {:?}\nnumber = {}",
                scenario.name, scenario.count
            );
            println!("of = {:?}\nuncounted = {:?}", scenario.of, scenario.uncounted);
        }
        return ExitCode::SUCCESS;
    };
    match SCENARIOS.iter().find(|scenario| scenario.name == wanted) {
        Some(scenario) => {
            run(scenario);
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("unknown scenario {wanted}");
            ExitCode::FAILURE
        }
    }
}

/// The features of the processor that code tests before it chooses its instructions. Under valgrind these are
/// the features of the processor that valgrind emulates.
fn processor() -> String {
    #[cfg(target_arch = "x86_64")]
    let has = [
        ("sse4.1", is_x86_feature_detected!("sse4.1")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("sha", is_x86_feature_detected!("sha")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let has: [(&str, bool); 0] = [];
    let has = has.iter().filter(|(_, has)| *has).map(|(name, _)| *name);
    let words: Vec<_> = std::iter::once(std::env::consts::ARCH).chain(has).collect();
    words.join(" ")
}
