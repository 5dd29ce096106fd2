//! Warns of phrases that plain technical English avoids, each with a replacement.
//!
//! Comments, Markdown and names of tests are checked everywhere, string literals only in shipped code.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::layers::{is_test_file, shipped_lines};
use super::markdown::prose_lines;
use super::passages::{self, Kind, Passage};
use super::{Finding, Rule, Text};

/// Files that may contain the phrases.
const EXCEPTIONS: [&str; 2] = ["docs/STYLE.md", "xtask/src/tidy/wording.rs"];

/// Crates whose messages reach a user.
const SHIPPING: [&str; 8] = [
    "crates/engine/src/",
    "crates/gleaner/src/",
    "crates/health/src/",
    "crates/ledger/src/",
    "crates/model/src/",
    "crates/sftp/src/",
    "crates/ssh/src/",
    "crates/storage/src/",
];

/// Maximum number of words that `…` in a phrase matches.
const MAX_GAP: usize = 5;

/// The phrases and their replacements.
///
/// `a|b` matches either word, `…` up to five words of the same sentence, `^` the beginning of a sentence, `,`
/// a comma or the beginning of a sentence. Code in backquotes is never part of a phrase.
const BANNED: [(&str, &str); 46] = [
    ("told", "\"reported\", \"listed\", \"shown\", or name the reply"),
    ("tell|tells of", "\"reports\""),
    ("lie|lies|lay at|in", "\"is\""),
    ("^ so many|much|long|soon|few|often", "begin with the subject"),
    (
        "so many|much|long|soon … that|as|is|are|may",
        "\"as long as\", or name the number",
    ),
    ("whoever", "name the caller, the operator or the process"),
    ("nobody", "name the subject: \"no caller\", \"no process\""),
    (
        "somebody|anybody",
        "name the subject: \"the operator\", \"another process\"",
    ),
    (", else", "\"otherwise\""),
    ("or|and else", "\"otherwise\""),
    ("come|comes|came|coming home", "\"arrives\", \"is stored\""),
    ("no further one", "\"no other\", \"no more\""),
    ("owe|owes|owed|owing", "\"pending\""),
    ("take|takes|took|taking leave", "\"disconnects\", \"shuts down\""),
    ("farewell|farewells", "\"shutdown\""),
    ("what it|they|one gives|give", "\"the reply\", \"the output\""),
    ("hear|hears|heard", "\"receives\", \"reads\""),
    ("of its|their own accord", "\"automatically\""),
    ("by itself|themselves", "\"alone\", \"automatically\""),
    ("come|comes|came|coming about", "\"happens\", \"is established\""),
    ("come|comes|came of it|this|that", "\"results\""),
    ("come|comes|came to nothing", "\"has no effect\", \"fails\""),
    ("as it were", "leave it out"),
    ("it may be that", "\"may\""),
    ("at home", "\"on the collector\", \"in the store\""),
    ("a look", "\"an inspection\", \"a check\""),
    (
        "look|looks|looked|looking at",
        "\"inspects\", \"checks\", \"reads\"",
    ),
    ("is|are|was|were to be", "\"must\", \"should\""),
    ("might as well", "say what happens"),
    ("for ever", "\"indefinitely\""),
    ("stand|stands|stood in|at|on|there|before|below|beside", "\"is\""),
    ("go|goes|went|gone on", "\"continues\", \"resumes\""),
    ("befall|befalls|befell|befallen", "\"happens to\""),
    ("mischief|whims", "\"faults\""),
    ("story|stories", "\"scenario\""),
    ("dice", "\"rng\""),
    ("chronicle", "\"trace\""),
    ("at hand", "\"available\""),
    ("in vain", "\"without effect\""),
    ("but all the same", "\"nevertheless\""),
    ("none the worse", "say what holds"),
    ("but for", "\"except\""),
    ("unasked", "\"without a request\""),
    ("lane|lanes", "\"shell channel\""),
    ("patience|patiently", "\"stall detector\", \"stall timeout\""),
    ("lifeline|lifelines", "\"parent pipe\""),
];

