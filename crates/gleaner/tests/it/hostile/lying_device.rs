//! A hostile device, and the expected end of the pass over it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sim::hostile::HostileDevice;
use sim::{Behaviour, DeviceSettings, HostKey, UserKey};

use super::profile::DeviceProfile;
use crate::context::Fleet;
use crate::device::{a_minute_ago, backdate};
use crate::recording::{self, Digest};

/// One profile, and the expected end of the pass over its device.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) label: &'static str,
    pub(crate) profile: DeviceProfile,
    pub(crate) expected: ExpectedEnd,
}

/// How the pass over a device must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpectedEnd {
    /// It fails with this class.
    Fails(&'static str),
    /// It fails with the class `stalled`, by this time limit.
    Stalls(TimeLimit),
    /// It gathers everything: no file is left on the device.
    Empties,
    /// It ends, and reports that something is wrong.
    Partly,
    /// It ends.
    Ends,
    /// It ends, and the remaining files are listed as waiting.
    Waits,
}

/// The time limits. Each must be the one that ends the pass: another one that acts later in its place would
/// hide that it is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeLimit {
    /// No whole reply, and few bytes, within `stall_timeout`.
    Silence,
    /// A listing that does not end.
    Listing,
}

impl TimeLimit {
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Silence => "the device did not reply within",
            Self::Listing => "did not end within",
        }
    }
}

pub(crate) fn case(label: &'static str, profile: DeviceProfile, expected: ExpectedEnd) -> Case {
    Case {
        label,
        profile,
        expected,
    }
}

/// A device with its case.
#[derive(Debug)]
pub(crate) struct LyingDevice {
    pub(crate) case: Case,
    pub(crate) name: String,
    pub(crate) device: HostileDevice,
    /// The real path of the source.
    pub(crate) folder: PathBuf,
    pub(crate) recorded: Vec<Digest>,
}

impl LyingDevice {
    pub(crate) async fn start(fleet: &Fleet, user: &UserKey, number: usize, case: Case) -> Self {
        let name = format!("device{number}");
        let home = fleet.path("lying").join(&name);
        let folder = home.join("beephotos");
        fs::create_dir_all(folder.join("day")).expect("making the source");
        let tools = home.join("bin");
        fs::create_dir(&tools).expect("making a folder for tools");
        for (tool, script) in case.profile.tools {
            put_tool(&tools.join(tool), script);
        }
        let mut recorded = Vec::new();
        for (file, size) in [
            ("day/a.jpg", 3_000),
            ("day/b.jpg", 2_000),
            ("c.jpg", 50),
            ("film", 300_000),
        ] {
            let content = recording::content(&format!("{name} {file}"), size);
            fs::write(folder.join(file), &content).expect("writing on a device");
            backdate(&folder.join(file), a_minute_ago());
            fleet.manifest.allow(recording::digest(&content));
            recorded.push(recording::digest(&content));
        }
        let settings = DeviceSettings {
            home,
            behaviour: Behaviour::Normal,
            service: case.profile.service,
        };
        let host_key = HostKey::random().expect("a host key");
        let device = HostileDevice::start(user, host_key, settings)
            .await
            .expect("a device");
        let source = folder.to_str().expect("a plain path");
        fleet.set(&format!("{name}.source"), source);
        let lying = Self {
            case,
            name,
            device,
            folder,
            recorded,
        };
        if lying.is_hostile_from_start() {
            lying.turn_hostile();
        }
        lying
    }

    pub(crate) fn is_hostile_from_start(&self) -> bool {
        self.case.profile.is_hostile_from_start
    }

    pub(crate) fn turn_hostile(&self) {
        self.device.turn_hostile(self.case.profile.behaviour.clone());
    }

    pub(crate) fn ends_as_expected(&self, last_outcome: &Value, status: Option<&Value>) -> bool {
        let is_empty = recording::regular_files(&self.folder).is_empty();
        let waits = status
            .and_then(|status| status["remaining"].as_array())
            .is_some_and(|remaining| !remaining.is_empty());
        let result = last_outcome["kind"].as_str();
        match self.case.expected {
            ExpectedEnd::Fails(class) => last_outcome["class"] == class,
            ExpectedEnd::Stalls(limit) => {
                let message = last_outcome["message"].as_str().unwrap_or_default();
                last_outcome["class"] == "stalled" && message.contains(limit.message())
            }
            ExpectedEnd::Empties => result == Some("well") && is_empty,
            ExpectedEnd::Partly => result == Some("partial"),
            ExpectedEnd::Ends => matches!(result, Some("well" | "partial")),
            ExpectedEnd::Waits => result == Some("well") && !is_empty && waits,
        }
    }
}

fn put_tool(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("writing a tool");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("making it a program");
}
