//! Acknowledgements: what they say, how they look on the wire.
//!
//! In: an [`Ack`]. Out: one line of JSON.
//! Does not belong here: sending them (`outbox`), when which ack is due (`session`), what makes a fragment wrong (`ingest`).

use bytes::Bytes;
use serde::Serialize;

use super::ledger::AckKind;

/// Why the service refused a fragment; the `ErrorId` of an ERROR ack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
#[non_exhaustive]
pub enum ErrorId {
    /// 4000: the body could not be read to its end.
    StreamReadError = 4000,
    /// 4001: more than 50 MB in one fragment.
    MaxFragmentSizeReached = 4001,
    /// 4002: more than 20 s in one fragment.
    MaxFragmentDurationReached = 4002,
    /// 4003: the connection is older than 45 minutes.
    MaxConnectionDurationReached = 4003,
    /// 4004: a cluster's timecode is not after the last frame before it.
    FragmentTimecodeLesserThanPrevious = 4004,
    /// 4005: more than one track, as older services said; a header of four tracks gets 4012.
    MultiTrackMkv = 4005,
    /// 4006: not the Matroska that the service takes.
    InvalidMkvData = 4006,
    /// 4007: a producer timestamp in the future.
    InvalidProducerTimestamp = 4007,
    /// 4008: the stream is not ACTIVE (any more).
    StreamNotActive = 4008,
    /// 4009: too many tags in one fragment, or too long ones.
    FragmentMetadataLimitReached = 4009,
    /// 4010: a block of a track that the header does not declare.
    TrackNumberMismatch = 4010,
    /// 4011: a declared track has no frame in the fragment.
    FramesMissingForTrack = 4011,
    /// 4012: more than three tracks in the header.
    MoreThanAllowedTracksFound = 4012,
    /// 4500: the key of the stream may not be used.
    KmsKeyAccessDenied = 4500,
    /// 4501: the key is disabled.
    KmsKeyDisabled = 4501,
    /// 4502: the key is not valid.
    KmsKeyValidationError = 4502,
    /// 4503: the key cannot be reached.
    KmsKeyUnavailable = 4503,
    /// 4504: the key is for something else.
    KmsKeyInvalidUsage = 4504,
    /// 4505: the key's state does not allow it.
    KmsKeyInvalidState = 4505,
    /// 4506: there is no such key.
    KmsKeyNotFound = 4506,
    /// 4507: the stream is deleted; AWS's clients know it, its documentation does not.
    StreamDeleted = 4507,
    /// 5000: the service's own fault.
    InternalError = 5000,
    /// 5001: the fragment could not be stored.
    ArchivalError = 5001,
}

impl ErrorId {
    /// Every one, by number.
    pub const ALL: [Self; 23] = [
        Self::StreamReadError,
        Self::MaxFragmentSizeReached,
        Self::MaxFragmentDurationReached,
        Self::MaxConnectionDurationReached,
        Self::FragmentTimecodeLesserThanPrevious,
        Self::MultiTrackMkv,
        Self::InvalidMkvData,
        Self::InvalidProducerTimestamp,
        Self::StreamNotActive,
        Self::FragmentMetadataLimitReached,
        Self::TrackNumberMismatch,
        Self::FramesMissingForTrack,
        Self::MoreThanAllowedTracksFound,
        Self::KmsKeyAccessDenied,
        Self::KmsKeyDisabled,
        Self::KmsKeyValidationError,
        Self::KmsKeyUnavailable,
        Self::KmsKeyInvalidUsage,
        Self::KmsKeyInvalidState,
        Self::KmsKeyNotFound,
        Self::StreamDeleted,
        Self::InternalError,
        Self::ArchivalError,
    ];

