//! Which files a visit is done with.

use std::collections::HashSet;

/// So many files that stay are kept in mind one by one; beyond them a file may be looked at twice in a pass, which does no harm. They are
/// what a hash table of 9 MB holds: one more would double it.
const MAX_LEFT: usize = (1 << 20) / 8 * 7;

/// Files, each by a hash of its source and original path.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Those that stay on the device until the next visit.
    left: HashSet<u64>,
    /// Those of the batches under way that are gone from it. How many came before is no matter: a device may hold millions.
    released: HashSet<u64>,
}

impl Done {
    pub(super) fn leave(&mut self, file: u64) {
        if self.left.len() < MAX_LEFT {
            self.left.insert(file);
        }
    }

    pub(super) fn release(&mut self, file: u64) {
        self.released.insert(file);
    }

    /// Whether this visit has left it behind.
    pub(super) fn has_left(&self, file: u64) -> bool {
        self.left.contains(&file)
    }

    /// How many were left behind.
    pub(super) fn left(&self) -> u64 {
        u64::try_from(self.left.len()).unwrap_or(u64::MAX)
    }

    /// The batch of this file has ended: answers whether its turn has come, and keeps its release in mind no longer.
    pub(super) fn close(&mut self, file: u64) -> bool {
        self.released.remove(&file) || self.has_left(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_in_mind_of_files_that_went_does_not_grow_with_their_number() {
        let mut done = Done::default();
        let mut most = 0;
        for batch in 0..1000_u64 {
            let files = batch * 100..(batch + 1) * 100;
            files.clone().for_each(|file| done.release(file));
            assert!(files.clone().all(|file| done.close(file)));
            most = done.released.capacity().max(most);
        }
        assert!(done.released.is_empty() && most < 500, "room for {most}");
    }

    #[test]
    fn the_turn_of_a_file_has_come_when_it_went_or_was_left_and_what_was_left_is_not_forgotten() {
        let mut done = Done::default();
        done.release(1);
        done.leave(2);
        assert_eq!([1, 2, 3].map(|file| done.close(file)), [true, true, false]);
        assert_eq!([1, 2, 3].map(|file| done.has_left(file)), [false, true, false]);
        assert_eq!(done.left(), 1);
    }
}