/// The phrases by their first word, so that each word is compared with few of them.
static BY_FIRST_WORD: LazyLock<BTreeMap<&str, Vec<(&str, &str)>>> = LazyLock::new(|| {
    let mut phrases: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in BANNED {
        let first = entry.0.trim_start_matches(['^', ',', ' ']).split(' ').next();
        for word in first.unwrap_or_default().split('|') {
            phrases.entry(word).or_default().push(entry);
        }
    }
    phrases
});

pub(super) fn check(text: &Text) -> Vec<Finding> {
    if EXCEPTIONS.contains(&text.path.as_str()) {
        return Vec::new();
    }
    let passages = passages_of(text);
    let mut findings = Vec::new();
    let mut behind = passages.iter().skip(1);
    let mut sentence_began = true;
    for passage in &passages {
        // A phrase may be wrapped. It is searched for in this passage and the next, and reported where it
        // begins.
        let mut words = split(passage.words);
        let here = words.len();
        if let Some(first) = words.first_mut() {
            first.before = first.before.max(if sentence_began {
                Break::Sentence
            } else {
                Break::None
            });
        }
        let next = behind.next();
        let goes_over = next.is_some_and(|next| next.kind == passage.kind && next.line == passage.line + 1);
        sentence_began = !goes_over || ends_sentence(passage.words);
        if let Some(next) = next.filter(|_| goes_over && !sentence_began) {
            words.extend(split(next.words));
        }
        for message in messages(&words, here) {
            findings.push(Finding::of(Rule::Wording, text, passage.line, message));
        }
    }
    findings
}

/// The messages about the name of a test.
pub(super) fn check_name(name: &str) -> Vec<String> {
    let words = split(&name.replace('_', " "));
    messages(&words, words.len())
}

/// The messages about phrases that begin within the first `here` words.
fn messages(words: &[Word], here: usize) -> Vec<String> {
    let mut messages = Vec::new();
    for start in 0..here {
        let rest = words.get(start..).unwrap_or_default();
        let phrases = rest
            .first()
            .and_then(|first| BY_FIRST_WORD.get(first.text.as_str()));
        for (phrase, instead) in phrases.into_iter().flatten() {
            let found = matched(phrase, rest);
            messages.extend(found.map(|found| format!("\"{found}\": write {instead}")));
        }
    }
    messages
}

