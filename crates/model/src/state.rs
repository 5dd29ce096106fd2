//! How far the record of a file has come.

/// The state of a recorded file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileState {
    /// Whole and durable in the store; still on the device, as far as is known.
    Stored,
    /// Whole and durable in the store; gone from the device.
    Released,
    /// Whole and durable in the store; stays on the device, because the rules say so or it cannot be removed.
    Kept,
}

impl FileState {
    /// Every state, in the order in which files pass through them.
    pub const ALL: [Self; 3] = [Self::Stored, Self::Released, Self::Kept];

    /// The word in the ledger, in JSON and on the command line.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Released => "released",
            Self::Kept => "kept",
        }
    }

    /// The state of that code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}
