//! H.265: the codec private data (hvcC).
//!
//! In: the HEVCDecoderConfigurationRecord of ISO/IEC 14496-15 (§8.3.3.1). Out: what the sink must know of it, or what is
//! wrong with it and where. No input can panic.
//!
//! Does not belong here: access units (their NAL units have lengths as in `h264`), decoding of pictures.

use super::h264::ParameterSet;

pub(super) mod sets;
mod vui;

/// Bytes before the first array of parameter sets in the record.
const FIXED_FIELDS: usize = 23;
/// What an hvcC record says. It is valid: version 1, complete, with at least one VPS, SPS and PPS.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Hvcc {
    nal_length_size: u8,
    profile: u8,
    level: u8,
    dimensions: Option<(u32, u32)>,
}

impl Hvcc {
    /// Reads an hvcC record, the codec private data of H.265.
    ///
    /// A parameter set that is malformed inside is not an error (decoders know more dialects than this parser);
    /// then [`Hvcc::dimensions`] is `None`.
    ///
    /// # Errors
    /// A record that is truncated or of another version, a length size of 3, no VPS, SPS or PPS, something else in their
    /// place.
    pub fn parse(record: &[u8]) -> Result<Self, InvalidHvcc> {
        let truncated = |expected| InvalidHvcc::Truncated {
            expected,
            actual: record.len(),
        };
        let fields: &[u8; FIXED_FIELDS] = record
            .first_chunk()
            .ok_or_else(|| truncated(FIXED_FIELDS))?;
        if fields[0] != 1 {
            return Err(InvalidHvcc::Version { version: fields[0] });
        }
        let nal_length_size = (fields[21] & 3) + 1;
        if nal_length_size == 3 {
            return Err(InvalidHvcc::NalLengthSize);
        }
        let mut found = [None; 3];
        let mut position = FIXED_FIELDS;
        for _ in 0..fields[22] {
            let head: &[u8; 3] = record
                .get(position..)
                .and_then(|rest| rest.first_chunk())
                .ok_or_else(|| truncated(position + 3))?;
            position += head.len();
            let unit_type = head[0] & 0x3F;
            for _ in 0..u16::from_be_bytes([head[1], head[2]]) {
                let len: &[u8; 2] = record
                    .get(position..)
                    .and_then(|rest| rest.first_chunk())
                    .ok_or_else(|| truncated(position + 2))?;
                let len = usize::from(u16::from_be_bytes(*len));
                position += 2;
                let unit = record
                    .get(position..position + len)
                    .ok_or_else(|| truncated(position + len))?;
                let kind = sets::kind(unit_type);
                if unit.first().map(|byte| byte >> 1) != Some(unit_type) || len < 2 {
                    return Err(InvalidHvcc::NotAsAnnounced {
                        unit_type,
                        position,
                    });
                }
                if let Some(kind) = kind {
                    let first = &mut found[kind as usize];
                    *first = first.or(Some(unit));
                }
                position += len;
            }
        }
        for kind in [
            ParameterSet::Video,
            ParameterSet::Sequence,
            ParameterSet::Picture,
        ] {
            if found[kind as usize].is_none() {
                return Err(InvalidHvcc::NoParameterSet { kind });
            }
        }
        Ok(Self {
            nal_length_size,
            profile: fields[1] & 0x1F,
            level: fields[12],
            dimensions: found[ParameterSet::Sequence as usize]
                .and_then(sets::sps)
                .and_then(|sps| sps.dimensions),
        })
    }

    /// Bytes of the length before each NAL unit: 1, 2 or 4.
    pub fn nal_length_size(&self) -> u8 {
        self.nal_length_size
    }

    /// `general_profile_idc` as in ITU-T H.265 annex A: 1 is Main, 2 Main 10.
    #[cfg(test)]
    pub fn profile(&self) -> u8 {
        self.profile
    }

    /// `general_level_idc` as in ITU-T H.265 annex A: thirty times the level, 93 is level 3.1.
    #[cfg(test)]
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Width and height in pixels after cropping, from the first SPS; `None` when it cannot be parsed.
    pub fn dimensions(&self) -> Option<(u32, u32)> {
        self.dimensions
    }
}