fn passages_of(text: &Text) -> Vec<Passage<'_>> {
    match text.extension() {
        "rs" => {
            let ships =
                SHIPPING.iter().any(|folder| text.path.starts_with(folder)) && !is_test_file(&text.path);
            let shipped: Vec<usize> = shipped_lines(&text.content).map(|(_, number)| number).collect();
            let mut passages = passages::of_rust(&text.content);
            passages
                .retain(|it| it.kind == Kind::Comment || (ships && shipped.binary_search(&it.line).is_ok()));
            passages
        }
        "sql" => passages::comment_lines(&text.content, "--"),
        "sh" => passages::comment_lines(&text.content, "#"),
        "md" => prose_lines(&text.content)
            .map(|(words, line)| Passage {
                line,
                kind: Kind::Comment,
                words,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The separator before a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Break {
    None,
    Code,
    Comma,
    Sentence,
}

#[derive(Debug)]
struct Word {
    text: String,
    before: Break,
}

/// The words of a passage in lower case. Code in backquotes and punctuation separate words.
fn split(passage: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for (index, prose) in passage.split('`').enumerate() {
        let mut before = if index > 0 { Break::Code } else { Break::None };
        if index % 2 == 1 {
            continue;
        }
        for token in prose.split_inclusive(|character: char| !is_in_word(character)) {
            let text = token.trim_end_matches(|character| !is_in_word(character));
            if !text.is_empty() {
                words.push(Word {
                    text: text.to_lowercase(),
                    before,
                });
                before = Break::None;
            }
            before = before.max(break_of(token));
        }
    }
    words
}

fn is_in_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '\'' | '’')
}

fn break_of(token: &str) -> Break {
    match token.chars().next_back() {
        Some('.' | '!' | '?' | ':' | '|') => Break::Sentence,
        Some(',' | ';' | '(' | ')' | '{' | '}' | '–' | '/' | '"') => Break::Comma,
        _ => Break::None,
    }
}

fn ends_sentence(passage: &str) -> bool {
    let end = passage.trim_end().trim_end_matches(['*', '`', '"', ')']);
    end.is_empty() || break_of(end) == Break::Sentence
}

/// The words at the beginning of `words` that match a phrase of [`BANNED`].
fn matched(phrase: &str, words: &[Word]) -> Option<String> {
    let mut at = 0;
    let mut first_break = Break::None;
    let mut may_skip = 0;
    for part in phrase.split(' ') {
        match part {
            "^" => first_break = Break::Sentence,
            "," => first_break = Break::Comma,
            "…" => may_skip = MAX_GAP,
            _ => loop {
                let word = words.get(at)?;
                let goes_on =
                    at == 0 || word.before == Break::None || (may_skip > 0 && word.before < Break::Sentence);
                if !goes_on || (at == 0 && word.before < first_break) {
                    return None;
                }
                at += 1;
                if part.split('|').any(|choice| choice == word.text) {
                    may_skip = 0;
                    break;
                }
                if may_skip == 0 || at == 1 {
                    return None;
                }
                may_skip -= 1;
            },
        }
    }
    let found: Vec<_> = words.iter().take(at).map(|word| word.text.as_str()).collect();
    Some(found.join(" "))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{text, without_severity};
    use super::*;

    fn found(path: &str, content: &str) -> Vec<String> {
        let findings = check(&text(path, content));
        let messages = findings
            .iter()
            .map(|it| it.message.split(": ").next().unwrap().to_owned());
        messages.collect()
    }

    #[test]
    fn a_phrase_is_found_with_what_to_write_in_place() {
        assert_eq!(
            without_severity(&check(&text("a.md", "# A\n\nIt waits for ever.\n"))),
            ["a.md:3: \"for ever\": write \"indefinitely\""]
        );
    }

    #[test]
    fn a_phrase_may_be_wrapped_within_a_comment_or_a_paragraph() {
        assert_eq!(found("a.rs", "// waits for\n// ever and\n"), ["\"for ever\""]);
        assert_eq!(found("a.md", "# A\n\nwaits for\never\n"), ["\"for ever\""]);
        assert_eq!(found("a.rs", "// waits for\na();\n// ever\n"), [""; 0]);
    }

    #[test]
    fn code_and_punctuation_separate() {
        assert_eq!(
            found("a.rs", "// `for ever`, and for `ever`; for, ever\n"),
            [""; 0]
        );
        assert_eq!(found("a.rs", "// `if` a, `else` b; something else\n"), [""; 0]);
        assert_eq!(found("a.rs", "// present, else asked for\n"), ["\"else\""]);
    }

    #[test]
    fn the_beginning_of_a_sentence_goes_over_lines() {
        assert_eq!(found("a.rs", "// So long a wait.\n"), ["\"so long\""]);
        assert_eq!(found("a.rs", "// One. So many files.\n"), ["\"so many\""]);
        assert_eq!(found("a.rs", "// if `a` else\n// so many files\n"), [""; 0]);
        assert_eq!(
            found("a.rs", "// not so long a wait as one may think\n"),
            ["\"so long a wait as\""]
        );
    }

    #[test]
    fn literals_count_where_they_ship() {
        let content = "const A: &str = \"for ever\";\n#[cfg(test)]\nmod tests {\n    a(\"for ever\");\n}\n";
        assert_eq!(found("crates/ssh/src/a.rs", content).len(), 1);
        assert_eq!(found("crates/ssh/src/a/tests.rs", content), [""; 0]);
        assert_eq!(found("crates/sim/src/a.rs", content), [""; 0]);
    }
}
