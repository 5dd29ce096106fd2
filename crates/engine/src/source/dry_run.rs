//! A dry run reports what a sweep would do with the files of a survey.

use model::WaitReason;

use crate::event::Event;
use crate::ports::{Openness, Reason, Session};
use crate::recourse::PassError;
use crate::stages::survey::Survey;
use crate::visit::SourceVisit;
use crate::world::World;

/// Files that a dry run inspects with one request.
const MAX_INSPECTED: usize = 512;

/// Reports the plan. A sweep would leave files that are open, and a listing need not say which these are: so
/// each file is inspected.
pub(super) async fn report<W: World>(
    visit: &SourceVisit<'_, W>,
    survey: Survey<'_>,
) -> Result<(), PassError> {
    let suspects = survey.suspects.into_iter();
    let last = suspects.map(|suspect| (suspect.candidate, suspect.decision));
    let mut plan = survey.work.into_iter().chain(last).peekable();
    while plan.peek().is_some() {
        let some: Vec<_> = plan.by_ref().take(MAX_INSPECTED).collect();
        let paths: Vec<_> = some
            .iter()
            .map(|(candidate, _)| candidate.current_path.clone())
            .collect();
        let inspected = visit.session.inspect(visit.source, &paths).await?;
        for ((candidate, decision), inspected) in some.into_iter().zip(inspected) {
            let size = candidate.identity.size;
            if inspected.is_ok_and(|inspection| inspection.openness == Openness::Open) {
                let reason = Reason::Wait(WaitReason::Open);
                visit.leave_behind(&candidate.original, size, reason, None);
                continue;
            }
            visit.report(&Event::Planned {
                device: visit.device.name.clone(),
                source: visit.source.clone(),
                path: candidate.original,
                size,
                action: decision.code(),
            });
        }
    }
    Ok(())
}
