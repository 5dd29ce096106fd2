//! Reports circles of files within a crate, because no file of a circle can be read without the others.
//!
//! A file depends on the files that its paths lead to: `crate::…`, `super::…`, `self::…`, and `name::…` for a
//! module that it declares. A path to a re-exported name leads to the file that defines the name, and the
//! re-export itself is not a dependency. A module and its parts are read together, so a part may use what its
//! parents define. The rule does not follow macros, glob re-exports and method calls.

use std::collections::{BTreeMap, BTreeSet};

use super::layers::{is_test_file, shipped_lines};
use super::{Finding, Text};
use crate::workspace::Workspace;

/// The path of a module, from the root of its crate.
type Module = Vec<String>;

/// The dependencies and re-exports of one file.
#[derive(Debug, Default)]
struct Source {
    /// The targets of its paths, from the root of the crate.
    uses: BTreeSet<Module>,
    /// The re-exported names, and where they are defined.
    reexports: BTreeMap<String, Module>,
}

type Sources = BTreeMap<Module, Source>;
type Arrows<'a> = BTreeMap<&'a Module, BTreeSet<&'a Module>>;

pub(super) fn check(workspace: &Workspace, texts: &[Text]) -> Vec<Finding> {
    let members = workspace.members.iter();
    members
        .flat_map(|member| check_crate(&format!("{}/src/", member.folder), texts))
        .collect()
}

fn check_crate(folder: &str, texts: &[Text]) -> Vec<Finding> {
    let mut sources = Sources::new();
    let mut names = BTreeMap::new();
    for text in texts
        .iter()
        .filter(|text| text.extension() == "rs" && !is_test_file(&text.path))
    {
        if let Some(name) = text.path.strip_prefix(folder) {
            let module = module_of(name);
            sources.insert(module.clone(), read(&text.content, &module));
            names.insert(module, name);
        }
    }
    let circles = circles(&arrows(&sources)).into_iter();
    let findings = circles.map(|circle| {
        let files: Vec<_> = circle
            .iter()
            .map(|module| names.get(*module).copied().unwrap_or_default())
            .collect();
        let message = format!("{} files depend on each other: {}", files.len(), files.join(", "));
        Finding::about(folder.trim_end_matches('/'), message)
    });
    findings.collect()
}

/// `lib.rs` and `main.rs` are the root.
fn module_of(file: &str) -> Module {
    match file.trim_end_matches(".rs") {
        "lib" | "main" => Module::new(),
        stem => stem.split('/').map(str::to_owned).collect(),
    }
}

fn read(content: &str, module: &[String]) -> Source {
    let lines: Vec<_> = shipped_lines(content).map(|(line, _)| line.trim()).collect();
    let declared = |line: &&str| Some(line.strip_suffix(';')?.rsplit_once("mod ")?.1.to_owned());
    let children: BTreeSet<String> = lines.iter().filter_map(declared).collect();
    let mut source = Source::default();
    let mut statement = String::new();
    for line in lines {
        statement.push_str(line);
        let import = imported(&statement);
        if import.is_some() && !line.ends_with(';') {
            continue;
        }
        let is_reexport = import.is_some() && statement.starts_with("pub");
        let paths = import.map_or_else(|| paths_in(&statement), spelled_out);
        for path in paths.iter().filter_map(|path| absolute(path, module, &children)) {
            match path.last().filter(|_| is_reexport) {
                Some(name) => drop(source.reexports.insert(name.clone(), path)),
                None => drop(source.uses.insert(path)),
            }
        }
        statement.clear();
    }
    source
}

/// The text between `use` and the semicolon. `None` if the statement is not a `use`.
fn imported(statement: &str) -> Option<&str> {
    let (visibility, import) = statement.split_once("use ")?;
    let is_use = visibility.is_empty() || (visibility.starts_with("pub") && visibility.ends_with(' '));
    is_use.then(|| import.trim_end_matches(';'))
}

/// Every path with `::` in a line of code.
fn paths_in(line: &str) -> Vec<String> {
    let is_in_path = |character: char| character.is_alphanumeric() || matches!(character, '_' | ':');
    let words = line.split(|character| !is_in_path(character));
    words
        .filter(|word| word.contains("::"))
        .map(str::to_owned)
        .collect()
}

