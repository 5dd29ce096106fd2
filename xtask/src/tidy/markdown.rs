//! Rules for documents: exactly one title, and no broken link.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{Finding, Text};

pub(super) fn check(document: &Text, texts: &[Text]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let prose: Vec<_> = prose_lines(&document.content).collect();
    let titles = prose.iter().filter(|(line, _)| line.starts_with("# ")).count();
    if titles != 1 {
        findings.push(Finding::about(
            &document.path,
            format!("{titles} titles (`# …`) instead of one"),
        ));
    }
    for (line, number) in &prose {
        for link in links(line) {
            if let Some(message) = broken(document, link, texts) {
                findings.push(Finding::at(document, *number, message));
            }
        }
    }
    findings
}

/// Documents below `docs` that no other document links to, so that readers cannot find them.
pub(super) fn orphans(texts: &[Text]) -> Vec<Finding> {
    let documents = || texts.iter().filter(|text| text.extension() == "md");
    let linked: BTreeSet<String> = documents()
        .flat_map(|document| {
            let lines = prose_lines(&document.content).flat_map(|(line, _)| links(line));
            lines.map(|link| resolved(&document.path, link.split('#').next().unwrap_or_default()))
        })
        .collect();
    documents()
        .filter(|document| document.path.starts_with("docs/") && !linked.contains(&document.path))
        .map(|document| Finding::about(&document.path, "no other document links here"))
        .collect()
}

/// The lines outside fenced code, with their numbers.
pub(super) fn prose_lines(content: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut fenced = false;
    content.lines().zip(1..).filter(move |(line, _)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of `[text](target)` in a line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(str::trim)
}

/// What is wrong with a link to a file or heading of this project.
fn broken(document: &Text, link: &str, texts: &[Text]) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = link
        .split_once('#')
        .map_or((link, None), |(file, heading)| (file, Some(heading)));
    let target = if file.is_empty() {
        document.path.clone()
    } else {
        resolved(&document.path, file)
    };
    let folder = format!("{}/", target.trim_end_matches('/'));
    let Some(found) = texts.iter().find(|text| text.path == target) else {
        let is_folder = texts.iter().any(|text| text.path.starts_with(&folder));
        return (!is_folder).then(|| format!("the link to `{link}` is broken"));
    };
    let heading = heading?;
    let there = prose_lines(&found.content).any(|(line, _)| line.starts_with('#') && anchor(line) == heading);
    (!there).then(|| format!("`{target}` has no heading for `#{heading}`"))
}

/// `link` as seen from `document`, relative to the root of the project.
fn resolved(document: &str, link: &str) -> String {
    let mut path = Path::new(document)
        .parent()
        .map(PathBuf::from)
        .unwrap_or_default();
    for component in Path::new(link).components() {
        match component {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path.to_string_lossy().into_owned()
}

/// The anchor that code forges give to a heading.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .chars()
        .filter(|character| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_'))
        .map(|character| {
            if character == ' ' {
                '-'
            } else {
                character.to_ascii_lowercase()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{shown, text};
    use super::*;

    fn found(path: &str, content: &str) -> Vec<String> {
        let others = [
            text("docs/limits.md", "# Limits\n\n## What a `flush` is\n"),
            text("README.md", "# Readme\n"),
        ];
        shown(&check(&text(path, content), &others))
    }

    #[test]
    fn a_document_has_one_title() {
        assert_eq!(found("a.md", "# One\n\n```sh\n# a comment\n```\n"), [""; 0]);
        assert_eq!(found("a.md", "# One\n# Two\n").len(), 1);
        assert_eq!(found("a.md", "text\n").len(), 1);
    }

    #[test]
    fn a_link_to_a_missing_file_is_found() {
        assert_eq!(
            found(
                "docs/a.md",
                "# A\n[l](limits.md) [r](../README.md) [d](../docs/) [w](https://x.org)\n"
            ),
            [""; 0]
        );
        assert_eq!(
            found("docs/a.md", "# A\n\nSee [l](gone.md).\n"),
            ["docs/a.md:3: the link to `gone.md` is broken"]
        );
    }

    #[test]
    fn a_link_to_a_missing_heading_is_found() {
        assert_eq!(
            found("docs/a.md", "# A\n[l](limits.md#what-a-flush-is)\n"),
            [""; 0]
        );
        assert_eq!(
            found("docs/a.md", "# A\n[l](limits.md#what-else)\n"),
            ["docs/a.md:2: `docs/limits.md` has no heading for `#what-else`"]
        );
    }

    #[test]
    fn a_document_without_links_to_it_is_found() {
        let texts = [
            text("README.md", "# R\n[a](docs/a.md#x)\n"),
            text("docs/a.md", "# A\n"),
            text("docs/b.md", "# B\n"),
        ];
        assert_eq!(
            shown(&orphans(&texts)),
            ["docs/b.md: no other document links here"]
        );
    }
}
