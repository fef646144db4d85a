//! AAC: the codec private data, an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).
//!
//! In: the record from caps, or what an ADTS header says. Out: what the sink must know of it, or the record.
//!
//! Does not belong here: ADTS frames (`reframe`), decoding.

use bytes::Bytes;
use h264_reader::rbsp::{BitRead, BitReader, BitReaderError};

use super::pce;

/// Samples per second by index, ISO/IEC 14496-3 table 1.18.
const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
/// The index that says that the rate itself follows.
const EXPLICIT_RATE: u8 = 15;
/// Channels by configuration, ISO/IEC 14496-3 table 1.19; 0 where there is none.
const CHANNELS: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8, 0];
/// Audio object types, ISO/IEC 14496-3 table 1.17.
const SBR: u8 = 5;
const PS: u8 = 29;
const BSAC: u8 = 22;
/// "The type follows in six more bits".
const ESCAPE: u8 = 31;
/// Marks of what follows behind a record for readers that know it.
const SYNC_SBR: u16 = 0x2B7;

/// What an AudioSpecificConfig says.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct AudioSpecificConfig {
    object_type: u8,
    rate: u32,
    output_rate: Option<u32>,
    channels: Option<u8>,
}

impl AudioSpecificConfig {
    /// Reads an AudioSpecificConfig, the codec private data of AAC.
    ///
    /// # Errors
    /// A record that ends too early, object type 0, a reserved rate or channel configuration, channels described by a
    /// program config element without one.
    pub fn parse(record: &[u8]) -> Result<Self, InvalidAudioSpecificConfig> {
        if record.is_empty() {
            return Err(InvalidAudioSpecificConfig::Truncated { bytes: 0 });
        }
        let truncated = |_| InvalidAudioSpecificConfig::Truncated {
            bytes: record.len(),
        };
        let mut bits = BitReader::new(record);
        let mut object_type = object_type(&mut bits).map_err(truncated)?;
        let rate = sampling_rate(&mut bits).map_err(truncated)?;
        let configuration: u8 = bits.read::<4, _>("channels").map_err(truncated)?;
        let mut output_rate = None;
        if matches!(object_type, SBR | PS) {
            output_rate = Some(sampling_rate(&mut bits).map_err(truncated)?);
            object_type = self::object_type(&mut bits).map_err(truncated)?;
            if object_type == BSAC {
                bits.skip(4, "extension channels").map_err(truncated)?;
            }
        }
        if object_type == 0 {
            return Err(InvalidAudioSpecificConfig::ObjectType { object_type });
        }
        let reserved_rate = |index| InvalidAudioSpecificConfig::Rate { index };
        let rate = rate.map_err(reserved_rate)?;
        let mut output_rate = output_rate.transpose().map_err(reserved_rate)?;
        let mut channels = Some(CHANNELS[usize::from(configuration)]).filter(|&n| n > 0);
        if channels.is_none() && configuration != 0 {
            return Err(InvalidAudioSpecificConfig::Channels { configuration });
        }
        if is_general_audio(object_type) {
            let element =
                general_audio(&mut bits, object_type, configuration).map_err(truncated)?;
            channels = channels.or(element);
            if channels.is_none() {
                return Err(InvalidAudioSpecificConfig::Channels { configuration });
            }
            // Extensions for those who know them: what cannot be read is not there.
            output_rate = output_rate.or_else(|| appended_sbr(&mut bits));
        }
        Ok(Self {
            object_type,
            rate,
            output_rate,
            channels,
        })
    }

    /// The record of AAC (Main, LC, SSR or LTP) with these fields of an ADTS header. `element` is the program config
    /// element that describes the channels when the configuration is 0, from its first bit on.
    pub(super) fn from_adts(
        object_type: u8,
        rate_index: u8,
        configuration: u8,
        element: Option<&[u8]>,
    ) -> Bytes {
        // 5 + 4 + 4 bits, and 3 flags of GASpecificConfig that are 0: 1024 samples, no core coder, no extension.
        let head = u16::from(object_type & 0x1F) << 11
            | u16::from(rate_index & 0xF) << 7
            | u16::from(configuration & 0xF) << 3;
        [&head.to_be_bytes()[..], element.unwrap_or_default()]
            .concat()
            .into()
    }

    /// The audio object type of the core: 2 is AAC LC.
    #[cfg(test)]
    pub fn object_type(&self) -> u8 {
        self.object_type
    }

    /// Samples per second of one channel, as the core is coded.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Samples per second behind the decoder, when spectral band replication is announced.
    pub fn output_rate(&self) -> Option<u32> {
        self.output_rate
    }

    /// Channels; `None` for object types whose own description is not read here.
    pub fn channels(&self) -> Option<u8> {
        self.channels
    }
}

type Bits<'a> = BitReader<&'a [u8]>;

fn object_type(bits: &mut Bits<'_>) -> Result<u8, BitReaderError> {
    match bits.read::<5, u8>("object type")? {
        ESCAPE => Ok(32 + bits.read::<6, u8>("object type")?),
        short => Ok(short),
    }
}

