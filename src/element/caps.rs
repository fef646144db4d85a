//! Caps become a reframer, and what it finds becomes a track of this element.
//!
//! Belongs here: what the pads take, and what the caps say. Does not belong here: what is inside of codec private data and
//! parameter sets (`media`).

use std::time::Duration;

use bytes::Bytes;

use super::settings::Settings;
use crate::media::{Format, Hints, Reframer, Track, TrackNumber};

/// Video that a pad takes: whole access units, with their parameter sets in the caps or in the stream.
pub(super) fn video_template() -> gst::Caps {
    let video = |name, formats: [&str; 3]| {
        gst::Structure::builder(name)
            .field("stream-format", gst::List::new(formats))
            .field("alignment", "au")
            .build()
    };
    gst::Caps::builder_full()
        .structure(video("video/x-h264", ["avc", "avc3", "byte-stream"]))
        .structure(video("video/x-h265", ["hvc1", "hev1", "byte-stream"]))
        .build()
}

/// Audio that a pad takes.
pub(super) fn audio_template() -> gst::Caps {
    let aac = gst::Structure::builder("audio/mpeg")
        .field("mpegversion", gst::List::new([4, 2]))
        .field("stream-format", gst::List::new(["raw", "adts"]))
        .build();
    let g711 = |name| {
        gst::Structure::builder(name)
            .field("rate", gst::IntRange::new(1, i32::MAX))
            .field("channels", gst::IntRange::new(1, 2))
            .build()
    };
    gst::Caps::builder_full()
        .structure(aac)
        .structure(g711("audio/x-alaw"))
        .structure(g711("audio/x-mulaw"))
        .build()
}

/// Any of it.
pub(super) fn template() -> gst::Caps {
    let mut caps = video_template();
    caps.make_mut().append(audio_template());
    caps
}

/// What is accepted, in words.
const ACCEPTED: &str = "use video/x-h264 (avc, avc3, byte-stream), video/x-h265 (hvc1, hev1, byte-stream), audio/mpeg of \
                        version 2 or 4 (raw, adts), audio/x-alaw or audio/x-mulaw";

/// What caps say of a track.
pub(super) struct Said {
    pub(super) format: Format,
    codec_data: Option<Bytes>,
    pub(super) hints: Hints,
}

impl Said {
    /// What turns buffers of these caps into frames. `before`: what did so under the caps before; where the parameter sets
    /// are in the stream it goes on, since it knows them.
    ///
    /// # Errors
    /// What is missing or wrong, and what would do.
    pub(super) fn reframer(self, before: Option<Reframer>) -> Result<Reframer, String> {
        let Self {
            format,
            codec_data,
            hints,
        } = self;
        let same = |before: &Reframer| before.format() == format && codec_data.is_none();
        match before.filter(same) {
            Some(mut reframer) => {
                reframer.set_hints(hints);
                Ok(reframer)
            }
            None => Reframer::new(format, codec_data, hints).map_err(|error| error.to_string()),
        }
    }
}

/// Reads caps.
///
/// # Errors
/// What is missing or wrong, and what would do.
pub(super) fn said(caps: &gst::CapsRef) -> Result<Said, String> {
    let structure = caps.structure(0).ok_or("the caps are empty")?;
    let codec_data = match structure.get::<gst::Buffer>("codec_data") {
        Ok(buffer) => {
            let mapped = buffer.map_readable().map_err(|error| error.to_string())?;
            Some(Bytes::copy_from_slice(&mapped))
        }
        Err(_) => None,
    };
    let format = format(structure, codec_data.is_some())?;
    let number = |name| structure.get::<i32>(name).ok();
    let positive = |name| number(name).and_then(|value| u32::try_from(value).ok());
    let frame_duration = structure
        .get::<gst::Fraction>("framerate")
        .ok()
        .filter(|rate| rate.numer() > 0 && rate.denom() > 0)
        .map(|rate| Duration::from_secs_f64(f64::from(rate.denom()) / f64::from(rate.numer())));
    let hints = Hints {
        width: positive("width"),
        height: positive("height"),
        frame_duration,
        rate: positive("rate"),
        channels: number("channels").and_then(|channels| u8::try_from(channels).ok()),
    };
    Ok(Said {
        format,
        codec_data,
        hints,
    })
}

