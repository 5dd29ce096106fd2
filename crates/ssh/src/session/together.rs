//! One command for many files, where SFTP has a request for each: reading small ones, renaming, and removing.
//!
//! By SFTP a small file costs three requests to be read and one to be removed, each of which wakes every process on the way. 10,000 files of
//! 2-40 KB cost ssh and the two sshds 3.4 s of CPU to be read that way, and 1.1 s in one stream of `tar`.

use std::collections::VecDeque;
use std::sync::Arc;

use engine::ports::device::{Chunk, DeviceFailure, FileFault, FileFaultKind, Move, SMALL, Wanted};
use model::{RelativePath, SourcePath};
use tokio::sync::Semaphore;

use super::SshSession;
use super::inspect::{beginning_of, portions};
use super::second::Reading;
use crate::archive::{BLOCK, Header, padding, until_nul};
use crate::lane::{LaneError, Lease};

/// Files in one question.
const MOST_FILES: usize = 1024;
/// Bytes of names in one question: the device takes none of them in before it has answered the question before.
const MOST_NAME_BYTES: usize = 256 * 1024;
/// Questions that are under way at a time, so that the device need not wait for the next.
const QUESTIONS: usize = 2;
/// Bytes that were read and are not yet consumed. What is more stays in the channel, whose window fills, and no other channel waits for it.
const BUDGET: usize = 4 * 1024 * 1024;

/// Bytes of one file that are read only to be thrown away, where it has grown since it was looked at. Beyond that the lane is given up,
/// and the files behind this one are read one by one.
const MOST_SKIPPED: u64 = 1024 * 1024;
/// Bytes of an entry that is no file, and entries beside the files and their long names: `tar` was asked for files, and has nothing to say
/// of other things.
const MOST_BESIDE: (u64, usize) = (64 * 1024, 64);

/// A name is no longer than a path may be on Linux, with room to spare.
const LONGEST_NAME: u64 = 8192;

/// A budget of its own, so that a file whose turn to be consumed has not come yet never keeps one that is read by itself from its end.
pub(super) fn budget() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(BUDGET))
}

type Named = (Vec<u8>, Wanted);

impl SshSession {
    /// What the device's `tar` passes over, or all where it has none that we know, is dropped with its outcome untold.
    pub(super) async fn read_together(
        &self,
        source: &SourcePath,
        files: Vec<Wanted>,
    ) -> Result<(), DeviceFailure> {
        let reading = self.reading();
        let session = reading.session.as_deref().unwrap_or(self);
        let (Some(lanes), Some(budget)) = (&session.lanes, &session.together) else {
            return Ok(());
        };
        let named = files
            .into_iter()
            .map(|file| (Self::path(source, &file.path), file));
        let mut left: VecDeque<Named> = named.collect();
        let read = async {
            let mut lane = lanes.lease().await?;
            let mut asked = VecDeque::new();
            loop {
                ask_ahead(&mut lane, &mut left, &mut asked).await?;
                let Some(files) = asked.pop_front() else { break };
                if take_answer(&mut lane, files, (budget, &reading)).await? == 0 {
                    left.clear();
                }
            }
            lane.put_back();
            Ok(())
        };
        match read.await {
            Ok(()) => Ok(()),
            // A `tar` that was killed ends its shell, and a file may have grown without bound: the lane ends with the lease, and what was not
            // told yet is read by SFTP, which fails in its own words where it was the connection that ended.
            Err(error @ (LaneError::Ended(_) | LaneError::Excess(_))) => {
                tracing::debug!(%error, "files are read one by one");
                Ok(())
            }
            Err(error) if reading.session.is_some() => {
                tracing::debug!(%error, "the second connection is given up");
                reading.broke();
                Ok(())
            }
            Err(error) => Err(self.lane_lost(error).await),
        }
    }

