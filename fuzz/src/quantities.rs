//! Durations, sizes, rates, ids and templates as people write them: each shown value is read back as the
//! same.

use gleaner::config::ids::Ids;
use gleaner::config::template::Template;
use gleaner::config::units::{format_duration, format_size, parse_duration, parse_rate, parse_size};

/// Larger sets of ids are not enumerated.
const MAX_IDS: u64 = 2000;
/// Bytes that an expanded template may have for each byte of the template.
const MAX_EXPANSION: usize = 100;

/// The input is one text, parsed as each kind.
pub(crate) fn hold(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(span) = parse_duration(&text) {
        assert_eq!(parse_duration(&format_duration(span)), Ok(span));
    }
    if let Ok(bytes) = parse_size(&text) {
        assert_eq!(
            parse_size(&format_size(bytes)),
            Ok(bytes),
            "{}",
            format_size(bytes)
        );
    }
    if let Ok(bytes) = parse_rate(&text) {
        assert_eq!(parse_rate(&format!("{}/s", format_size(bytes))), Ok(bytes));
    }
    ids(&text);
    template(&text);
}

fn ids(text: &str) {
    let Ok(ids) = Ids::parse(text) else { return };
    if ids.count() > MAX_IDS {
        return;
    }
    let mut each: Vec<u32> = ids.iter().collect();
    assert_eq!(each.len() as u64, ids.count());
    let written: Vec<String> = each.iter().map(ToString::to_string).collect();
    let again = Ids::parse(&written.join(",")).unwrap();
    assert_eq!(again.iter().collect::<Vec<_>>(), each);
    each.sort_unstable();
    each.dedup();
    assert_eq!(each.len() as u64, ids.count(), "an id comes twice");
}

fn template(text: &str) {
    let Ok(template) = Template::parse(text) else {
        return;
    };
    let without = template.expand(None);
    assert_eq!(without.is_err(), template.has_id());
    let mut expanded = [0, 1, 7, u32::MAX].map(|id| template.expand(Some(id)));
    for id in expanded.iter().flatten() {
        assert!(id.len() <= text.len() * MAX_EXPANSION);
    }
    if let Ok(plain) = &without {
        // A plain text with doubled braces expands to itself.
        let escaped = plain.replace('{', "{{").replace('}', "}}");
        assert_eq!(
            Template::parse(&escaped).unwrap().expand(None).as_ref(),
            Ok(plain)
        );
        assert!(expanded.iter().all(|text| text.as_ref() == Ok(plain)));
    } else {
        expanded.sort();
        let different = expanded
            .windows(2)
            .all(|pair| pair[0].is_err() || pair[0] != pair[1]);
        assert!(different, "two ids become one: {expanded:?}");
    }
}
