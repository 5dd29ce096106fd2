//! The `ids` of a device: "1-30, 34, 35".

/// The maximum number of devices: more is a typo, and would only cost memory.
pub const MAX_DEVICES: u64 = 10_000;

/// Whole numbers as ranges, in the order of the file, without duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids(Vec<(u32, u32)>);

impl Ids {
    /// Parses ranges and single numbers separated by commas. The error is a phrase that follows `ids`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for item in text.split(',').map(str::trim) {
            let (first, last) = match item.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(item)?, number(item)?),
            };
            if first > last {
                return Err(format!(
                    "has the range {first}-{last} in reverse; write {last}-{first}"
                ));
            }
            if let Some((low, _)) = ranges.iter().find(|(low, high)| *low <= last && first <= *high) {
                return Err(format!("has {} twice", first.max(*low)));
            }
            ranges.push((first, last));
        }
        Ok(Self(ranges))
    }

    /// The number of ids.
    pub fn count(&self) -> u64 {
        self.0
            .iter()
            .map(|(first, last)| u64::from(last - first) + 1)
            .sum()
    }

    /// Each id.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }
}

fn number(text: &str) -> Result<u32, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("has an empty item; write ranges and numbers such as \"1-30, 34, 35\"".to_owned());
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "has `{}`, which is not a number; write ranges and numbers such as \"1-30, 34, 35\"",
            model::escaped(text.as_bytes())
        ));
    }
    text.parse()
        .map_err(|_| format!("has {text}, which is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_numbers_are_expanded() {
        let ids = Ids::parse("1-3, 7,  10 - 11").unwrap();
        assert_eq!(ids.iter().collect::<Vec<_>>(), [1, 2, 3, 7, 10, 11]);
        assert_eq!(ids.count(), 6);
        assert_eq!(Ids::parse("0-4294967295").unwrap().count(), 1 << 32);
    }

    #[test]
    fn ranges_that_make_no_sense_are_refused() {
        for (text, problem) in [
            ("30-1", "has the range 30-1 in reverse; write 1-30"),
            ("1-5, 3", "has 3 twice"),
            ("3, 1-5", "has 3 twice"),
            (
                "1,,2",
                "has an empty item; write ranges and numbers such as \"1-30, 34, 35\"",
            ),
            (
                "",
                "has an empty item; write ranges and numbers such as \"1-30, 34, 35\"",
            ),
            (
                "one",
                "has `one`, which is not a number; write ranges and numbers such as \"1-30, 34, 35\"",
            ),
            (
                "1-2-3",
                "has `2-3`, which is not a number; write ranges and numbers such as \"1-30, 34, 35\"",
            ),
            ("99999999999", "has 99999999999, which is too large"),
        ] {
            assert_eq!(Ids::parse(text), Err(problem.to_owned()), "{text}");
        }
    }
}
