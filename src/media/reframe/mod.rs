//! What an encoder or parser gives becomes what Matroska wants, for one track.
//!
//! In: buffers of one [`Format`]. Out: [`Unit`]s, and the [`Track`] they belong to whenever it is another one.
//!
//! ```text
//! avc, hvc1         passed on without a copy; the track is known from the codec private data
//! avc3, hev1        passed on without a copy; the track is made of the parameter sets in the access units
//! byte-stream       copied once, start codes become lengths of four bytes; the track as before
//! AAC, G.711        passed on without a copy
//! ADTS              each frame without its header, sharing the buffer; the track is made of the headers
//! ```
//!
//! Does not belong here: times (an offset within a buffer apart), where a fragment begins, caps.

mod adts;
mod codec_data;
mod pictures;

use std::time::Duration;

use bytes::Bytes;

use self::adts::Adts;
use self::pictures::Pictures;
use super::codec::Codec;
use super::g711::{alaw_private, mulaw_private};
use super::h264::{InvalidAccessUnit, InvalidAvcc, ParameterSet};
use super::h265::InvalidHvcc;
use super::track::{InvalidTrack, Track};

#[cfg(test)]
mod tests;

/// How the frames of a track come. The names are those of GStreamer's caps.
///
/// ```
/// use gstkvssink::producer::{Codec, Format};
///
/// assert_eq!(Format::AacAdts.codec(), Format::AacRaw.codec());
/// assert_eq!(Format::Hev1.codec(), Codec::H265);
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// H.264, lengths before the NAL units, parameter sets in the codec private data only.
    Avc,
    /// H.264, lengths before the NAL units, parameter sets in the access units, too.
    Avc3,
    /// H.264, start codes before the NAL units (Annex B), parameter sets in the access units.
    H264ByteStream,
    /// H.265, lengths before the NAL units, parameter sets in the codec private data only.
    Hvc1,
    /// H.265, lengths before the NAL units, parameter sets in the access units, too.
    Hev1,
    /// H.265, start codes before the NAL units (Annex B), parameter sets in the access units.
    H265ByteStream,
    /// AAC without headers; codec private data is an AudioSpecificConfig.
    AacRaw,
    /// AAC with an ADTS header before each frame.
    AacAdts,
    /// G.711 A-law.
    Alaw,
    /// G.711 µ-law.
    Mulaw,
}

impl Format {
    /// The codec of frames that come like this.
    ///
    /// ```
    /// use gstkvssink::producer::{Codec, Format};
    ///
    /// assert_eq!(Format::H264ByteStream.codec(), Codec::H264);
    /// ```
    pub const fn codec(self) -> Codec {
        match self {
            Self::Avc | Self::Avc3 | Self::H264ByteStream => Codec::H264,
            Self::Hvc1 | Self::Hev1 | Self::H265ByteStream => Codec::H265,
            Self::AacRaw | Self::AacAdts => Codec::Aac,
            Self::Alaw => Codec::Alaw,
            Self::Mulaw => Codec::Mulaw,
        }
    }
}

/// What the source says of the track beside its codec. All of it may be missing where the frames say it themselves.
///
/// ```
/// use gstkvssink::producer::{Format, Hints, Reframer};
///
/// # fn main() -> Result<(), gstkvssink::producer::InvalidFormat> {
/// let hints = Hints { rate: Some(8_000), channels: Some(1), ..Hints::default() };
/// assert!(Reframer::new(Format::Alaw, None, hints)?.track().is_some());
/// # Ok(()) }
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct Hints {
    /// Width in pixels, after cropping.
    pub width: Option<u32>,
    /// Height in pixels, after cropping.
    pub height: Option<u32>,
    /// Time from one picture to the next.
    pub frame_duration: Option<Duration>,
    /// Samples per second of one channel. G.711 cannot do without.
    pub rate: Option<u32>,
    /// Channels. G.711 cannot do without.
    pub channels: Option<u8>,
}

