//! Which files a visit has handled.

use std::collections::HashSet;

/// Files that stay and are remembered one by one. Beyond them a file may be inspected twice in a pass, which
/// does no harm. This is what a hash table of 9 MB holds: one more would double it.
const MAX_LEFT: usize = (1 << 20) / 8 * 7;

/// Files, each by a hash of its source and original path.
#[derive(Debug, Default)]
pub(super) struct Handled {
    /// Files that stay on the device until the next visit.
    left: HashSet<u64>,
    /// Files of open batches that are gone. Earlier ones are forgotten: a device may hold millions.
    released: HashSet<u64>,
}

impl Handled {
    pub(super) fn leave(&mut self, file: u64) {
        if self.left.len() < MAX_LEFT {
            self.left.insert(file);
        }
    }

    pub(super) fn release(&mut self, file: u64) {
        self.released.insert(file);
    }

    /// Whether this visit has left the file behind.
    pub(super) fn has_left(&self, file: u64) -> bool {
        self.left.contains(&file)
    }

    /// Number of files left behind.
    pub(super) fn left(&self) -> u64 {
        u64::try_from(self.left.len()).unwrap_or(u64::MAX)
    }

    /// Closes the batch of this file: says whether the file was released or left, and forgets its release.
    pub(super) fn close(&mut self, file: u64) -> bool {
        self.released.remove(&file) || self.has_left(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_does_not_grow_with_the_number_of_released_files() {
        let mut handled = Handled::default();
        let mut most = 0;
        for batch in 0..1000_u64 {
            let files = batch * 100..(batch + 1) * 100;
            files.clone().for_each(|file| handled.release(file));
            assert!(files.clone().all(|file| handled.close(file)));
            most = handled.released.capacity().max(most);
        }
        assert!(handled.released.is_empty() && most < 500, "room for {most}");
    }

    #[test]
    fn a_file_is_handled_when_released_or_left_and_left_ones_are_kept() {
        let mut handled = Handled::default();
        handled.release(1);
        handled.leave(2);
        assert_eq!([1, 2, 3].map(|file| handled.close(file)), [true, true, false]);
        assert_eq!([1, 2, 3].map(|file| handled.has_left(file)), [false, true, false]);
        assert_eq!(handled.left(), 1);
    }
}
