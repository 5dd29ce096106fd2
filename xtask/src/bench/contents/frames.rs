//! Pictures as a camera in the dark makes them: few values, most of them repeated.
//!
//! The pixels are a chain: a pixel has the value of the one before it, or a value drawn without regard to it.
//! Compressors of the field find in it what they find in recordings of bees: `gzip -1` leaves 22 to 26 %,
//! `gzip -6` 17 to 20 %, `zstd -1` 20 %.

use std::sync::LazyLock;

use super::Noise;

/// The length of the part before the pixels.
const HEADER_BYTES: usize = 379;
/// The number of different pixels.
const VALUES: usize = 88;
/// The pixel of the darkest places.
const BLACK: u8 = 10;
/// The part of the three darkest values in all pixels, in 65,536ths: 53, 27 and 13 %.
const DARKEST: [u64; 3] = [34_734, 17_694, 8_520];
/// The part of each other value in what the values before it leave. The brightest are rare, but no picture is
/// without them.
const PERCENT_OF_REST: u64 = 5;
const MIN_PART: u64 = 7;
/// How often a pixel has the value of the one before it, in 65,536ths: 73 %.
const REPEATED: u64 = 47_841;
/// Pixels that are made together: one at a time, a debug build would take longer to make a picture than the
/// tools take to move it.
const WORD_BYTES: usize = 8;
/// The number of words that can follow a value. Far more than the 256 that 8 bits of surprise in a word make
/// likely, so that the chain shows and not the table.
const WORDS: usize = 4096;

/// The pixels of one picture.
#[derive(Debug)]
pub(super) struct Pixels {
    noise: Noise,
    before: u8,
}

impl Pixels {
    pub(super) fn from_seed(seed: u64) -> Self {
        Self {
            noise: Noise::from_seed(seed),
            before: BLACK,
        }
    }

    /// Makes the next pixels. The last word is cut at the end of `pixels`.
    pub(super) fn fill(&mut self, pixels: &mut [u8]) {
        let words: &[Vec<[u8; WORD_BYTES]>] = &FOLLOWING;
        for place in pixels.chunks_mut(WORD_BYTES) {
            let number = usize::try_from(self.noise.next()).unwrap_or_default() % WORDS;
            let following = words.get(usize::from(self.before - BLACK));
            let Some(word) = following.and_then(|words| words.get(number)) else {
                continue;
            };
            place.copy_from_slice(word.get(..place.len()).unwrap_or_default());
            self.before = word[WORD_BYTES - 1];
        }
    }
}

/// The picture's size and number, as text that a pickle might contain, padded to its length.
pub(super) fn header(seed: u64) -> Vec<u8> {
    let mut header = format!("shape (1536, 2048) dtype uint8 number {seed:020}").into_bytes();
    header.resize(HEADER_BYTES, b'.');
    header
}

/// The words that follow each value.
static FOLLOWING: LazyLock<Vec<Vec<[u8; WORD_BYTES]>>> = LazyLock::new(|| {
    let parts = parts();
    let mut noise = Noise::from_seed(0);
    let mut word_after = |value: u8| {
        let mut before = value;
        [(); WORD_BYTES].map(|()| {
            let drawn = noise.next();
            if drawn >> 48 >= REPEATED {
                before = BLACK + value_at(&parts, drawn & 0xffff);
            }
            before
        })
    };
    let values = (BLACK..).take(parts.len());
    values
        .map(|value| (0..WORDS).map(|_| word_after(value)).collect())
        .collect()
});

/// The part of each value in 65,536ths.
fn parts() -> [u64; VALUES] {
    let mut rest = 65_536;
    let mut darkest = DARKEST.into_iter();
    [(); VALUES].map(|()| {
        let part = darkest
            .next()
            .unwrap_or((rest * PERCENT_OF_REST / 100).max(MIN_PART));
        rest -= part;
        part
    })
}

/// The value to which a number below 65,536 belongs. What the parts leave is black.
fn value_at(parts: &[u64; VALUES], number: u64) -> u8 {
    let mut end = 0;
    let ends = parts.iter().map(|part| {
        end += part;
        end
    });
    (0..)
        .zip(ends)
        .find(|(_, end)| number < *end)
        .map_or(0, |(value, _)| value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::super::Shape;
    use super::super::tests::all;

    const FRAME_BYTES: u64 = 3_146_107;

    /// Bits for each byte: alone, and given the byte before it.
    fn entropies(bytes: &[u8]) -> (f64, f64) {
        let entropy = |counts: Vec<u32>| {
            let all: f64 = counts.iter().copied().map(f64::from).sum();
            let of = |count: u32| -f64::from(count) / all * (f64::from(count) / all).log2();
            counts.into_iter().map(of).sum::<f64>()
        };
        let (mut single, mut pairs) = (BTreeMap::new(), BTreeMap::new());
        for pair in bytes.windows(2) {
            *single.entry(pair[0]).or_default() += 1;
            *pairs.entry((pair[0], pair[1])).or_default() += 1;
        }
        let alone = entropy(single.into_values().collect());
        (alone, entropy(pairs.into_values().collect()) - alone)
    }

    /// What a compressor of this machine leaves of the bytes, in percent.
    fn left_by(words: &[&str], bytes: &[u8]) -> usize {
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let bytes = bytes.to_vec();
        let all = bytes.len();
        let writing = std::thread::spawn(move || input.write_all(&bytes).unwrap());
        let left = child.wait_with_output().unwrap().stdout.len();
        writing.join().unwrap();
        left * 100 / all
    }

    #[test]
    fn a_frame_has_the_values_of_a_dark_picture() {
        let frame = all(3, FRAME_BYTES, Shape::Frames);
        let pixels = &frame[super::HEADER_BYTES..];
        assert_eq!(pixels.len(), 2048 * 1536);
        let mut counts = [0_usize; 256];
        for pixel in pixels {
            counts[usize::from(*pixel)] += 1;
        }
        assert_eq!(counts.iter().filter(|count| **count > 0).count(), super::VALUES);
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let darkest: usize = counts[..3].iter().sum();
        assert_eq!(darkest * 100 / pixels.len(), 93);
        let (alone, given_before) = entropies(pixels);
        assert!((1.95..2.1).contains(&alone), "{alone}");
        assert!((0.9..1.05).contains(&given_before), "{given_before}");
    }

    #[test]
    fn compressors_leave_of_frames_what_they_leave_in_the_field() {
        // Two, because a picture that repeats another would shrink more.
        let mut frames = all(3, FRAME_BYTES, Shape::Frames);
        frames.extend(all(4, FRAME_BYTES, Shape::Frames));
        let left = left_by(&["gzip", "-1"], &frames);
        assert!((22..=26).contains(&left), "{left}");
        let left = left_by(&["gzip", "-6"], &frames);
        assert!((17..=20).contains(&left), "{left}");
        if crate::command::find("zstd").is_some() {
            let left = left_by(&["zstd", "-1"], &frames);
            assert!((19..=21).contains(&left), "{left}");
        }
    }
}
