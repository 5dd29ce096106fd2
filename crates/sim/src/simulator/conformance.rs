//! What every implementation of a port must do. The models of this simulator and the shipped parts run the
//! same suites, because a proof by simulation is only as good as its models.
//!
//! A suite is a list of promises, each with a check. The caller provides a fresh fixture for each check.

pub mod device;
pub mod disk;
pub mod ledger;
pub mod store;

/// `Ok`, or a description of the broken promise.
pub type Checked = Result<(), String>;

/// Returns `otherwise` as an error unless `is_so` holds.
pub(crate) fn ensure(is_so: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if is_so { Ok(()) } else { Err(otherwise()) }
}

/// Compares the found value with the expected one.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Checked {
    ensure(found == expected, || {
        format!("{what}: {found:?}, not {expected:?}")
    })
}

/// The text of a port's error.
pub(crate) fn message(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A relative path that must be valid.
pub(crate) fn path(text: impl AsRef<[u8]>) -> Result<model::RelativePath, String> {
    model::RelativePath::new(text.as_ref()).map_err(message)
}

/// Checks the promises of a suite one after the other, each with a fresh fixture. Returns the broken ones.
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
