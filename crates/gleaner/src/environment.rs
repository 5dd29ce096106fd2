//! The environment variables that gleaner uses. Read once, at the start, and passed down.

use std::ffi::OsString;
use std::path::PathBuf;

/// The environment variables that gleaner uses. An empty variable counts as unset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `$GLEANER_CONFIG`: the configuration file, where `-c` does not name one.
    pub gleaner_config: Option<PathBuf>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`, if absolute: the specification says to ignore relative paths.
    pub xdg_config_home: Option<PathBuf>,
    /// `$XDG_STATE_HOME`, if absolute.
    pub xdg_state_home: Option<PathBuf>,
    /// The first folder of `$STATE_DIRECTORY`, which systemd sets for a service with `StateDirectory=`.
    pub state_directory: Option<PathBuf>,
}

impl Environment {
    /// The environment of this process.
    pub fn of_the_process() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// Builds the environment from any source of variables.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| {
            variable(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        Self {
            gleaner_config: path("GLEANER_CONFIG"),
            home: path("HOME"),
            xdg_config_home: path("XDG_CONFIG_HOME").filter(|path| path.is_absolute()),
            xdg_state_home: path("XDG_STATE_HOME").filter(|path| path.is_absolute()),
            state_directory: variable("STATE_DIRECTORY")
                .and_then(|list| std::env::split_paths(&list).next())
                .filter(|path| path.is_absolute()),
        }
    }

    /// The user's configuration folder: `$XDG_CONFIG_HOME`, otherwise `~/.config`.
    pub fn config_home(&self) -> Option<PathBuf> {
        let fallback = || self.home.as_ref().map(|home| home.join(".config"));
        self.xdg_config_home.clone().or_else(fallback)
    }

    /// The default path of the ledger; `None` if no home or state folder is known.
    pub fn default_ledger(&self) -> Option<PathBuf> {
        let state_home = || {
            let fallback = || self.home.as_ref().map(|home| home.join(".local/state"));
            Some(self.xdg_state_home.clone().or_else(fallback)?.join("gleaner"))
        };
        let folder = self.state_directory.clone().or_else(state_home)?;
        Some(folder.join("ledger.db"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::from_variables(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_default_ledger_is_in_the_state_folder_of_service_or_user() {
        let ledger = |variables: &[(&str, &str)]| {
            let path = environment(variables).default_ledger()?;
            Some(path.to_str().unwrap().to_owned())
        };
        let home = ("HOME", "/home/ana");
        let xdg = ("XDG_STATE_HOME", "/state");
        let systemd = ("STATE_DIRECTORY", "/var/lib/gleaner:/var/lib/second");
        assert_eq!(
            ledger(&[home, xdg, systemd]).as_deref(),
            Some("/var/lib/gleaner/ledger.db")
        );
        assert_eq!(ledger(&[home, xdg]).as_deref(), Some("/state/gleaner/ledger.db"));
        assert_eq!(
            ledger(&[home]).as_deref(),
            Some("/home/ana/.local/state/gleaner/ledger.db")
        );
        assert_eq!(
            ledger(&[home, ("XDG_STATE_HOME", "state"), ("STATE_DIRECTORY", "")]).as_deref(),
            Some("/home/ana/.local/state/gleaner/ledger.db")
        );
        assert_eq!(ledger(&[]), None);
    }
}
