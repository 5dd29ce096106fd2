//! A number of files and their total size.

/// A number of files and their bytes. Sums saturate, because a device may report any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Number of files.
    pub files: u64,
    /// Their total size in bytes.
    pub bytes: u64,
}

impl Amount {
    /// No files.
    pub const ZERO: Self = Self { files: 0, bytes: 0 };

    /// `files` files with `bytes` bytes in total.
    pub const fn new(files: u64, bytes: u64) -> Self {
        Self { files, bytes }
    }

    /// One file of this size in bytes.
    pub const fn of_file(bytes: u64) -> Self {
        Self { files: 1, bytes }
    }

    /// The sum, at most `u64::MAX`.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            files: self.files.saturating_add(other.files),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// The difference; zero where `other` is larger.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            files: self.files.saturating_sub(other.files),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    /// Adds `other` to this amount.
    pub const fn add(&mut self, other: Self) {
        *self = self.plus(other);
    }

    /// Whether there are no files.
    pub const fn is_none(self) -> bool {
        self.files == 0
    }
}
