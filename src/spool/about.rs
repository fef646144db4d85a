//! [`About`]: what the file of a fragment says of it, in JSON.
//!
//! In: a [`Spooled`] and its header. Out: numbers and words that mean the same to all versions; and back.
//! Does not belong here: where in the file it stands, whether it is what was written ([`super::file`]).

use std::time::Duration;

use bytes::Bytes;
use memchr::memmem;
use serde::{Deserialize, Serialize};

use crate::{
    fragment::{Spooled, Tracks},
    media::{Codec, Track, TrackKind, TrackNumber},
    time::{Timecode, Timestamp},
};

/// What a file says of its fragment. Times are in nanoseconds since 1970.
#[derive(Serialize, Deserialize)]
pub(super) struct About {
    /// What the timecode counts from: 1970, or the first frame of the session.
    pub(super) relative: bool,
    timecode_ms: u64,
    start_ns: u64,
    first_ns: u64,
    earliest_ns: u64,
    last_ns: u64,
    frames: u64,
    /// Bytes before the cluster.
    pub(super) header: u64,
    /// Bytes of the cluster and its tags.
    pub(super) body: u64,
    tracks: Vec<TrackAbout>,
}

#[derive(Serialize, Deserialize)]
struct TrackAbout {
    number: u8,
    name: String,
    codec: CodecName,
    codec_id: String,
    /// Where the codec private data is in the header: first byte, length. It may be long.
    codec_private: (usize, usize),
    kind: Kind,
}

/// Other words than the program's: those may change.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CodecName {
    H264,
    H265,
    Aac,
    Alaw,
    Mulaw,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Video {
        width: u32,
        height: u32,
        frame_duration_ns: Option<u64>,
    },
    Audio {
        rate: u32,
        channels: u8,
    },
}

impl About {
    pub(super) fn of(about: &Spooled, relative: bool, header: &[u8], body: u64) -> Self {
        let Spooled {
            timecode,
            tracks,
            start,
            first,
            earliest,
            last,
            frames,
            length: _,
        } = about;
        Self {
            relative,
            timecode_ms: timecode.as_millis(),
            start_ns: start.as_nanos(),
            first_ns: first.as_nanos(),
            earliest_ns: earliest.as_nanos(),
            last_ns: last.as_nanos(),
            frames: *frames,
            header: header.len() as u64,
            body,
            tracks: tracks
                .iter()
                .map(|track| TrackAbout::of(track, header))
                .collect(),
        }
    }

    pub(super) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and names are JSON")
    }

    /// # Errors
    /// Why there can be no such fragment.
    pub(super) fn spooled(&self, header: &Bytes) -> Result<Spooled, String> {
        let tracks: Result<Tracks, _> = self
            .tracks
            .iter()
            .map(|track| track.track(header))
            .collect();
        Ok(Spooled {
            timecode: Timecode::from_millis(self.timecode_ms),
            tracks: tracks?,
            start: Timestamp::from_nanos(self.start_ns),
            first: Timestamp::from_nanos(self.first_ns),
            earliest: Timestamp::from_nanos(self.earliest_ns),
            last: Timestamp::from_nanos(self.last_ns),
            frames: self.frames,
            length: self.body,
        })
    }
}

impl TrackAbout {
    fn of(track: &Track, header: &[u8]) -> Self {
        let private = track.codec_private();
        // The same bytes somewhere before are as good.
        let from = memmem::find(header, private).expect("it stands in the header");
        Self {
            number: track.number().get(),
            name: track.name().to_owned(),
            codec: track.codec().into(),
            codec_id: track.codec_id().to_owned(),
            codec_private: (from, private.len()),
            kind: match track.kind() {
                TrackKind::Video {
                    width,
                    height,
                    frame_duration,
                } => Kind::Video {
                    width,
                    height,
                    // The header leaves one of centuries out, too.
                    frame_duration_ns: frame_duration
                        .and_then(|duration| u64::try_from(duration.as_nanos()).ok()),
                },
                // The rate behind the decoder is in the codec private data.
                TrackKind::Audio { rate, channels, .. } => Kind::Audio { rate, channels },
            },
        }
    }

    fn track(&self, header: &Bytes) -> Result<Track, String> {
        let number = TrackNumber::new(self.number)
            .ok_or_else(|| format!("no track has the number {}", self.number))?;
        let (from, length) = self.codec_private;
        let to = from.checked_add(length).filter(|&to| to <= header.len());
        let to = to.ok_or("the codec private data is not in its header")?;
        let private = header.slice(from..to);
        let codec = Codec::from(&self.codec);
        let track = match self.kind {
            Kind::Video {
                width,
                height,
                frame_duration_ns,
            } => Track::video(codec, private, width, height).map(|track| {
                track.with_frame_duration(frame_duration_ns.map(Duration::from_nanos))
            }),
            Kind::Audio { rate, channels } => Track::audio(codec, private, rate, channels),
        };
        track
            .and_then(|track| track.with_name(&self.name))
            .and_then(|track| track.with_codec_id(&self.codec_id))
            .map(|track| track.with_number(number))
            .map_err(|error| error.to_string())
    }
}

impl From<Codec> for CodecName {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::H264 => Self::H264,
            Codec::H265 => Self::H265,
            Codec::Aac => Self::Aac,
            Codec::Alaw => Self::Alaw,
            Codec::Mulaw => Self::Mulaw,
        }
    }
}

impl From<&CodecName> for Codec {
    fn from(name: &CodecName) -> Self {
        match name {
            CodecName::H264 => Self::H264,
            CodecName::H265 => Self::H265,
            CodecName::Aac => Self::Aac,
            CodecName::Alaw => Self::Alaw,
            CodecName::Mulaw => Self::Mulaw,
        }
    }
}
