//! What the service must know of a track before its first frame.
//!
//! In: codec, codec private data, picture size or rate and channels (from caps or the application). Out: a [`Track`] within the limits of
//! the service.
//!
//! Does not belong here: the bytes of the header ([`crate::mkv::stream_header`]), when a change of the track takes
//! effect (the session decides; [`Track::same_header`] tells it whether one is needed).

use std::time::Duration;

use bytes::Bytes;

use super::aac::{AudioSpecificConfig, InvalidAudioSpecificConfig};
use super::codec::Codec;
use super::frame::TrackNumber;
use super::g711::{InvalidWaveFormat, Law, WaveFormat};
use super::h264::{Avcc, InvalidAccessUnit, InvalidAvcc, check_nal_lengths};
use super::h265::{Hvcc, InvalidHvcc};

/// Longest track name, in bytes (AWS's SDK: `MKV_MAX_TRACK_NAME_LEN`).
///
/// ```
/// use gstkvssink::producer::MAX_TRACK_NAME;
///
/// assert_eq!(MAX_TRACK_NAME, 32);
/// ```
pub const MAX_TRACK_NAME: usize = 32;
/// Longest codec id, in bytes (AWS's SDK: `MKV_MAX_CODEC_ID_LEN`).
///
/// ```
/// use gstkvssink::producer::{Codec, MAX_CODEC_ID};
///
/// assert!(Codec::H265.codec_id().len() <= MAX_CODEC_ID);
/// ```
pub const MAX_CODEC_ID: usize = 32;
/// Longest codec private data, in bytes (AWS's SDK: `MKV_MAX_CODEC_PRIVATE_LEN`).
///
/// ```
/// use gstkvssink::producer::MAX_CODEC_PRIVATE;
///
/// assert_eq!(MAX_CODEC_PRIVATE, 1 << 20);
/// ```
pub const MAX_CODEC_PRIVATE: usize = 1024 * 1024;

/// The names of tracks when none is given; those of AWS's sink.
const DEFAULT_NAME: &str = "kinesis_video";
const DEFAULT_AUDIO_NAME: &str = "audio";

/// What only one kind of track has.
///
/// ```
/// use gstkvssink::producer::{Codec, Track, TrackKind, alaw_private};
///
/// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
/// let track = Track::audio(Codec::Alaw, alaw_private(8_000, 1), 8_000, 1)?;
/// assert!(matches!(track.kind(), TrackKind::Audio { rate: 8_000, channels: 1, .. }));
/// # Ok(()) }
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum TrackKind {
    /// Moving pictures.
    Video {
        /// Width in pixels, after cropping; at least 1.
        width: u32,
        /// Height in pixels, after cropping; at least 1.
        height: u32,
        /// Time from one frame to the next, when the source promises one. A hint to players; every frame carries
        /// its own time.
        frame_duration: Option<Duration>,
    },
    /// Sound.
    Audio {
        /// Samples per second of one channel, as they are coded; at least 1.
        rate: u32,
        /// Samples per second behind the decoder, when the codec private data says that they are others (AAC with
        /// spectral band replication).
        output_rate: Option<u32>,
        /// Channels; at least 1.
        channels: u8,
    },
}

impl TrackKind {
    fn same_header(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Video {
                    width,
                    height,
                    frame_duration: _,
                },
                Self::Video {
                    width: other_width,
                    height: other_height,
                    frame_duration: _,
                },
            ) => (width, height) == (other_width, other_height),
            (Self::Audio { .. }, Self::Audio { .. }) => self == other,
            _ => false,
        }
    }
}

/// A validated track. What is sent of it stands in the header, once per connection.
///
/// Two tracks are equal when their headers say the same about the frames, see [`Track::same_header`].
///
/// ```
/// use gstkvssink::producer::{Codec, Track, alaw_private};
///
/// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
/// let track = Track::audio(Codec::Alaw, alaw_private(8_000, 1), 8_000, 1)?;
/// let track = track.with_name("microphone")?;
/// assert_eq!(track.codec_id(), "A_MS/ACM");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Track {
    number: TrackNumber,
    name: String,
    codec: Codec,
    codec_id: String,
    codec_private: Bytes,
    /// H.264 and H.265: bytes of the length before each NAL unit, from the codec private data.
    nal_length_size: Option<u8>,
    kind: TrackKind,
}

