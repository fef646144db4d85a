//! One encoded picture (or audio packet) on its way to the service.
//!
//! In: the encoder's output. Out: the same, with wall-clock times. The payload is shared, never copied.
//!
//! Does not belong here: checking the payload (`check_nal_lengths`), converting running time.

use std::fmt;

use bytes::Bytes;

use crate::time::Timestamp;

/// One encoded access unit of one track.
///
/// Cloning shares the payload.
///
/// ```
/// use gstkvssink::producer::{Frame, Timestamp, TrackNumber};
///
/// let frame = Frame {
///     track: TrackNumber::VIDEO,
///     pts: Timestamp::from_millis(1_700_000_000_000),
///     dts: None,
///     key: true,
///     payload: vec![0, 0, 0, 2, 0x65, 0x88].into(), // the length of a NAL unit, and the unit
/// };
/// assert_eq!(frame.clone(), frame);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// The track it belongs to.
    pub track: TrackNumber,
    /// When it is shown: nanoseconds since the UNIX epoch.
    pub pts: Timestamp,
    /// When it is decoded, if the source says so. Only for ordering; never on the wire.
    pub dts: Option<Timestamp>,
    /// Decoding may start here. A fragment must begin with such a frame.
    pub key: bool,
    /// The bytes as the codec's Matroska mapping wants them (H.264: NAL units with length prefixes).
    pub payload: Bytes,
}

impl fmt::Debug for Frame {
    /// The payload's length in place of the payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("track", &self.track.get())
            .field("pts", &format_args!("{}", self.pts))
            .field("dts", &self.dts.map(|dts| dts.to_string()))
            .field("key", &self.key)
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .finish()
    }
}

/// The number of a track in the MKV stream: 1 to 126.
///
/// 126 is the largest number whose EBML variable-size form takes one byte; the service allows 3 tracks.
///
/// ```
/// use gstkvssink::producer::TrackNumber;
///
/// let second_microphone = TrackNumber::new(3);
/// assert!(second_microphone.is_some_and(|number| number > TrackNumber::AUDIO));
/// ```
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TrackNumber(u8);

impl TrackNumber {
    /// The video track. Image generation and `GetImages` read track 1 only.
    ///
    /// ```
    /// use gstkvssink::producer::TrackNumber;
    ///
    /// assert_eq!(TrackNumber::VIDEO.get(), 1);
    /// ```
    pub const VIDEO: Self = Self(1);
    /// The audio track beside a video track.
    ///
    /// ```
    /// use gstkvssink::producer::TrackNumber;
    ///
    /// assert_eq!(TrackNumber::AUDIO.get(), 2);
    /// ```
    pub const AUDIO: Self = Self(2);

    /// The track number, or `None` outside 1 to 126.
    ///
    /// ```
    /// use gstkvssink::producer::TrackNumber;
    ///
    /// assert_eq!(TrackNumber::new(1), Some(TrackNumber::VIDEO));
    /// assert_eq!(TrackNumber::new(0), None);
    /// ```
    pub const fn new(number: u8) -> Option<Self> {
        match number {
            1..=126 => Some(Self(number)),
            _ => None,
        }
    }

    /// The number, 1 to 126.
    ///
    /// ```
    /// use gstkvssink::producer::TrackNumber;
    ///
    /// assert_eq!(TrackNumber::AUDIO.get(), 2);
    /// ```
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for TrackNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn track_numbers_are_those_of_a_one_byte_integer() {
        let allowed: Vec<u8> = (0..=u8::MAX)
            .filter(|&n| TrackNumber::new(n).is_some())
            .collect();
        assert_eq!(allowed, (1..=126).collect::<Vec<u8>>());
    }

    #[test]
    fn debug_shows_the_length_of_the_payload_only() {
        let frame = Frame {
            track: TrackNumber::VIDEO,
            pts: Timestamp::from_millis(1_700_000_000_040),
            dts: None,
            key: true,
            payload: Bytes::from_static(b"a picture of somebody"),
        };
        assert_eq!(
            format!("{frame:?}"),
            "Frame { track: 1, pts: 1700000000.040, dts: None, key: true, payload: 21 bytes }"
        );
    }
}
