//! No circles of files within a crate: of two files, one can be read without the other.
//!
//! A file depends on those that its paths lead to: `crate::…`, `super::…`, `self::…`, and `name::…` for a module that
//! it declares. A path to a re-exported name leads to the file that is re-exported, and the re-export is no dependency.
//! Macros, glob re-exports and methods called on a value are not followed.

use std::collections::{BTreeMap, BTreeSet};

use super::layers::{is_test_file, shipped_lines};
use super::{Finding, Rule, Text};
use crate::workspace::Workspace;

/// The path of a module, from the root of its crate.
type Module = Vec<String>;

/// What one file says about others.
#[derive(Debug, Default)]
struct Source {
    path: String,
    /// What its paths lead to, from the root of the crate.
    uses: BTreeSet<Module>,
    /// The names that it re-exports, and where they are defined.
    reexports: BTreeMap<String, Module>,
}

type Sources = BTreeMap<Module, Source>;

pub(super) fn check(workspace: &Workspace, texts: &[Text]) -> Vec<Finding> {
    let folders = workspace
        .members
        .iter()
        .map(|member| format!("{}/src/", member.folder));
    folders.flat_map(|folder| check_crate(&folder, texts)).collect()
}

fn check_crate(folder: &str, texts: &[Text]) -> Vec<Finding> {
    let files = texts
        .iter()
        .filter(|text| text.extension() == "rs" && !is_test_file(&text.path));
    let sources: Sources = files
        .filter_map(|text| {
            let module = module_of(text.path.strip_prefix(folder)?);
            Some((module.clone(), read(text, &module)))
        })
        .collect();
    circles(&arrows(&sources))
        .into_iter()
        .map(|circle| {
            let files: Vec<_> = circle.iter().filter_map(|module| sources.get(*module)).collect();
            let names: Vec<_> = files
                .iter()
                .map(|file| file.path.trim_start_matches(folder))
                .collect();
            let message = format!("{} files depend on each other: {}", names.len(), names.join(", "));
            Finding::of_place(Rule::Circle, folder.trim_end_matches('/'), message)
        })
        .collect()
}

/// `lib.rs` and `main.rs` are the root.
fn module_of(file: &str) -> Module {
    match file.trim_end_matches(".rs") {
        "lib" | "main" => Vec::new(),
        stem => stem.split('/').map(str::to_owned).collect(),
    }
}

fn read(text: &Text, module: &[String]) -> Source {
    let lines: Vec<_> = shipped_lines(&text.content)
        .map(|(line, _)| line.trim())
        .collect();
    let declared = |line: &&str| Some(line.strip_suffix(';')?.rsplit_once("mod ")?.1.to_owned());
    let children: BTreeSet<String> = lines.iter().filter_map(declared).collect();
    let mut source = Source {
        path: text.path.clone(),
        ..Source::default()
    };
    for item in lines.join("\n").split_inclusive(';') {
        for path in paths(item) {
            let Some(absolute) = absolute(&path, module, &children) else {
                continue;
            };
            let names_module = absolute.last().is_some_and(|name| name == "self");
            match absolute.last().filter(|_| is_reexport(item) && !names_module) {
                Some(name) => drop(source.reexports.insert(name.clone(), absolute.clone())),
                None => drop(source.uses.insert(absolute)),
            }
        }
    }
    source
}

fn is_reexport(item: &str) -> bool {
    let item = item.trim_start();
    item.starts_with("pub")
        && item
            .split(['{', ';'])
            .next()
            .is_some_and(|head| head.contains(" use "))
}

/// Every `a::b` of an item, the braces of a `use` spelled out.
fn paths(item: &str) -> Vec<Module> {
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    let starts = item.match_indices("::").filter_map(|(end, _)| {
        let head = item.get(..end)?;
        let start = head
            .rfind(|character| !is_name(character))
            .map_or(0, |before| before + 1);
        // Neither in the middle of a path nor `$crate`.
        (start < end && !head.get(..start)?.ends_with([':', '$'])).then_some(start)
    });
    let mut found = Vec::new();
    for start in starts {
        spell_out(item.get(start..).unwrap_or_default(), &mut Vec::new(), &mut found);
    }
    found
}

/// Adds the paths at the beginning of `rest`, each behind `prefix`; returns what follows them.
fn spell_out<'a>(rest: &'a str, prefix: &mut Module, found: &mut Vec<Module>) -> &'a str {
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    let rest = rest.trim_start();
    if let Some(mut rest) = rest.strip_prefix('{') {
        while !rest.is_empty() {
            rest = rest.trim_start_matches(|character: char| character == ',' || character.is_whitespace());
            if let Some(behind) = rest.strip_prefix('}') {
                return behind;
            }
            let before = rest.len();
            rest = spell_out(rest, &mut prefix.clone(), found);
            if rest.len() == before {
                return rest;
            }
        }
        return rest;
    }
    let length = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
    let (name, behind) = rest.split_at_checked(length).unwrap_or_default();
    if !name.is_empty() {
        prefix.push(name.to_owned());
    }
    match behind.strip_prefix("::") {
        Some(behind) if behind.starts_with(|next| is_name(next) || next == '{') => {
            spell_out(behind, prefix, found)
        }
        _ => {
            found.push(prefix.clone());
            // What a name is imported as leads nowhere else.
            behind
                .find([',', '}'])
                .and_then(|end| behind.get(end..))
                .unwrap_or_default()
        }
    }
}

