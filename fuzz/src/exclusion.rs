//! Exclusion patterns: a pattern that passes the check works, and it also excludes everything below a
//! matching folder.

use engine::exclude::Exclude;
use model::RelativePath;

use crate::input::Input;

/// Memory for the patterns of one input, compiled and during matching.
const MAX_HELD: usize = 64 << 20;

/// The first line has patterns separated by `|`. The rest is a path.
pub(crate) fn hold(input: &[u8]) {
    let mut input = Input(input);
    let patterns: Vec<String> = input.text().split('|').map(str::to_owned).collect();
    let path = input.0;
    crate::memory::within(MAX_HELD, || patterns_hold(&patterns, path));
}

fn patterns_hold(patterns: &[String], path: &[u8]) {
    let sound: Vec<String> = patterns
        .iter()
        .filter(|pattern| Exclude::check(pattern).is_ok())
        .cloned()
        .collect();
    let Ok(exclude) = Exclude::new(sound.clone()) else {
        panic!("each of {sound:?} is accepted, but not all of them together");
    };
    assert_eq!(exclude.patterns(), sound);
    if sound.len() < patterns.len() {
        assert!(Exclude::new(patterns.to_vec()).is_err());
    }
    let Ok(path) = RelativePath::new(path) else { return };
    let excluded = exclude.excludes(path.as_bytes());
    assert_eq!(excluded, exclude.excludes(path.as_bytes()));
    let by_each = sound
        .iter()
        .any(|pattern| Exclude::new([pattern.clone()]).unwrap().excludes(path.as_bytes()));
    assert_eq!(
        excluded, by_each,
        "together they exclude more or less than each alone"
    );
    let below = path.join(&RelativePath::new("below").unwrap());
    assert!(
        !excluded || exclude.excludes(below.as_bytes()),
        "{path} is excluded, but not the entries below it"
    );
    if sound.is_empty() {
        assert!(!excluded);
    }
}
