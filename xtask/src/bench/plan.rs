//! Which work is measured over which link with which tools, unless the arguments say otherwise.

use super::link::{LINKS, Link};
use super::tools::TOOLS;
use super::work::{WORKS, Work};

/// One table of the report.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) work: Work,
    pub(super) link: Link,
    pub(super) tools: Vec<&'static str>,
}

/// Every peer where it comes to an end in reasonable time; over the slow links those that say the most.
const PLAN: [(&str, &str, &[&str]); 14] = [
    ("big", "loopback", EVERY_PEER),
    ("middle", "loopback", &["gleaner", "rsync", "tar"]),
    (
        "middle",
        "wan",
        &["gleaner", "rsync", "rclone-unchecked", "lftp", "tar"],
    ),
    ("small", "loopback", EVERY_PEER),
    (
        "small",
        "wan",
        &["gleaner", "rsync", "rclone-unchecked", "lftp", "tar"],
    ),
    ("photos", "loopback", EVERY_PEER),
    (
        "photos",
        "wan",
        &[
            "gleaner",
            "gleaner-again",
            "rsync",
            "rsync-z",
            "field",
            "lftp",
            "tar",
        ],
    ),
    (
        "fleet",
        "loopback",
        &["gleaner", "field", "rsync-16", "rsync-16-shared"],
    ),
    (
        "fleet",
        "wan",
        &["gleaner", "field", "rsync-16", "rsync-16-shared"],
    ),
    (
        "fleet",
        "mobile",
        &["gleaner", "field", "rsync-16", "rsync-16-shared"],
    ),
    (
        "idle",
        "loopback",
        &["gleaner", "field", "rsync-16", "rsync-16-shared"],
    ),
    (
        "idle",
        "wan",
        &["gleaner", "field", "rsync-16", "rsync-16-shared"],
    ),
    ("idle", "mobile", &["gleaner", "rsync-16", "rsync-16-shared"]),
    ("backlog", "loopback", &["gleaner"]),
];

const EVERY_PEER: &[&str] = &[
    "gleaner",
    "rsync",
    "rsync-fsync",
    "rsync-z",
    "field",
    "rclone",
    "rclone-unchecked",
    "lftp",
    "tar",
];

/// The tables for these names; no names mean all. A pair that is not planned is measured when both of its names are given.
pub(super) fn tables(works: &[String], links: &[String], tools: &[String]) -> Vec<Table> {
    let is_wanted = |names: &[String], name: &str| names.is_empty() || names.iter().any(|it| it == name);
    let mut tables = Vec::new();
    for work in WORKS.iter().filter(|work| is_wanted(works, work.name)) {
        for link in LINKS.iter().filter(|link| is_wanted(links, link.name)) {
            let planned = |(of_work, _, _): &&(&str, &str, &[&'static str])| *of_work == work.name;
            let entry = PLAN
                .iter()
                .filter(planned)
                .find(|(_, over, _)| *over == link.name);
            let both_given = !works.is_empty() && !links.is_empty();
            let Some((_, _, by_plan)) = entry.or_else(|| PLAN.iter().find(planned).filter(|_| both_given))
            else {
                continue;
            };
            let tools = if tools.is_empty() {
                by_plan.to_vec()
            } else {
                let wanted = TOOLS.iter().map(|tool| tool.name);
                wanted.filter(|name| is_wanted(tools, name)).collect()
            };
            tables.push(Table {
                work: *work,
                link: *link,
                tools,
            });
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_plan_names_only_what_there_is() {
        for (work, link, tools) in PLAN {
            assert!(WORKS.iter().any(|it| it.name == work), "{work}");
            assert!(LINKS.iter().any(|it| it.name == link), "{link}");
            assert!(
                tools.iter().all(|name| TOOLS.iter().any(|it| it.name == *name)),
                "{tools:?}"
            );
        }
        assert_eq!(tables(&[], &[], &[]).len(), PLAN.len());
    }

    #[test]
    fn names_choose_among_the_plan_and_go_beyond_it_together() {
        assert_eq!(tables(&owned(&["small"]), &[], &[]).len(), 2);
        let beyond = tables(&owned(&["small"]), &owned(&["mobile"]), &owned(&["tar"]));
        assert_eq!(
            (beyond.len(), beyond[0].tools.as_slice()),
            (1, ["tar"].as_slice())
        );
    }
}
