//! The ways of emptying devices that are compared, each a script for a shell.
//!
//! They all read the same `ssh_config`. xargs gives up at the first status of 255, which is that of an ssh that reaches
//! nobody, so another takes its place. The lines are printed in the page as they stand here.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::lab::{Lab, clear, device_name};
use super::work::Fate;
use crate::command::output;

/// One of the ways.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    /// For the page.
    pub(super) about: &'static str,
    /// The program that must be there beside those of the lab.
    pub(super) program: &'static str,
    pub(super) script: &'static str,
    /// Whether the files stay on the devices.
    pub(super) copies_only: bool,
}

pub(super) const GLEANER: &str = "gleaner";

/// How often a fleet is visited at most until every device has been reached once.
const VISITS: u32 = 5;

/// gleaner where it has been before.
const AGAIN: &str = "gleaner-again";

pub(super) const TOOLS: [Tool; 12] = [
    Tool {
        name: GLEANER,
        about: "`gleaner run` with a fresh ledger; durable, verified, released",
        program: "ssh",
        script: r#""$GLEANER" --quiet --config "$GLEANER_CONFIG" run"#,
        copies_only: false,
    },
    Tool {
        name: AGAIN,
        about: "the same on its second visit: as many files have been recorded since the first one, from which the ledger knows whether compression pays",
        program: "ssh",
        script: r#""$GLEANER" --quiet --config "$GLEANER_CONFIG" run"#,
        copies_only: false,
    },
    Tool {
        name: "rsync",
        about: "one device after the other; not flushed to the disk",
        program: "rsync",
        script: r#"for device in $DEVICES; do
    rsync -a --remove-source-files -e "ssh -F $SSH_CONFIG" "$device:$SOURCES/$device/" "$STORE/$device/" || failed=1
done
exit ${failed:-0}"#,
        copies_only: false,
    },
    Tool {
        name: "rsync-fsync",
        about: "the same, each file flushed to the disk",
        program: "rsync",
        script: r#"for device in $DEVICES; do
    rsync -a --fsync --remove-source-files -e "ssh -F $SSH_CONFIG" "$device:$SOURCES/$device/" "$STORE/$device/" || failed=1
done
exit ${failed:-0}"#,
        copies_only: false,
    },
    Tool {
        name: "rsync-z",
        about: "as `rsync`, compressed on the wire",
        program: "rsync",
        script: r#"for device in $DEVICES; do
    rsync -az --remove-source-files -e "ssh -F $SSH_CONFIG" "$device:$SOURCES/$device/" "$STORE/$device/" || failed=1
done
exit ${failed:-0}"#,
        copies_only: false,
    },
    Tool {
        name: "field",
        about: "the script that gleaner replaces: all hosts in turn, with its options",
        program: "rsync",
        script: r#"for device in $DEVICES; do
    rsync --recursive --remove-source-files --compress --update --times -e "ssh -F $SSH_CONFIG -o ConnectTimeout=10" "$device:$SOURCES/$device/" "$STORE/$device/" || failed=1
done
exit ${failed:-0}"#,
        copies_only: false,
    },
    Tool {
        name: "rsync-16",
        about: "one rsync for each device, 16 at a time",
        program: "rsync",
        script: r#"printf '%s\n' $DEVICES |
    xargs -P 16 -I DEVICE sh -c '
        rsync -a --remove-source-files -e "ssh -F $SSH_CONFIG" "DEVICE:$SOURCES/DEVICE/" "$STORE/DEVICE/" || exit 1
    '"#,
        copies_only: false,
    },
    Tool {
        name: "rsync-16-shared",
        about: "the same over one shared connection to the jump host",
        program: "rsync",
        script: r#"ssh -F "$SHARED_CONFIG" -M -N -f jump >/dev/null 2>&1
printf '%s\n' $DEVICES |
    xargs -P 16 -I DEVICE sh -c '
        rsync -a --remove-source-files -e "ssh -F $SHARED_CONFIG" "DEVICE:$SOURCES/DEVICE/" "$STORE/DEVICE/" || exit 1
    '
status=$?
ssh -F "$SHARED_CONFIG" -O exit jump
exit $status"#,
        copies_only: false,
    },
    Tool {
        name: "rclone",
        about: "`rclone move` over SFTP through a tunnel, with its check of hashes",
        program: "rclone",
        script: r#"ssh -F "$SSH_CONFIG" -M -S "$FOLDER/tunnel" -N -f -L "$TUNNEL_PORT:127.0.0.1:$DEVICE_PORT" jump >/dev/null 2>&1
for device in $DEVICES; do
    rclone move --sftp-host 127.0.0.1 --sftp-port "$TUNNEL_PORT" --sftp-user "$USER" --sftp-key-file "$KEY" --sftp-known-hosts-file "$KNOWN_HOSTS" ":sftp:$SOURCES/$device" "$STORE/$device" || failed=1
done
ssh -F "$SSH_CONFIG" -S "$FOLDER/tunnel" -O exit jump
exit ${failed:-0}"#,
        copies_only: false,
    },
    Tool {
        name: "rclone-unchecked",
        about: "the same without that check",
        program: "rclone",
        script: r#"ssh -F "$SSH_CONFIG" -M -S "$FOLDER/tunnel" -N -f -L "$TUNNEL_PORT:127.0.0.1:$DEVICE_PORT" jump >/dev/null 2>&1
for device in $DEVICES; do
    rclone move --ignore-checksum --sftp-disable-hashcheck --sftp-host 127.0.0.1 --sftp-port "$TUNNEL_PORT" --sftp-user "$USER" --sftp-key-file "$KEY" --sftp-known-hosts-file "$KNOWN_HOSTS" ":sftp:$SOURCES/$device" "$STORE/$device" || failed=1
done
ssh -F "$SSH_CONFIG" -S "$FOLDER/tunnel" -O exit jump
exit ${failed:-0}"#,
        copies_only: false,
    },
    Tool {
        name: "lftp",
        about: "`mirror` over SFTP",
        program: "lftp",
        script: r#"for device in $DEVICES; do
    lftp -c "
        set cmd:fail-exit yes;
        set net:max-retries 2;
        set net:timeout 20;
        set sftp:connect-program 'ssh -a -x -F $SSH_CONFIG';
        open sftp://$USER:@$device;
        mirror --Remove-source-files $SOURCES/$device $STORE/$device
    " || failed=1
done
exit ${failed:-0}"#,
        copies_only: false,
    },
    Tool {
        name: "tar",
        about: "tar over ssh: copies only, checks nothing, keeps nothing safe; the bound",
        program: "tar",
        script: r#"for device in $DEVICES; do
    mkdir -p "$STORE/$device"
    ssh -F "$SSH_CONFIG" "$device" "tar -C $SOURCES/$device -cf - ." |
        tar -C "$STORE/$device" -xf - || failed=1
done
exit ${failed:-0}"#,
        copies_only: true,
    },
];