impl Track {
    /// A video track with number [`TrackNumber::VIDEO`], the name `kinesis_video` and the codec's own id.
    ///
    /// `codec_private` is what the codec wants (H.264: avcC, H.265: hvcC); the service stores anything and only playback
    /// fails, so it is checked here. `width` and `height` are in pixels, after cropping.
    ///
    /// # Errors
    /// [`InvalidTrack`]: a codec private data that is too large or malformed, a width or height of 0, a codec of sound.
    ///
    /// ```
    /// use gstkvssink::producer::{Codec, Track, TrackNumber};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
    /// // Baseline, level 3, lengths of four bytes; SPS and PPS are shortened.
    /// let avcc = vec![1, 66, 0, 30, 0xFF, 0xE1, 0, 4, 0x67, 66, 0, 30, 1, 0, 1, 0x68];
    /// let camera = Track::video(Codec::H264, avcc.into(), 640, 480)?;
    /// assert_eq!(camera.number(), TrackNumber::VIDEO);
    /// # Ok(()) }
    /// ```
    pub fn video(
        codec: Codec,
        codec_private: Bytes,
        width: u32,
        height: u32,
    ) -> Result<Self, InvalidTrack> {
        check_length(&codec_private)?;
        let nal_length_size = match codec {
            Codec::H264 => Avcc::parse(&codec_private)?.nal_length_size(),
            Codec::H265 => Hvcc::parse(&codec_private)?.nal_length_size(),
            Codec::Aac | Codec::Alaw | Codec::Mulaw => {
                return Err(InvalidTrack::NotVideo { codec });
            }
        };
        if width == 0 || height == 0 {
            return Err(InvalidTrack::NoPicture { width, height });
        }
        Ok(Self {
            number: TrackNumber::VIDEO,
            name: DEFAULT_NAME.to_owned(),
            codec,
            codec_id: codec.codec_id().to_owned(),
            codec_private,
            nal_length_size: Some(nal_length_size),
            kind: TrackKind::Video {
                width,
                height,
                frame_duration: None,
            },
        })
    }

    /// An audio track with number [`TrackNumber::AUDIO`], the name `audio` and the codec's own id.
    ///
    /// `codec_private` is what the codec wants (AAC: AudioSpecificConfig, G.711: WAVEFORMATEX, see
    /// [`super::alaw_private`]). `rate` is in samples per second of one channel. For AAC both numbers are taken from the
    /// AudioSpecificConfig, which decoders believe, too; a number of channels that it leaves open is the one given here.
    ///
    /// # Errors
    /// [`InvalidTrack`]: a codec private data that is too large or malformed, or of another law, rate or number of channels
    /// (G.711); no channel or a rate of 0; a codec of pictures.
    ///
    /// ```
    /// use gstkvssink::producer::{Codec, Track, TrackKind};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
    /// let stereo = vec![0x11, 0x90]; // AAC LC of two channels at 48 kHz
    /// let microphone = Track::audio(Codec::Aac, stereo.into(), 48_000, 2)?;
    /// assert!(matches!(microphone.kind(), TrackKind::Audio { rate: 48_000, channels: 2, .. }));
    /// # Ok(()) }
    /// ```
    pub fn audio(
        codec: Codec,
        codec_private: Bytes,
        rate: u32,
        channels: u8,
    ) -> Result<Self, InvalidTrack> {
        check_length(&codec_private)?;
        let (rate, output_rate, channels) = match codec {
            Codec::Aac => {
                let config = AudioSpecificConfig::parse(&codec_private)?;
                let channels = config.channels().unwrap_or(channels);
                (config.rate(), config.output_rate(), channels)
            }
            Codec::Alaw | Codec::Mulaw => {
                let law = match codec {
                    Codec::Alaw => Law::A,
                    _ => Law::Mu,
                };
                let expected = WaveFormat::new(law, rate, channels);
                let said = WaveFormat::parse(&codec_private)?;
                if said != expected {
                    return Err(InvalidTrack::OtherSound {
                        said: said.to_string(),
                        expected: expected.to_string(),
                    });
                }
                (rate, None, channels)
            }
            Codec::H264 | Codec::H265 => return Err(InvalidTrack::NotAudio { codec }),
        };
        if rate == 0 || channels == 0 {
            return Err(InvalidTrack::NoSound { rate, channels });
        }
        Ok(Self {
            number: TrackNumber::AUDIO,
            name: DEFAULT_AUDIO_NAME.to_owned(),
            codec,
            codec_id: codec.codec_id().to_owned(),
            codec_private,
            nal_length_size: None,
            kind: TrackKind::Audio {
                rate,
                output_rate,
                channels,
            },
        })
    }

