//! Colour, on a terminal only.

use std::io::IsTerminal as _;

/// Whether colours are used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Colors {
    enabled: bool,
}

/// What a colour says.
#[derive(Debug, Clone, Copy)]
pub(super) enum TextStyle {
    /// All is well.
    Good,
    /// It may mend itself.
    Warning,
    /// Somebody has to act.
    Bad,
    /// Of less interest.
    Faint,
    /// A heading.
    Strong,
}

impl Colors {
    /// With colours if standard output is a terminal that has some, and nobody minds (`NO_COLOR`).
    pub(super) fn of_the_terminal() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self {
            enabled: std::io::stdout().is_terminal() && !dumb && !set("NO_COLOR"),
        }
    }

    /// Without colours, or with them.
    #[cfg(test)]
    pub(super) const fn with(enabled: bool) -> Self {
        Self { enabled }
    }

    /// The text in that tone. Pad it before: the codes count as characters.
    pub(super) fn styled(self, style: TextStyle, text: &str) -> String {
        let code = match style {
            TextStyle::Good => "32",
            TextStyle::Warning => "33",
            TextStyle::Bad => "1;31",
            TextStyle::Faint => "2",
            TextStyle::Strong => "1",
        };
        if self.enabled {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