/// Why bytes are not a usable hvcC record.
///
/// ```
/// use gstkvssink::producer::{Codec, InvalidHvcc, InvalidTrack, Track};
///
/// let refused = Track::video(Codec::H265, vec![1; 22].into(), 640, 480);
/// let cut_off = InvalidHvcc::Truncated { expected: 23, actual: 22 };
/// assert_eq!(refused, Err(InvalidTrack::Hvcc(cut_off)));
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHvcc {
    /// The record ends too early.
    #[error(
        "hvcC ends after {actual} bytes, at least {expected} are needed: it was cut off or is not hvcC"
    )]
    Truncated {
        /// Bytes that the fields read so far ask for.
        expected: usize,
        /// Bytes that there are.
        actual: usize,
    },
    /// The first byte is not 1.
    #[error(
        "hvcC has version {version}, only 1 exists: is this byte-stream (Annex B) or another codec's data?"
    )]
    Version {
        /// The first byte.
        version: u8,
    },
    /// NAL unit lengths of three bytes, which the standard leaves out.
    #[error("hvcC announces NAL unit lengths of 3 bytes (byte 21), only 1, 2 and 4 are allowed")]
    NalLengthSize,
    /// No parameter set of this kind.
    #[error(
        "hvcC holds no {kind}, so nothing can be decoded: the encoder must put its parameter sets there"
    )]
    NoParameterSet {
        /// What is missing.
        kind: ParameterSet,
    },
    /// Something else, or nothing, where a NAL unit of a type should be.
    #[error(
        "hvcC holds no NAL unit of type {unit_type} at byte {position}, where its list of them has one"
    )]
    NotAsAnnounced {
        /// The type that the list is for.
        unit_type: u8,
        /// Offset from the start of the record.
        position: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;
    use crate::media::fixtures::{MAIN_HVCC, MAIN10_HVCC};

    #[test]
    fn the_record_of_x265_is_read() {
        let main = Hvcc::parse(MAIN_HVCC).unwrap();
        assert_eq!((main.nal_length_size(), main.profile()), (4, 1));
        assert_eq!(main.dimensions(), Some((178, 98)), "after cropping");
        let main10 = Hvcc::parse(MAIN10_HVCC).unwrap();
        assert_eq!((main10.profile(), main10.level()), (2, 123));
        assert_eq!(main10.dimensions(), Some((64, 64)));
    }

    #[test]
    fn a_record_cut_anywhere_is_refused_and_a_longer_one_is_not() {
        for end in 0..MAIN_HVCC.len() {
            assert!(Hvcc::parse(&MAIN_HVCC[..end]).is_err(), "cut at {end}");
        }
        assert!(Hvcc::parse(&[MAIN_HVCC, &[0; 4]].concat()).is_ok());
    }

    #[test_case(0, 0 => "hvcC has version 0, only 1 exists: is this byte-stream (Annex B) or another codec's data?")]
    #[test_case(21, 0x0E => "hvcC announces NAL unit lengths of 3 bytes (byte 21), only 1, 2 and 4 are allowed")]
    #[test_case(22, 0 => "hvcC holds no VPS, so nothing can be decoded: the encoder must put its parameter sets there")]
    #[test_case(22, 2 => "hvcC holds no PPS, so nothing can be decoded: the encoder must put its parameter sets there")]
    #[test_case(23, 0x21 => "hvcC holds no NAL unit of type 33 at byte 28, where its list of them has one")]
    #[test_case(28, 0x42 => "hvcC holds no NAL unit of type 32 at byte 28, where its list of them has one")]
    fn what_is_wrong_is_named(at: usize, byte: u8) -> String {
        let mut record = MAIN_HVCC.to_vec();
        record[at] = byte;
        Hvcc::parse(&record).unwrap_err().to_string()
    }

    #[test]
    fn a_garbage_sps_says_no_size() {
        let mut record = MAIN_HVCC.to_vec();
        let sps = record
            .windows(2)
            .position(|bytes| bytes == [0x42, 1])
            .unwrap();
        record[sps + 2..sps + 20].fill(0xFF);
        assert_eq!(Hvcc::parse(&record).unwrap().dimensions(), None);
    }

    proptest! {
        #[test]
        fn no_record_makes_it_panic(
            changes in prop::collection::vec((0..MAIN_HVCC.len(), any::<u8>()), 0..6),
        ) {
            let mut record = MAIN_HVCC.to_vec();
            for (at, byte) in changes {
                record[at] = byte;
            }
            let _ = Hvcc::parse(&record);
        }
    }
}
