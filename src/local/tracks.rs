//! The session's header: EBML header, Info and Tracks, and what each track demands of its frames.
//!
//! In: payloads of header elements. Out: [`Track`]s, or why they are refused.
//! Does not belong here: clusters and their order (`ingest`).

use super::ack::ErrorId;
use super::codecs::{self, Audio, Frames};
use super::ebml::{children, float, string, uint};
use super::mkv::id;

/// Most tracks of a stream.
pub(crate) const MAX_TRACKS: usize = 3;
const MAX_CODEC_ID: usize = 32;
const MAX_NAME: usize = 32;
const MAX_CODEC_PRIVATE: usize = 1 << 20;

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
    /// What the service calls its codec, if it plays it back.
    pub(crate) media_type: Option<&'static str>,
    frames: Frames,
}

impl Track {
    /// Checks the payload of a frame.
    pub(crate) fn check_frame(&self, payload: &[u8]) -> Result<(), Refused> {
        if payload.is_empty() {
            return Err(invalid("a frame without bytes"));
        }
        match self.frames {
            Frames::NalUnits(width) => check_nal_units(payload, width),
            Frames::Aac if matches!(payload, [0xFF, second, ..] if second & 0xF6 == 0xF0) => {
                Err(invalid("an ADTS header before a frame"))
            }
            Frames::Samples(channels) if !payload.len().is_multiple_of(channels) => {
                Err(invalid("not as many samples of each channel"))
            }
            _ => Ok(()),
        }
    }
}

/// Checks that NAL units behind lengths of `width` bytes fill a frame.
fn check_nal_units(payload: &[u8], width: usize) -> Result<(), Refused> {
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
    let (mut picture, mut audio) = (None, None);
    for (id, value) in children(entry).map_err(invalid)? {
        match id {
            id::TRACK_NUMBER => number = Some(uint(value).map_err(invalid)?),
            id::TRACK_UID => uid = Some(uint(value).map_err(invalid)?),
            id::TRACK_TYPE => kind = Some(uint(value).map_err(invalid)?),
            id::CODEC_ID => codec = Some(string(value).map_err(invalid)?),
            id::CODEC_PRIVATE => private = Some(value),
            id::VIDEO => picture = Some(size(value)?),
            id::AUDIO => audio = Some(self::audio(value)?),
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
    let wrong_type = match video {
        true => codec.starts_with("A_"),
        false => codec.starts_with("V_"),
    };
    if wrong_type {
        return Err(invalid(format!(
            "track {number} of the type of another codec than {codec}"
        )));
    }
    let media_type = codecs::media_type(codec, private.unwrap_or_default());
    if video && media_type.is_some() && picture.is_none_or(|(width, height)| width * height == 0) {
        return Err(invalid(format!("track {number} ({codec}) without a size")));
    }
    let frames = codecs::check(codec, private, audio)
        .map_err(|(id, what)| (id, format!("track {number}: {what}")))?;
    Ok(Track {
        number,
        video,
        media_type,
        frames,
    })
}

/// PixelWidth and PixelHeight of a Video element; 0 where there is none.
fn size(video: &[u8]) -> Result<(u64, u64), Refused> {
    let (mut width, mut height) = (0, 0);
    for (id, value) in children(video).map_err(invalid)? {
        match id {
            id::PIXEL_WIDTH => width = uint(value).map_err(invalid)?,
            id::PIXEL_HEIGHT => height = uint(value).map_err(invalid)?,
            _ => {}
        }
    }
    Ok((
        width.min(u64::from(u32::MAX)),
        height.min(u64::from(u32::MAX)),
    ))
}

/// The Audio element, with Matroska's defaults.
fn audio(element: &[u8]) -> Result<Audio, Refused> {
    let mut audio = Audio {
        rate: 8_000.0,
        channels: 1,
        bits: None,
    };
    for (id, value) in children(element).map_err(invalid)? {
        match id {
            id::SAMPLING_FREQUENCY => audio.rate = float(value).map_err(invalid)?,
            id::CHANNELS => audio.channels = uint(value).map_err(invalid)?,
            id::BIT_DEPTH => audio.bits = Some(uint(value).map_err(invalid)?),
            _ => {}
        }
    }
    match audio.rate > 0.0 && audio.channels > 0 {
        true => Ok(audio),
        false => Err(invalid("audio without channels or samples")),
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::super::sample;
    use super::*;

    fn track(frames: Frames) -> Track {
        Track {
            number: 1,
            video: true,
            media_type: None,
            frames,
        }
    }

    #[test_case(&[0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 9], true; "two units")]
    #[test_case(&[0, 0, 0, 2, 1], false; "one byte short")]
    #[test_case(&[0, 0, 0, 1, 1, 0, 0], false; "a length cut off")]
    #[test_case(&[0, 0, 0, 0], false; "an empty unit")]
    #[test_case(&[], false; "no bytes")]
    fn nal_lengths_must_add_up(frame: &[u8], taken: bool) {
        let track = track(Frames::NalUnits(4));
        assert_eq!(track.check_frame(frame).is_ok(), taken);
    }

    #[test]
    fn frames_of_audio_are_what_the_codec_says() {
        let aac = track(Frames::Aac);
        assert!(aac.check_frame(&[0x21, 0x10]).is_ok());
        assert!(aac.check_frame(&[0xFF, 0xF1, 0x4C]).is_err());
        let stereo = track(Frames::Samples(2));
        assert!(stereo.check_frame(&[0; 4]).is_ok());
        assert!(stereo.check_frame(&[0; 3]).is_err());
        for track in [aac, stereo] {
            assert!(track.check_frame(&[]).is_err());
        }
    }

    #[test]
    fn a_header_of_each_codec_is_taken() {
        let tracks = [sample::hevc(1), sample::audio(2), sample::alaw(3)].concat();
        let tracks = parse(&tracks).unwrap();
        let said: Vec<_> = tracks
            .iter()
            .map(|track| (track.video, track.media_type))
            .collect();
        assert_eq!(
            said,
            [
                (true, Some("video/h265")),
                (false, Some("audio/aac")),
                (false, Some("audio/alaw"))
            ]
        );
    }

    #[test_case(2, "V_MPEG4/ISO/AVC", sample::AVCC, "the type of another codec")]
    #[test_case(1, "A_AAC", &[0x12, 0x10], "the type of another codec")]
    #[test_case(2, "A_AAC", &[0x11, 0x90], "48000 Hz, and SamplingFrequency 44100")]
    #[test_case(2, "A_AAC", &[], "A_AAC without CodecPrivate")]
    #[test_case(2, "A_MS/ACM", sample::ALAW, "1 channels, and not 2")]
    #[test_case(1, "V_MPEGH/ISO/HEVC", sample::AVCC, "hvcC")]
    fn what_does_not_fit_the_codec_is_refused(kind: u64, codec: &str, private: &[u8], what: &str) {
        let refused = parse(&sample::track(1, kind, codec, private)).unwrap_err();
        assert_eq!(refused.0, ErrorId::InvalidMkvData);
        assert!(refused.1.contains(what), "{}", refused.1);
    }
}
