//! H.264: the codec private data (avcC) and the length prefixes of NAL units.
//!
//! In: the AVCDecoderConfigurationRecord of ISO/IEC 14496-15 (§5.3.3.1) and access units as they come from the
//! encoder. Out: what the sink must know of them, or what is wrong with them and where. No input can panic.
//!
//! Does not belong here: byte-stream (Annex B) format (`nal`), parameter sets ([`sets`]), decoding of pictures.

use std::fmt;

use h264_reader::avcc::{AvcDecoderConfigurationRecord, AvccError};
use h264_reader::nal::{NalHeader, UnitType};

pub(super) mod sets;

/// Bytes before the first sequence parameter set in the record.
const FIXED_FIELDS: usize = 6;

/// What an avcC record says. It is valid: version 1, complete, with at least one SPS and one PPS.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Avcc {
    nal_length_size: u8,
    profile: u8,
    level: u8,
    dimensions: Option<(u32, u32)>,
}

impl Avcc {
    /// Reads an avcC record, the codec private data of H.264.
    ///
    /// A parameter set that is malformed inside is not an error (decoders know more dialects than this parser);
    /// then [`Avcc::dimensions`] is `None`.
    ///
    /// # Errors
    /// A record that is truncated or of another version, a length size of 3, no SPS or PPS, something else in their
    /// place.
    pub fn parse(record: &[u8]) -> Result<Self, InvalidAvcc> {
        let fields =
            AvcDecoderConfigurationRecord::try_from(record).map_err(|error| match error {
                AvccError::UnsupportedConfigurationVersion(version) => {
                    InvalidAvcc::Version { version }
                }
                AvccError::NotEnoughData { expected, actual } => {
                    InvalidAvcc::Truncated { expected, actual }
                }
                AvccError::ParamSet(_) | AvccError::Sps(_) | AvccError::Pps(_) => {
                    InvalidAvcc::NotAParameterSet {
                        kind: ParameterSet::Sequence,
                        position: FIXED_FIELDS,
                    }
                }
            })?;
        let nal_length_size = fields.length_size_minus_one() + 1;
        if nal_length_size == 3 {
            return Err(InvalidAvcc::NalLengthSize);
        }
        let (first_sps, end_of_sps) =
            parameter_sets(record, FIXED_FIELDS - 1, ParameterSet::Sequence)?;
        parameter_sets(record, end_of_sps, ParameterSet::Picture)?;
        Ok(Self {
            nal_length_size,
            profile: fields.avc_profile_indication().into(),
            level: fields.avc_level_indication().level_idc(),
            dimensions: sets::sps(first_sps).and_then(|sps| sps.dimensions),
        })
    }

    /// Bytes of the length before each NAL unit: 1, 2 or 4.
    pub fn nal_length_size(&self) -> u8 {
        self.nal_length_size
    }

    /// `profile_idc` as in ITU-T H.264 annex A: 66 is Baseline, 77 Main, 100 High.
    #[cfg(any(test, fuzzing, feature = "internals"))]
    pub fn profile(&self) -> u8 {
        self.profile
    }

    /// `level_idc` as in ITU-T H.264 annex A: ten times the level, 31 is level 3.1.
    #[cfg(any(test, fuzzing, feature = "internals"))]
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Width and height in pixels after cropping, from the first SPS; `None` when it cannot be parsed.
    pub fn dimensions(&self) -> Option<(u32, u32)> {
        self.dimensions
    }
}

/// The kinds of parameter sets: avcC carries the latter two, hvcC all three.
///
/// ```
/// use gstkvssink::producer::{Codec, InvalidAvcc, InvalidTrack, ParameterSet, Track};
///
/// // An avcC whose list of SPS is empty.
/// let refused = Track::video(Codec::H264, vec![1, 77, 64, 30, 0xFF, 0xE0, 0].into(), 640, 480);
/// let kind = ParameterSet::Sequence;
/// assert_eq!(refused, Err(InvalidTrack::Avcc(InvalidAvcc::NoParameterSet { kind })));
/// ```
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ParameterSet {
    /// Video parameter set, NAL unit type 32 of H.265.
    Video,
    /// Sequence parameter set, NAL unit type 7 of H.264, 33 of H.265.
    Sequence,
    /// Picture parameter set, NAL unit type 8 of H.264, 34 of H.265.
    Picture,
}

impl ParameterSet {
    const fn unit_type(self) -> Option<UnitType> {
        match self {
            Self::Video => None,
            Self::Sequence => Some(UnitType::SeqParameterSet),
            Self::Picture => Some(UnitType::PicParameterSet),
        }
    }