    /// The same track with another number, 1 to 126. Numbers must differ within a stream.
    ///
    /// ```
    /// use gstkvssink::producer::{Codec, Track, TrackNumber, alaw_private};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
    /// let alone = Track::audio(Codec::Alaw, alaw_private(8_000, 1), 8_000, 1)?.with_number(TrackNumber::VIDEO);
    /// assert_eq!(alone.number().get(), 1);
    /// # Ok(()) }
    /// ```
    pub fn with_number(mut self, number: TrackNumber) -> Self {
        self.number = number;
        self
    }

    /// The same track with another name.
    ///
    /// # Errors
    /// [`InvalidTrack`]: a name over [`MAX_TRACK_NAME`] bytes, or one with a zero byte.
    ///
    /// ```
    /// use gstkvssink::producer::{Codec, Track, alaw_private};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
    /// let track = Track::audio(Codec::Alaw, alaw_private(8_000, 1), 8_000, 1)?;
    /// assert_eq!(track.clone().with_name("microphone")?.name(), "microphone");
    /// assert!(track.with_name("a microphone that has far too many words").is_err());
    /// # Ok(()) }
    /// ```
    pub fn with_name(mut self, name: impl Into<String>) -> Result<Self, InvalidTrack> {
        self.name = name.into();
        if self.name.len() > MAX_TRACK_NAME {
            return Err(InvalidTrack::NameTooLong {
                bytes: self.name.len(),
                name: self.name,
            });
        }
        without_zero(&self.name)?;
        Ok(self)
    }

    /// The same track with another codec id than the codec's own.
    ///
    /// # Errors
    /// [`InvalidTrack`]: a codec id that is empty or over [`MAX_CODEC_ID`] bytes, or one with a zero byte.
    ///
    /// ```
    /// use gstkvssink::producer::{Codec, Track, alaw_private};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
    /// let track = Track::audio(Codec::Alaw, alaw_private(8_000, 1), 8_000, 1)?;
    /// assert_eq!(track.with_codec_id("A_MS/ACM")?.codec_id(), "A_MS/ACM");
    /// # Ok(()) }
    /// ```
    pub fn with_codec_id(mut self, codec_id: impl Into<String>) -> Result<Self, InvalidTrack> {
        self.codec_id = codec_id.into();
        if !(1..=MAX_CODEC_ID).contains(&self.codec_id.len()) {
            return Err(InvalidTrack::CodecId {
                bytes: self.codec_id.len(),
                codec_id: self.codec_id,
            });
        }
        without_zero(&self.codec_id)?;
        Ok(self)
    }

    /// The same track with the time from one frame to the next; zero means unknown. Audio has none.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gstkvssink::producer::{Track, TrackKind};
    ///
    /// # fn f(camera: Track) {
    /// let camera = camera.with_frame_duration(Some(Duration::from_millis(40)));
    /// if let TrackKind::Video { frame_duration, .. } = camera.kind() {
    ///     assert_eq!(frame_duration, Some(Duration::from_millis(40)));
    /// }
    /// # }
    /// ```
    pub fn with_frame_duration(mut self, frame_duration: Option<Duration>) -> Self {
        match &mut self.kind {
            TrackKind::Video {
                frame_duration: known,
                ..
            } => {
                *known = frame_duration.filter(|duration| !duration.is_zero());
            }
            TrackKind::Audio { .. } => {}
        }
        self
    }

