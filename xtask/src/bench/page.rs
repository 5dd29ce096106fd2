//! `docs/reference/benchmarks.md`.

use super::goals::goal_of;
use super::link::LINKS;
use super::report;
use super::results::Results;
use super::tools::TOOLS;
use super::work::WORKS;

const TITLE: &str = "\
# Measurements

<!-- Made by `cargo xtask bench --write`; see CONTRIBUTING.md. -->

How long gleaner takes to empty devices, beside the tools that people use for it today. **The ratios are what is claimed.** The
seconds are those of one machine, on which the collector, the jump host, the devices and the emulated link all share the
processor; on yours they are others, and the comparison is a command away:

```sh
cargo xtask bench
```
";

const READING: &str = "
## How to read the tables

- **seconds**: the median over the rounds, and the shortest and the longest in brackets; each until the tool and the last of its
  helpers have ended. `> 300` was ended at the limit. A run after which a file is missing in the store, has other bytes, or is
  left on its device shows that in place of a time.
- **÷**: the median divided by that of the tool that the goal names, taken from the same measurement.
- **goal**: what gleaner is to reach, and what it reached.
- **CPU s**: seconds of processor time, *here* of the tool with all its helpers, ssh among them, and *there* of the servers of both the jump
  host and the devices.
- **memory MB**: the largest sum of resident memory over the tool and its helpers, looked at 20 times a second. Pages that processes
  share count once for each of them, which is hard on tools that start many.
- **MB in, out**: what passed between the tool and the jump host, from and to the devices, with all that ssh adds. On loopback it is
  not counted.

The tools do not do the same. gleaner has every file on the disk, read back and compared with a digest made on the device, before it
leaves the device. `rsync-fsync` flushes each file; the others leave that to the kernel, and have deleted the original by then. `tar` deletes
nothing and is here as the bound of what one ssh connection carries.
";

const HOW: &str = "
## How it is measured

- **Servers**: two OpenSSH servers on loopback, one the jump host, one for all devices, whose aliases differ in the folder that is
  emptied. Limits on connections are raised. Every tool reads the same `ssh_config`, and every connection goes through the jump host
  (rclone, which brings its own SSH, by a tunnel that ssh opens through it).
- **Disk**: for root, a fresh ext4 file system in an image of its own, so that the age of the machine's disk does not count; sources and
  store both lie there. Otherwise a folder. What waits was written a moment before, so it is read from memory.
- **Homes**: for root, the servers see an empty home folder, and all tools have one: nobody's start-up files or settings are measured.
- **Links**: a relay of streams between the tools and the jump host, which keeps each piece for the delay, sends no faster than the rate, all
  connections together, lets nothing pass in an outage, and has a buffer of 256 KiB in front of it, as a router has; whoever has more to
  send waits. Opening a connection takes its round trip. There is no loss of packets: what TCP makes of that is not measured. Nor are the
  headers of its packets counted.
- **Rounds**: in each, every tool runs once, in an order that rotates, on contents laid out anew and flushed. A tool that went over the limit is not run
  again.
- **Checks**: after each run every byte is compared with what was laid out, and the sources must be empty of files.
- **gleaner**: as configured by default, but for `settle` and `settle_blind`, which are 0 because the files have just been made, and
  `min_free`. Its store is new and its ledger empty; only on a fleet where nothing waits it has been there once before, and as `gleaner-again`.
";

const REPEATING: &str = "
## To repeat it

```sh
cargo xtask bench --write                         # all of it, and this page; best as root on a machine that does nothing else
cargo xtask bench --work small --link wan         # one table
cargo xtask bench --gleaner OLD --gleaner NEW     # two builds side by side
cargo xtask bench --scale 1 --rounds 1            # a trial of the measurement itself, in a few minutes
```

Every single run is in `target/bench/results.json`. Tables that are measured later take the place of earlier ones there; the page is made
of all of them.
";

