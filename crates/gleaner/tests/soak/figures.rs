//! Counts what a soak has done.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) fleets: usize,
    pub(crate) rounds: usize,
    pub(crate) runs: usize,
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    pub(crate) kills: BTreeMap<String, usize>,
    pub(crate) others: BTreeMap<String, usize>,
    /// Faults that came too late, or found no target.
    pub(crate) missed: usize,
    /// Runs by how they ended.
    pub(crate) ends: BTreeMap<String, usize>,
    pub(crate) elapsed: Duration,
}

impl Display for Figures {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "rounds: {}, fleets: {}, runs: {}, seconds: {}",
            self.rounds,
            self.fleets,
            self.runs,
            self.elapsed.as_secs()
        )?;
        let megabytes = self.bytes / 1_000_000;
        writeln!(
            formatter,
            "files recorded: {}, megabytes: {megabytes}",
            self.files
        )?;
        let counts = [
            ("kills", &self.kills),
            ("other faults", &self.others),
            ("runs that ended with", &self.ends),
        ];
        for (heading, counts) in counts {
            let total: usize = counts.values().sum();
            writeln!(formatter, "{heading}: {total}")?;
            for (name, count) in counts {
                writeln!(formatter, "  {count:>6}  {name}")?;
            }
        }
        write!(formatter, "faults that came too late: {}", self.missed)
    }
}
