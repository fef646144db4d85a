//! G.711: the codec private data of A-law and µ-law, a WAVEFORMATEX structure.
//!
//! In: rate and channels, or a structure from elsewhere. Out: the structure of 18 bytes, or what it says.
//!
//! Does not belong here: other codecs that use the same structure.

use std::fmt;

use bytes::Bytes;

/// Bytes of a WAVEFORMATEX without extra data (Microsoft's mmeapi.h; all of its fields are little-endian).
const SIZE: usize = 18;
/// WAVE_FORMAT_ALAW and WAVE_FORMAT_MULAW (Microsoft's mmreg.h).
const TAG_ALAW: u16 = 6;
const TAG_MULAW: u16 = 7;
/// G.711 makes a byte of each sample.
const BITS_PER_SAMPLE: u16 = 8;

/// Which of the two laws.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Law {
    /// A-law, as in Europe.
    A,
    /// µ-law, as in North America and Japan.
    Mu,
}

impl Law {
    const fn tag(self) -> u16 {
        match self {
            Self::A => TAG_ALAW,
            Self::Mu => TAG_MULAW,
        }
    }
}

/// The codec private data of A-law, 18 bytes. `rate` is in samples per second of one channel; a rate or channels of 0 are
/// refused when the track is made.
///
/// AWS's C++ sink writes 0 bits per sample and an eighth of the bytes per second; here are the right values.
///
/// ```
/// use gstkvssink::producer::{Codec, Track, alaw_private};
///
/// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
/// let microphone = Track::audio(Codec::Alaw, alaw_private(8_000, 1), 8_000, 1)?;
/// assert_eq!(microphone.codec_private().len(), 18);
/// # Ok(()) }
/// ```
pub fn alaw_private(rate: u32, channels: u8) -> Bytes {
    WaveFormat::new(Law::A, rate, channels).to_bytes()
}

/// The codec private data of µ-law, as [`alaw_private`] makes that of A-law.
///
/// ```
/// use gstkvssink::producer::{Codec, Track, mulaw_private};
///
/// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
/// let microphone = Track::audio(Codec::Mulaw, mulaw_private(8_000, 1), 8_000, 1)?;
/// assert_eq!(microphone.codec_private().len(), 18);
/// # Ok(()) }
/// ```
pub fn mulaw_private(rate: u32, channels: u8) -> Bytes {
    WaveFormat::new(Law::Mu, rate, channels).to_bytes()
}

/// What a WAVEFORMATEX of G.711 says.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct WaveFormat {
    law: Law,
    /// Samples per second of one channel.
    rate: u32,
    /// They take turns, a byte each.
    channels: u8,
}

impl WaveFormat {
    /// The structure for this law, rate (samples per second of one channel) and number of channels.
    pub fn new(law: Law, rate: u32, channels: u8) -> Self {
        Self {
            law,
            rate,
            channels,
        }
    }

    /// Reads a WAVEFORMATEX of G.711. Bytes behind it are not looked at.
    ///
    /// # Errors
    /// A structure that is cut off or of another codec, no channel or no rate, and fields that contradict each other:
    /// players believe one or the other.
    pub fn parse(structure: &[u8]) -> Result<Self, InvalidWaveFormat> {
        let Some((fields, _)) = structure.split_first_chunk::<SIZE>() else {
            return Err(InvalidWaveFormat::Truncated {
                actual: structure.len(),
            });
        };
        let word = |at: usize| u16::from_le_bytes([fields[at], fields[at + 1]]);
        let long = |at: usize| u32::from(word(at)) | u32::from(word(at + 2)) << 16;
        let law = match word(0) {
            TAG_ALAW => Law::A,
            TAG_MULAW => Law::Mu,
            tag => return Err(InvalidWaveFormat::Tag { tag }),
        };
        let (channels, rate) = (word(2), long(4));
        let channels = u8::try_from(channels)
            .ok()
            .filter(|&channels| channels > 0 && rate > 0)
            .ok_or(InvalidWaveFormat::NoSound { rate, channels })?;
        let bytes_per_second = u64::from(rate) * u64::from(channels);
        for (field, is, should_be) in [
            ("nAvgBytesPerSec", u64::from(long(8)), bytes_per_second),
            ("nBlockAlign", u64::from(word(12)), u64::from(channels)),
            (
                "wBitsPerSample",
                u64::from(word(14)),
                u64::from(BITS_PER_SAMPLE),
            ),
        ] {
            if is != should_be {
                return Err(InvalidWaveFormat::Field {
                    field,
                    is,
                    should_be,
                });
            }
        }
        Ok(Self {
            law,
            rate,
            channels,
        })
    }