/// The page, from everything measured at this scale.
pub(super) fn render(results: &Results, scale_percent: u64) -> String {
    let mut page = TITLE.to_owned();
    if scale_percent != 100 {
        let trial = format!("\n**A trial with {scale_percent} % of the work. Its figures mean nothing.**\n");
        page.push_str(&trial);
    }
    page.push_str(READING);
    for work in WORKS {
        for link in LINKS {
            let entries = results.table(work.name, link.name, scale_percent);
            let Some(first) = entries.first() else {
                continue;
            };
            let title = format!("\n## `{}` over `{}`\n\n", work.name, link.name);
            page.push_str(&title);
            let what = format!("{}, {}", work.about, link.about);
            page.push_str(&sentence(&what));
            let rounds = entries
                .iter()
                .map(|entry| entry.runs.len())
                .max()
                .unwrap_or_default();
            page.extend([format!(" Rounds: {rounds}.")]);
            if let Some(goal) = goal_of(work.name, link.name) {
                page.extend([format!(" Goal: {}.", goal.in_words())]);
            }
            if entries.iter().any(|entry| entry.measurement != first.measurement) {
                page.push_str(" Not all of it was measured side by side; ratios are given where it was.");
            }
            page.push_str("\n\n");
            page.push_str(&report::table(&entries));
        }
    }
    page.push_str(HOW);
    page.push_str(&tools_section());
    page.push_str(&machine_section(results));
    page.push_str(REPEATING);
    page
}

fn sentence(words: &str) -> String {
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect()
}

fn tools_section() -> String {
    let mut text = "
## The tools

`$DEVICES` are the aliases of the devices, `$SOURCES` and `$STORE` the folders that have one folder for each device.
"
    .to_owned();
    for tool in TOOLS {
        text.extend([format!(
            "\n**`{}`**: {}.\n\n```sh\n{}\n```\n",
            tool.name, tool.about, tool.script
        )]);
    }
    text
}

fn machine_section(results: &Results) -> String {
    let mut text = "\n## The machine and the versions\n\n| what | which |\n|---|---|\n".to_owned();
    for (what, which) in &results.facts {
        text.extend([format!("| {what} | {} |\n", which.replace('|', "\\|"))]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::entry;
    use super::*;

    fn results() -> Results {
        let mut results = Results::default();
        results.facts.push(("cores".to_owned(), "2".to_owned()));
        results.add(entry("gleaner", &[20.0]));
        results.add(entry("tar", &[21.0]));
        results
    }

    #[test]
    fn the_page_has_a_section_for_what_was_measured_and_none_for_what_was_not() {
        let page = render(&results(), 100);
        assert!(page.contains(
            "\n## `small` over `wan`\n\n10,000 files of 2 to 40 KB in 20 folders, at a round trip of 100 ms and 100 Mbit/s. \
             Rounds: 1. Goal: at most 1.05 times the time of `tar`.\n\n| tool "
        ));
        assert!(page.contains("reached: 0.95"));
        assert!(!page.contains("over `loopback`"));
        assert!(page.contains("| cores | 2 |"));
        assert!(page.lines().all(|line| line == line.trim_end()) && page.ends_with('\n'));
        assert_eq!(page.lines().filter(|line| line.starts_with("# ")).count(), 1);
    }

    #[test]
    fn figures_of_a_trial_are_not_in_the_page_of_the_whole() {
        let mut results = results();
        for entry in &mut results.entries {
            entry.scale_percent = 1;
        }
        assert!(!render(&results, 100).contains("## `small`"));
        let trial = render(&results, 1);
        assert!(trial.contains("## `small` over `wan`") && trial.contains("mean nothing"));
    }

    #[test]
    fn what_was_not_measured_side_by_side_is_said() {
        let mut results = results();
        results.entries[1].measurement = "0".to_owned();
        assert!(render(&results, 100).contains("Not all of it was measured side by side"));
    }
}
