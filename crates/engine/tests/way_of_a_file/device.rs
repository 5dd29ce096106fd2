//! A device in memory that does what a test asks of it at a given moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use engine::ports::{
    Abilities, Chunk, ChunkSender, DeviceFacts, DeviceFailure, Devices, DigestRequest, Entry, EntryKind,
    FileFault, FileFaultKind, Inspection, Listed, Looked, Move, Moved, Openness, Session, SurveyItem,
    SurveySender, Wanted,
};
use model::{DeviceName, Digest, FailureClass, Identity, RelativePath, SourcePath, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::vast::{digest_of_zeros, send_zeros};

pub(crate) const NOW: i64 = 1_800_000_000;

/// A file, as its device knows it.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) content: Vec<u8>,
    pub(crate) identity: Identity,
}

/// What happens on the device just before it answers a request of that kind for the nth time.
pub(crate) type Mischief = Box<dyn FnMut(&mut State) + Send>;

#[derive(Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "troubles that a device has or has not, independently of each other"
)]
pub(crate) struct State {
    pub(crate) files: BTreeMap<String, File>,
    pub(crate) folders: BTreeSet<String>,
    pub(crate) open: BTreeSet<u64>,
    /// Every rename fails so.
    pub(crate) refuses_renames: Option<FileFaultKind>,
    /// The folders for a rename are made before it is refused.
    pub(crate) makes_folders_in_vain: bool,
    /// A look at this file fails so, wherever it lies.
    pub(crate) refuses_looks: Option<(&'static str, FileFaultKind)>,
    /// A folder that is another file system.
    pub(crate) mounted: Option<&'static str>,
    /// Not even a folder can be made.
    pub(crate) full: bool,
    pub(crate) missing_sources: Vec<String>,
    pub(crate) lies_about_digests: bool,
    /// The first session ends before its turn has come.
    pub(crate) ends_while_it_waits: bool,
    /// A folder that cannot be listed: nothing that lies below it is named.
    pub(crate) unlistable: Option<&'static str>,
    /// A listing never comes to its end.
    pub(crate) endless: bool,
    /// How long each name of a listing lets wait for itself.
    pub(crate) pauses_before_each_name: Duration,
    /// This is named without end, as fast as anybody listens.
    pub(crate) invents: Option<&'static str>,
    /// A listing is given up by the session after all that is there was named, for this reason.
    pub(crate) gives_up_listing: Option<DeviceFailure>,
    /// What it finds out about compression.
    pub(crate) compression_pays: Option<bool>,
    /// What was known of compression whenever it was connected to.
    pub(crate) told_of_compression: Vec<Option<bool>>,
    /// Files of these sizes are not read together with others.
    pub(crate) passes_over: BTreeSet<u64>,
    /// The sizes of the files that were asked for together.
    pub(crate) together: Vec<u64>,
    /// From which byte on files were asked for.
    pub(crate) offsets: Vec<u64>,
    /// How many bytes of a file are not sent.
    pub(crate) withholds: usize,
    pub(crate) digested: Vec<DigestRequest>,
    pub(crate) cannot_digest: bool,
    pub(crate) abilities: Option<Abilities>,
    pub(crate) requests: Vec<&'static str>,
    pub(crate) fails_at: Option<(&'static str, FailureClass)>,
    /// The session ends when one of these is to be read.
    pub(crate) hangs_at: Vec<&'static str>,
    /// It takes so long to read several small files, and can do nothing else meanwhile.
    pub(crate) pauses_after_each_small_file: Duration,
    has_no_lane: bool,
    /// Or when it is to digest anything.
    pub(crate) owes_digests: bool,
    mischief: Vec<(&'static str, Mischief)>,
    next_inode: u64,
}

impl State {
    /// A finished file, last written an hour ago.
    pub(crate) fn record(&mut self, path: &str, content: &[u8]) {
        self.next_inode += 1;
        let touched = Timestamp::from_seconds(NOW - 3600);
        let identity = Identity {
            device_number: Some(1),
            inode: Some(self.next_inode),
            size: u64::try_from(content.len()).unwrap(),
            modified: touched,
            changed: Some(touched),
        };
        self.files.insert(
            path.into(),
            File {
                content: content.to_vec(),
                identity,
            },
        );
    }

    /// A file that is not there.
    fn invented(&self) -> Option<SurveyItem> {
        let touched = Timestamp::from_seconds(NOW - 3600);
        let identity = Identity {
            device_number: Some(1),
            inode: Some(1),
            size: 1,
            modified: touched,
            changed: Some(touched),
        };
        let entry = |name: &str| Entry {
            path: RelativePath::new(name).unwrap(),
            kind: EntryKind::File,
            identity,
            openness: Openness::Closed,
        };
        self.invents.map(entry).map(SurveyItem::Entry)
    }

    /// Writes to a file wherever it lies now: its ctime moves, whatever its mtime says.
    pub(crate) fn write(&mut self, name: &str, content: &[u8]) {
        let (_, file) = self
            .files
            .iter_mut()
            .find(|(path, _)| path.ends_with(name))
            .unwrap();
        file.content = content.to_vec();
        file.identity.size = u64::try_from(content.len()).unwrap();
        file.identity.changed = Some(file.identity.changed.unwrap().plus(Duration::from_secs(7)));
    }

    /// Does something just before the next request of that kind is answered.
    pub(crate) fn before_next(
        &mut self,
        request: &'static str,
        mischief: impl FnMut(&mut Self) + Send + 'static,
    ) {
        self.mischief.push((request, Box::new(mischief)));
    }

    fn begin(&mut self, request: &'static str) -> Result<(), DeviceFailure> {
        self.requests.push(request);
        if let Some(at) = self.mischief.iter().position(|(when, _)| *when == request) {
            let (_, mut mischief) = self.mischief.remove(at);
            mischief(self);
        }
        match self.fails_at {
            Some((when, class)) if when == request => Err(DeviceFailure {
                class,
                message: "gone".into(),
            }),
            _ => Ok(()),
        }
    }
}

/// The fleet of one device, `bee`, and its only source.
#[derive(Clone, Default)]
pub(crate) struct FakeDevices(pub(crate) Arc<Mutex<State>>);

impl FakeDevices {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

pub(crate) struct FakeSession {
    state: Arc<Mutex<State>>,
    facts: DeviceFacts,
}

pub(crate) fn all_abilities() -> Abilities {
    Abilities {
        complete_identities: true,
        sees_open_files: true,
        sees_all_processes: true,
        user: Some(0),
        digests: true,
        tells_time: true,
        renames_atomically: true,
        reads_together: true,
    }
}

impl Devices for FakeDevices {
    type Session = FakeSession;

    async fn connect(
        &self,
        _: &DeviceName,
        _: &[SourcePath],
        compression_paid: Option<bool>,
    ) -> Result<FakeSession, DeviceFailure> {
        self.state().begin("connect")?;
        self.state().told_of_compression.push(compression_paid);
        let facts = DeviceFacts {
            clock: Some(Timestamp::from_seconds(NOW)),
            boot_id: Some("boot".into()),
            uptime: Some(Duration::from_hours(1000)),
            disks: Vec::new(),
        };
        Ok(FakeSession {
            state: Arc::clone(&self.0),
            facts,
        })
    }
}

fn missing() -> FileFault {
    FileFault {
        kind: FileFaultKind::Missing,
        message: "no such file".into(),
    }
}

fn refused(kind: FileFaultKind) -> FileFault {
    let message = "refused".into();
    FileFault { kind, message }
}

impl FakeSession {
    async fn hang_over(&self, path: &RelativePath) -> Result<(), DeviceFailure> {
        let hangs_at = self.state.lock().unwrap().hangs_at.clone();
        match hangs_at.iter().any(|name| path.file_name() == name.as_bytes()) {
            true => self.hang().await,
            false => Ok(()),
        }
    }

    /// What came before is taken meanwhile.
    async fn hang(&self) -> Result<(), DeviceFailure> {
        tokio::time::sleep(Duration::from_mins(1)).await;
        Err(DeviceFailure {
            class: FailureClass::Stalled,
            message: "silent".into(),
        })
    }

    fn rename_only(&self, moves: &[Move]) -> Result<Vec<Result<(), FileFault>>, DeviceFailure> {
        let mut state = self.state.lock().unwrap();
        state.begin("rename")?;
        let (refusal, in_vain) = (state.refuses_renames, state.makes_folders_in_vain);
        let (full, mounted) = (state.full, state.mounted);
        Ok(moves
            .iter()
            .map(|step| {
                if !full && (refusal.is_none() || in_vain) {
                    let made = std::iter::successors(step.to.parent(), RelativePath::parent);
                    state.folders.extend(made.map(|folder| folder.to_string()));
                }
                if let Some(kind) = refusal {
                    return Err(refused(kind));
                }
                let is_mounted = |path: &RelativePath| {
                    mounted.is_some_and(|mounted| path.components().next() == Some(mounted.as_bytes()))
                };
                if is_mounted(&step.from) != is_mounted(&step.to) {
                    return Err(refused(FileFaultKind::OtherFileSystem));
                }
                if full && step.from.parent() != step.to.parent() {
                    return Err(refused(FileFaultKind::Other));
                }
                let mut file = state.files.remove(&step.from.to_string()).ok_or_else(missing)?;
                file.identity.changed = Some(Timestamp::from_seconds(NOW));
                assert!(
                    state.files.insert(step.to.to_string(), file).is_none(),
                    "renamed onto a file"
                );
                Ok(())
            })
            .collect())
    }
}

impl Session for FakeSession {
    fn abilities(&self) -> Abilities {
        self.state.lock().unwrap().abilities.unwrap_or_else(all_abilities)
    }

    fn facts(&self) -> &DeviceFacts {
        &self.facts
    }

    fn has_ended(&self) -> bool {
        std::mem::take(&mut self.state.lock().unwrap().ends_while_it_waits)
    }

    fn has_early_listing(&self, _: &SourcePath) -> bool {
        let state = self.state.lock().unwrap();
        let mut since_connecting = state
            .requests
            .iter()
            .rev()
            .take_while(|request| **request != "connect");
        since_connecting.all(|request| *request != "survey")
    }

    async fn survey(&self, source: &SourcePath, items: SurveySender) -> Result<Listed, DeviceFailure> {
        let entries: Vec<SurveyItem> = {
            let mut state = self.state.lock().unwrap();
            state.begin("survey")?;
            if state.missing_sources.contains(&source.to_string()) {
                return Err(DeviceFailure {
                    class: FailureClass::SourceMissing,
                    message: "no such folder".into(),
                });
            }
            let files = state
                .files
                .iter()
                .map(|(path, file)| (path, EntryKind::File, file.identity));
            let files = files.map(|(path, kind, identity)| {
                let openness = openness(&state, identity);
                Entry {
                    path: RelativePath::new(path.as_bytes()).unwrap(),
                    kind,
                    identity,
                    openness,
                }
            });
            let is_shown = |entry: &Entry| {
                let unlistable = state.unlistable.map(|folder| format!("{folder}/"));
                !unlistable.is_some_and(|folder| entry.path.as_bytes().starts_with(folder.as_bytes()))
            };
            let unlistable = state.unlistable.map(|folder| RelativePath::new(folder).unwrap());
            let shown = files.filter(is_shown).map(SurveyItem::Entry);
            shown.chain(unlistable.map(SurveyItem::Unlistable)).collect()
        };
        let pause = self.state.lock().unwrap().pauses_before_each_name;
        if pause.is_zero() {
            items.send(entries).await.unwrap();
        } else {
            for entry in entries {
                tokio::time::sleep(pause).await;
                if items.send(vec![entry]).await.is_err() {
                    return Ok(Listed::Whole);
                }
            }
        }
        let invented = self.state.lock().unwrap().invented();
        while let Some(name) = &invented {
            if items.send(vec![name.clone(); 256]).await.is_err() {
                break;
            }
        }
        if self.state.lock().unwrap().endless {
            std::future::pending::<()>().await;
        }
        let cut = self.state.lock().unwrap().gives_up_listing.clone();
        Ok(cut.map_or(Listed::Whole, Listed::Cut))
    }

    async fn rename(&self, source: &SourcePath, moves: &[Move]) -> Result<Vec<Moved>, DeviceFailure> {
        let renamed = self.rename_only(moves)?;
        let steps = moves.iter().zip(&renamed).filter(|(_, renamed)| renamed.is_ok());
        let paths: Vec<RelativePath> = steps.map(|(step, _)| step.to.clone()).collect();
        let mut looks = match paths.is_empty() {
            true => Vec::new().into_iter(),
            false => self.inspect(source, &paths).await?.into_iter(),
        };
        let with_look = |renamed: Result<(), FileFault>| renamed.map(|()| looks.next().unwrap());
        Ok(renamed.into_iter().map(with_look).collect())
    }

    async fn inspect(&self, _: &SourcePath, paths: &[RelativePath]) -> Result<Vec<Looked>, DeviceFailure> {
        let mut state = self.state.lock().unwrap();
        state.begin("inspect")?;
        assert!(!state.has_no_lane, "the only lane waits for who waits for it");
        let inspect = |path: &RelativePath| {
            if let Some((name, kind)) = state.refuses_looks
                && path.file_name() == name.as_bytes()
            {
                return Err(refused(kind));
            }
            let identity = state.files.get(&path.to_string()).ok_or_else(missing)?.identity;
            Ok(Inspection {
                identity,
                openness: openness(&state, identity),
            })
        };
        Ok(paths.iter().map(inspect).collect())
    }

    async fn fetch(
        &self,
        _: &SourcePath,
        path: &RelativePath,
        offset: u64,
        expected_size: u64,
        chunks: ChunkSender,
    ) -> Result<Result<u64, FileFault>, DeviceFailure> {
        self.state.lock().unwrap().begin("fetch")?;
        self.hang_over(path).await?;
        let mut state = self.state.lock().unwrap();
        let Some(file) = state.files.get(&path.to_string()) else {
            return Ok(Err(missing()));
        };
        if file.identity.size > expected_size {
            return Ok(Err(FileFault {
                kind: FileFaultKind::Grown,
                message: "has grown".into(),
            }));
        }
        if file.is_vast() {
            send_zeros(&chunks, file.identity.size);
            return Ok(Ok(file.identity.size));
        }
        let end = file.content.len() - state.withholds;
        let bytes = Bytes::copy_from_slice(&file.content[usize::try_from(offset).unwrap()..end]);
        let count = u64::try_from(bytes.len()).unwrap();
        chunks.send(Chunk::from(bytes)).unwrap();
        state.offsets.push(offset);
        Ok(Ok(count))
    }

    async fn fetch_together(&self, source: &SourcePath, files: Vec<Wanted>) -> Result<(), DeviceFailure> {
        {
            let mut state = self.state.lock().unwrap();
            state.begin("fetch_together")?;
            state.together.extend(files.iter().map(|file| file.expected_size));
        }
        let pause = self.state.lock().unwrap().pauses_after_each_small_file;
        for file in files {
            if !self
                .state
                .lock()
                .unwrap()
                .passes_over
                .contains(&file.expected_size)
            {
                let outcome = self
                    .fetch(source, &file.path, 0, file.expected_size, file.chunks)
                    .await?;
                file.outcome.send(outcome).unwrap();
            }
            self.state.lock().unwrap().has_no_lane = !pause.is_zero();
            tokio::time::sleep(pause).await;
        }
        self.state.lock().unwrap().has_no_lane = false;
        Ok(())
    }

    async fn digest(
        &self,
        _: &SourcePath,
        requests: &[DigestRequest],
    ) -> Result<Vec<Option<Digest>>, DeviceFailure> {
        if self.state.lock().unwrap().owes_digests {
            self.hang().await?;
        }
        let mut state = self.state.lock().unwrap();
        state.begin("digest")?;
        state.digested.extend_from_slice(requests);
        let digest = |request: &DigestRequest| {
            let file = state
                .files
                .get(&request.path.to_string())
                .filter(|_| !state.cannot_digest)?;
            let content = if state.lies_about_digests {
                &b"lies"[..]
            } else {
                &file.content
            };
            if file.is_vast() && !state.lies_about_digests {
                let length = request.length.unwrap_or(file.identity.size);
                return Some(digest_of_zeros(request.offset, length));
            }
            Some(Digest::from_bytes(Sha256::digest(content).into()))
        };
        Ok(requests.iter().map(digest).collect())
    }

    async fn remove(
        &self,
        _: &SourcePath,
        files: &[RelativePath],
        folders: &[RelativePath],
    ) -> Result<Vec<Result<(), FileFault>>, DeviceFailure> {
        let mut state = self.state.lock().unwrap();
        if !files.is_empty() {
            state.begin("remove")?;
        }
        for path in files {
            state.files.remove(&path.to_string());
        }
        if !folders.is_empty() {
            state.begin("remove_folders")?;
        }
        for path in folders {
            state.folders.remove(&path.to_string());
        }
        Ok(vec![Ok(()); files.len()])
    }

    fn compression_paid(&self) -> Option<bool> {
        self.state.lock().unwrap().compression_pays
    }

    fn bytes_received(&self) -> u64 {
        0
    }

    async fn close(self) {}
}

fn openness(state: &State, identity: Identity) -> Openness {
    match identity.inode {
        Some(inode) if state.open.contains(&inode) => Openness::Open,
        _ => Openness::Closed,
    }
}
