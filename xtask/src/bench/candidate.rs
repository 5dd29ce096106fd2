//! A tool that is run. There may be several builds of gleaner.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::catalogue::{Tool, Visits};
use super::lab::{Lab, clear, device_name};
use super::ledger;
use super::work::{Fate, Subject};
use crate::command::output;

/// Suffix of the name of a candidate that reads its ledger from the disk.
pub(super) const COLD: &str = "-cold";

/// Maximum number of sweeps until every device of a fleet has been reached once.
const VISITS: usize = 5;

#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) name: String,
    /// The program of the tool. Several ways of using rsync share one program; several builds of gleaner do
    /// not.
    pub(super) program: String,
    pub(super) tool: Tool,
    /// The build of gleaner.
    build: PathBuf,
    /// Nothing of the ledger is cached when the run begins. Measured once.
    pub(super) cold: bool,
}

impl Candidate {
    /// A candidate for each tool, and for gleaner one for each build.
    pub(super) fn all<'a>(tools: impl Iterator<Item = &'a Tool>, builds: &[PathBuf]) -> Vec<Self> {
        let of_tool = |tool: &'a Tool| {
            let builds = if tool.is_gleaner() {
                builds
            } else {
                builds.get(..1).unwrap_or_default()
            };
            (1_usize..).zip(builds).map(|(number, build)| Self {
                name: numbered(&tool.name, number),
                program: if tool.is_gleaner() {
                    numbered("gleaner", number)
                } else {
                    tool.program.clone()
                },
                tool: tool.clone(),
                build: build.clone(),
                cold: false,
            })
        };
        tools.flat_map(of_tool).collect()
    }

    /// The same candidate, with nothing of the ledger cached.
    pub(super) fn cold(&self) -> Self {
        Self {
            name: format!("{}{COLD}", self.name),
            cold: true,
            ..self.clone()
        }
    }

    /// Prepares a run from scratch, before the clock starts.
    pub(super) fn prepare_first(&self, lab: &mut Lab) -> Result<()> {
        lab.lay_out()?;
        self.prepare(lab)?;
        lab.set_up_link()?;
        match self.tool.visits {
            Visits::First => return Ok(()),
            Visits::Kept => self.run_gleaner(lab, &["run"]).map(drop)?,
            Visits::Again => self.visit_before(lab)?,
        }
        lab.set_up_link()
    }

    /// Prepares what a tool needs. For gleaner this is a store and, on a fleet without waiting files, a
    /// ledger that has seen the fleet before.
    fn prepare(&self, lab: &Lab) -> Result<()> {
        // A tunnel left by a tool that was killed at its limit would block the next tool's tunnel.
        fs::remove_file(lab.folder.join("tunnel")).ok();
        if !self.tool.is_gleaner() {
            return Ok(());
        }
        fs::write(lab.folder.join("gleaner.toml"), self.configuration(lab)?)?;
        self.run_gleaner(lab, &["store", "init", "--local"])?;
        match lab.work.files_per_device {
            0 => self.visit_all(lab),
            _ => Ok(()),
        }
    }

    /// Visits the devices until all have been reached, because an outage of the link may prevent some visits.
    fn visit_all(&self, lab: &Lab) -> Result<()> {
        let visit = || self.run_gleaner(lab, &["run"]).map(drop);
        if lab.work.grows == Some(Subject::Fleet) {
            // The number of devices of a large fleet that are not served is a figure.
            visit().ok();
            return Ok(());
        }
        (1..VISITS).fold(visit(), |visited, _| visited.or_else(|_| visit()))
    }

    /// A visit before the clock starts. Then removes the gathered files from the store and records as many
    /// anew.
    fn visit_before(&self, lab: &Lab) -> Result<()> {
        self.run_gleaner(lab, &["run"])?;
        for device in lab.work.live_devices() {
            clear(&lab.store().join(device_name(device)))?;
        }
        lab.record()
    }

    /// Prepares a run that continues from the state that the previous run left.
    pub(super) fn prepare_next(&self, lab: &mut Lab) -> Result<()> {
        lab.record_more(self.tool.new_files)?;
        if self.cold {
            ledger::forget_cached(&lab.ledger())?;
        }
        Ok(())
    }

    fn run_gleaner(&self, lab: &Lab, words: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.build);
        command
            .args(["--quiet", "--quiet", "--config"])
            .arg(lab.folder.join("gleaner.toml"))
            .args(words)
            .env("HOME", lab.folder.join("home"));
        output(&mut command)
    }

    pub(super) fn words(&self) -> Vec<OsString> {
        // No shell remains in between, so that gleaner's own memory can be counted separately.
        let exec = if self.tool.is_gleaner() { "exec " } else { "" };
        vec![
            "sh".into(),
            "-c".into(),
            format!("{exec}{}", self.tool.script).into(),
        ]
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
            ("SHARED_CONFIG", inside("shared/ssh_config")),
            ("KEY", lab.keys.client.private.clone().into()),
            ("KNOWN_HOSTS", inside("known_hosts")),
            ("DEVICE_PORT", lab.device_port().to_string().into()),
            ("TUNNEL_PORT", lab.tunnel.number().to_string().into()),
            ("GLEANER", self.build.clone().into()),
            ("GLEANER_CONFIG", inside("gleaner.toml")),
            ("USER", user.trim().into()),
            // The user's own configuration of a tool must not affect the measurement.
            ("HOME", inside("home")),
        ])
    }

    /// The version line that the program prints.
    pub(super) fn version(&self) -> Result<String> {
        let program = Path::new(&self.tool.program);
        let program = if self.tool.is_gleaner() {
            &self.build
        } else {
            program
        };
        let text = output(Command::new(program).arg(match self.tool.program.as_str() {
            "rclone" => "version",
            _ => "--version",
        }))?;
        let first = text.lines().next().context("the version is empty")?;
        Ok(first.to_owned())
    }

    /// The default configuration, except that waiting times are zero: files are made just before they are
    /// gathered.
    fn configuration(&self, lab: &Lab) -> Result<String> {
        let shown = |path: &Path| path.display().to_string();
        let mut text = format!(
            "[store]\npath = \"{}\"\nmin_free = \"100 MB\"\n\n[ledger]\npath = \"{}\"\n\n[ssh]\nconfig = \"{}\"\n\n\
             [defaults]\nsettle = \"0s\"\nsettle_blind = \"0s\"\n",
            shown(&lab.store()),
            shown(&lab.ledger()),
            shown(&lab.folder.join("ssh_config")),
        );
        if self.tool.visits == Visits::Kept {
            text.push_str("release = \"keep\"\n");
        }
        if self.tool.all_at_once {
            write!(text, "\n[fleet]\nparallel = {}\n", lab.devices())?;
        }
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
}

fn numbered(name: &str, number: usize) -> String {
    match number {
        1 => name.to_owned(),
        _ => format!("{name}-{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::Catalogue;
    use super::*;

    #[test]
    fn each_build_of_gleaner_is_a_candidate_of_its_own() {
        let builds = [PathBuf::from("/a"), PathBuf::from("/b")];
        let tools = Catalogue::load().unwrap().tools;
        let wanted = tools
            .iter()
            .filter(|it| ["rsync", "gleaner"].contains(&it.name.as_str()));
        let all = Candidate::all(wanted, &builds);
        let names: Vec<_> = all.iter().map(|candidate| candidate.name.as_str()).collect();
        assert_eq!(names, ["gleaner", "gleaner-2", "rsync"]);
        assert_eq!(all[1].build, PathBuf::from("/b"));
        let questions = tools.iter().filter(|it| it.name == "status");
        let programs = Candidate::all(questions, &builds)
            .into_iter()
            .map(|it| it.program);
        assert_eq!(programs.collect::<Vec<_>>(), ["gleaner", "gleaner-2"]);
    }
}
