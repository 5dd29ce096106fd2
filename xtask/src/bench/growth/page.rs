//! `docs/reference/growth.md`.

use super::super::report::aligned_table;
use super::arguments::Subject;
use super::collector::as_figure;
use super::figures::Figures;
use super::plot::amount;
use super::plots::Drawn;
use super::{files, fleet, ledger};

const TITLE: &str = "\
# Growth

<!-- Made by `cargo xtask bench growth --write`; see CONTRIBUTING.md. -->

How the cost grows with the files on a device, with the ledger, and with the fleet. **Whether a line is flat is what is claimed**; the
figures themselves are those of one machine, on which the collector, the jump host and all devices share the processor. Servers are those
of OpenSSH, all connections go through a jump host on loopback, and for root each device has processes of its own, and all of them a fresh
file system. gleaner is configured by default, but for `settle`, which is 0. Every file that was gathered is compared byte by byte afterwards.
";

const FILES: &str = "
## Files on a device

So many files of 2 KB wait on one device, 10,000 to a folder, one folder filled after the other. Goal: the time per file stays, gleaner takes at most 150 MB, and the first file is released within
60 s, however much waits.

A plan holds the oldest files, some 370,000 of them where no other device has as many, which bounds the memory. Where more wait, what is left is listed again for each further plan:
a million files are named 1.9 times each. What a name costs in a listing is in the table after this one.
";

const KEPT: &str = "
A visit when they have been gathered before and stay there, because the configuration says `release = \"keep\"`: each is listed, and
looked up in the ledger.
";

const LEDGER: &str = "
## Files in the ledger

The ledger of 50 devices is filled with rows as gleaner would have written them over some months: a batch and two passes for each
hundred files. Goal: whatever has been recorded, `status` answers within a second, and a run takes no longer to plan.

Seconds, the ledger in the system's cache, as it is beside a timer that runs every few minutes:
";

const LEDGER_COLD: &str = "
The same when nothing of the ledger is in memory, as after a restart (one run each):
";

const KEPT_FOR_EVER: &str = "\
Passes that end like the one before are forgotten, but for the newest 200 of each device; so a fleet that rests adds nothing. What remains
is the record of the files: that a file was stored, as what, and under which name. It is never removed.";

const FLEET: &str = "
## Devices behind one jump host

A visit where nothing waits, and one where 20 files of 30 KB wait on each device. By default 16 devices are worked on at a time and up to 64
connect; `parallel` raises that. Processor time is that of gleaner with its ssh processes; the servers' is not in it, but they use the
same cores, so the seconds would be fewer with devices of their own.
";

/// Goes on where the processor times have been told.
const END: &str = "; on a machine that has the collector alone, only the first counts. Most of that is the key exchange with each \
device, which sharing the connection to the jump host does not save.

Memory, processes and descriptors depend on `parallel` and not on the number of devices: they end nothing, as long as `parallel` stays
near its default. More devices at a time are no quicker once the processor is busy, cost memory in proportion, and have every device
wait for the last: raise `parallel` where the link is slow, not where devices are many.";

const READING: &str = "
**MB of gleaner** is the most that gleaner itself had resident; **MB of ssh** is the most that all its helper processes together had and
shared with nobody, so the programs themselves, which they share, do not count. Processes, sockets and descriptors are the most that were
seen at once.
";

const REPEATING: &str = "
## To repeat it

```sh
cargo xtask bench growth --write                                              # all but the last row of the first table
cargo xtask bench growth --of files --least 1000000 --most 1000000 --write    # that row
cargo xtask bench growth --of fleet --most 50 --rounds 1                      # a part of it, to try
```

Best as root, with nothing else at work. The ledger wants 12 GiB in the folder for temporary files (`--folder` names another). Every single run
is in `target/bench/growth.json`, and later ones take the place of earlier ones there.
";