    /// The bits of the count byte that count; those above are reserved.
    const fn count_mask(self) -> u8 {
        match self {
            Self::Sequence => 0x1F,
            Self::Video | Self::Picture => 0xFF,
        }
    }
}

impl fmt::Display for ParameterSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Video => "VPS",
            Self::Sequence => "SPS",
            Self::Picture => "PPS",
        })
    }
}

/// Walks the list of parameter sets whose count stands at `count_at`. Returns the first one and the end of the list.
///
/// The reader's own iterators panic on an empty parameter set, so they are not used.
fn parameter_sets(
    record: &[u8],
    count_at: usize,
    kind: ParameterSet,
) -> Result<(&[u8], usize), InvalidAvcc> {
    let truncated = |expected| InvalidAvcc::Truncated {
        expected,
        actual: record.len(),
    };
    let count = record
        .get(count_at)
        .ok_or_else(|| truncated(count_at + 1))?
        & kind.count_mask();
    let mut position = count_at + 1;
    let mut first = None;
    for _ in 0..count {
        let (prefix, rest) = record[position..]
            .split_first_chunk()
            .ok_or_else(|| truncated(position + 2))?;
        let len = usize::from(u16::from_be_bytes(*prefix));
        position += prefix.len();
        let unit = rest.get(..len).ok_or_else(|| truncated(position + len))?;
        let header = unit.first().and_then(|&byte| NalHeader::new(byte).ok());
        if header.map(NalHeader::nal_unit_type) != kind.unit_type() {
            return Err(InvalidAvcc::NotAParameterSet { kind, position });
        }
        first = first.or(Some(unit));
        position += len;
    }
    first
        .map(|unit| (unit, position))
        .ok_or(InvalidAvcc::NoParameterSet { kind })
}

/// Checks that the NAL units of an access unit fill it exactly, each behind a big-endian length of `length_size`
/// bytes ([`Avcc::nal_length_size`]).
///
/// A length of 0 is let through: it harms no reader. What is inside of the NAL units is not looked at.
///
/// # Errors
/// An empty payload, a length that points behind the end, left-over bytes, a length size outside 1 to 4.
pub fn check_nal_lengths(payload: &[u8], length_size: u8) -> Result<(), InvalidAccessUnit> {
    let size = usize::from(length_size);
    if !(1..=4).contains(&size) {
        return Err(InvalidAccessUnit::LengthSize { length_size });
    }
    if payload.is_empty() {
        return Err(InvalidAccessUnit::Empty);
    }
    let mut rest = payload;
    while !rest.is_empty() {
        let position = payload.len() - rest.len();
        let Some((prefix, units)) = rest.split_at_checked(size) else {
            return Err(InvalidAccessUnit::LeftOver {
                position,
                bytes: rest.len(),
            });
        };
        let length = prefix
            .iter()
            .fold(0, |length, &byte| length << 8 | u64::from(byte));
        rest = usize::try_from(length)
            .ok()
            .and_then(|length| units.get(length..))
            .ok_or(InvalidAccessUnit::TooLong {
                position,
                length,
                available: units.len(),
            })?;
    }
    Ok(())
}

/// Why bytes are not a usable avcC record.
///
/// ```
/// use gstkvssink::producer::{Codec, InvalidAvcc, InvalidTrack, Track};
///
/// // An SPS behind a start code is byte-stream, which a Reframer takes.
/// let refused = Track::video(Codec::H264, vec![0, 0, 0, 1, 0x67, 77, 64, 30].into(), 640, 480);
/// assert_eq!(refused, Err(InvalidTrack::Avcc(InvalidAvcc::Version { version: 0 })));
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAvcc {
    /// The record ends too early.
    #[error(
        "avcC ends after {actual} bytes, at least {expected} are needed: it was cut off or is not avcC"
    )]
    Truncated {
        /// Bytes that the fields read so far ask for.
        expected: usize,
        /// Bytes that there are.
        actual: usize,
    },
    /// The first byte is not 1.
    #[error(
        "avcC has version {version}, only 1 exists: is this byte-stream (Annex B) or another codec's data?"
    )]
    Version {
        /// The first byte.
        version: u8,
    },
    /// NAL unit lengths of three bytes, which the standard leaves out.
    #[error("avcC announces NAL unit lengths of 3 bytes (byte 4), only 1, 2 and 4 are allowed")]
    NalLengthSize,
    /// No parameter set of this kind.
    #[error(
        "avcC holds no {kind}, so nothing can be decoded: the encoder must put its parameter sets there"
    )]
    NoParameterSet {
        /// What is missing.
        kind: ParameterSet,
    },
    /// Something else, or nothing, where a parameter set should be.
    #[error("avcC holds no {kind} at byte {position}, where its list of them has an entry")]
    NotAParameterSet {
        /// What should be there.
        kind: ParameterSet,
        /// Offset from the start of the record.
        position: usize,
    },
}