/// The rate, or the index that means none.
fn sampling_rate(bits: &mut Bits<'_>) -> Result<Result<u32, u8>, BitReaderError> {
    let index: u8 = bits.read::<4, _>("rate index")?;
    if index == EXPLICIT_RATE {
        let rate: u32 = bits.read::<24, _>("rate")?;
        return Ok(Some(rate).filter(|&rate| rate > 0).ok_or(index));
    }
    Ok(RATES.get(usize::from(index)).copied().ok_or(index))
}

/// The object types whose description is GASpecificConfig.
fn is_general_audio(object_type: u8) -> bool {
    matches!(object_type, 1..=4 | 6 | 7 | 17 | 19..=23)
}

/// Reads GASpecificConfig (ISO/IEC 14496-3 §4.4.1): the channels of its program config element, if it has one.
fn general_audio(
    bits: &mut Bits<'_>,
    object_type: u8,
    configuration: u8,
) -> Result<Option<u8>, BitReaderError> {
    bits.skip(1, "frame length")?;
    if bits.read_bit("depends on core coder")? {
        bits.skip(14, "core coder delay")?;
    }
    let extended = bits.read_bit("extension")?;
    let mut channels = None;
    if configuration == 0 {
        channels = Some(pce::channels(bits)?).filter(|&n| n > 0);
    }
    if matches!(object_type, 6 | 20) {
        bits.skip(3, "layer")?;
    }
    if extended {
        match object_type {
            BSAC => bits.skip(5 + 11, "sub-frames")?,
            17 | 19 | 20 | 23 => bits.skip(3, "resilience")?,
            _ => {}
        }
        bits.skip(1, "extension 3")?;
    }
    Ok(channels)
}

/// The rate behind spectral band replication that is announced behind the record's end.
fn appended_sbr(bits: &mut Bits<'_>) -> Option<u32> {
    if bits.read::<11, u16>("sync").ok()? != SYNC_SBR || object_type(bits).ok()? != SBR {
        return None;
    }
    if !bits.read_bit("sbr present").ok()? {
        return None;
    }
    sampling_rate(bits).ok()?.ok()
}

/// Why bytes are not a usable AudioSpecificConfig.
///
/// ```
/// use gstkvssink::producer::{Codec, InvalidAudioSpecificConfig, InvalidTrack, Track};
///
/// let refused = Track::audio(Codec::Aac, vec![0x11].into(), 48_000, 2);
/// let cut_off = InvalidAudioSpecificConfig::Truncated { bytes: 1 };
/// assert_eq!(refused, Err(InvalidTrack::AudioSpecificConfig(cut_off)));
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAudioSpecificConfig {
    /// The record ends too early.
    #[error("AudioSpecificConfig ends too early, after {bytes} bytes: it was cut off")]
    Truncated {
        /// Bytes that there are.
        bytes: usize,
    },
    /// An object type that does not exist.
    #[error("AudioSpecificConfig has the audio object type {object_type}: AAC LC is 2")]
    ObjectType {
        /// The type.
        object_type: u8,
    },
    /// A rate that does not exist.
    #[error(
        "AudioSpecificConfig has the sampling frequency index {index}, which is reserved, or a rate of 0"
    )]
    Rate {
        /// The index.
        index: u8,
    },
    /// Channels that do not exist.
    #[error(
        "AudioSpecificConfig has the channel configuration {configuration}, which is reserved, \
         or a program config element without channels"
    )]
    Channels {
        /// The configuration.
        configuration: u8,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    fn error(record: &[u8]) -> String {
        AudioSpecificConfig::parse(record).unwrap_err().to_string()
    }

    #[test_case(&[] => "AudioSpecificConfig ends too early, after 0 bytes: it was cut off")]
    #[test_case(&[0x11] => "AudioSpecificConfig ends too early, after 1 bytes: it was cut off")]
    #[test_case(&[0x2B, 0x92] => "AudioSpecificConfig ends too early, after 2 bytes: it was cut off")]
    #[test_case(&[0x01, 0x90] => "AudioSpecificConfig has the audio object type 0: AAC LC is 2")]
    #[test_case(&[0x16, 0x90] => "AudioSpecificConfig has the sampling frequency index 13, which is reserved, or a rate of 0")]
    fn what_is_wrong_is_named(record: &[u8]) -> String {
        error(record)
    }

    #[test]
    fn channels_are_said_by_number_or_by_a_program_config_element() {
        assert!(error(&[0x11, 0xC8]).contains("configuration 9"), "reserved");
        assert!(error(&[0x11, 0x80]).contains("cut off"), "no element");
        let quad = [0x11, 0x80, 0x04, 0xC4, 0x04, 0x00, 0x21, 0x10, 0x00];
        let config = AudioSpecificConfig::parse(&quad).unwrap();
        assert_eq!((config.object_type(), config.channels()), (2, Some(4)));
        let nobody = [0x11, 0x80, 0x04, 0xC0, 0x00, 0x00, 0x00, 0x00, 0x00];
        assert!(error(&nobody).contains("without channels"));
    }

    proptest! {
        #[test]
        fn no_record_makes_it_panic(record in prop::collection::vec(any::<u8>(), 0..24)) {
            if let Ok(config) = AudioSpecificConfig::parse(&record) {
                prop_assert!(config.rate() > 0);
                prop_assert_ne!(config.channels(), Some(0));
            }
        }
    }
}