fn format(structure: &gst::StructureRef, has_codec_data: bool) -> Result<Format, String> {
    let stream_format = structure.get::<&str>("stream-format").ok();
    let name = structure.name().as_str();
    let format = match (name, stream_format) {
        ("video/x-h264", Some("avc")) => Format::Avc,
        ("video/x-h264", Some("avc3")) => Format::Avc3,
        ("video/x-h264", Some("byte-stream")) => Format::H264ByteStream,
        ("video/x-h264", None) if has_codec_data => Format::Avc,
        ("video/x-h264", None) => Format::H264ByteStream,
        ("video/x-h265", Some("hvc1")) => Format::Hvc1,
        ("video/x-h265", Some("hev1")) => Format::Hev1,
        ("video/x-h265", Some("byte-stream")) => Format::H265ByteStream,
        ("video/x-h265", None) if has_codec_data => Format::Hvc1,
        ("video/x-h265", None) => Format::H265ByteStream,
        ("audio/mpeg", Some("adts")) => Format::AacAdts,
        ("audio/mpeg", Some("raw") | None) => Format::AacRaw,
        ("audio/x-alaw", _) => Format::Alaw,
        ("audio/x-mulaw", _) => Format::Mulaw,
        (_, Some(other)) => {
            return Err(format!(
                "{name}, stream-format={other} is not supported: {ACCEPTED}"
            ));
        }
        (_, None) => return Err(format!("{name} is not supported: {ACCEPTED}")),
    };
    let is_mpeg_audio = name == "audio/mpeg";
    if is_mpeg_audio && !matches!(structure.get::<i32>("mpegversion"), Ok(2 | 4)) {
        return Err(format!("{structure} is not AAC: {ACCEPTED}"));
    }
    Ok(format)
}

