//! Finds the prose in a source file: comments, and the string literals of Rust.

/// A piece of prose within one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Passage<'a> {
    pub(super) line: usize,
    pub(super) kind: Kind,
    pub(super) words: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Comment,
    Literal,
}

/// Comments that fill their line, as in SQL and shell.
pub(super) fn comment_lines<'a>(content: &'a str, marker: &'a str) -> Vec<Passage<'a>> {
    let lines = content.lines().zip(1..);
    lines
        .filter_map(|(text, line)| {
            let words = text.trim_start().strip_prefix(marker)?;
            Some(Passage {
                line,
                kind: Kind::Comment,
                words,
            })
        })
        .collect()
}

/// The `//` comments and string literals of Rust, in order. A literal of several lines gives several
/// passages.
pub(super) fn of_rust(content: &str) -> Vec<Passage<'_>> {
    let mut scanner = Scanner {
        rest: content,
        line: 1,
        found: Vec::new(),
    };
    while scanner.step() {}
    scanner.found
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    found: Vec<Passage<'a>>,
}

impl<'a> Scanner<'a> {
    /// Consumes one token. Returns `false` at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else {
            return false;
        };
        if self.rest.starts_with("//") {
            let length = self.rest.find('\n').unwrap_or(self.rest.len());
            let comment = self.take(length);
            self.note(Kind::Comment, comment.trim_start_matches(['/', '!']));
        } else if let Some(hashes) = raw_string(self.rest) {
            self.take(hashes + 2);
            let end = format!("\"{}", "#".repeat(hashes));
            let length = self.rest.find(&end).unwrap_or(self.rest.len());
            let literal = self.take(length);
            self.note_literal(literal);
            self.take(end.len());
        } else if first == '"' {
            self.take(1);
            let length = end_of_string(self.rest);
            let literal = self.take(length);
            self.note_literal(literal);
            self.take(1);
        } else if let Some(length) = character_literal(self.rest) {
            self.take(length);
        } else {
            // Consumes a whole word, so that the `r` at the end of a name does not start a raw string.
            let is_name = |character: char| character.is_alphanumeric() || character == '_';
            let length = self
                .rest
                .find(|character| !is_name(character))
                .unwrap_or(self.rest.len());
            self.take(length.max(first.len_utf8()));
        }
        true
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.line += taken.matches('\n').count();
        taken
    }

    /// Adds a literal that has just been consumed.
    fn note_literal(&mut self, literal: &'a str) {
        let last = self.line;
        self.line -= literal.matches('\n').count();
        for words in literal.split('\n') {
            self.note(Kind::Literal, words.trim_end_matches('\\'));
            self.line += 1;
        }
        self.line = last;
    }

    fn note(&mut self, kind: Kind, words: &'a str) {
        self.found.push(Passage {
            line: self.line,
            kind,
            words,
        });
    }
}

/// The number of `#` of a raw string at the beginning of `rest`.
fn raw_string(rest: &str) -> Option<usize> {
    let behind = rest.strip_prefix('r')?;
    let quoted = behind.trim_start_matches('#');
    quoted.starts_with('"').then_some(behind.len() - quoted.len())
}

/// The offset of the closing quote, which is not escaped.
fn end_of_string(rest: &str) -> usize {
    let mut escaped = false;
    rest.find(|character| {
        let ends = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        ends
    })
    .unwrap_or(rest.len())
}

/// The length of a character literal at the beginning of `rest`. Its quotes, as in `'"'` and `'\''`, must not
/// start a string. `None` for a lifetime.
fn character_literal(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    let character = inner.chars().next()?;
    let length = if character == '\\' {
        inner
            .char_indices()
            .skip(2)
            .find(|(_, character)| *character == '\'')?
            .0
    } else {
        character.len_utf8()
    };
    inner.get(length..)?.starts_with('\'').then_some(length + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(content: &str) -> Vec<(usize, Kind, &str)> {
        let passages = of_rust(content).into_iter();
        passages.map(|it| (it.line, it.kind, it.words.trim())).collect()
    }

    #[test]
    fn comments_and_literals_are_found_with_their_lines() {
        let content = "//! Head.\nlet a = \"one\"; // why\n\nlet b = r#\"two \"quoted\"\"#;\n";
        assert_eq!(
            found(content),
            [
                (1, Kind::Comment, "Head."),
                (2, Kind::Literal, "one"),
                (2, Kind::Comment, "why"),
                (4, Kind::Literal, "two \"quoted\""),
            ]
        );
    }

    #[test]
    fn quotes_in_characters_and_escapes_begin_and_end_nothing() {
        let content = "fn a<'a>(b: &'a str) { c('\"', '\\'', '\\\\', \"d \\\" // e\") }\n";
        assert_eq!(found(content), [(1, Kind::Literal, "d \\\" // e")]);
    }

    #[test]
    fn a_literal_of_two_lines_is_two_passages() {
        let content = "let a = \"one \\\n    two\";\n// three\n";
        assert_eq!(
            found(content),
            [
                (1, Kind::Literal, "one"),
                (2, Kind::Literal, "two"),
                (3, Kind::Comment, "three"),
            ]
        );
    }

    #[test]
    fn comments_of_other_languages_fill_their_line() {
        let lines: Vec<_> = comment_lines("select 1;\n  -- why\n", "--");
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].line, lines[0].words), (2, " why"));
    }
}
