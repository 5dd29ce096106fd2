//! Random choices that depend only on a seed, so that a failure can be reproduced.

use std::time::{Duration, SystemTime};

/// A generator of random choices.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Creates the generator of a seed. Every seed is valid.
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed from the clock.
    pub(crate) fn random_seed() -> u64 {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("a time after 1970");
        Self(u64::from(now.subsec_nanos()) ^ now.as_secs()).next() % 1_000_000_000
    }

    /// Returns an independent generator for one part of the work. Choices in other parts do not change it.
    pub(crate) fn branch(&self, number: u64) -> Self {
        let mut branch = Self(self.0 ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        Self(branch.next())
    }

    /// Splitmix64.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which must not be 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A number from `min` to just below `limit`, for lengths and counts.
    pub(crate) fn between(&mut self, min: usize, limit: usize) -> usize {
        let span = u64::try_from(limit - min).expect("a short span");
        min + usize::try_from(self.below(span)).expect("below the limit")
    }

    /// True in one of `cases` cases on average.
    pub(crate) fn one_in(&mut self, cases: u64) -> bool {
        self.below(cases) == 0
    }

    /// A duration below `limit`.
    pub(crate) fn time(&mut self, limit: Duration) -> Duration {
        let micros = u64::try_from(limit.as_micros()).expect("a short limit");
        Duration::from_micros(self.below(micros))
    }

    /// One element of a slice that is not empty.
    pub(crate) fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.between(0, among.len())]
    }
}
