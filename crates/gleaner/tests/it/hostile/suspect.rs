//! A device that lies, and what must become of the pass over it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sim::hostile::HostileDevice;
use sim::{Behaviour, DeviceSettings, HostKey, UserKey};

use super::lie::Character;
use crate::context::Fleet;
use crate::device::{a_minute_ago, backdate};
use crate::recording::{self, Digest};

/// One lie, and what must become of the pass over its device.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) lie: &'static str,
    pub(crate) character: Character,
    pub(crate) fate: Fate,
}

/// What must become of the pass over a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It fails with this class.
    Fails(&'static str),
    /// Its failure has the class `stalled`, for this reason.
    Stalls(Watch),
    /// It does all there is to do: nothing is left on the device.
    Empties,
    /// It comes to its end, and says that something is wrong.
    Partly,
    /// It comes to its end.
    Ends,
    /// It comes to its end, and what is left is said to wait.
    Waits,
}

/// The rules about time, each of which must speak itself: another that speaks later in its place would hide that it is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// No whole answer, nor many bytes, within `stall_timeout`.
    Silence,
    /// A listing that goes on and on.
    Listing,
}

impl Watch {
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Silence => "the device did not reply within",
            Self::Listing => "had not come to its end after",
        }
    }
}

pub(crate) fn case(lie: &'static str, character: Character, fate: Fate) -> Case {
    Case { lie, character, fate }
}

/// A case at a device.
#[derive(Debug)]
pub(crate) struct Suspect {
    pub(crate) case: Case,
    pub(crate) name: String,
    pub(crate) device: HostileDevice,
    /// The source, which really is in this place.
    pub(crate) folder: PathBuf,
    pub(crate) recorded: Vec<Digest>,
}

impl Suspect {
    pub(crate) async fn start(fleet: &Fleet, user: &UserKey, number: usize, case: Case) -> Self {
        let name = format!("device{number}");
        let home = fleet.path("suspects").join(&name);
        let folder = home.join("beephotos");
        fs::create_dir_all(folder.join("day")).expect("making the source");
        let tools = home.join("bin");
        fs::create_dir(&tools).expect("making a folder for tools");
        for (tool, script) in case.character.tools {
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
            service: case.character.service,
        };
        let host_key = HostKey::random().expect("a host key");
        let device = HostileDevice::start(user, host_key, settings)
            .await
            .expect("a device");
        let source = folder.to_str().expect("a plain path");
        fleet.set(&format!("{name}.source"), source);
        let suspect = Self {
            case,
            name,
            device,
            folder,
            recorded,
        };
        if suspect.lies_from_the_first() {
            suspect.misbehave();
        }
        suspect
    }

    pub(crate) fn lies_from_the_first(&self) -> bool {
        self.case.character.from_the_first
    }

    pub(crate) fn misbehave(&self) {
        self.device.misbehave(self.case.character.misbehaviour.clone());
    }

    pub(crate) fn ends_as_it_must(&self, told: &Value, status: Option<&Value>) -> bool {
        let is_empty = recording::regular_files(&self.folder).is_empty();
        let waits = status
            .and_then(|status| status["remaining"].as_array())
            .is_some_and(|remaining| !remaining.is_empty());
        let result = told["kind"].as_str();
        match self.case.fate {
            Fate::Fails(class) => told["class"] == class,
            Fate::Stalls(watch) => {
                let message = told["message"].as_str().unwrap_or_default();
                told["class"] == "stalled" && message.contains(watch.words())
            }
            Fate::Empties => result == Some("well") && is_empty,
            Fate::Partly => result == Some("partial"),
            Fate::Ends => matches!(result, Some("well" | "partial")),
            Fate::Waits => result == Some("well") && !is_empty && waits,
        }
    }
}

fn put_tool(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("writing a tool");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("making it a program");
}
