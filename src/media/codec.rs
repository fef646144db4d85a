//! The codecs that the service plays back, and what Matroska and the service call them.
//!
//! Does not belong here: what is inside of codec private data (`h264`, `h265`, `aac`, `g711`).

use std::fmt;

/// How the frames of a track are encoded.
///
/// ```
/// use gstkvssink::producer::Codec;
///
/// assert_eq!(Codec::Mulaw.to_string(), "G.711 µ-law");
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Codec {
    /// H.264 / AVC: frames are access units of NAL units with length prefixes, codec private data is avcC.
    H264,
    /// H.265 / HEVC: frames are access units of NAL units with length prefixes, codec private data is hvcC.
    H265,
    /// AAC: frames are raw data blocks without ADTS headers, codec private data is an AudioSpecificConfig.
    Aac,
    /// G.711 A-law: frames are samples of a byte each, codec private data is a WAVEFORMATEX.
    Alaw,
    /// G.711 µ-law: frames are samples of a byte each, codec private data is a WAVEFORMATEX.
    Mulaw,
}

impl Codec {
    /// The Matroska codec id (RFC 9559 and its codec registry).
    ///
    /// ```
    /// use gstkvssink::producer::Codec;
    ///
    /// assert_eq!(Codec::H264.codec_id(), "V_MPEG4/ISO/AVC");
    /// assert_eq!(Codec::Alaw.codec_id(), "A_MS/ACM");
    /// ```
    pub const fn codec_id(self) -> &'static str {
        match self {
            Self::H264 => "V_MPEG4/ISO/AVC",
            Self::H265 => "V_MPEGH/ISO/HEVC",
            Self::Aac => "A_AAC",
            // Which of the two stands in the WAVEFORMATEX.
            Self::Alaw | Self::Mulaw => "A_MS/ACM",
        }
    }

    /// The part of the stream's media type that stands for this codec.
    ///
    /// ```
    /// use gstkvssink::producer::Codec;
    ///
    /// assert_eq!(Codec::H264.content_type(), "video/h264");
    /// ```
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::H264 => "video/h264",
            Self::H265 => "video/h265",
            Self::Aac => "audio/aac",
            Self::Alaw => "audio/alaw",
            Self::Mulaw => "audio/mulaw",
        }
    }

    /// Whether its frames are pictures.
    ///
    /// ```
    /// use gstkvssink::producer::Codec;
    ///
    /// assert!(Codec::H265.is_video());
    /// assert!(!Codec::Aac.is_video());
    /// ```
    pub const fn is_video(self) -> bool {
        match self {
            Self::H264 | Self::H265 => true,
            Self::Aac | Self::Alaw | Self::Mulaw => false,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Aac => "AAC",
            Self::Alaw => "G.711 A-law",
            Self::Mulaw => "G.711 µ-law",
        })
    }
}