/// One frame for Matroska.
///
/// ```
/// use gstkvssink::producer::{Format, Hints, Reframer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let frame = [0xFF, 0xF1, 0x4C, 0x80, 0x01, 0x3F, 0xFC, 0x21, 0x10]; // seven bytes of header
/// let mut reframer = Reframer::new(Format::AacAdts, None, Hints::default())?;
/// let reframed = reframer.take([frame, frame].concat().into(), true)?;
/// assert_eq!(reframed.frames[0].payload, [0x21, 0x10][..]);
/// assert_eq!(reframed.frames[1].offset.as_micros(), 21_333); // 1024 samples at 48 kHz
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unit {
    /// Its bytes.
    pub payload: Bytes,
    /// Decoding may start here. Always so for audio.
    pub key: bool,
    /// How much later than the buffer it begins: several ADTS frames in a buffer follow each other.
    pub offset: Duration,
}

/// What became of a buffer.
///
/// The parameter sets in access units make another track only at a key frame, where a session may begin: what comes before
/// finds them in the stream. A PPS that changes and comes with the key frame makes none: encoders that change it at each
/// key frame would need a connection for each.
///
/// ```
/// use gstkvssink::producer::{Format, Hints, Reframer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let frame = [0xFF, 0xF1, 0x4C, 0x80, 0x01, 0x3F, 0xFC, 0x21, 0x10]; // seven bytes of header
/// let mut reframer = Reframer::new(Format::AacAdts, None, Hints::default())?;
/// assert!(reframer.take(frame.to_vec().into(), true)?.track.is_some());
/// assert!(reframer.take(frame.to_vec().into(), true)?.track.is_none(), "it is the same");
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reframed {
    /// The track of these frames, when it is the first one or not [`Track::same_header`] as the one before.
    pub track: Option<Track>,
    /// The frames. None when there were only parameter sets in the buffer: they are put before the next frame.
    pub frames: Vec<Unit>,
}

/// Turns the buffers of one track into frames for Matroska.
///
/// ```
/// use gstkvssink::producer::{Format, Frame, Hints, Reframer, Stream, Timestamp, TrackNumber};
///
/// # type Failed = Box<dyn std::error::Error>;
/// # fn f(stream: Stream, buffers: Vec<(Timestamp, bytes::Bytes)>) -> Result<(), Failed> {
/// let mut reframer = Reframer::new(Format::H264ByteStream, None, Hints::default())?;
/// for (pts, buffer) in buffers {
///     let reframed = reframer.take(buffer, false)?; // key frames are seen in the bytes
///     if let Some(track) = reframed.track {
///         stream.format_changed(track)?;
///     }
///     for unit in reframed.frames {
///         let (pts, key, payload) = (pts + unit.offset, unit.key, unit.payload);
///         stream.put_frame(Frame { track: TrackNumber::VIDEO, pts, dts: None, key, payload })?;
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Reframer {
    format: Format,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Pictures(Box<Pictures>),
    Adts(Adts),
    /// As it comes.
    Sound(Track),
}