/// The page, from everything that was measured.
pub(super) fn render(figures: &Figures, plots: &[Drawn]) -> String {
    let mut page = TITLE.to_owned();
    for (subject, section) in [
        (Subject::Files, files_section(figures)),
        (Subject::Ledger, ledger_section(figures)),
        (Subject::Fleet, fleet_section(figures)),
    ] {
        let Some(section) = section else { continue };
        page.push_str(&section);
        for plot in plots.iter().filter(|plot| plot.subject == subject) {
            page.extend([format!("\n![{}]({})\n", plot.title, plot.file)]);
        }
    }
    page.push_str("\n## The machine and the versions\n\n| what | which |\n|---|---|\n");
    for (what, which) in &figures.facts {
        page.extend([format!("| {what} | {} |\n", which.replace('|', "\\|"))]);
    }
    page.push_str(REPEATING);
    page
}

/// A column: its heading, the figure, digits after the point.
type Column = (&'static str, &'static str, usize);

fn rows(figures: &Figures, subject: Subject, work: &str, columns: &[Column]) -> Vec<Vec<String>> {
    let row = |size: u64| {
        let cells = columns
            .iter()
            .map(|(_, name, digits)| cell(figures, (subject, work, size), name, *digits));
        std::iter::once(amount(as_figure(size))).chain(cells).collect()
    };
    figures.sizes(subject.name(), work).into_iter().map(row).collect()
}

fn cell(figures: &Figures, (subject, work, size): (Subject, &str, u64), name: &str, digits: usize) -> String {
    let figure = figures.median(subject.name(), work, size, name);
    figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.digits$}"))
}

fn table(first: &str, columns: &[Column], rows: Vec<Vec<String>>) -> String {
    let heading =
        std::iter::once(first.to_owned()).chain(columns.iter().map(|(name, _, _)| (*name).to_owned()));
    aligned_table(&std::iter::once(heading.collect()).chain(rows).collect::<Vec<_>>())
}

fn files_section(figures: &Figures) -> Option<String> {
    const COLUMNS: [Column; 8] = [
        ("seconds", "seconds", 1),
        ("ms per file", "ms_per_file", 3),
        ("CPU s", "cpu_seconds", 1),
        ("CPU s of the servers", "server_cpu_seconds", 1),
        ("MB of gleaner", "collector_mb", 0),
        ("MB of ssh", "helpers_mb", 0),
        ("s to the first release", "first_released_seconds", 2),
        ("bytes of ledger per file", "ledger_bytes_per_file", 0),
    ];
    const KEPT_COLUMNS: [Column; 4] = [
        ("seconds", "seconds", 2),
        ("ms per file", "ms_per_file", 3),
        ("MB of gleaner", "collector_mb", 0),
        ("MB of ssh", "helpers_mb", 0),
    ];
    let gathered = rows(figures, Subject::Files, files::GATHER, &COLUMNS);
    let kept = rows(figures, Subject::Files, files::KEPT, &KEPT_COLUMNS);
    if gathered.is_empty() {
        return None;
    }
    let mut text = format!("{FILES}\n{}", table("files", &COLUMNS, gathered));
    text.push_str(&goals(figures).unwrap_or_default());
    if !kept.is_empty() {
        text.extend([format!("{KEPT}\n{}", table("files", &KEPT_COLUMNS, kept))]);
    }
    Some(text)
}

/// Whether the goals are reached with as many files as were measured.
fn goals(figures: &Figures) -> Option<String> {
    const MEGABYTES: f64 = 150.0;
    const SECONDS: f64 = 60.0;
    let sizes = figures.sizes(Subject::Files.name(), files::GATHER);
    let most = |name| {
        let of = |size: &u64| figures.median(Subject::Files.name(), files::GATHER, *size, name);
        sizes.iter().filter_map(of).reduce(f64::max)
    };
    let (megabytes, seconds) = (most("collector_mb")?, most("first_released_seconds")?);
    let word = |reached: bool| if reached { "reached" } else { "missed" };
    Some(format!(
        "\nMemory: {}, {megabytes:.0} MB. First release: {}, {seconds:.1} s.\n",
        word(megabytes <= MEGABYTES),
        word(seconds <= SECONDS)
    ))
}

