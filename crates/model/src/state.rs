//! The state of a recorded file.

/// The state of a recorded file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileState {
    /// Whole and durable in the store; still on the device, as far as gleaner knows.
    Stored,
    /// Whole and durable in the store; removed from the device.
    Released,
    /// Whole and durable in the store; stays on the device, because a rule keeps it or the device cannot
    /// remove it.
    Kept,
}

impl FileState {
    /// Every state, in the order in which a file goes through them.
    pub const ALL: [Self; 3] = [Self::Stored, Self::Released, Self::Kept];

    /// The stable code in the ledger, in JSON and on the command line.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Released => "released",
            Self::Kept => "kept",
        }
    }

    /// The state with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}
