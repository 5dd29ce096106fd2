//! Points in time, as file systems and clocks give them.

/// Nanoseconds since 1970-01-01 00:00 UTC; negative before. Spans the years 1677 to 2262.
///
/// A listing over SFTP v3 has whole seconds only: such a time has no fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The beginning of 1970.
    pub const EPOCH: Self = Self(0);

    /// Whether it may stand for a time beyond the range: one that was cut to the end of it.
    pub const fn may_be_cut(self) -> bool {
        // A fraction may have been added to whole seconds that were cut.
        self.0.unsigned_abs() >= i64::MAX.unsigned_abs() - 2_000_000_000
    }

    /// From nanoseconds since 1970.
    pub const fn from_nanoseconds(nanoseconds: i64) -> Self {
        Self(nanoseconds)
    }

    /// From whole seconds since 1970; beyond the range it stands for, the nearest end of the range.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since 1970.
    pub const fn nanoseconds(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// The fraction of the second in nanoseconds, 0 to 999,999,999.
    pub const fn subsecond_nanoseconds(self) -> i64 {
        self.0.rem_euclid(1_000_000_000)
    }

    /// The time from `earlier` to `self`; zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        let nanoseconds = i128::from(self.0) - i128::from(earlier.0);
        std::time::Duration::from_nanos(u64::try_from(nanoseconds.max(0)).unwrap_or(u64::MAX))
    }

    /// This point moved later by a span; the end of the range where it would leave it.
    #[must_use]
    pub fn plus(self, span: std::time::Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)),
        )
    }

    /// This point moved earlier by a span; the end of the range where it would leave it.
    #[must_use]
    pub fn minus(self, span: std::time::Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)),
        )
    }
}
