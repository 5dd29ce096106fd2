//! Text with the id of a device: "raspberry{id:02}", "{id+5000}".

use super::braces;
use super::findings::Faults;
use super::value::{RawValue, Syntax, ValueKind};

/// Text with placeholders for the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Id { offset: i64, width: usize },
}

/// The syntax of the placeholder, for messages.
pub const ID_FORMS: &str = "{id}, {id+5000}, {id-1}, {id:02} or {id+5000:05}";

impl Template {
    /// Parses a template. The error is a phrase that follows the name of the key. `{{` and `}}` are literal
    /// braces.
    pub fn parse(text: &str) -> Result<Self, String> {
        braces::split(text, Segment::Literal, parse_id).map(Self)
    }

    /// Whether the text contains the id.
    pub fn has_id(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Segment::Id { .. }))
    }

    /// The text for an id. The error is a phrase that follows the name of the key.
    pub fn expand(&self, id: Option<u32>) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.0 {
            match (part, id) {
                (Segment::Literal(literal), _) => text.push_str(literal),
                (Segment::Id { .. }, None) => {
                    return Err("contains {id}, but the device has no `ids`".to_owned());
                }
                (Segment::Id { offset, width }, Some(id)) => {
                    let number = i64::from(id) + offset;
                    if number < 0 {
                        return Err(format!("becomes negative for id {id}"));
                    }
                    let digits = format!("{number:0width$}");
                    text.push_str(&digits);
                }
            }
        }
        Ok(text)
    }
}

impl ValueKind for Template {
    type Resolved = Self;
    const SYNTAX: Syntax = Syntax::text("text with {id}", "text in quotes");

    fn read(raw: &RawValue<'_>) -> Result<Self, Faults> {
        Self::parse(raw.text()).map_err(|problem| raw.fault_at(&raw.span, &problem).into())
    }
}

/// Parses the text between the braces.
fn parse_id(inside: &str) -> Result<Segment, String> {
    let unknown = || {
        format!(
            "contains `{{{}}}`, which must be {ID_FORMS}",
            model::escaped(inside.as_bytes())
        )
    };
    let digits = |text: &str, max: usize| -> Option<i64> {
        let plain = (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok())?
    };
    let (sum, width) = match inside.split_once(':') {
        Some((sum, width)) => {
            // Two digits: no id needs more than 99 digits, and a larger width would only make names too long.
            let padded = width.strip_prefix('0').and_then(|width| digits(width, 2));
            (sum, padded.ok_or_else(unknown)?)
        }
        None => (inside, 0),
    };
    let offset = sum.trim().strip_prefix("id").ok_or_else(unknown)?.trim_start();
    // Ten digits, the length of the largest id.
    let offset = match (offset.strip_prefix('+'), offset.strip_prefix('-')) {
        (Some(more), _) => digits(more.trim_start(), 10),
        (_, Some(less)) => digits(less.trim_start(), 10).map(|less| -less),
        _ => offset.is_empty().then_some(0),
    };
    Ok(Segment::Id {
        offset: offset.ok_or_else(unknown)?,
        width: usize::try_from(width).map_err(|_| unknown())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_be_shifted_and_padded() {
        for (template, text) in [
            ("raspberry{id}", "raspberry7"),
            ("raspberry{id:02}", "raspberry07"),
            ("{id+5000}", "5007"),
            ("{id + 5000}", "5007"),
            ("{id-7}", "0"),
            ("{id+5000:06}", "005007"),
            ("a{id}b{id}", "a7b7"),
            ("{{id}}", "{id}"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(
                Template::parse(template).unwrap().expand(Some(7)).as_deref(),
                Ok(text),
                "{template}"
            );
        }
    }

    #[test]
    fn other_braces_are_refused() {
        for template in
            "{ID} {id+} {id:2} {id:x} {name} {} {id*2} {id id} {id+99999999999} {id:0999}".split(' ')
        {
            assert!(Template::parse(template).is_err(), "{template}");
        }
    }

    #[test]
    fn an_id_that_is_missing_or_becomes_negative_is_an_error() {
        let template = Template::parse("{id-8}").unwrap();
        assert_eq!(
            template.expand(Some(7)),
            Err("becomes negative for id 7".to_owned())
        );
        assert_eq!(
            template.expand(None),
            Err("contains {id}, but the device has no `ids`".to_owned())
        );
        assert!(template.has_id());
        assert!(!Template::parse("{{id}}").unwrap().has_id());
    }
}
