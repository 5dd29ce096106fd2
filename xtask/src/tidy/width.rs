//! Limits the width of comments and Markdown. rustfmt wraps code only.

use super::markdown::prose_lines;
use super::{Finding, Rule, Text};

/// Columns of a comment line, including its indent. The same as `max_width` in `rustfmt.toml`.
const MAX_COMMENT: usize = 110;
/// Columns of a line of Markdown.
const MAX_MARKDOWN: usize = 120;
/// Columns of a row of a Markdown table, which cannot be wrapped.
const MAX_TABLE_ROW: usize = 170;

/// Checks the comment lines of Rust, SQL and shell, and the lines of Markdown outside fenced code.
pub(super) fn check(text: &Text) -> Vec<Finding> {
    let marker = match text.extension() {
        "rs" => "//",
        "sql" => "--",
        "sh" => "#",
        "md" => return markdown(text),
        _ => return Vec::new(),
    };
    let lines = text.content.lines().zip(1..);
    lines
        .filter(|(line, _)| line.trim_start().starts_with(marker) && !is_one_word(line, marker))
        .filter_map(|(line, number)| too_wide(text, number, line, Rule::CommentWidth, MAX_COMMENT))
        .collect()
}

fn markdown(text: &Text) -> Vec<Finding> {
    prose_lines(&text.content)
        .filter(|(line, _)| !is_one_link(line))
        .filter_map(|(line, number)| {
            let max = if line.trim_start().starts_with('|') {
                MAX_TABLE_ROW
            } else {
                MAX_MARKDOWN
            };
            too_wide(text, number, line, Rule::MarkdownWidth, max)
        })
        .collect()
}

fn too_wide(text: &Text, number: usize, line: &str, rule: Rule, max: usize) -> Option<Finding> {
    let columns = line.chars().count();
    (columns > max).then(|| Finding::of(rule, text, number, format!("{columns} columns; at most {max}")))
}

/// Whether a comment is a single word, such as a link, which cannot be wrapped.
fn is_one_word(line: &str, marker: &str) -> bool {
    let words = line
        .trim_start()
        .trim_start_matches(marker)
        .trim_start_matches('!');
    words.split_whitespace().count() <= 1
}

/// Whether a line is `[text](target)`, `[name]: target` or a bare address, optionally as a list item.
fn is_one_link(line: &str) -> bool {
    let line = line
        .trim()
        .trim_start_matches(['-', '*', ' '])
        .trim_end_matches(['.', ',', ';']);
    let is_inline = line.starts_with('[') && line.ends_with(')') && line.matches("](").count() == 1;
    let is_reference = line.starts_with('[') && line.contains("]: ");
    is_inline || is_reference || !line.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::super::tests::{shown, text};
    use super::*;

    fn found(path: &str, content: &str) -> usize {
        shown(&check(&text(path, content))).len()
    }

    #[test]
    fn a_wide_comment_is_found_and_wide_code_is_left_to_rustfmt() {
        let words = "word ".repeat(25);
        assert_eq!(found("a.rs", &format!("    /// {words}\n")), 1);
        assert_eq!(found("a.sql", &format!("-- {words}\n")), 1);
        assert_eq!(found("a.sh", &format!("# {words}\n")), 1);
        assert_eq!(found("a.rs", &format!("let a = \"{words}\";\n")), 0);
        assert_eq!(found("a.rs", &format!("// {}\n", "é".repeat(105))), 0);
        assert_eq!(found("a.rs", &format!("// https://{}\n", "x".repeat(150))), 0);
    }

    #[test]
    fn markdown_may_be_wider_in_tables_and_in_code() {
        let words = "word ".repeat(28);
        assert_eq!(found("a.md", &format!("{words}\n")), 1);
        assert_eq!(found("a.md", &format!("| {words}|\n")), 0);
        assert_eq!(found("a.md", &format!("| {words}{words}|\n")), 1);
        assert_eq!(found("a.md", &format!("```sh\n{words}\n```\n")), 0);
        assert_eq!(
            found("a.md", &format!("- [a link](https://{}).\n", "x".repeat(150))),
            0
        );
        assert_eq!(
            found("a.md", &format!("[name]: https://{}\n", "x".repeat(150))),
            0
        );
    }
}
