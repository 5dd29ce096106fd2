//! Renames and inspections: the two requests that report whether a file is open.

use engine::ports::{DeviceFailure, FileFault, FileFaultKind, InspectResult, Inspection, Move};
use model::RelativePath;
use tokio::time::sleep;

use super::connection::DeviceConnection;
use super::endpoint::{STEP, fault};
use crate::simulator::device::{DeviceState, Refusal, Request, openness};

pub(super) fn from_refusal(refusal: Refusal) -> FileFault {
    fault(match refusal {
        Refusal::Missing => FileFaultKind::Missing,
        Refusal::Full | Refusal::Obstructed => FileFaultKind::Other,
    })
}

impl DeviceConnection {
    pub(super) fn withdraw(&self, state: &mut DeviceState, step: &Move) -> Result<(), FileFault> {
        let (from, to) = (step.from.as_bytes(), step.to.as_bytes());
        if state.is_known_to_be_open(from) {
            return Err(fault(FileFaultKind::Open));
        }
        if let Some(kind) = state.faults.refuses_rename(&step.from, &step.to) {
            state.make_parents(to);
            return Err(fault(kind));
        }
        if state.rename(from, to).map_err(from_refusal)?.is_some() {
            self.oracle
                .report_breach(format!("a rename replaced {}", to.escape_ascii()));
        }
        Ok(())
    }

    /// Finds the open files, and one step later inspects the given files.
    pub(super) async fn inspect(&self, paths: &[RelativePath]) -> Result<Vec<InspectResult>, DeviceFailure> {
        if !paths.is_empty() {
            self.begin(Request::Inspect).await?;
        }
        let open = self.on_device(|state| state.open_files()).await;
        sleep(STEP).await;
        let inspect_all = |state: &mut DeviceState| {
            let mut inspect = |path: &RelativePath| {
                if let Some(kind) = state.faults.refuses_inspection(path) {
                    return Err(fault(kind));
                }
                let (inode, file) = state
                    .file(path.as_bytes())
                    .ok_or_else(|| fault(FileFaultKind::Missing))?;
                let identity = state.identity(inode, file);
                state.note_inspection(inode);
                Ok(Inspection {
                    identity,
                    openness: openness(open.as_ref(), inode),
                })
            };
            paths.iter().map(&mut inspect).collect()
        };
        Ok(self.on_device(inspect_all).await)
    }
}