    /// The number that its frames carry.
    ///
    /// ```
    /// use gstkvssink::producer::{Codec, Track, TrackNumber, alaw_private};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
    /// let track = Track::audio(Codec::Alaw, alaw_private(8_000, 1), 8_000, 1)?;
    /// assert_eq!(track.number(), TrackNumber::AUDIO);
    /// # Ok(()) }
    /// ```
    pub fn number(&self) -> TrackNumber {
        self.number
    }

    /// The name, up to [`MAX_TRACK_NAME`] bytes.
    ///
    /// ```
    /// use gstkvssink::producer::{Codec, Track, alaw_private};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
    /// let track = Track::audio(Codec::Alaw, alaw_private(8_000, 1), 8_000, 1)?;
    /// assert_eq!(track.name(), "audio");
    /// # Ok(()) }
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The codec.
    ///
    /// ```
    /// use gstkvssink::producer::{Codec, Track, alaw_private};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
    /// let track = Track::audio(Codec::Alaw, alaw_private(8_000, 1), 8_000, 1)?;
    /// assert_eq!(track.codec(), Codec::Alaw);
    /// # Ok(()) }
    /// ```
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The Matroska codec id: the codec's own unless it was overridden.
    ///
    /// ```
    /// use gstkvssink::producer::{Codec, Track, alaw_private};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
    /// let track = Track::audio(Codec::Alaw, alaw_private(8_000, 1), 8_000, 1)?;
    /// assert_eq!(track.codec_id(), track.codec().codec_id());
    /// # Ok(()) }
    /// ```
    pub fn codec_id(&self) -> &str {
        &self.codec_id
    }

    /// The codec's private data, up to [`MAX_CODEC_PRIVATE`] bytes.
    ///
    /// ```
    /// use gstkvssink::producer::{Codec, Track, alaw_private};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
    /// let track = Track::audio(Codec::Alaw, alaw_private(8_000, 1), 8_000, 1)?;
    /// assert_eq!(*track.codec_private(), alaw_private(8_000, 1));
    /// # Ok(()) }
    /// ```
    pub fn codec_private(&self) -> &Bytes {
        &self.codec_private
    }

    /// Checks that a frame's payload is what the codec private data announces.
    ///
    /// # Errors
    /// [`InvalidAccessUnit`] says where it is not. The service would refuse its fragment (4006).
    ///
    /// ```
    /// use gstkvssink::producer::{Codec, Track};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
    /// // Baseline, level 3, lengths of four bytes; SPS and PPS are shortened.
    /// let avcc = vec![1, 66, 0, 30, 0xFF, 0xE1, 0, 4, 0x67, 66, 0, 30, 1, 0, 1, 0x68];
    /// let camera = Track::video(Codec::H264, avcc.into(), 640, 480)?;
    /// assert!(camera.check_payload(&[0, 0, 0, 2, 0x65, 0x88]).is_ok());
    /// assert!(camera.check_payload(&[0, 0, 0, 3, 0x65, 0x88]).is_err(), "a byte is missing");
    /// # Ok(()) }
    /// ```
    pub fn check_payload(&self, payload: &[u8]) -> Result<(), InvalidAccessUnit> {
        match self.nal_length_size {
            Some(size) => check_nal_lengths(payload, size),
            None if payload.is_empty() => Err(InvalidAccessUnit::Empty),
            None => Ok(()),
        }
    }

    /// What only this kind of track has.
    ///
    /// ```
    /// use gstkvssink::producer::{Codec, Track, TrackKind, alaw_private};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
    /// let track = Track::audio(Codec::Alaw, alaw_private(8_000, 1), 8_000, 1)?;
    /// assert!(matches!(track.kind(), TrackKind::Audio { rate: 8_000, .. }));
    /// # Ok(()) }
    /// ```
    pub fn kind(&self) -> TrackKind {
        self.kind
    }