impl Reframer {
    /// A reframer for buffers of this format. `codec_data` is that of the caps: avcC, hvcC or AudioSpecificConfig.
    /// Formats whose frames say it themselves do without; `avc`, `hvc1` and AAC without headers do not.
    ///
    /// # Errors
    /// [`InvalidFormat`]: codec private data that is missing or malformed, a size, a rate or channels that nobody says.
    ///
    /// ```
    /// use gstkvssink::producer::{Format, Hints, Reframer};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidFormat> {
    /// let stereo = vec![0x11, 0x90]; // AAC LC of two channels at 48 kHz
    /// let reframer = Reframer::new(Format::AacRaw, Some(stereo.into()), Hints::default())?;
    /// assert!(Reframer::new(Format::AacRaw, None, Hints::default()).is_err());
    /// # Ok(()) }
    /// ```
    pub fn new(
        format: Format,
        codec_data: Option<Bytes>,
        hints: Hints,
    ) -> Result<Self, InvalidFormat> {
        let codec = format.codec();
        let way = match format {
            Format::AacAdts => Way::Adts(Adts::default()),
            Format::AacRaw => {
                let config = codec_data.ok_or(InvalidFormat::NoCodecData { codec })?;
                let (rate, channels) = (hints.rate, hints.channels);
                let rate = rate.unwrap_or_default(); // the config says it
                let track = Track::audio(codec, config, rate, channels.unwrap_or_default())?;
                Way::Sound(track)
            }
            Format::Alaw | Format::Mulaw => {
                let (Some(rate), Some(channels)) = (hints.rate, hints.channels) else {
                    return Err(InvalidFormat::NoRate { codec });
                };
                let private = match format {
                    Format::Alaw => alaw_private(rate, channels),
                    _ => mulaw_private(rate, channels),
                };
                Way::Sound(Track::audio(codec, private, rate, channels)?)
            }
            _ => Way::Pictures(Pictures::new(format, codec_data, hints)?.into()),
        };
        Ok(Self { format, way })
    }

    /// The format of the buffers.
    ///
    /// ```
    /// use gstkvssink::producer::{Format, Hints, Reframer};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidFormat> {
    /// let reframer = Reframer::new(Format::AacAdts, None, Hints::default())?;
    /// assert_eq!(reframer.format(), Format::AacAdts);
    /// # Ok(()) }
    /// ```
    pub fn format(&self) -> Format {
        self.format
    }

    /// Changes what the source says, when that is all that changed of its caps. What is known of the stream stays.
    ///
    /// The frame duration is the next track's. Size, rate and channels are looked at by formats whose frames do not say
    /// them: for those, a new reframer is needed ([`Reframer::new`]).
    ///
    /// ```
    /// use std::time::Duration;
    /// use gstkvssink::producer::{Format, Hints, Reframer};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidFormat> {
    /// let mut reframer = Reframer::new(Format::H264ByteStream, None, Hints::default())?;
    /// let frame_duration = Some(Duration::from_millis(40));
    /// reframer.set_hints(Hints { frame_duration, ..Hints::default() });
    /// # Ok(()) }
    /// ```
    pub fn set_hints(&mut self, hints: Hints) {
        if let Way::Pictures(pictures) = &mut self.way {
            pictures.set_hints(hints);
        }
    }

    /// The track of the frames that were returned last; before the first one, the track if it is known already.
    ///
    /// ```
    /// use gstkvssink::producer::{Format, Hints, Reframer};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidFormat> {
    /// let reframer = Reframer::new(Format::AacAdts, None, Hints::default())?;
    /// assert_eq!(reframer.track(), None, "the headers say it");
    /// # Ok(()) }
    /// ```
    pub fn track(&self) -> Option<&Track> {
        match &self.way {
            Way::Pictures(pictures) => pictures.track(),
            Way::Adts(adts) => adts.track(),
            Way::Sound(track) => Some(track),
        }
    }

    /// Takes a buffer. `key_hint` is what its source says of it: decoding may start here.
    ///
    /// # Errors
    /// [`Malformed`]: why nothing of the buffer can be sent. The next one may be fine.
    ///
    /// ```
    /// use gstkvssink::producer::{Format, Hints, Reframer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let frame = [0xFF, 0xF1, 0x4C, 0x80, 0x01, 0x3F, 0xFC, 0x21, 0x10]; // seven bytes of header
    /// let mut reframer = Reframer::new(Format::AacAdts, None, Hints::default())?;
    /// let reframed = reframer.take(frame.to_vec().into(), true)?;
    /// assert_eq!(reframed.frames[0].payload, [0x21, 0x10][..]);
    /// assert_eq!(reframed.track.as_ref(), reframer.track());
    /// # Ok(()) }
    /// ```
    pub fn take(&mut self, payload: Bytes, key_hint: bool) -> Result<Reframed, Malformed> {
        match &mut self.way {
            Way::Pictures(pictures) => pictures.take(payload, key_hint),
            Way::Adts(adts) => adts.take(&payload),
            Way::Sound(track) => {
                track.check_payload(&payload)?;
                Ok(Reframed::one(payload, true))
            }
        }
    }
}

