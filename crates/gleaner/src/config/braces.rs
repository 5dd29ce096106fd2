//! Text with placeholders in braces, shared by layouts and templates.

/// Splits a text into literals and placeholders in braces. `{{` and `}}` are literal braces. The error is a
/// phrase that follows the name of the key.
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

/// The text with its braces doubled, so that it is a literal.
pub(super) fn escape(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}