    /// Renames files by one command for many, as rename(2) does; which of them it has renamed.
    pub(super) async fn move_together(
        &self,
        source: &SourcePath,
        moves: &[Move],
    ) -> Result<Vec<bool>, DeviceFailure> {
        let (Some(lanes), true) = (&self.lanes, self.renames_together) else {
            return Ok(vec![false; moves.len()]);
        };
        let renamed = async {
            let mut lane = lanes.lease().await?;
            let end = format!("\n{}\n", lane.tag());
            let mut done = Vec::with_capacity(moves.len());
            for some in moves.chunks(MOST_FILES) {
                let names: Vec<_> = some
                    .iter()
                    .flat_map(|step| [&step.from, &step.to])
                    .map(|path| Self::path(source, path))
                    .collect();
                lane.ask("rename", &arguments(names.iter())).await?;
                let answer = lane.until(end.as_bytes()).await?;
                if answer.len() > some.len() {
                    return Err(LaneError::Nonsense(beginning_of(&answer)));
                }
                let told = answer.iter().map(|told| *told == b'1');
                done.extend(told.chain(std::iter::repeat(false)).take(some.len()));
            }
            lane.put_back();
            Ok(done)
        };
        match renamed.await {
            Ok(done) => Ok(done),
            Err(error) => Err(self.lane_lost(error).await),
        }
    }

    /// Removes files by one command for many; whether all of them are gone.
    pub(super) async fn remove_together(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<bool, DeviceFailure> {
        let Some(lanes) = &self.lanes else {
            return Ok(false);
        };
        let removed = async {
            let mut lane = lanes.lease().await?;
            let end = format!("\n{}\n", lane.tag());
            let mut are_gone = true;
            for names in portions(paths.iter().map(|path| Self::path(source, path))) {
                lane.ask("remove", &arguments(names.iter())).await?;
                are_gone &= lane.until(end.as_bytes()).await? == b"gone\n".as_slice();
            }
            lane.put_back();
            Ok(are_gone)
        };
        match removed.await {
            Ok(are_gone) => Ok(are_gone),
            Err(error) => Err(self.lane_lost(error).await),
        }
    }
}

async fn ask_ahead(
    lane: &mut Lease<'_>,
    left: &mut VecDeque<Named>,
    asked: &mut VecDeque<VecDeque<Named>>,
) -> Result<(), LaneError> {
    while !left.is_empty() && asked.len() < QUESTIONS {
        let files: VecDeque<Named> = left.drain(..next_question(left)).collect();
        lane.ask("stream", &arguments(files.iter().map(|(name, _)| name)))
            .await?;
        asked.push_back(files);
    }
    Ok(())
}

fn arguments<'a>(names: impl Iterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let mut arguments = Vec::new();
    for name in names {
        arguments.extend_from_slice(name);
        arguments.push(0);
    }
    arguments
}

/// How many of the files the next question takes: one at least.
fn next_question(left: &VecDeque<Named>) -> usize {
    let mut name_bytes = 0;
    let names = left.iter().take(MOST_FILES).map(|(name, _)| name.len() + 1);
    let fitting = names.take_while(|length| {
        name_bytes += length;
        name_bytes <= MOST_NAME_BYTES
    });
    fitting.count().max(1).min(left.len())
}

/// Hands the bytes of each file on as they come. Answers how many files there were.
async fn take_answer(
    lane: &mut Lease<'_>,
    mut files: VecDeque<Named>,
    to: (&Arc<Semaphore>, &Reading),
) -> Result<usize, LaneError> {
    let end = format!("\n{}\n", lane.tag());
    let (mut count, mut long_name) = (0, None);
    let mut headers_left = files.len() * 2 + MOST_BESIDE.1;
    // The first byte of a header is that of a name, or NUL.
    while lane.peek().await? != b'\n' {
        let block = lane.exactly(BLOCK).await?;
        let header = Header::parse(&block).ok_or_else(|| LaneError::Nonsense(beginning_of(&block)))?;
        headers_left = headers_left
            .checked_sub(1)
            .ok_or_else(|| LaneError::Nonsense("an archive of more than was asked for".to_owned()))?;
        match header {
            Header::End => break,
            Header::LongName(size) => long_name = Some(take_name(lane, size).await?),
            Header::Other(size) => {
                if size > MOST_BESIDE.0 {
                    return Err(LaneError::Nonsense(format!("{size} bytes of no file")));
                }
                long_name = None;
                lane.skip(size.saturating_add(padding(size))).await?;
            }
            Header::File { name, size } => {
                let name = long_name.take().unwrap_or(name);
                let file =
                    named(&mut files, &name).ok_or_else(|| LaneError::Nonsense(beginning_of(&name)))?;
                take_file(lane, file, size, to).await?;
                count += 1;
            }
        }
    }
    lane.until(end.as_bytes()).await?;
    Ok(count)
}

