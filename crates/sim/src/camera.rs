//! A camera that goes on writing a picture.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::picture::{MadeFile, Texture, each_chunk};

/// What a camera does once all is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Closes the file.
    Close,
    /// Closes the file and renames it to this path, relative to the source folder.
    Rename(PathBuf),
}

/// A picture in the making.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Where it is written, relative to the source folder.
    pub path: PathBuf,
    /// Its length when it is finished, in bytes.
    pub bytes: u64,
    /// Its content depends on this and on `bytes` only.
    pub seed: u64,
    /// How long the writing takes.
    pub lasts: Duration,
    /// In how many pieces, evenly over that time. The first is written at once.
    pub pieces: u32,
    /// What happens at the end.
    pub finish: Finish,
}

/// A task of this process that writes a picture bit by bit and holds its file open all the while. Dropping it stops
/// the writing, wherever it is.
#[derive(Debug)]
pub struct Camera {
    picture: MadeFile,
    state: watch::Receiver<WritingState>,
    task: AbortHandle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WritingState {
    Writing,
    Finished,
    Failed,
}

impl Camera {
    /// Makes the file below `source` and goes on writing on the runtime it is called on.
    pub fn start(source: &Path, recording: Recording) -> io::Result<Camera> {
        let whole = source.join(&recording.path);
        if let Some(folder) = whole.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut content = Vec::new();
        let sha256 = each_chunk(recording.seed, Texture::Noise, recording.bytes, |chunk| {
            content.write_all(chunk)
        })?;
        let path = match &recording.finish {
            Finish::Close => recording.path.clone(),
            Finish::Rename(to) => to.clone(),
        };
        let file = File::create_new(&whole)?;
        let final_path = source.join(&path);
        let picture = MadeFile {
            path,
            bytes: recording.bytes,
            sha256,
        };
        let (changed, state) = watch::channel(WritingState::Writing);
        let task = tokio::spawn(async move {
            let written = write(file, &content, &recording).await;
            let finished = written.and_then(|()| match recording.finish {
                Finish::Close => Ok(()),
                Finish::Rename(_) => fs::rename(&whole, &final_path),
            });
            changed.send_replace(if finished.is_ok() {
                WritingState::Finished
            } else {
                WritingState::Failed
            });
        });
        Ok(Camera {
            picture,
            state,
            task: task.abort_handle(),
        })
    }

    /// The picture as it will be when it is finished.
    pub fn picture(&self) -> &MadeFile {
        &self.picture
    }

    /// Whether the picture is whole and closed.
    pub fn is_finished(&self) -> bool {
        *self.state.borrow() == WritingState::Finished
    }

    /// Waits until the picture is whole and closed. False if that will never be: its folder is full, or gone.
    pub async fn finished(&self) -> bool {
        let mut state = self.state.clone();
        let ended = state.wait_for(|state| *state != WritingState::Writing).await;
        ended.is_ok_and(|state| *state == WritingState::Finished)
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Closes the file before it returns.
async fn write(mut file: File, content: &[u8], recording: &Recording) -> io::Result<()> {
    let pieces = recording.pieces.max(1);
    let pause = recording.lasts / pieces;
    let length = content.len().div_ceil(pieces as usize).max(1);
    for piece in content.chunks(length) {
        file.write_all(piece)?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(finish: Finish) -> Recording {
        let path = PathBuf::from("set1/picture.np.part");
        let lasts = Duration::from_millis(200);
        Recording {
            path,
            bytes: 100_001,
            seed: 5,
            lasts,
            pieces: 7,
            finish,
        }
    }

    #[tokio::test]
    async fn a_renamed_picture_is_whole_under_its_final_name() {
        let folder = tempfile::tempdir().unwrap();
        let last = PathBuf::from("set1/picture.np");
        let camera = Camera::start(folder.path(), recording(Finish::Rename(last.clone()))).unwrap();
        assert!(!folder.path().join(&last).exists());
        assert!(camera.finished().await && camera.is_finished());
        assert_eq!(camera.picture().path, last);
        let mut content = Vec::new();
        each_chunk(5, Texture::Noise, 100_001, |chunk| content.write_all(chunk)).unwrap();
        assert!(fs::read(folder.path().join(&last)).unwrap() == content);
        assert!(!folder.path().join("set1/picture.np.part").exists());
    }

    #[tokio::test]
    async fn a_camera_that_cannot_finish_reports_the_failure() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = PathBuf::from("missing/picture.np");
        let camera = Camera::start(folder.path(), recording(Finish::Rename(nowhere))).unwrap();
        assert!(!camera.finished().await && !camera.is_finished());
    }
}
