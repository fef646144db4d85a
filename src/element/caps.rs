//! Caps become a track.
//!
//! Belongs here: what the pad takes, and what of the caps the track needs. Does not belong here: what is inside of codec
//! private data (`media`).

use std::time::Duration;

use bytes::Bytes;

use super::settings::Settings;
use crate::media::{Avcc, Codec, Track};

/// What the pad takes: H.264 in access units, with its parameter sets in the caps.
pub(super) fn template() -> gst::Caps {
    gst::Caps::builder("video/x-h264")
        .field("stream-format", "avc")
        .field("alignment", "au")
        .build()
}

/// The track that caps announce. The size is theirs; without one, that of the parameter sets.
///
/// # Errors
/// What is missing or wrong, and what would do.
pub(super) fn track(caps: &gst::CapsRef, settings: &Settings) -> Result<Track, String> {
    let structure = caps.structure(0).ok_or("the caps are empty")?;
    if structure.name() != "video/x-h264" {
        return Err(format!(
            "{} is not supported: use video/x-h264, stream-format=avc",
            structure.name()
        ));
    }
    let codec_data = structure
        .get::<gst::Buffer>("codec_data")
        .map_err(|_| "the caps have no codec_data: put h264parse in front")?;
    let codec_data = codec_data
        .map_readable()
        .map_err(|error| error.to_string())?;
    let avcc = Avcc::parse(&codec_data).map_err(|error| format!("codec_data: {error}"))?;
    let size = |name| {
        structure
            .get::<i32>(name)
            .ok()
            .and_then(|value| u32::try_from(value).ok())
    };
    let (width, height) = size("width")
        .zip(size("height"))
        .or_else(|| avcc.dimensions())
        .ok_or("the caps have no width and height, and neither has the codec_data")?;
    let frame_duration = structure
        .get::<gst::Fraction>("framerate")
        .ok()
        .filter(|rate| rate.numer() > 0 && rate.denom() > 0)
        .map(|rate| Duration::from_secs_f64(f64::from(rate.denom()) / f64::from(rate.numer())));
    let mut track = Track::video(
        Codec::H264,
        Bytes::copy_from_slice(&codec_data),
        width,
        height,
    )
    .map_err(|error| error.to_string())?
    .with_frame_duration(frame_duration);
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
    use super::*;
    use crate::media::{TrackKind, fixtures::AVCC};

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

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let mut without = caps();
        without
            .make_mut()
            .structure_mut(0)
            .unwrap()
            .remove_field("codec_data");
        assert!(
            track(&without, &Settings::default())
                .unwrap_err()
                .contains("h264parse")
        );
        let mut garbage = caps();
        garbage
            .make_mut()
            .set("codec_data", gst::Buffer::from_slice([1, 2, 3]));
        assert!(
            track(&garbage, &Settings::default())
                .unwrap_err()
                .starts_with("codec_data")
        );
        let audio = gst::Caps::new_empty_simple("audio/mpeg");
        assert!(
            track(&audio, &Settings::default())
                .unwrap_err()
                .contains("audio/mpeg")
        );
        let long = Settings {
            track_name: Some("x".repeat(33)),
            ..Settings::default()
        };
        assert!(track(&caps(), &long).unwrap_err().starts_with("track-name"));
    }
}