/// The track as the element sends it: with its number, and for the first one with the names of the properties.
///
/// # Errors
/// What is wrong with a property.
pub(super) fn named(
    track: Track,
    number: TrackNumber,
    settings: &Settings,
) -> Result<Track, String> {
    let mut track = track.with_number(number);
    // That of video, or the only one: the C++ element's properties speak of its first track.
    if number != TrackNumber::VIDEO {
        return Ok(track);
    }
    if let Some(name) = settings
        .track_name
        .as_deref()
        .filter(|name| !name.is_empty())
    {
        track = track
            .with_name(name)
            .map_err(|error| format!("track-name: {error}"))?;
    }
    if let Some(codec_id) = settings.codec_id.as_deref().filter(|id| !id.is_empty()) {
        track = track
            .with_codec_id(codec_id)
            .map_err(|error| format!("codec-id: {error}"))?;
    }
    Ok(track)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::media::{Codec, TrackKind, fixtures::AVCC};

    fn caps() -> gst::Caps {
        gst::init().unwrap();
        gst::Caps::builder("video/x-h264")
            .field("stream-format", "avc")
            .field("alignment", "au")
            .field("width", 178)
            .field("height", 98)
            .field("framerate", gst::Fraction::new(30, 1))
            .field("codec_data", gst::Buffer::from_slice(AVCC))
            .build()
    }

    fn track(caps: &gst::Caps, settings: &Settings) -> Result<Track, String> {
        let reframer = said(caps)?.reframer(None)?;
        named(
            reframer.track().unwrap().clone(),
            TrackNumber::VIDEO,
            settings,
        )
    }

    #[test]
    fn size_rate_and_codec_private_come_from_the_caps() {
        let settings = Settings {
            track_name: Some("porch".into()),
            codec_id: Some("V_X".into()),
            ..Settings::default()
        };
        let track = track(&caps(), &settings).unwrap();
        assert_eq!(
            (track.name(), track.codec_id(), &track.codec_private()[..]),
            ("porch", "V_X", AVCC)
        );
        let frame_duration = Some(Duration::from_nanos(33_333_333));
        assert_eq!(
            track.kind(),
            TrackKind::Video {
                width: 178,
                height: 98,
                frame_duration
            }
        );
    }

    #[test]
    fn the_size_may_come_from_the_parameter_sets() {
        let mut caps = caps();
        caps.make_mut()
            .structure_mut(0)
            .unwrap()
            .remove_fields(["width", "height", "framerate"]);
        assert!(template().can_intersect(&caps), "the pad takes them");
        let track = track(&caps, &Settings::default()).unwrap();
        assert_eq!(
            track.kind(),
            TrackKind::Video {
                width: 178,
                height: 98,
                frame_duration: None
            }
        );
    }

    #[test_case("audio/x-alaw, rate=8000, channels=1", Format::Alaw)]
    #[test_case("audio/x-mulaw, rate=16000, channels=2", Format::Mulaw)]
    #[test_case(
        "audio/mpeg, mpegversion=4, stream-format=raw, codec_data=(buffer)1210",
        Format::AacRaw
    )]
    #[test_case("audio/mpeg, mpegversion=2, stream-format=adts", Format::AacAdts)]
    #[test_case(
        "video/x-h264, stream-format=byte-stream, alignment=au",
        Format::H264ByteStream
    )]
    #[test_case("video/x-h264, stream-format=avc3, alignment=au", Format::Avc3)]
    #[test_case(
        "video/x-h265, stream-format=byte-stream, alignment=au",
        Format::H265ByteStream
    )]
    #[test_case("video/x-h265, stream-format=hev1, alignment=au", Format::Hev1)]
    fn each_format_is_told_by_its_caps(text: &str, expected: Format) {
        gst::init().unwrap();
        let caps: gst::Caps = text.parse().unwrap();
        assert!(template().can_intersect(&caps), "the pads take it");
        let reframer = said(&caps).unwrap().reframer(None).unwrap();
        assert_eq!(reframer.format(), expected);
    }

    #[test]
    fn the_names_of_the_properties_are_for_the_first_track() {
        gst::init().unwrap();
        let caps: gst::Caps = "audio/x-alaw, rate=8000, channels=1".parse().unwrap();
        let alaw = said(&caps).unwrap().reframer(None).unwrap();
        let alaw = alaw.track().unwrap().clone();
        let settings = Settings {
            track_name: Some("porch".into()),
            ..Settings::default()
        };
        let name = |number| {
            named(alaw.clone(), number, &settings)
                .unwrap()
                .name()
                .to_owned()
        };
        assert_eq!(name(TrackNumber::AUDIO), "audio");
        assert_eq!(name(TrackNumber::VIDEO), "porch", "audio alone");
        assert_eq!(alaw.codec(), Codec::Alaw);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let mut without = caps();
        without
            .make_mut()
            .structure_mut(0)
            .unwrap()
            .remove_field("codec_data");
        let refused = |caps: &gst::Caps| {
            let refused = said(caps).and_then(|said| said.reframer(None));
            refused.unwrap_err()
        };
        assert!(refused(&without).contains("codec_data"));
        let mut garbage = caps();
        garbage
            .make_mut()
            .set("codec_data", gst::Buffer::from_slice([1, 2, 3]));
        assert!(refused(&garbage).starts_with("codec_data"));
        for text in [
            "audio/mpeg, mpegversion=1",
            "video/x-vp8",
            "video/x-h264, stream-format=x",
        ] {
            let refused = refused(&text.parse().unwrap());
            assert!(refused.contains(ACCEPTED), "{refused}");
        }
        let long = Settings {
            track_name: Some("x".repeat(33)),
            ..Settings::default()
        };
        assert!(track(&caps(), &long).unwrap_err().starts_with("track-name"));
    }
}
