//! The start of every connection: EBML header, Segment, Info, Tracks.
//!
//! In: the tracks. Out: bytes that depend on nothing else, so that a resent stream has the same header.
//!
//! Does not belong here: whether the tracks have changed ([`crate::media::Track::same_header`]).

use bytes::Bytes;

use super::ebml::{
    push_binary, push_float, push_master, push_string, push_uint, push_unknown_size,
};
use super::ids;
use crate::media::{Codec, Track, TrackKind};

/// Nanoseconds of one tick of the timecodes: a millisecond, as AWS's SDK writes it.
const TIMECODE_SCALE_NS: u64 = 1_000_000;
/// MuxingApp and WritingApp.
const APPLICATION: &str = concat!("kvssink ", env!("CARGO_PKG_VERSION"));
/// The first version of Matroska that knows SimpleBlock.
const DOC_TYPE_VERSION: u64 = 2;
/// TrackType, RFC 9559 §5.1.4.1.3.
const TRACK_TYPE_VIDEO: u64 = 1;
const TRACK_TYPE_AUDIO: u64 = 2;
/// BitDepth of G.711: a sample is a byte. AAC has none.
const G711_BIT_DEPTH: u64 = 8;

/// The start of a stream, once per connection: EBML header, a Segment of unknown size, Info, Tracks.
///
/// Clusters ([`super::push_cluster_header`]) follow directly. The service allows 3 tracks; their numbers must differ.
pub fn stream_header(tracks: &[Track]) -> Bytes {
    let mut out = Vec::new();
    push_ebml_header(&mut out);
    push_unknown_size(&mut out, ids::SEGMENT);
    push_info(&mut out);
    push_master(&mut out, ids::TRACKS, |out| {
        for track in tracks {
            push_track(out, track);
        }
    });
    out.into()
}

fn push_ebml_header(out: &mut Vec<u8>) {
    push_master(out, ids::EBML, |out| {
        push_uint(out, ids::EBML_VERSION, 1);
        push_uint(out, ids::EBML_READ_VERSION, 1);
        push_uint(out, ids::EBML_MAX_ID_LENGTH, 4);
        push_uint(out, ids::EBML_MAX_SIZE_LENGTH, 8);
        push_string(out, ids::DOC_TYPE, "matroska");
        push_uint(out, ids::DOC_TYPE_VERSION, DOC_TYPE_VERSION);
        push_uint(out, ids::DOC_TYPE_READ_VERSION, DOC_TYPE_VERSION);
    });
}

fn push_info(out: &mut Vec<u8>) {
    push_master(out, ids::INFO, |out| {
        push_uint(out, ids::TIMECODE_SCALE, TIMECODE_SCALE_NS);
        push_string(out, ids::MUXING_APP, APPLICATION);
        push_string(out, ids::WRITING_APP, APPLICATION);
    });
}

fn push_track(out: &mut Vec<u8>, track: &Track) {
    let number = u64::from(track.number().get());
    push_master(out, ids::TRACK_ENTRY, |out| {
        push_uint(out, ids::TRACK_NUMBER, number);
        // Unique within the stream is enough, and a random one would make every header another.
        push_uint(out, ids::TRACK_UID, number);
        let track_type = match track.kind() {
            TrackKind::Video { .. } => TRACK_TYPE_VIDEO,
            TrackKind::Audio { .. } => TRACK_TYPE_AUDIO,
        };
        push_uint(out, ids::TRACK_TYPE, track_type);
        push_uint(out, ids::FLAG_LACING, 0);
        push_string(out, ids::NAME, track.name());
        push_string(out, ids::CODEC_ID, track.codec_id());
        push_binary(out, ids::CODEC_PRIVATE, track.codec_private());
        push_kind(out, track);
    });
}

