//! Colours, on a terminal only.

use std::io::IsTerminal as _;

use health::DeviceState;

/// Whether to print colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Colors {
    enabled: bool,
}

/// The meaning of a style.
#[derive(Debug, Clone, Copy)]
pub(super) enum TextStyle {
    /// Everything is fine.
    Good,
    /// It may recover automatically.
    Warning,
    /// Action is needed.
    Bad,
    /// Less important.
    Faint,
    /// A heading.
    Strong,
}

impl TextStyle {
    /// The style of a state.
    pub(super) const fn of(state: DeviceState) -> Self {
        match state {
            DeviceState::Ok => Self::Good,
            DeviceState::NeedsAction(_) | DeviceState::CollectorFailed => Self::Bad,
            DeviceState::Unreachable(_) => Self::Warning,
            DeviceState::NeverVisited => Self::Faint,
        }
    }
}

impl Colors {
    /// Colours if standard output is a terminal with colours and `NO_COLOR` is not set.
    pub(super) fn for_terminal() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self {
            enabled: std::io::stdout().is_terminal() && !dumb && !set("NO_COLOR"),
        }
    }

    /// With or without colours.
    #[cfg(test)]
    pub(super) const fn with(enabled: bool) -> Self {
        Self { enabled }
    }

    /// The text in that style. Pad it first: the escape codes count as characters.
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
