//! The session's header: EBML header, Info and Tracks, and what each track demands of its frames.
//!
//! In: payloads of header elements. Out: [`Track`]s, or why they are refused.
//! Does not belong here: clusters and their order (`ingest`).

use h264_reader::avcc::AvcDecoderConfigurationRecord;

use super::ack::ErrorId;
use super::ebml::{children, string, uint};
use super::mkv::id;

/// Most tracks of a stream.
pub(crate) const MAX_TRACKS: usize = 3;
const MAX_CODEC_ID: usize = 32;
const MAX_NAME: usize = 32;
const MAX_CODEC_PRIVATE: usize = 1 << 20;
const AVC: &str = "V_MPEG4/ISO/AVC";
const HEVC: &str = "V_MPEGH/ISO/HEVC";

/// A refusal: the ack's id and a sentence for the log.
pub(crate) type Refused = (ErrorId, String);

/// Refuses what is not the Matroska that the service takes.
pub(crate) fn invalid(what: impl Into<String>) -> Refused {
    (ErrorId::InvalidMkvData, what.into())
}

/// A track as the header declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) number: u64,
    pub(crate) video: bool,
    /// Bytes of the length before each NAL unit, if frames consist of NAL units.
    nal_length: Option<usize>,
}

impl Track {
    /// Checks the payload of a frame.
    pub(crate) fn check_frame(&self, payload: &[u8]) -> Result<(), Refused> {
        if payload.is_empty() {
            return Err(invalid("a frame without bytes"));
        }
        let Some(width) = self.nal_length else {
            return Ok(());
        };
        let mut rest = payload;
        while !rest.is_empty() {
            let (length, after) = rest
                .split_at_checked(width)
                .ok_or_else(|| invalid("a NAL unit's length is cut off"))?;
            let length = length
                .iter()
                .fold(0, |length, &byte| length << 8 | usize::from(byte));
            if length == 0 {
                return Err(invalid("a NAL unit without bytes"));
            }
            rest = after
                .get(length..)
                .ok_or_else(|| invalid("NAL lengths do not add up to the frame"))?;
        }
        Ok(())
    }
}

/// Checks the EBML header.
pub(crate) fn check_ebml_header(payload: &[u8]) -> Result<(), Refused> {
    let mut doc_type = None;
    for (id, value) in children(payload).map_err(invalid)? {
        match id {
            id::DOC_TYPE => doc_type = Some(string(value).map_err(invalid)?),
            id::EBML_READ_VERSION if uint(value).map_err(invalid)? > 1 => {
                return Err(invalid("an EBML version above 1"));
            }
            id::EBML_MAX_ID_LENGTH if uint(value).map_err(invalid)? > 4 => {
                return Err(invalid("element ids of more than four bytes"));
            }
            id::EBML_MAX_SIZE_LENGTH if uint(value).map_err(invalid)? > 8 => {
                return Err(invalid("element sizes of more than eight bytes"));
            }
            id::DOC_TYPE_READ_VERSION if uint(value).map_err(invalid)? > 4 => {
                return Err(invalid("a Matroska version above 4"));
            }
            _ => {}
        }
    }
    match doc_type {
        Some("matroska") => Ok(()),
        _ => Err(invalid("the DocType is not \"matroska\"")),
    }
}

/// The TimecodeScale of Info, in nanoseconds.
pub(crate) fn timecode_scale(info: &[u8]) -> Result<u64, Refused> {
    let scale = children(info)
        .map_err(invalid)?
        .into_iter()
        .find(|&(id, _)| id == id::TIMECODE_SCALE)
        .ok_or_else(|| invalid("Info without TimecodeScale"))?;
    match uint(scale.1).map_err(invalid)? {
        0 => Err(invalid("a TimecodeScale of 0")),
        scale => Ok(scale),
    }
}

/// The tracks of a Tracks element.
pub(crate) fn parse(payload: &[u8]) -> Result<Vec<Track>, Refused> {
    let mut tracks: Vec<Track> = Vec::new();
    for (id, entry) in children(payload).map_err(invalid)? {
        match id {
            id::TRACK_ENTRY => {}
            id::VOID | id::CRC32 => continue,
            other => return Err(invalid(format!("element {other:X} in Tracks"))),
        }
        if tracks.len() == MAX_TRACKS {
            let what = format!("more than {MAX_TRACKS} tracks");
            return Err((ErrorId::MoreThanAllowedTracksFound, what));
        }
        let track = track(entry)?;
        if tracks.iter().any(|other| other.number == track.number) {
            return Err(invalid(format!("track {} twice", track.number)));
        }
        tracks.push(track);
    }
    if tracks.is_empty() {
        return Err(invalid("no track"));
    }
    Ok(tracks)
}