/// Why a payload is not an access unit of NAL units with length prefixes.
///
/// ```
/// use gstkvssink::producer::{Codec, InvalidAccessUnit, Track, alaw_private};
///
/// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
/// let track = Track::audio(Codec::Alaw, alaw_private(8_000, 1), 8_000, 1)?;
/// assert_eq!(track.check_payload(&[]), Err(InvalidAccessUnit::Empty));
/// # Ok(()) }
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAccessUnit {
    /// There are no bytes at all.
    #[error("the access unit is empty")]
    Empty,
    /// A NAL unit is longer than what is left.
    #[error(
        "the NAL unit at byte {position} has the length {length}, but only {available} bytes follow: \
         is this byte-stream (Annex B)? stream-format=avc is needed"
    )]
    TooLong {
        /// Offset of the length prefix.
        position: usize,
        /// What the prefix says.
        length: u64,
        /// Bytes behind the prefix.
        available: usize,
    },
    /// Too few bytes behind the last NAL unit for another length prefix.
    #[error("{bytes} bytes are left at byte {position}, too few for another NAL unit length")]
    LeftOver {
        /// Offset of the left-over bytes.
        position: usize,
        /// How many there are.
        bytes: usize,
    },
    /// Byte-stream format without a start code.
    #[error(
        "the access unit has no start code (00 00 01): does the stream have lengths (avc, hvc1)?"
    )]
    NoStartCode,
    /// Byte-stream format that begins with something else than a start code.
    #[error("{bytes} bytes stand before the first start code: alignment=au is needed")]
    BeforeStartCode {
        /// How many.
        bytes: usize,
    },
    /// A NAL unit whose length does not fit into the bytes for it: 4, unless the codec private data says less.
    #[error("a NAL unit is too large for its length")]
    UnitTooLarge,
    /// A length size that no avcC has.
    #[error("NAL unit lengths of {length_size} bytes do not exist: take the size from the avcC")]
    LengthSize {
        /// The size asked for.
        length_size: u8,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;
    use crate::media::fixtures::AVCC;

    /// Where things stand in [`AVCC`].
    const SPS_COUNT: usize = 5;
    const SPS: usize = 8;
    const PPS_COUNT: usize = 32;
    const PPS_LENGTH: usize = 33;
    const PPS: usize = 35;

    fn altered(alter: impl FnOnce(&mut Vec<u8>)) -> Result<Avcc, InvalidAvcc> {
        let mut record = AVCC.to_vec();
        alter(&mut record);
        Avcc::parse(&record)
    }

    #[test]
    fn the_record_of_x264_is_read() {
        let avcc = Avcc::parse(AVCC).unwrap();
        assert_eq!(avcc.nal_length_size(), 4);
        assert_eq!((avcc.profile(), avcc.level()), (77, 11));
        assert_eq!(avcc.dimensions(), Some((178, 98)), "after cropping");
    }

    #[test_case(0xFC => Ok(1))]
    #[test_case(0xFD => Ok(2))]
    #[test_case(0xFE => Err(InvalidAvcc::NalLengthSize))]
    #[test_case(0xFF => Ok(4))]
    fn nal_lengths_take_one_two_or_four_bytes(byte: u8) -> Result<u8, InvalidAvcc> {
        altered(|record| record[4] = byte).map(|avcc| avcc.nal_length_size())
    }

    #[test]
    fn a_record_cut_at_any_byte_is_refused() {
        for len in 0..AVCC.len() {
            let refused = Avcc::parse(&AVCC[..len]);
            assert!(
                matches!(refused, Err(InvalidAvcc::Truncated { expected, actual })
                    if actual == len && len < expected && expected <= AVCC.len()),
                "{len} bytes: {refused:?}"
            );
        }
    }

    #[test]
    fn byte_stream_is_refused_as_a_wrong_version() {
        assert_eq!(
            Avcc::parse(&[0, 0, 0, 1, 0x67, 0x4D, 0x40]),
            Err(InvalidAvcc::Version { version: 0 })
        );
    }

    #[test]
    fn both_kinds_of_parameter_sets_must_be_there() {
        // Count 0, and the list itself taken out.
        let no_sps = altered(|record| {
            record[SPS_COUNT] = 0xE0;
            record.drain(SPS_COUNT + 1..PPS_COUNT);
        });
        assert_eq!(
            no_sps,
            Err(InvalidAvcc::NoParameterSet {
                kind: ParameterSet::Sequence
            })
        );
        let no_pps = altered(|record| {
            record[PPS_COUNT] = 0;
            record.truncate(PPS_COUNT + 1);
        });
        assert_eq!(
            no_pps,
            Err(InvalidAvcc::NoParameterSet {
                kind: ParameterSet::Picture
            })
        );
    }

    #[test]
    fn an_empty_parameter_set_is_refused_and_does_not_panic() {
        // The iterator of h264-reader 0.9.0 panics on this record.
        let refused = altered(|record| {
            record[PPS_LENGTH..PPS].fill(0);
            record.truncate(PPS);
        });
        assert_eq!(
            refused,
            Err(InvalidAvcc::NotAParameterSet {
                kind: ParameterSet::Picture,
                position: PPS
            })
        );
    }

    #[test_case(0x68; "a picture parameter set")]
    #[test_case(0xE7; "the forbidden bit")]
    fn something_else_in_place_of_the_sps_is_refused(header: u8) {
        assert_eq!(
            altered(|record| record[SPS] = header)
                .unwrap_err()
                .to_string(),
            "avcC holds no SPS at byte 8, where its list of them has an entry"
        );
    }

    #[test]
    fn an_sps_that_cannot_be_parsed_only_hides_the_dimensions() {
        let avcc = altered(|record| record[SPS + 4..PPS_COUNT].fill(0)).unwrap();
        assert_eq!(avcc.dimensions(), None);
    }

    /// Access unit of two NAL units with lengths of `size` bytes: one of 3 bytes, one of 1.
    fn two_units(size: usize) -> Vec<u8> {
        let length = |n: u32| n.to_be_bytes()[4 - size..].to_vec();
        [length(3), vec![0x65, 0xAA, 0xBB], length(1), vec![0x06]].concat()
    }

    #[test]
    fn lengths_that_add_up_are_let_through_and_every_cut_is_found() {
        for size in 1..=4_u8 {
            let unit = two_units(size.into());
            assert_eq!(check_nal_lengths(&unit, size), Ok(()));
            let first_unit = usize::from(size) + 3;
            for len in (0..unit.len()).filter(|&len| len != first_unit) {
                assert!(
                    check_nal_lengths(&unit[..len], size).is_err(),
                    "size {size}, cut at {len}"
                );
            }
        }
    }

    #[test_case(&[], 4 => "the access unit is empty")]
    #[test_case(&[0, 0, 0, 1, 0x65, 0, 0], 4 => "2 bytes are left at byte 5, too few for another NAL unit length")]
    #[test_case(&[0, 0, 0, 1, 0x09, 0x10, 0, 0, 0, 1], 4 =>
        "the NAL unit at byte 5 has the length 268435456, but only 1 bytes follow: \
         is this byte-stream (Annex B)? stream-format=avc is needed"; "byte stream")]
    #[test_case(&[0xFF; 8], 4 =>
        "the NAL unit at byte 0 has the length 4294967295, but only 4 bytes follow: \
         is this byte-stream (Annex B)? stream-format=avc is needed"; "largest length")]
    #[test_case(&[0], 0 => "NAL unit lengths of 0 bytes do not exist: take the size from the avcC")]
    fn the_error_says_where(payload: &[u8], size: u8) -> String {
        check_nal_lengths(payload, size).unwrap_err().to_string()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>, size: u8) {
            let _ = Avcc::parse(&bytes);
            let _ = check_nal_lengths(&bytes, size);
        }

        /// Random bytes seldom come as far as the SPS; these do.
        #[test]
        fn a_damaged_record_never_panics(
            damage in prop::collection::vec((0..AVCC.len(), any::<u8>()), 1..8),
            len in 0..=AVCC.len(),
        ) {
            let _ = altered(|record| {
                damage.iter().for_each(|&(at, byte)| record[at] = byte);
                record.truncate(len);
            });
        }

        #[test]
        fn a_random_sps_never_panics(profile: u8, body in prop::collection::vec(any::<u8>(), 0..64)) {
            let sps = [&[0x67, profile, 0, 11], body.as_slice()].concat();
            let _ = altered(|record| {
                record[SPS - 1] = sps.len() as u8;
                record.splice(SPS..PPS_COUNT, sps);
            });
        }

        #[test]
        fn units_of_any_length_add_up(units in prop::collection::vec(0..300_usize, 1..5)) {
            let payload: Vec<u8> = units
                .iter()
                .flat_map(|&len| [&(len as u32).to_be_bytes(), vec![0x41; len].as_slice()].concat())
                .collect();
            prop_assert_eq!(check_nal_lengths(&payload, 4), Ok(()));
        }
    }
}
