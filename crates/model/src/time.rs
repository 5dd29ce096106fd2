//! Points in time, as file systems and clocks report them.

/// Nanoseconds since 1970-01-01 00:00 UTC; negative before. Covers the years 1677 to 2262.
///
/// A listing over SFTP v3 has only whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The beginning of 1970.
    pub const EPOCH: Self = Self(0);

    /// Whether the time may be one beyond the range that was clamped to the end of the range.
    pub const fn may_be_clamped(self) -> bool {
        // A fraction may have been added after whole seconds were clamped.
        self.0.unsigned_abs() >= i64::MAX.unsigned_abs() - 2_000_000_000
    }

    /// The time `nanoseconds` after the beginning of 1970.
    pub const fn from_nanoseconds(nanoseconds: i64) -> Self {
        Self(nanoseconds)
    }

    /// The time `seconds` after the beginning of 1970, clamped to the range.
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

    /// The duration from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        let nanoseconds = i128::from(self.0) - i128::from(earlier.0);
        std::time::Duration::from_nanos(u64::try_from(nanoseconds.max(0)).unwrap_or(u64::MAX))
    }

    /// This time plus a duration, clamped to the range.
    #[must_use]
    pub fn plus(self, span: std::time::Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)),
        )
    }

    /// This time minus a duration, clamped to the range.
    #[must_use]
    pub fn minus(self, span: std::time::Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)),
        )
    }
}