fn push_kind(out: &mut Vec<u8>, track: &Track) {
    match track.kind() {
        TrackKind::Video {
            width,
            height,
            frame_duration,
        } => {
            if let Some(duration) =
                frame_duration.and_then(|duration| u64::try_from(duration.as_nanos()).ok())
            {
                push_uint(out, ids::DEFAULT_DURATION, duration);
            }
            push_master(out, ids::VIDEO, |out| {
                push_uint(out, ids::PIXEL_WIDTH, u64::from(width));
                push_uint(out, ids::PIXEL_HEIGHT, u64::from(height));
            });
        }
        TrackKind::Audio {
            rate,
            output_rate,
            channels,
        } => push_master(out, ids::AUDIO, |out| {
            push_float(out, ids::SAMPLING_FREQUENCY, f64::from(rate));
            if let Some(rate) = output_rate.filter(|&output| output != rate) {
                push_float(out, ids::OUTPUT_SAMPLING_FREQUENCY, f64::from(rate));
            }
            push_uint(out, ids::CHANNELS, u64::from(channels));
            if matches!(track.codec(), Codec::Alaw | Codec::Mulaw) {
                push_uint(out, ids::BIT_DEPTH, G711_BIT_DEPTH);
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::golden::{assert_fields, hex};
    use super::*;
    use crate::media::fixtures::{AVCC, tracks, video_track};

    #[test]
    fn golden_header_of_one_video_track() {
        let track = video_track().with_frame_duration(Some(Duration::from_millis(40)));
        let application = hex(APPLICATION.as_bytes());
        assert_eq!(
            APPLICATION.len(),
            13,
            "the sizes below hold for this length of the version"
        );
        assert_fields(
            &stream_header(&[track]),
            &[
                ("1A45DFA3 A3", "EBML, 35 bytes"),
                ("4286 81 01", "EBMLVersion 1"),
                ("42F7 81 01", "EBMLReadVersion 1"),
                ("42F2 81 04", "EBMLMaxIDLength 4"),
                ("42F3 81 08", "EBMLMaxSizeLength 8"),
                ("4282 88 6D6174726F736B61", "DocType matroska"),
                ("4287 81 02", "DocTypeVersion 2"),
                ("4285 81 02", "DocTypeReadVersion 2"),
                ("18538067 01FFFFFFFFFFFFFF", "Segment, unknown size"),
                ("1549A966 A7", "Info, 39 bytes"),
                ("2AD7B1 83 0F4240", "TimecodeScale 1,000,000 ns"),
                ("4D80 8D", "MuxingApp, 13 bytes"),
                (&application, "kvssink and the version"),
                ("5741 8D", "WritingApp, 13 bytes"),
                (&application, "kvssink and the version"),
                ("1654AE6B EA", "Tracks, 106 bytes"),
                ("AE E8", "TrackEntry, 104 bytes"),
                ("D7 81 01", "TrackNumber 1"),
                ("73C5 81 01", "TrackUID 1"),
                ("83 81 01", "TrackType video"),
                ("9C 81 00", "FlagLacing 0"),
                ("536E 8D 6B696E657369735F766964656F", "Name kinesis_video"),
                (
                    "86 8F 565F4D504547342F49534F2F415643",
                    "CodecID V_MPEG4/ISO/AVC",
                ),
                ("63A2 A7", "CodecPrivate, 39 bytes"),
                (&hex(AVCC), "avcC"),
                ("23E383 84 02625A00", "DefaultDuration 40,000,000 ns"),
                ("E0 86", "Video, 6 bytes"),
                ("B0 81 B2", "PixelWidth 178"),
                ("BA 81 62", "PixelHeight 98"),
            ],
        );
    }

    #[test]
    fn golden_audio_tracks() {
        let [_, hevc, aac, alaw, _] = tracks();
        let sbr = Bytes::from_static(&[0x2B, 0x92, 0x08, 0x00]);
        let sbr = Track::audio(Codec::Aac, sbr, 44_100, 2).expect("it is valid");
        for (track, fields) in [
            (
                aac,
                &[
                    ("AE B0", "TrackEntry, 48 bytes"),
                    ("D7 81 02", "TrackNumber 2"),
                    ("73C5 81 02", "TrackUID 2"),
                    ("83 81 02", "TrackType audio"),
                    ("9C 81 00", "FlagLacing 0"),
                    ("536E 85 617564696F", "Name audio"),
                    ("86 85 415F414143", "CodecID A_AAC"),
                    ("63A2 82 1190", "CodecPrivate, AudioSpecificConfig"),
                    ("E1 8D", "Audio, 13 bytes"),
                    ("B5 88 40E7700000000000", "SamplingFrequency 48,000"),
                    ("9F 81 02", "Channels 2"),
                ][..],
            ),
            (
                sbr,
                &[
                    ("63A2 84 2B920800", "CodecPrivate, AudioSpecificConfig"),
                    ("E1 98", "Audio, 24 bytes"),
                    ("B5 88 40D5888000000000", "SamplingFrequency 22,050"),
                    ("78B5 88 40E5888000000000", "OutputSamplingFrequency 44,100"),
                    ("9F 81 02", "Channels 2"),
                ],
            ),
            (
                alaw,
                &[
                    ("86 88 415F4D532F41434D", "CodecID A_MS/ACM"),
                    ("63A2 92", "CodecPrivate, 18 bytes"),
                    ("06000100401F0000401F0000010008000000", "WAVEFORMATEX"),
                    ("E1 91", "Audio, 17 bytes"),
                    ("B5 88 40BF400000000000", "SamplingFrequency 8,000"),
                    ("9F 81 01", "Channels 1"),
                    ("6264 81 08", "BitDepth 8"),
                ],
            ),
            (
                hevc,
                &[
                    ("E0 86", "Video, 6 bytes"),
                    ("B0 81 B2", "PixelWidth 178"),
                    ("BA 81 62", "PixelHeight 98"),
                ],
            ),
        ] {
            let header = stream_header(&[track]);
            let len: usize = fields
                .iter()
                .map(|(bytes, _)| bytes.replace(' ', "").len() / 2)
                .sum();
            assert_fields(&header[header.len() - len..], fields);
        }
    }

    #[test]
    fn an_unknown_frame_duration_is_left_out() {
        let header = hex(&stream_header(&[video_track()]));
        assert!(!header.contains("23E383"), "{header}");
    }

    #[test]
    fn the_same_tracks_give_the_same_bytes() {
        assert_eq!(
            stream_header(&[video_track()]),
            stream_header(&[video_track()])
        );
    }
}