/// The path from the root of the crate, if it leads into it.
fn absolute(path: &[String], module: &[String], children: &BTreeSet<String>) -> Option<Module> {
    let first = path.first()?;
    let ups = path.iter().take_while(|name| *name == "super").count();
    let (base, rest) = match first.as_str() {
        "crate" => (&[][..], path.get(1..)?),
        "self" => (module, path.get(1..)?),
        "super" => (module.get(..module.len().checked_sub(ups)?)?, path.get(ups..)?),
        name if children.contains(name) => (module, path),
        _ => return None,
    };
    Some(base.iter().chain(rest).cloned().collect())
}

/// From each file to those that it depends on.
fn arrows(sources: &Sources) -> BTreeMap<&Module, BTreeSet<&Module>> {
    let from = |(module, source): (_, &Source)| {
        let targets = source.uses.iter().filter_map(|path| target(sources, path, 0));
        (module, targets.filter(|target| *target != module).collect())
    };
    sources.iter().map(from).collect()
}

/// The file that defines what a path leads to.
fn target<'a>(sources: &'a Sources, path: &[String], depth: usize) -> Option<&'a Module> {
    /// Re-exports of re-exports that are followed; a circle of them does not compile.
    const MAX_DEPTH: usize = 8;
    let longest = (0..=path.len())
        .rev()
        .find_map(|length| sources.get_key_value(path.get(..length)?));
    let (module, source) = longest?;
    let reexported = path.get(module.len()).and_then(|name| source.reexports.get(name));
    match reexported.filter(|_| depth < MAX_DEPTH) {
        Some(path) => target(sources, path, depth + 1),
        None => Some(module),
    }
}

/// The sets of more than one file that all reach each other.
fn circles<'a>(arrows: &BTreeMap<&'a Module, BTreeSet<&'a Module>>) -> BTreeSet<BTreeSet<&'a Module>> {
    let reached_from = |start: &'a Module| {
        let mut reached = BTreeSet::new();
        let mut open = vec![start];
        while let Some(next) = open.pop() {
            open.extend(
                arrows
                    .get(next)
                    .into_iter()
                    .flatten()
                    .filter(|it| reached.insert(**it)),
            );
        }
        reached
    };
    let reached: BTreeMap<_, _> = arrows
        .keys()
        .map(|module| (*module, reached_from(module)))
        .collect();
    let reaches = |from: &Module, to: &Module| reached.get(from).is_some_and(|all| all.contains(to));
    let circle_of = |module: &'a Module| -> BTreeSet<_> {
        let all = reached.keys().copied();
        all.filter(|other| reaches(module, other) && reaches(other, module))
            .collect()
    };
    let all = reached.keys().map(|module| circle_of(module));
    all.filter(|circle| circle.len() > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{shown, text};
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let texts: Vec<_> = files
            .iter()
            .map(|(name, content)| text(&format!("a/src/{name}"), content))
            .collect();
        shown(&check_crate("a/src/", &texts))
    }

    #[test]
    fn two_files_that_import_each_other_are_a_circle() {
        let files = [
            ("lib.rs", "mod one;\nmod two;\n"),
            ("one.rs", "use crate::{\n    two::Two,\n};\n"),
            ("two.rs", "fn two() {\n    super::one::run()\n}\n"),
        ];
        assert_eq!(
            found(&files),
            ["a/src: warning: 2 files depend on each other: one.rs, two.rs"]
        );
    }

    #[test]
    fn a_parent_that_only_reexports_is_in_no_circle() {
        let child = ("one/part.rs", "use super::One;\n");
        let reexports = "mod part;\npub(crate) use part::Part;\npub(crate) struct One;\n";
        assert_eq!(
            found(&[("lib.rs", "mod one;\n"), ("one.rs", reexports), child]),
            [""; 0]
        );
        let calls = "mod part;\nfn run() {\n    part::run()\n}\n";
        assert_eq!(
            found(&[("lib.rs", "mod one;\n"), ("one.rs", calls), child]).len(),
            1
        );
    }

    #[test]
    fn a_reexported_name_leads_to_the_file_that_defines_it() {
        let files = [
            ("lib.rs", "mod one;\nmod two;\npub use one::One;\n"),
            ("one.rs", "use crate::two::Two;\n"),
            ("two.rs", "use crate::One;\n"),
        ];
        assert_eq!(found(&files).len(), 1);
        let without = ("one.rs", "pub struct One;\n");
        assert_eq!(found(&[files[0], without, files[2]]), [""; 0]);
    }

    #[test]
    fn tests_and_comments_make_no_circle() {
        let files = [
            (
                "one.rs",
                "//! See crate::two.\n#[cfg(test)]\nmod tests {\n    use crate::two::Two;\n}\n",
            ),
            ("two.rs", "use crate::one::One;\n"),
            ("one/tests.rs", "use crate::two::Two;\n"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }
}