impl Reframed {
    /// The buffer is a frame of the same track.
    fn one(payload: Bytes, key: bool) -> Self {
        Self {
            track: None,
            frames: vec![Unit {
                payload,
                key,
                offset: Duration::ZERO,
            }],
        }
    }
}

/// The element of GStreamer that makes codec private data.
const fn parser(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "h264parse",
        Codec::H265 => "h265parse",
        Codec::Aac => "aacparse",
        Codec::Alaw | Codec::Mulaw => "a parser",
    }
}

/// Why no track can be made of what the source says.
///
/// ```
/// use gstkvssink::producer::{Codec, Format, Hints, InvalidFormat, Reframer};
///
/// let refused = Reframer::new(Format::Avc, None, Hints::default()).unwrap_err();
/// assert_eq!(refused, InvalidFormat::NoCodecData { codec: Codec::H264 });
/// ```
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidFormat {
    /// The codec private data is needed and missing.
    #[error("{codec} without codec_data: put {} in front", parser(*codec))]
    NoCodecData {
        /// The codec.
        codec: Codec,
    },
    /// Nobody says how large the pictures are.
    #[error("neither the source nor the parameter sets say width and height")]
    NoSize,
    /// Nobody says the rate and the channels.
    #[error("{codec} without rate and channels")]
    NoRate {
        /// The codec.
        codec: Codec,
    },
    /// The codec private data is no valid avcC.
    #[error("codec_data: {0}")]
    Avcc(#[from] InvalidAvcc),
    /// The codec private data is no valid hvcC.
    #[error("codec_data: {0}")]
    Hvcc(#[from] InvalidHvcc),
    /// The codec private data has a parameter set that cannot be read, and the frames bring no other.
    #[error("codec_data: the {kind} in it is broken, so nothing can be decoded")]
    ParameterSet {
        /// Its kind.
        kind: ParameterSet,
    },
    /// They make no track.
    #[error(transparent)]
    Track(#[from] InvalidTrack),
}

/// Why nothing of a buffer can be sent.
///
/// ```
/// use gstkvssink::producer::{Format, Hints, Malformed, Reframer};
///
/// # fn main() -> Result<(), gstkvssink::producer::InvalidFormat> {
/// let mut reframer = Reframer::new(Format::AacAdts, None, Hints::default())?;
/// let refused = reframer.take(vec![0x21; 9].into(), true);
/// assert!(matches!(refused, Err(Malformed::Adts { position: 0, .. })));
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// No parameter sets came yet, so nothing can be decoded: frames before the first key frame.
    #[error("no parameter sets came before this access unit, so nothing of it can be decoded")]
    NoParameterSets,
    /// A parameter set that cannot be read.
    #[error("the {kind} in this access unit is broken, so nothing of it can be decoded")]
    ParameterSet {
        /// Its kind.
        kind: ParameterSet,
    },
    /// Nobody says how large the pictures are.
    #[error("neither the source nor the parameter sets say width and height")]
    NoSize,
    /// No ADTS header where one should be, or one that says what is impossible.
    #[error("no ADTS header at byte {position}: {what}; put aacparse in front")]
    Adts {
        /// Offset from the start of the buffer.
        position: usize,
        /// What is there.
        what: &'static str,
    },
    /// It is not an access unit.
    #[error(transparent)]
    AccessUnit(#[from] InvalidAccessUnit),
    /// The parameter sets or headers in it make no track.
    #[error(transparent)]
    Track(#[from] InvalidTrack),
}