/// A tool as it is run: gleaner may be there in several builds.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) tool: Tool,
    /// The build of gleaner.
    build: PathBuf,
}

impl Candidate {
    /// Every tool of these names, gleaner once for each build.
    pub(super) fn all(names: &[&str], builds: &[PathBuf]) -> Vec<Self> {
        let wanted = TOOLS.iter().filter(|tool| names.contains(&tool.name));
        wanted
            .flat_map(|tool| {
                let builds = if is_gleaner(tool) {
                    builds
                } else {
                    builds.get(..1).unwrap_or_default()
                };
                (1_usize..).zip(builds).map(|(number, build)| Self {
                    name: if number == 1 {
                        tool.name.to_owned()
                    } else {
                        format!("{}-{number}", tool.name)
                    },
                    tool: *tool,
                    build: build.clone(),
                })
            })
            .collect()
    }

    pub(super) fn is_gleaner(&self) -> bool {
        is_gleaner(&self.tool)
    }

    /// Whether the first visit is not the one to be measured.
    pub(super) fn comes_again(&self) -> bool {
        self.tool.name == AGAIN
    }

    /// What has to be there before the clock starts: for gleaner a store, and on a fleet where nothing waits a ledger that has
    /// seen it before.
    pub(super) fn prepare(&self, lab: &Lab) -> Result<()> {
        // What a tool that was ended at its limit leaves of its tunnel would keep the next from having one.
        fs::remove_file(lab.folder.join("tunnel")).ok();
        if !self.is_gleaner() {
            return Ok(());
        }
        fs::write(lab.folder.join("gleaner.toml"), configuration(lab)?)?;
        self.ask(lab, &["store", "init", "--local"])?;
        if lab.work.files(1).next().is_none() {
            self.visit_all(lab)?;
        }
        Ok(())
    }

    /// Visits the devices until all could be reached: an outage of the link may keep some from it.
    fn visit_all(&self, lab: &Lab) -> Result<()> {
        let visit = || self.ask(lab, &["run"]);
        let mut visited = visit();
        for _ in 1..VISITS {
            if visited.is_ok() {
                break;
            }
            visited = visit();
        }
        visited.map(drop)
    }

