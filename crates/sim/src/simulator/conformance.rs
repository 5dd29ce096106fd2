//! What every implementation of a port must do, said once. The models of this simulator and the parts that ship are held to the same suites:
//! a proof by simulation is worth as much as its models are like the real thing.
//!
//! A suite is a list of promises with a check each; whoever runs it gives every check a fresh place to work in.

pub mod device;
pub mod disk;
pub mod ledger;
pub mod store;

/// Nothing, or what is not as promised.
pub type Checked = Result<(), String>;

/// Says what is not as promised, unless it is.
pub(crate) fn ensure(is_so: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if is_so { Ok(()) } else { Err(otherwise()) }
}

/// Compares what was found with what should be.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Checked {
    ensure(found == expected, || {
        format!("{what}: {found:?}, not {expected:?}")
    })
}

/// An error of a port, as text.
pub(crate) fn message(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A relative path that is surely one.
pub(crate) fn path(text: impl AsRef<[u8]>) -> Result<model::RelativePath, String> {
    model::RelativePath::new(text.as_ref()).map_err(message)
}

/// Runs the promises of a suite, one after the other, each in a fresh place; answers with those that were not kept.
#[macro_export]
macro_rules! hold_to {
    ($bench:expr, $($promise:path),+ $(,)?) => {{
        let mut broken: Vec<String> = Vec::new();
        $(
            let bench = $bench;
            if let Err(reason) = $promise(&bench).await {
                broken.push(format!("{}: {reason}", stringify!($promise)));
            }
        )+
        broken
    }};
}