fn ledger_section(figures: &Figures) -> Option<String> {
    let sizes = figures.sizes(Subject::Ledger.name(), ledger::SIZE);
    let most = *sizes.last()?;
    let mut text = format!("{LEDGER}\n{}", ledger_table(figures, &sizes, false));
    text.push_str(LEDGER_COLD);
    text.push('\n');
    text.push_str(&ledger_table(figures, &sizes, true));
    let of = |name| figures.median(Subject::Ledger.name(), ledger::SIZE, most, name);
    if let (1.., Some(megabytes)) = (most, of("megabytes")) {
        text.extend([format!(
            "\nWith {} files the ledger takes {} MB on the disk, {:.0} bytes for each file.",
            amount(as_figure(most)),
            amount(megabytes.round()),
            megabytes * 1e6 / as_figure(most)
        )]);
        if let Some(passes) = of("megabytes_of_passes") {
            text.extend([format!(
                " Of these, {} MB are the history of the passes and the names of the batches.\n\n{KEPT_FOR_EVER} To forget the passes as well would \
                 win {:.1} %.",
                amount(passes.round()),
                passes / megabytes * 100.0
            )]);
        }
        text.push('\n');
    }
    Some(text)
}

fn ledger_table(figures: &Figures, sizes: &[u64], cold: bool) -> String {
    let heading = std::iter::once("files in the ledger".to_owned())
        .chain(sizes.iter().map(|size| amount(as_figure(*size))));
    let row = |question: &ledger::Question| {
        let work = ledger::work_name(question.name, cold);
        let cells = sizes
            .iter()
            .map(|size| cell(figures, (Subject::Ledger, &work, *size), "seconds", 2));
        std::iter::once(question.about.to_owned()).chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = std::iter::once(heading.collect())
        .chain(ledger::QUESTIONS.iter().map(row))
        .collect();
    aligned_table(&rows)
}

fn fleet_section(figures: &Figures) -> Option<String> {
    const COLUMNS: [Column; 10] = [
        ("seconds", "seconds", 2),
        ("not served", "not_served", 0),
        ("ms per device", "ms_per_device", 0),
        ("CPU ms per device", "cpu_ms_per_device", 0),
        ("MB of gleaner", "collector_mb", 0),
        ("MB of ssh", "helpers_mb", 0),
        ("processes", "processes", 0),
        ("sockets", "sockets", 0),
        ("descriptors of gleaner", "descriptors", 0),
        ("slowest visit, s", "slowest_seconds", 2),
    ];
    const ENDS: [Column; 4] = [
        ("seconds", "seconds", 2),
        ("first device done, s", "first_end_seconds", 2),
        ("last device done, s", "last_end_seconds", 2),
        ("slowest visit, s", "slowest_seconds", 2),
    ];
    let mut text = format!("{FLEET}{READING}");
    let mut is_empty = true;
    for sweep in fleet::SWEEPS {
        let columns = match sweep.name {
            fleet::DEAD | fleet::SAME_BYTES => ENDS.as_slice(),
            _ => COLUMNS.as_slice(),
        };
        let rows = rows(figures, Subject::Fleet, sweep.name, columns);
        if rows.is_empty() {
            continue;
        }
        is_empty = false;
        text.extend([format!(
            "\n**{}**: {}\n\n{}",
            capital(sweep.name),
            sweep.about,
            table("devices", columns, rows)
        )]);
    }
    text.push_str(&end_of_a_collector(figures).unwrap_or_default());
    (!is_empty).then_some(text)
}

/// Where one collector ends, by the largest fleet that was measured.
fn end_of_a_collector(figures: &Figures) -> Option<String> {
    const EVERY_SECONDS: f64 = 300.0;
    let most = *figures.sizes(Subject::Fleet.name(), fleet::IDLE).last()?;
    let of = |work, name| figures.median(Subject::Fleet.name(), work, most, name);
    let (idle, busy) = (
        of(fleet::IDLE, "ms_per_device")?,
        of(fleet::FILES, "ms_per_device")?,
    );
    let (cpu, servers) = (
        of(fleet::IDLE, "cpu_seconds")?,
        of(fleet::IDLE, "server_cpu_seconds"),
    );
    let seconds = of(fleet::IDLE, "seconds")?;
    let hundreds =
        |milliseconds: f64| amount((EVERY_SECONDS * 1000.0 / milliseconds / 100.0).floor() * 100.0);
    let mut text = format!(
        "\n**Where one collector ends.** With {} devices, at 16 at a time, a visit where nothing waits takes {idle:.0} ms of the sweep. A sweep \
         every five minutes would so serve {} devices of this kind, and {} where 20 files wait on each. What ends it is processor time: of the {seconds:.1} s of the \
         sweep, gleaner and ssh used {cpu:.1} s of a core",
        amount(as_figure(most)),
        hundreds(idle),
        hundreds(busy),
    );
    if let Some(servers) = servers {
        text.extend([format!(" and the servers {servers:.1} s")]);
    }
    text.push_str(END);
    text.push_str(&left_out(figures).unwrap_or_default());
    text.push('\n');
    Some(text)
}

/// What becomes of too many devices at once, if any was left out.
fn left_out(figures: &Figures) -> Option<String> {
    // The largest fleet may have been too large to be measured in one of the two ways.
    let subject = Subject::Fleet.name();
    let of = |work| {
        let size = *figures.sizes(subject, work).last()?;
        let count = figures.median(subject, work, size, "not_served")?;
        (count > 0.0).then_some((size, count))
    };
    let (size, count) = of(fleet::IDLE_AT_ONCE).or_else(|| of(fleet::FILES_AT_ONCE))?;
    Some(format!(
        " With all of {} at once, {} were not served in that sweep.",
        amount(as_figure(size)),
        amount(count)
    ))
}

fn capital(words: &str) -> String {
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::point;
    use super::super::plots;
    use super::*;

    fn measured() -> Figures {
        let mut figures = Figures::default();
        figures.facts.push(("cores".to_owned(), "2".to_owned()));
        for (size, milliseconds) in [(1000, 0.5), (10_000, 0.45)] {
            let run = [("ms_per_file", milliseconds), ("collector_mb", 30.0)];
            figures.add(point("files", files::GATHER, size, &run));
        }
        figures.add(point(
            "ledger",
            ledger::SIZE,
            10_000_000,
            &[("megabytes", 4_500.0)],
        ));
        figures.add(point("ledger", "status", 10_000_000, &[("seconds", 0.25)]));
        figures
    }

    #[test]
    fn the_page_has_what_was_measured_and_nothing_of_what_was_not() {
        let figures = measured();
        let page = render(&figures, &plots::all(&figures));
        assert!(page.contains("| 10,000 | –       | 0.450       |"), "{page}");
        assert!(page.contains(
            "With 10,000,000 files the ledger takes 4,500 MB on the disk, 450 bytes for each file.\n"
        ));
        assert!(page.contains("![Time per file](growth-files-time.svg)"));
        assert!(!page.contains("## Devices") && !page.contains("growth-fleet"));
        assert!(page.contains("| cores | 2 |"));
        assert!(page.lines().all(|line| line == line.trim_end()) && page.ends_with('\n'));
    }

    #[test]
    fn the_end_of_a_collector_is_told_by_the_largest_fleet() {
        let mut figures = measured();
        for (size, idle) in [(50, 90.0), (500, 60.0)] {
            let run = [("ms_per_device", idle), ("cpu_seconds", 9.0), ("seconds", 30.0)];
            figures.add(point("fleet", fleet::IDLE, size, &run));
            figures.add(point("fleet", fleet::FILES, size, &[("ms_per_device", 100.0)]));
        }
        let text = end_of_a_collector(&figures).unwrap();
        assert!(
            text.contains("serve 5,000 devices of this kind, and 3,000 where"),
            "{text}"
        );
    }
}