    /// A visit before the clock starts. What it brought goes from the store, and as much is recorded anew.
    pub(super) fn visit_before(&self, lab: &Lab) -> Result<()> {
        self.ask(lab, &["run"])?;
        for device in lab.work.live_devices() {
            clear(&lab.store().join(device_name(device)))?;
        }
        lab.record()
    }

    /// Whether the ledger knows of a file that has left its device.
    pub(super) fn has_released(&self, lab: &Lab) -> bool {
        let Ok(said) = self.ask(lab, &["status", "--json"]) else {
            // The ledger is made a moment after the start.
            return false;
        };
        let status: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
        let released = status.pointer("/devices/0/recorded/released/files");
        released.and_then(serde_json::Value::as_u64).unwrap_or_default() > 0
    }

    fn ask(&self, lab: &Lab, words: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.build);
        command
            .args(["--quiet", "--quiet", "--config"])
            .arg(lab.folder.join("gleaner.toml"))
            .args(words)
            .env("HOME", lab.folder.join("home"));
        output(&mut command)
    }

    pub(super) fn words(&self) -> Vec<OsString> {
        vec!["sh".into(), "-c".into(), self.tool.script.into()]
    }

    pub(super) fn environment(&self, lab: &Lab) -> Result<Vec<(&'static str, OsString)>> {
        let user = output(Command::new("id").arg("-un"))?;
        let devices: Vec<_> = (1..=lab.devices()).map(device_name).collect();
        let inside = |name: &str| lab.folder.join(name).into_os_string();
        Ok(vec![
            ("DEVICES", devices.join(" ").into()),
            ("SOURCES", lab.sources().into()),
            ("STORE", lab.store().into()),
            ("FOLDER", lab.folder.clone().into()),
            ("SSH_CONFIG", inside("ssh_config")),
            ("SHARED_CONFIG", inside("ssh_config_shared")),
            ("KEY", inside("keys/client")),
            ("KNOWN_HOSTS", inside("keys/known_hosts")),
            ("DEVICE_PORT", lab.device_port.to_string().into()),
            ("TUNNEL_PORT", lab.tunnel_port.to_string().into()),
            ("GLEANER", self.build.clone().into()),
            ("GLEANER_CONFIG", inside("gleaner.toml")),
            ("USER", user.trim().into()),
            // Nobody's own configuration of a tool is measured.
            ("HOME", inside("home")),
        ])
    }

    /// What the program says that it is.
    pub(super) fn version(&self) -> Result<String> {
        let mut command = match self.is_gleaner() {
            true => Command::new(&self.build),
            false => Command::new(self.tool.program),
        };
        let text = output(command.arg(match self.tool.program {
            "rclone" => "version",
            _ => "--version",
        }))?;
        let first = text.lines().next().context("a version of no words")?;
        Ok(first.to_owned())
    }
}

fn is_gleaner(tool: &Tool) -> bool {
    [GLEANER, AGAIN].contains(&tool.name)
}

/// All default but for what is as short as a measurement: files are made a moment before they are gathered.
pub(super) fn configuration(lab: &Lab) -> Result<String> {
    let shown = |path: &Path| path.display().to_string();
    let mut text = format!(
        "[store]\npath = \"{}\"\nmin_free = \"100 MB\"\n\n[ledger]\npath = \"{}\"\n\n[ssh]\nconfig = \"{}\"\n\n\
         [defaults]\nsettle = \"0s\"\nsettle_blind = \"0s\"\n",
        shown(&lab.store()),
        shown(&lab.ledger_folder().join("ledger.db")),
        shown(&lab.folder.join("ssh_config")),
    );
    for (number, fate) in (1..).zip(lab.work.fates()) {
        let answer = match fate {
            Fate::Live => "",
            Fate::Refusing => "  # refuses",
            Fate::Silent => "  # is silent",
        };
        write!(
            text,
            "\n[[device]]\nname = \"{}\"{answer}\nsource = \"{}\"\n",
            device_name(number),
            shown(&lab.source(number))
        )?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_builds_of_gleaner_are_several_candidates_and_others_stay_one() {
        let builds = [PathBuf::from("/a"), PathBuf::from("/b")];
        let all = Candidate::all(&["rsync", "gleaner"], &builds);
        let names: Vec<_> = all.iter().map(|candidate| candidate.name.as_str()).collect();
        assert_eq!(names, ["gleaner", "gleaner-2", "rsync"]);
        assert_eq!(all[1].build, PathBuf::from("/b"));
    }

    #[test]
    fn no_tool_has_the_name_of_another() {
        let names: std::collections::BTreeSet<_> = TOOLS.iter().map(|tool| tool.name).collect();
        assert_eq!(names.len(), TOOLS.len());
    }
}