/// The file of that name; those before it were passed over.
fn named(files: &mut VecDeque<Named>, name: &[u8]) -> Option<Wanted> {
    while let Some((expected, file)) = files.pop_front() {
        if expected == name {
            return Some(file);
        }
    }
    None
}

async fn take_name(lane: &mut Lease<'_>, size: u64) -> Result<Vec<u8>, LaneError> {
    let length = usize::try_from(size).unwrap_or(usize::MAX);
    if size > LONGEST_NAME {
        return Err(LaneError::Nonsense(format!("a name of {size} bytes")));
    }
    let name = until_nul(&lane.exactly(length).await?).to_vec();
    lane.skip(padding(size)).await?;
    Ok(name)
}

async fn take_file(
    lane: &mut Lease<'_>,
    file: Wanted,
    size: u64,
    (budget, reading): (&Arc<Semaphore>, &Reading),
) -> Result<(), LaneError> {
    if size > file.expected_size.min(SMALL) {
        let fault = FileFault {
            kind: FileFaultKind::Grown,
            message: format!("read: it has more than the expected {} bytes", file.expected_size),
        };
        file.outcome.send(Err(fault)).ok();
        if size > MOST_SKIPPED {
            return Err(LaneError::Excess(size));
        }
        return lane.skip(size + padding(size)).await;
    }
    if size > 0 {
        let permits = u32::try_from(size).unwrap_or(u32::MAX);
        // The budget is never closed.
        let credit = budget.clone().acquire_many_owned(permits).await.ok();
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        let bytes = lane.exactly(length).await?;
        // Whoever is sent bytes is told an outcome: nothing can fail between the two.
        lane.skip(padding(size)).await?;
        reading.came(&bytes);
        file.chunks.send(Chunk { bytes, credit }).ok();
    }
    file.outcome.send(Ok(size)).ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use model::DeviceName;
    use tokio::sync::{mpsc, oneshot};

    use super::*;
    use crate::archive::tests::header;
    use crate::facts::Facts;
    use crate::lane::{Lanes, Opener, Streams};
    use crate::last_words::LastWords;
    use crate::process::Client;
    use crate::script::{Knowledge, Tag};
    use crate::target::Target;

    const TAG: &str = "0123456789abcdef0123456789abcdef";

    /// Lanes with one that says this, and then ends.
    async fn lanes_that_say(answer: &[u8]) -> Lanes {
        let opener = Opener {
            client: Client {
                program: PathBuf::from("/nonexistent/ssh"),
                configuration: PathBuf::new(),
            },
            target: Target::alias(DeviceName::new("device").unwrap()),
            socket: PathBuf::new(),
            group: 0,
            received: Arc::default(),
            debt: Arc::default(),
        };
        let said = [format!("\n{TAG} ready\n{TAG} end\n").as_bytes(), answer].concat();
        let streams = Streams {
            stdin: Box::new(tokio::io::sink()),
            stdout: Box::new(std::io::Cursor::new(said)),
            words: LastWords::collect(tokio::io::empty()),
            process: None,
        };
        let begun = opener.begin(streams, &Tag::new(TAG), Knowledge::None(&[])).await;
        let (lane, _) = begun.unwrap();
        Lanes::new(opener, lane, Facts::default())
    }

    #[tokio::test]
    async fn nothing_was_sent_of_a_file_whose_outcome_is_untold() {
        // The device goes between the bytes of the file and the end of their block.
        let answer = [&header(b"/data/a", b"6\0", b'0')[..], b"hello\n\0\0"].concat();
        let lanes = lanes_that_say(&answer).await;
        let (chunks, mut taken) = mpsc::unbounded_channel();
        let (outcome, told) = oneshot::channel();
        let file = Wanted {
            path: RelativePath::new("a").unwrap(),
            expected_size: 6,
            chunks,
            outcome,
        };
        let mut lane = lanes.lease().await.unwrap();
        let files = VecDeque::from([(b"/data/a".to_vec(), file)]);
        let taken_answer = take_answer(&mut lane, files, (&budget(), &Reading::undivided())).await;
        assert!(
            matches!(taken_answer, Err(LaneError::Ended(_))),
            "{taken_answer:?}"
        );
        assert!(told.await.is_err());
        assert!(
            taken.recv().await.is_none(),
            "bytes of a file that was passed over"
        );
    }
}