    /// The one of that number.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|error| error.id() == id)
    }

    /// The number on the wire.
    #[must_use]
    pub fn id(self) -> u16 {
        self as u16
    }

    /// The name on the wire, `ErrorCode`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::StreamReadError => "STREAM_READ_ERROR",
            Self::MaxFragmentSizeReached => "MAX_FRAGMENT_SIZE_REACHED",
            Self::MaxFragmentDurationReached => "MAX_FRAGMENT_DURATION_REACHED",
            Self::MaxConnectionDurationReached => "MAX_CONNECTION_DURATION_REACHED",
            Self::FragmentTimecodeLesserThanPrevious => "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS",
            Self::MultiTrackMkv | Self::MoreThanAllowedTracksFound => {
                "MORE_THAN_ALLOWED_TRACKS_FOUND"
            }
            Self::InvalidMkvData => "INVALID_MKV_DATA",
            Self::InvalidProducerTimestamp => "INVALID_PRODUCER_TIMESTAMP",
            Self::StreamNotActive => "STREAM_NOT_ACTIVE",
            Self::FragmentMetadataLimitReached => "FRAGMENT_METADATA_LIMIT_REACHED",
            Self::TrackNumberMismatch => "TRACK_NUMBER_MISMATCH",
            Self::FramesMissingForTrack => "FRAMES_MISSING_FOR_TRACK",
            Self::KmsKeyAccessDenied => "KMS_KEY_ACCESS_DENIED",
            Self::KmsKeyDisabled => "KMS_KEY_DISABLED",
            Self::KmsKeyValidationError => "KMS_KEY_VALIDATION_ERROR",
            Self::KmsKeyUnavailable => "KMS_KEY_UNAVAILABLE",
            Self::KmsKeyInvalidUsage => "KMS_KEY_INVALID_USAGE",
            Self::KmsKeyInvalidState => "KMS_KEY_INVALID_STATE",
            Self::KmsKeyNotFound => "KMS_KEY_NOT_FOUND",
            Self::StreamDeleted => "STREAM_DELETED",
            Self::InternalError => "INTERNAL_ERROR",
            Self::ArchivalError => "ARCHIVAL_ERROR",
        }
    }
}

/// One acknowledgement. Timecodes are in milliseconds, as the producer wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ack<'a> {
    /// The first bytes of the fragment have come.
    Buffering { timecode: u64, number: &'a str },
    /// The fragment is complete.
    Received { timecode: u64, number: &'a str },
    /// The fragment is in the file.
    Persisted { timecode: u64, number: &'a str },
    /// The fragment (or the session, when it has none) is refused; the connection ends.
    Error {
        id: ErrorId,
        timecode: Option<u64>,
        number: Option<&'a str>,
    },
    /// Nothing came for a while.
    Idle,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Line<'a> {
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fragment_timecode: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fragment_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_id: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'static str>,
}

impl Ack<'_> {
    /// What it says about a fragment.
    pub(crate) fn kind(&self) -> Option<AckKind> {
        match self {
            Self::Buffering { .. } => Some(AckKind::Buffering),
            Self::Received { .. } => Some(AckKind::Received),
            Self::Persisted { .. } => Some(AckKind::Persisted),
            Self::Error { .. } => Some(AckKind::Error),
            Self::Idle => None,
        }
    }

    /// The ack as it goes over the wire, with its newline.
    pub(crate) fn line(&self) -> Bytes {
        let event = |event_type, timecode: Option<u64>, number| Line {
            event_type,
            fragment_timecode: timecode,
            fragment_number: number,
            error_id: None,
            error_code: None,
        };
        let line = match *self {
            Self::Buffering { timecode, number } => {
                event("BUFFERING", Some(timecode), Some(number))
            }
            Self::Received { timecode, number } => event("RECEIVED", Some(timecode), Some(number)),
            Self::Persisted { timecode, number } => {
                event("PERSISTED", Some(timecode), Some(number))
            }
            Self::Error {
                id,
                timecode,
                number,
            } => Line {
                error_id: Some(id.id()),
                error_code: Some(id.code()),
                ..event("ERROR", timecode, number)
            },
            Self::Idle => event("IDLE", None, None),
        };
        let mut json = serde_json::to_vec(&line).expect("a flat struct of numbers and strings");
        json.push(b'\n');
        json.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ack: &Ack<'_>) -> String {
        String::from_utf8(ack.line().to_vec()).unwrap()
    }

    #[test]
    fn an_ack_is_one_line_of_json() {
        let ack = Ack::Persisted {
            timecode: 123,
            number: "91",
        };
        let line =
            "{\"EventType\":\"PERSISTED\",\"FragmentTimecode\":123,\"FragmentNumber\":\"91\"}\n";
        assert_eq!(text(&ack), line);
    }

    #[test]
    fn an_error_has_number_and_name() {
        let ack = Ack::Error {
            id: ErrorId::InvalidMkvData,
            timecode: None,
            number: None,
        };
        let line =
            "{\"EventType\":\"ERROR\",\"ErrorId\":4006,\"ErrorCode\":\"INVALID_MKV_DATA\"}\n";
        assert_eq!(text(&ack), line);
    }

    #[test]
    fn idle_says_nothing_else() {
        assert_eq!(text(&Ack::Idle), "{\"EventType\":\"IDLE\"}\n");
    }
}
