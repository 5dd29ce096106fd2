//! Reading gleaner's JSON: the one place to adapt when its form changes.

use serde_json::Value;

use crate::outcome::Outcome;

impl Outcome {
    /// Standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON: {error}\n{}", self.told()))
    }

    /// Standard output as one JSON value per line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let text = self.out();
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let parse =
            |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON: {error}: {line}"));
        lines.map(parse).collect()
    }
}
