//! Pictures with generated content that is the same for the same seed, and a folder full of them.

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
    /// To about a tenth: rows that hardly differ, as in a picture taken at night.
    Rows,
}

/// A stream of bytes that depends only on its seed (splitmix64).
#[derive(Debug)]
pub(crate) struct Content {
    state: u64,
    texture: Texture,
}

/// How often `Texture::Rows` repeats each word.
const WORDS_ALIKE: usize = 16;

impl Content {
    pub(crate) fn new(seed: u64, texture: Texture) -> Content {
        Content { state: seed, texture }
    }

    /// Fills the buffer word by word; the rest takes the first bytes of a word.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) {
        let alike = match self.texture {
            Texture::Noise => 1,
            Texture::Rows => WORDS_ALIKE,
        };
        for run in buffer.chunks_mut(8 * alike) {
            let word = self.next().to_le_bytes();
            for place in run.chunks_mut(8) {
                let (part, _) = word.split_at(place.len());
                place.copy_from_slice(part);
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

    /// A number in `range`. The distribution is uniform enough for pictures.
    fn between(&mut self, range: &RangeInclusive<u64>) -> u64 {
        let width = range.end().saturating_sub(*range.start()).saturating_add(1);
        range.start() + self.next() % width.max(1)
    }
}

/// A generated file, as it is or as it will be once finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeFile {
    /// The path relative to the source folder.
    pub path: PathBuf,
    /// The length in bytes.
    pub bytes: u64,
    /// The SHA-256 of the content.
    pub sha256: [u8; 32],
}

/// The pictures to generate.
#[derive(Clone, Debug)]
pub struct Pictures {
    /// Names depend only on this and on `count`: devices with the same seed get the same names.
    pub name_seed: u64,
    /// Content and sizes depend only on this, `count` and `bytes`.
    pub content_seed: u64,
    /// The number of pictures. Every second one compresses.
    pub count: u32,
    /// The range of sizes in bytes.
    pub bytes: RangeInclusive<u64>,
    /// The age of the oldest picture. The others follow evenly in the first half of this time, so all are at
    /// least half as old.
    pub age: Duration,
}

/// Why a folder could not be filled.
#[derive(Debug, thiserror::Error)]
#[error("write picture {path:?}")]
pub struct FillError {
    /// The picture.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

/// Generates pictures below `source`, in folders by day, set and camera. Returns them, oldest first.
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

/// One picture to generate.
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

/// Passes the content for `seed` on in pieces of up to 64 KiB. Returns the SHA-256 of all of it.
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

/// A path like `2026-11-21/set1/cam0/20261121_101500.123456_000017.np`: a picture every three seconds from
/// 10:15 on, two cameras, a new set every 20 pictures.
pub(crate) fn picture_path(number: u32, draw: u64) -> PathBuf {
    let (set, camera) = (number / 20 + 1, number % 2);
    let second = 10 * 3600 + 15 * 60 + u64::from(number) * 3;
    let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
    let microsecond = draw % 1_000_000;
    PathBuf::from(format!(
        "2026-11-21/set{set}/cam{camera}/20261121_{hour:02}{minute:02}{second:02}.{microsecond:06}_{number:06}.np"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(seed: u64, texture: Texture, length: u64) -> Vec<u8> {
        let mut content = Vec::new();
        each_chunk(seed, texture, length, |chunk| content.write_all(chunk)).unwrap();
        content
    }

    #[test]
    fn content_depends_on_its_seed_only_and_has_the_requested_length() {
        for texture in [Texture::Noise, Texture::Rows] {
            for length in [0, 1, 7, 8, 65_536, 65_543, 200_000] {
                let made = content(3, texture, length);
                assert_eq!(made.len() as u64, length);
                assert_eq!(made, content(3, texture, length));
            }
            assert_ne!(content(3, texture, 100), content(4, texture, 100));
        }
    }

    #[test]
    fn rows_repeat_themselves_and_noise_does_not() {
        let alike = |content: &[u8]| {
            content
                .chunks(8)
                .zip(content.chunks(8).skip(1))
                .filter(|(a, b)| a == b)
                .count()
        };
        assert_eq!(alike(&content(1, Texture::Noise, 8000)), 0);
        assert!(alike(&content(1, Texture::Rows, 8000)) > 900);
    }

    #[test]
    fn pictures_match_their_report_and_are_at_least_half_as_old_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let age = Duration::from_hours(1);
        let pictures = Pictures {
            name_seed: 1,
            content_seed: 2,
            count: 45,
            bytes: 10..=5000,
            age,
        };
        let made = fill(folder.path(), &pictures).unwrap();
        assert_eq!(made.len(), 45);
        let mut before = SystemTime::UNIX_EPOCH;
        for file in &made {
            let content = fs::read(folder.path().join(&file.path)).unwrap();
            assert_eq!(content.len() as u64, file.bytes);
            assert!((10..=5000).contains(&file.bytes));
            assert_eq!(<[u8; 32]>::from(Sha256::digest(&content)), file.sha256);
            let taken = fs::metadata(folder.path().join(&file.path))
                .unwrap()
                .modified()
                .unwrap();
            assert!(taken > before && taken.elapsed().unwrap() >= age / 2, "{file:?}");
            before = taken;
        }
    }

    #[test]
    fn a_path_holds_day_set_camera_and_time() {
        let path = picture_path(21, 7_000_042);
        assert_eq!(
            path,
            Path::new("2026-11-21/set2/cam1/20261121_101603.000042_000021.np")
        );
    }
}