/// Expands `a::{b, c}` to `a::b` and `a::c`.
fn spelled_out(import: &str) -> Vec<String> {
    let Some((head, tail)) = import.split_once('{') else {
        let path = import.split(" as ").next().unwrap_or_default();
        return vec![path.trim_end_matches("::self").trim().to_owned()];
    };
    let mut depth = 0;
    let items = tail.trim_end().trim_end_matches('}').split(|character| {
        depth += i32::from(character == '{') - i32::from(character == '}');
        character == ',' && depth == 0
    });
    let items = items.map(str::trim).filter(|item| !item.is_empty());
    items
        .flat_map(|item| spelled_out(&format!("{head}{item}")))
        .collect()
}

/// The path from the root of the crate. `None` if it leads elsewhere.
fn absolute(path: &str, module: &[String], children: &BTreeSet<String>) -> Option<Module> {
    let names: Module = path.split("::").map(str::to_owned).collect();
    let ups = names.iter().take_while(|name| *name == "super").count();
    let (base, skipped) = match names.first()?.as_str() {
        "crate" => (&[][..], 1),
        "self" => (module, 1),
        "super" => (module.get(..module.len().checked_sub(ups)?)?, ups),
        name if children.contains(name) => (module, 0),
        _ => return None,
    };
    Some(base.iter().chain(names.iter().skip(skipped)).cloned().collect())
}

/// Maps each file to the files that it depends on.
fn arrows(sources: &Sources) -> Arrows<'_> {
    let mut arrows = Arrows::new();
    for (module, source) in sources {
        let targets = source.uses.iter().filter_map(|path| target(sources, path, 0));
        let others = targets.filter(|target| !module.starts_with(target.as_slice()));
        arrows.insert(module, others.collect());
    }
    arrows
}

/// The file that defines the target of a path.
fn target<'a>(sources: &'a Sources, path: &[String], depth: usize) -> Option<&'a Module> {
    /// Maximum depth of re-exports of re-exports. A circle of them does not compile.
    const MAX_DEPTH: usize = 8;
    let mut prefixes = (0..=path.len()).rev().filter_map(|length| path.get(..length));
    let (module, source) = prefixes.find_map(|prefix| sources.get_key_value(prefix))?;
    let reexported = path.get(module.len()).and_then(|name| source.reexports.get(name));
    match reexported.filter(|_| depth < MAX_DEPTH) {
        Some(path) => target(sources, path, depth + 1),
        None => Some(module),
    }
}

/// The sets of two or more files that all reach each other.
fn circles<'a>(arrows: &Arrows<'a>) -> BTreeSet<BTreeSet<&'a Module>> {
    let reached: Arrows<'a> = arrows
        .keys()
        .map(|start| (*start, reached(arrows, start)))
        .collect();
    let leads_to = |from: &Module, to: &Module| reached.get(from).is_some_and(|all| all.contains(to));
    let circle_of = |module: &'a Module| -> BTreeSet<&'a Module> {
        let all = reached.keys().copied();
        all.filter(|other| leads_to(module, other) && leads_to(other, module))
            .collect()
    };
    let circles = reached.keys().map(|module| circle_of(module));
    circles.filter(|circle| circle.len() > 1).collect()
}

fn reached<'a>(arrows: &Arrows<'a>, start: &'a Module) -> BTreeSet<&'a Module> {
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
}

#[cfg(test)]
mod tests {
    use super::super::tests::{text, without_severity};
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let texts: Vec<_> = files
            .iter()
            .map(|(name, content)| text(&format!("a/src/{name}"), content))
            .collect();
        without_severity(&check_crate("a/src/", &texts))
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
            ["a/src: 2 files depend on each other: one.rs, two.rs"]
        );
    }

    #[test]
    fn a_part_may_use_its_parents_but_no_file_that_uses_its_parents() {
        let root = ("lib.rs", "mod one;\nmod two;\n");
        let parent = ("one.rs", "mod part;\nfn run() {\n    part::run()\n}\n");
        let two = ("two.rs", "use crate::one::One;\n");
        let part = |content| [root, parent, two, ("one/part.rs", content)];
        assert_eq!(found(&part("use super::One;\nuse crate::Error;\n")), [""; 0]);
        assert_eq!(
            found(&part("use super::{One, super::two::Two};\n"))[0]
                .matches(".rs")
                .count(),
            3
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