fn track(entry: &[u8]) -> Result<Track, Refused> {
    let (mut number, mut uid, mut kind, mut codec, mut private) = (None, None, None, None, None);
    for (id, value) in children(entry).map_err(invalid)? {
        match id {
            id::TRACK_NUMBER => number = Some(uint(value).map_err(invalid)?),
            id::TRACK_UID => uid = Some(uint(value).map_err(invalid)?),
            id::TRACK_TYPE => kind = Some(uint(value).map_err(invalid)?),
            id::CODEC_ID => codec = Some(string(value).map_err(invalid)?),
            id::CODEC_PRIVATE => private = Some(value),
            id::NAME if value.len() > MAX_NAME => {
                return Err(invalid(format!(
                    "a track name of more than {MAX_NAME} bytes"
                )));
            }
            _ => {}
        }
    }
    let number = number
        .filter(|&number| number != 0)
        .ok_or_else(|| invalid("a track without TrackNumber"))?;
    if uid.is_none_or(|uid| uid == 0) {
        return Err(invalid(format!("track {number} without TrackUID")));
    }
    let video = match kind {
        Some(1) => true,
        Some(2) => false,
        Some(other) => return Err(invalid(format!("track {number} of type {other}"))),
        None => return Err(invalid(format!("track {number} without TrackType"))),
    };
    let codec = codec
        .filter(|codec| !codec.is_empty() && codec.len() <= MAX_CODEC_ID)
        .ok_or_else(|| {
            invalid(format!(
                "track {number} without a CodecID of 1–{MAX_CODEC_ID} bytes"
            ))
        })?;
    if private.is_some_and(|private| private.len() > MAX_CODEC_PRIVATE) {
        return Err(invalid(format!(
            "track {number} has more than 1 MiB of CodecPrivate"
        )));
    }
    let nal_length = match (codec, private) {
        (AVC, Some(avcc)) => Some(avcc_nal_length(avcc)?),
        (HEVC, Some(hvcc)) => Some(hvcc_nal_length(hvcc)?),
        (AVC | HEVC, None) => {
            return Err(invalid(format!(
                "track {number} ({codec}) without CodecPrivate"
            )));
        }
        _ => None,
    };
    Ok(Track {
        number,
        video,
        nal_length,
    })
}

/// Bytes of a NAL unit's length by an avcC, whose parameter sets must be readable.
fn avcc_nal_length(avcc: &[u8]) -> Result<usize, Refused> {
    let wrong = |what: String| invalid(format!("avcC: {what}"));
    // The crate indexes into parameter sets before it checks that they are not empty.
    let sizes = parameter_set_sizes(avcc).ok_or_else(|| wrong("cut off".into()))?;
    if sizes.contains(&0) {
        return Err(wrong("an empty parameter set".into()));
    }
    let record =
        AvcDecoderConfigurationRecord::try_from(avcc).map_err(|e| wrong(format!("{e:?}")))?;
    if record.num_of_sequence_parameter_sets() == 0
        || record.picture_parameter_sets().next().is_none()
    {
        return Err(wrong("no SPS or no PPS".into()));
    }
    record
        .create_context()
        .map_err(|e| wrong(format!("{e:?}")))?;
    match record.length_size_minus_one() {
        2 => Err(wrong("NAL lengths of three bytes".into())),
        less => Ok(usize::from(less) + 1),
    }
}

/// Sizes of the SPS and PPS of an avcC.
fn parameter_set_sizes(avcc: &[u8]) -> Option<Vec<usize>> {
    let mut sizes = Vec::new();
    let mut rest = avcc.get(5..)?;
    for mask in [0x1F, 0xFF] {
        let (&count, after) = rest.split_first()?;
        rest = after;
        for _ in 0..count & mask {
            let (size, after) = rest.split_first_chunk::<2>()?;
            let size = usize::from(u16::from_be_bytes(*size));
            rest = after.get(size..)?;
            sizes.push(size);
        }
    }
    Some(sizes)
}

/// Bytes of a NAL unit's length by an hvcC.
fn hvcc_nal_length(hvcc: &[u8]) -> Result<usize, Refused> {
    match (hvcc.first(), hvcc.get(21)) {
        (Some(1), Some(byte)) if hvcc.len() >= 23 && byte & 3 != 2 => Ok(usize::from(byte & 3) + 1),
        _ => Err(invalid("hvcC: not a decoder configuration record")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::super::sample::AVCC;
    use super::*;

    #[test]
    fn a_real_avcc_is_taken() {
        assert_eq!(avcc_nal_length(AVCC), Ok(4));
    }

    #[test_case(&[0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 9], true; "two units")]
    #[test_case(&[0, 0, 0, 2, 1], false; "one byte short")]
    #[test_case(&[0, 0, 0, 1, 1, 0, 0], false; "a length cut off")]
    #[test_case(&[0, 0, 0, 0], false; "an empty unit")]
    #[test_case(&[], false; "no bytes")]
    fn nal_lengths_must_add_up(frame: &[u8], taken: bool) {
        let track = Track {
            number: 1,
            video: true,
            nal_length: Some(4),
        };
        assert_eq!(track.check_frame(frame).is_ok(), taken);
    }

    #[test]
    fn an_avcc_cut_anywhere_is_refused() {
        for end in 0..AVCC.len() {
            assert!(avcc_nal_length(&AVCC[..end]).is_err(), "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn no_avcc_makes_it_panic(changes in prop::collection::vec((0..AVCC.len(), any::<u8>()), 0..6)) {
            let mut avcc = AVCC.to_vec();
            for (at, byte) in changes {
                avcc[at] = byte;
            }
            let _ = avcc_nal_length(&avcc);
        }
    }
}