    /// The structure.
    pub fn to_bytes(self) -> Bytes {
        let mut out = Vec::with_capacity(SIZE);
        let channels = u16::from(self.channels);
        out.extend(self.law.tag().to_le_bytes());
        out.extend(channels.to_le_bytes());
        out.extend(self.rate.to_le_bytes());
        // A rate that overflows here is refused when the track is made.
        out.extend(self.rate.saturating_mul(channels.into()).to_le_bytes());
        out.extend(channels.to_le_bytes()); // bytes of one sample of all channels
        out.extend(BITS_PER_SAMPLE.to_le_bytes());
        out.extend(0_u16.to_le_bytes()); // no extra data
        out.into()
    }
}

impl fmt::Display for WaveFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let law = match self.law {
            Law::A => "A-law",
            Law::Mu => "µ-law",
        };
        let (rate, channels) = (self.rate, self.channels);
        write!(f, "{law} of {channels} channels at {rate} Hz")
    }
}

/// Why bytes are not a WAVEFORMATEX of G.711.
///
/// ```
/// use gstkvssink::producer::{Codec, InvalidTrack, InvalidWaveFormat, Track, alaw_private};
///
/// let cut_off = alaw_private(8_000, 1).slice(..16);
/// let refused = Track::audio(Codec::Alaw, cut_off, 8_000, 1);
/// assert_eq!(refused, Err(InvalidTrack::WaveFormat(InvalidWaveFormat::Truncated { actual: 16 })));
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidWaveFormat {
    /// Too few bytes.
    #[error("WAVEFORMATEX has {actual} bytes, at least {SIZE} are needed")]
    Truncated {
        /// Bytes that there are.
        actual: usize,
    },
    /// Another codec's.
    #[error("WAVEFORMATEX has the format tag {tag}: 6 is A-law and 7 is µ-law")]
    Tag {
        /// `wFormatTag`.
        tag: u16,
    },
    /// No channel, more than 255, or no samples.
    #[error(
        "WAVEFORMATEX says {channels} channels at {rate} Hz: 1 to 255 and at least 1 Hz are allowed"
    )]
    NoSound {
        /// Samples per second.
        rate: u32,
        /// Channels.
        channels: u16,
    },
    /// A field does not follow from rate and channels.
    #[error("WAVEFORMATEX says {field} {is}, by its rate and channels it must be {should_be}")]
    Field {
        /// The field's name in Microsoft's headers.
        field: &'static str,
        /// What it says.
        is: u64,
        /// What it must say.
        should_be: u64,
    },
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    /// As ffmpeg's Matroska muxer writes it. GStreamer's, like AWS's C++ sink, leaves bits per sample at 0 and counts an
    /// eighth of the bytes per second.
    #[test]
    fn the_structure_is_that_of_ffmpeg() {
        let fields = [
            &[6, 0, 2, 0][..],   // A-law, 2 channels
            &[0x40, 0x1F, 0, 0], // 8,000 samples per second
            &[0x80, 0x3E, 0, 0], // 16,000 bytes per second
            &[2, 0, 8, 0, 0, 0], // 2 bytes for both channels, 8 bits, nothing more
        ];
        assert_eq!(alaw_private(8_000, 2), fields.concat());
        let mut mu = fields.concat();
        mu[0] = 7;
        assert_eq!(mulaw_private(8_000, 2), mu);
        assert_eq!(
            WaveFormat::parse(&mu),
            Ok(WaveFormat::new(Law::Mu, 8_000, 2))
        );
    }

    #[test_case(0, 1 => "WAVEFORMATEX has the format tag 1: 6 is A-law and 7 is µ-law")]
    #[test_case(2, 0 => "WAVEFORMATEX says 0 channels at 8000 Hz: 1 to 255 and at least 1 Hz are allowed")]
    #[test_case(3, 1 => "WAVEFORMATEX says 258 channels at 8000 Hz: 1 to 255 and at least 1 Hz are allowed")]
    #[test_case(8, 0x81 => "WAVEFORMATEX says nAvgBytesPerSec 16001, by its rate and channels it must be 16000")]
    #[test_case(12, 1 => "WAVEFORMATEX says nBlockAlign 1, by its rate and channels it must be 2")]
    #[test_case(14, 0 => "WAVEFORMATEX says wBitsPerSample 0, by its rate and channels it must be 8")]
    fn a_field_that_is_wrong_is_named(at: usize, byte: u8) -> String {
        let mut structure = alaw_private(8_000, 2).to_vec();
        structure[at] = byte;
        WaveFormat::parse(&structure).unwrap_err().to_string()
    }

    #[test]
    fn a_structure_that_is_cut_off_is_refused_and_a_longer_one_is_not() {
        let mut structure = alaw_private(8_000, 1).to_vec();
        for end in 0..SIZE {
            let cut = WaveFormat::parse(&structure[..end]);
            assert_eq!(cut, Err(InvalidWaveFormat::Truncated { actual: end }));
        }
        structure.push(0);
        assert!(WaveFormat::parse(&structure).is_ok());
    }
}
