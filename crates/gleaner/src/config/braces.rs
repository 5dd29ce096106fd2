//! Text with placeholders in braces: what layouts and templates have in common.

/// Takes a text apart into what stands for itself and what stands in braces. `{{` and `}}` stand for braces;
/// the error fits after the name of what is written.
pub(super) fn split<P>(
    text: &str,
    literal: impl Fn(String) -> P,
    placeholder: impl Fn(&str) -> Result<P, String>,
) -> Result<Vec<P>, String> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        plain.push_str(before);
        if let Some(after) = from.strip_prefix("{{") {
            plain.push('{');
            rest = after;
        } else if let Some(after) = from.strip_prefix("}}") {
            plain.push('}');
            rest = after;
        } else {
            let inside = from.strip_prefix('{').ok_or("has a `}` without its `{`")?;
            let (inside, after) = inside.split_once('}').ok_or("has a `{` without its `}`")?;
            if !plain.is_empty() {
                parts.push(literal(std::mem::take(&mut plain)));
            }
            parts.push(placeholder(inside)?);
            rest = after;
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(literal(plain));
    }
    Ok(parts)
}

/// A text that stands for itself, with its braces doubled.
pub(super) fn escape(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}
