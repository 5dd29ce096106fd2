//! Programs that the machine must have.

use std::path::Path;

/// Panics with the name of the Debian package if the program is missing.
pub(crate) fn require(program: &str, package: &str) {
    assert!(
        Path::new(program).exists(),
        "{program} is missing: apt-get install {package}"
    );
}
