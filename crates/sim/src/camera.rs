//! A camera that keeps writing a picture.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::picture::{MadeFile, Texture, each_chunk};

/// What a camera does after the last byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Closes the file.
    Close,
    /// Closes the file and renames it to this path, relative to the source folder.
    Rename(PathBuf),
}

/// A picture that a camera writes.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The path during writing, relative to the source folder.
    pub path: PathBuf,
    /// The final length in bytes.
    pub bytes: u64,
    /// The content depends only on this and on `bytes`.
    pub seed: u64,
    /// How long the writing takes.
    pub lasts: Duration,
    /// The number of pieces, spread evenly over that time. The first is written at once.
    pub pieces: u32,
    /// What happens at the end.
    pub finish: Finish,
}

/// A task of this process that writes a picture piece by piece and holds the file open meanwhile. Dropping it
/// stops the writing at once.
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
    /// Creates the file below `source` and starts writing on the current runtime.
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

    /// The picture as it will be once it is finished.
    pub fn picture(&self) -> &MadeFile {
        &self.picture
    }

    /// Whether the picture is complete and closed.
    pub fn is_finished(&self) -> bool {
        *self.state.borrow() == WritingState::Finished
    }

    /// Waits until the picture is complete and closed. Returns `false` if that cannot happen, for example
    /// because its folder is full or gone.
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

/// Writes the content in pieces, and closes the file before it returns.
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
