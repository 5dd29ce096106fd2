//! Pictures: made-up content that is the same for the same seed, and a folder full of them.

use std::fs::{self, File, FileTimes};
use std::io::{self, BufWriter, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

/// How well content compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texture {
    /// Not at all.
    Noise,
    /// To about a tenth: rows that hardly differ, as a camera at night sees them.
    Rows,
}

/// A stream of bytes that is the same for the same seed (splitmix64).
#[derive(Debug)]
pub(crate) struct Content {
    state: u64,
    texture: Texture,
}

/// `Texture::Rows` repeats each drawn word this often.
const WORDS_ALIKE: usize = 16;

impl Content {
    pub(crate) fn new(seed: u64, texture: Texture) -> Content {
        Content { state: seed, texture }
    }

    /// Fills whole words; a rest shorter than a word takes the beginning of one.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) {
        let alike = match self.texture {
            Texture::Noise => 1,
            Texture::Rows => WORDS_ALIKE,
        };
        for run in buffer.chunks_mut(8 * alike) {
            let word = self.next().to_le_bytes();
            for (target, byte) in run.iter_mut().zip(word.iter().cycle()) {
                *target = *byte;
            }
        }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `range`, near enough to evenly for pictures.
    fn between(&mut self, range: &RangeInclusive<u64>) -> u64 {
        let width = range.end().saturating_sub(*range.start()).saturating_add(1);
        range.start() + self.next() % width.max(1)
    }
}

/// A file as it was made, or as it will be when it is finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeFile {
    /// Relative to the source folder.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Of its content.
    pub sha256: [u8; 32],
}

/// Which pictures to make.
#[derive(Clone, Debug)]
pub struct Pictures {
    /// Names depend on this and on `count` only: two devices with the same get the same names.
    pub name_seed: u64,
    /// Content and sizes depend on this, `count` and `bytes` only.
    pub content_seed: u64,
    /// How many. Every second one compresses.
    pub count: u32,
    /// How large, in bytes.
    pub bytes: RangeInclusive<u64>,
    /// How long ago the oldest was taken. The others follow evenly in the first half of this time, so that all of
    /// them are at least half as old.
    pub age: Duration,
}

/// Why a folder could not be filled.
#[derive(Debug, thiserror::Error)]
#[error("write picture {path:?}")]
pub struct FillError {
    /// The picture.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Makes pictures below `source`, in folders by day, set and camera, and tells what it made, the oldest first.
pub fn fill(source: &Path, pictures: &Pictures) -> Result<Vec<MadeFile>, FillError> {
    let mut names = Content::new(pictures.name_seed, Texture::Noise);
    let mut draw = Content::new(pictures.content_seed, Texture::Noise);
    let oldest = SystemTime::now()
        .checked_sub(pictures.age)
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let step = pictures.age / 2 / pictures.count.max(1);
    let mut made = Vec::new();
    for number in 0..pictures.count {
        let texture = if number % 2 == 0 {
            Texture::Noise
        } else {
            Texture::Rows
        };
        let picture = Picture {
            path: picture_path(number, names.next()),
            bytes: draw.between(&pictures.bytes),
            seed: draw.next(),
            texture,
            taken: oldest + step * number,
        };
        made.push(picture.make(source)?);
    }
    Ok(made)
}

/// One picture to make.
pub(crate) struct Picture {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) seed: u64,
    pub(crate) texture: Texture,
    pub(crate) taken: SystemTime,
}

impl Picture {
    pub(crate) fn make(self, source: &Path) -> Result<MadeFile, FillError> {
        let whole = source.join(&self.path);
        match self.write(&whole) {
            Ok(sha256) => Ok(MadeFile {
                path: self.path,
                bytes: self.bytes,
                sha256,
            }),
            Err(source) => Err(FillError { path: whole, source }),
        }
    }

    fn write(&self, whole: &Path) -> io::Result<[u8; 32]> {
        if let Some(folder) = whole.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = BufWriter::new(File::create_new(whole)?);
        let sha256 = each_chunk(self.seed, self.texture, self.bytes, |chunk| file.write_all(chunk))?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.set_times(FileTimes::new().set_modified(self.taken).set_accessed(self.taken))?;
        Ok(sha256)
    }
}

/// Hands out the content for `seed` in pieces of up to 64 KiB and returns the SHA-256 of all of it.
pub(crate) fn each_chunk(
    seed: u64,
    texture: Texture,
    bytes: u64,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<[u8; 32]> {
    let mut content = Content::new(seed, texture);
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut left = bytes;
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let (chunk, _) = buffer.split_at_mut(length);
        content.fill(chunk);
        digest.update(&*chunk);
        take(chunk)?;
        left -= length as u64;
    }
    Ok(digest.finalize().into())
}

/// Like `2026-11-21/set1/cam0/20261121_101500.123456_000017.np`: a picture every three seconds from 10:15 on, two cameras,
/// a new set every 20 pictures.
pub(crate) fn picture_path(number: u32, draw: u64) -> PathBuf {
    let (set, camera) = (number / 20 + 1, number % 2);
    let second = 10 * 3600 + 15 * 60 + u64::from(number) * 3;
    let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
    let microsecond = draw % 1_000_000;
    PathBuf::from(format!(
        "2026-11-21/set{set}/cam{camera}/20261121_{hour:02}{minute:02}{second:02}.{microsecond:06}_{number:06}.np"
    ))
}