    /// Whether frames of `other` may follow under the header of `self`. When not, a new session is needed.
    ///
    /// The frame duration does not count: it is a hint in the header, and a source that changes its frame rate
    /// needs no new connection.
    ///
    /// ```
    /// use gstkvssink::producer::{Codec, Track, alaw_private};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::InvalidTrack> {
    /// let track = Track::audio(Codec::Alaw, alaw_private(8_000, 1), 8_000, 1)?;
    /// assert!(track.same_header(&track.clone()));
    /// assert!(!track.same_header(&track.clone().with_name("microphone")?));
    /// # Ok(()) }
    /// ```
    pub fn same_header(&self, other: &Self) -> bool {
        self.kind.same_header(&other.kind)
            && (self.number, self.codec) == (other.number, other.codec)
            && self.name == other.name
            && self.codec_id == other.codec_id
            && self.codec_private == other.codec_private
    }
}

impl PartialEq for Track {
    fn eq(&self, other: &Self) -> bool {
        self.same_header(other)
    }
}

impl Eq for Track {}

fn check_length(codec_private: &Bytes) -> Result<(), InvalidTrack> {
    match codec_private.len() {
        0..=MAX_CODEC_PRIVATE => Ok(()),
        bytes => Err(InvalidTrack::CodecPrivateTooLong { bytes }),
    }
}

fn without_zero(text: &str) -> Result<(), InvalidTrack> {
    match text.contains('\0') {
        true => Err(InvalidTrack::ZeroByte { text: text.into() }),
        false => Ok(()),
    }
}

/// Why something cannot be a track.
///
/// ```
/// use gstkvssink::producer::{Codec, InvalidTrack, Track, alaw_private};
///
/// let refused = Track::audio(Codec::Alaw, alaw_private(8_000, 1), 16_000, 1);
/// assert!(matches!(refused, Err(InvalidTrack::OtherSound { .. })));
/// let refused = Track::video(Codec::Aac, vec![0x11, 0x90].into(), 640, 480);
/// assert_eq!(refused, Err(InvalidTrack::NotVideo { codec: Codec::Aac }));
/// ```
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTrack {
    /// The name is longer than the service takes.
    #[error(
        "track name \"{name}\" has {bytes} bytes, at most {MAX_TRACK_NAME} are allowed: choose a shorter one"
    )]
    NameTooLong {
        /// The name.
        name: String,
        /// Its length in bytes.
        bytes: usize,
    },
    /// The codec id is empty or longer than the service takes.
    #[error(
        "codec id \"{codec_id}\" has {bytes} bytes, 1 to {MAX_CODEC_ID} are allowed: use the codec's own id"
    )]
    CodecId {
        /// The codec id.
        codec_id: String,
        /// Its length in bytes.
        bytes: usize,
    },
    /// A string of Matroska ends at a zero byte: the service would read less of it, or nothing.
    #[error("track name or codec id {text:?} has a zero byte: leave it out")]
    ZeroByte {
        /// The name or the id.
        text: String,
    },
    /// The codec private data is longer than the service takes.
    #[error("codec private data has {bytes} bytes, at most {MAX_CODEC_PRIVATE} are allowed")]
    CodecPrivateTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The codec private data is no valid avcC.
    #[error("codec private data of H.264 is not a valid avcC: {0}")]
    Avcc(#[from] InvalidAvcc),
    /// The codec private data is no valid hvcC.
    #[error("codec private data of H.265 is not a valid hvcC: {0}")]
    Hvcc(#[from] InvalidHvcc),
    /// The codec private data is no valid AudioSpecificConfig.
    #[error("codec private data of AAC is not a valid AudioSpecificConfig: {0}")]
    AudioSpecificConfig(#[from] InvalidAudioSpecificConfig),
    /// The codec private data is no valid WAVEFORMATEX.
    #[error("codec private data of G.711 is not a valid WAVEFORMATEX: {0}")]
    WaveFormat(#[from] InvalidWaveFormat),
    /// The codec private data of G.711 is another track's.
    #[error("codec private data says {said}, but the track is {expected}")]
    OtherSound {
        /// What the codec private data says: law, channels and rate, in words.
        said: String,
        /// What the track is said to be, in the same words.
        expected: String,
    },
    /// A video track with a codec of sound.
    #[error("{codec} is no video: make an audio track of it")]
    NotVideo {
        /// The codec.
        codec: Codec,
    },
    /// An audio track with a codec of pictures.
    #[error("{codec} is no audio: make a video track of it")]
    NotAudio {
        /// The codec.
        codec: Codec,
    },
    /// There is nothing to hear.
    #[error("audio of {channels} channels at {rate} Hz: both must be at least 1")]
    NoSound {
        /// Samples per second.
        rate: u32,
        /// Channels.
        channels: u8,
    },
    /// The picture has no pixels.
    #[error("video of {width}x{height} pixels: width and height must be at least 1")]
    NoPicture {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::alaw_private;
    use crate::media::fixtures::{AVCC, tracks, video_track};

    #[test]
    fn a_track_gets_the_names_of_its_codec() {
        let track = video_track();
        assert_eq!(track.number(), TrackNumber::VIDEO);
        assert_eq!(
            (track.name(), track.codec_id()),
            ("kinesis_video", "V_MPEG4/ISO/AVC")
        );
        assert_eq!(track.codec().content_type(), "video/h264");
        assert_eq!(track.codec_private(), AVCC);
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
    fn names_and_codec_ids_have_no_zero_byte() {
        let error = video_track().with_name("po\0rch").unwrap_err();
        assert!(error.to_string().contains(r#""po\0rch""#), "{error}");
        assert!(video_track().with_codec_id("\0").is_err());
    }

    #[test]
    fn names_and_codec_ids_end_at_the_limits_of_the_service() {
        let fits = "x".repeat(32);
        let too_long = "ü".repeat(17); // 34 bytes, 17 characters: bytes count
        let track = video_track()
            .with_name(&fits)
            .unwrap()
            .with_codec_id(&fits)
            .unwrap();
        assert_eq!((track.name(), track.codec_id()), (&*fits, &*fits));
        assert_eq!(
            video_track().with_name(&too_long),
            Err(InvalidTrack::NameTooLong {
                name: too_long.clone(),
                bytes: 34
            })
        );
        assert_eq!(
            video_track().with_codec_id(&too_long),
            Err(InvalidTrack::CodecId {
                codec_id: too_long,
                bytes: 34
            })
        );
        assert!(video_track().with_name("").is_ok());
        assert_eq!(
            video_track().with_codec_id(""),
            Err(InvalidTrack::CodecId {
                codec_id: String::new(),
                bytes: 0
            })
        );
    }

    #[test]
    fn codec_private_data_is_checked() {
        let video =
            |codec_private: Vec<u8>| Track::video(Codec::H264, codec_private.into(), 178, 98);
        // Bytes behind the last field are allowed by the standard, so only the length is wrong here.
        let mut long = AVCC.to_vec();
        long.resize(MAX_CODEC_PRIVATE, 0);
        assert!(video(long.clone()).is_ok());
        long.push(0);
        assert_eq!(
            video(long),
            Err(InvalidTrack::CodecPrivateTooLong { bytes: 1_048_577 })
        );
        assert_eq!(
            video(Vec::new()).unwrap_err().to_string(),
            "codec private data of H.264 is not a valid avcC: \
             avcC ends after 0 bytes, at least 6 are needed: it was cut off or is not avcC"
        );
    }

    #[test]
    fn a_picture_has_pixels() {
        for (width, height) in [(0, 98), (178, 0)] {
            assert_eq!(
                Track::video(Codec::H264, Bytes::from_static(AVCC), width, height),
                Err(InvalidTrack::NoPicture { width, height })
            );
        }
    }

    #[test]
    fn a_change_of_the_frame_rate_needs_no_new_session_and_any_other_does() {
        let track = video_track();
        let faster = track
            .clone()
            .with_frame_duration(Some(Duration::from_millis(20)));
        assert!(track.same_header(&faster));
        assert_eq!(track, faster);

        let mut other_sps = AVCC.to_vec();
        *other_sps.last_mut().unwrap() ^= 1;
        let wider = Track::video(Codec::H264, Bytes::from_static(AVCC), 180, 98).unwrap();
        let reconfigured = Track::video(Codec::H264, other_sps.into(), 178, 98).unwrap();
        for other in [
            wider,
            reconfigured,
            track.clone().with_number(TrackNumber::AUDIO),
            track.clone().with_name("porch").unwrap(),
            track.clone().with_codec_id("V_TEST").unwrap(),
        ] {
            assert_ne!(track, other);
        }
    }

    #[test]
    fn a_frame_duration_of_zero_means_unknown() {
        let track = video_track().with_frame_duration(Some(Duration::ZERO));
        assert!(matches!(
            track.kind(),
            TrackKind::Video {
                frame_duration: None,
                ..
            }
        ));
    }

    #[test]
    fn each_codec_has_its_names() {
        let names = tracks().map(|track| {
            (
                track.number().get(),
                track.name().to_owned(),
                track.codec_id().to_owned(),
                track.codec().content_type(),
            )
        });
        let names = names.each_ref().map(|(number, name, id, content_type)| {
            (*number, name.as_str(), id.as_str(), *content_type)
        });
        assert_eq!(
            names,
            [
                (1, "kinesis_video", "V_MPEG4/ISO/AVC", "video/h264"),
                (1, "kinesis_video", "V_MPEGH/ISO/HEVC", "video/h265"),
                (2, "audio", "A_AAC", "audio/aac"),
                (2, "audio", "A_MS/ACM", "audio/alaw"),
                (2, "audio", "A_MS/ACM", "audio/mulaw"),
            ]
        );
    }

    #[test]
    fn an_audio_track_differs_by_what_is_heard() {
        let tracks = tracks();
        for (index, track) in tracks.iter().enumerate() {
            for (other, other_track) in tracks.iter().enumerate() {
                assert_eq!(track == other_track, index == other);
            }
            let duration = Some(Duration::from_millis(20));
            assert_eq!(track, &track.clone().with_frame_duration(duration));
            assert_eq!(track.check_payload(&[]), Err(InvalidAccessUnit::Empty));
        }
    }

    #[test]
    fn sound_is_no_picture_and_its_codec_private_data_is_checked() {
        let [avc, hevc, aac, alaw, _] = tracks();
        for track in [&avc, &hevc] {
            let codec = track.codec();
            let audio = Track::audio(codec, track.codec_private().clone(), 8_000, 1);
            assert_eq!(audio, Err(InvalidTrack::NotAudio { codec }));
        }
        for track in [&aac, &alaw] {
            let codec = track.codec();
            let video = Track::video(codec, track.codec_private().clone(), 16, 16);
            assert_eq!(video, Err(InvalidTrack::NotVideo { codec }));
        }
        let error = |codec, private: &[u8], rate, channels| {
            Track::audio(codec, Bytes::copy_from_slice(private), rate, channels)
                .unwrap_err()
                .to_string()
        };
        let law = alaw.codec_private();
        assert_eq!(
            error(Codec::Mulaw, law, 8_000, 1),
            "codec private data says A-law of 1 channels at 8000 Hz, \
             but the track is µ-law of 1 channels at 8000 Hz"
        );
        assert!(error(Codec::Alaw, law, 8_000, 2).contains("A-law of 2 channels"));
        assert!(error(Codec::Alaw, law, 16_000, 1).contains("at 16000 Hz"));
        assert!(error(Codec::Alaw, &alaw_private(0, 1), 0, 1).contains("1 channels at 0 Hz"));
        assert!(error(Codec::Alaw, &law[..17], 8_000, 1).contains("17 bytes"));
        assert!(error(Codec::Aac, &[], 48_000, 2).contains("ends too early"));
        let long = vec![0; MAX_CODEC_PRIVATE + 1];
        assert!(error(Codec::Aac, &long, 48_000, 2).contains("1048577 bytes"));
        // USAC (42), whose own description says the channels: they are the caller's.
        let usac = [0xF9, 0x46, 0x00];
        assert_eq!(
            error(Codec::Aac, &usac, 48_000, 0),
            "audio of 0 channels at 48000 Hz: both must be at least 1"
        );
    }
}
