//! Element ids under their names in RFC 8794 (EBML header) and RFC 9559 (the rest), as they stand on the wire.

/// An element id, with its length marker.
pub(super) type Id = &'static [u8];

pub(super) const EBML: Id = &[0x1A, 0x45, 0xDF, 0xA3];
pub(super) const EBML_VERSION: Id = &[0x42, 0x86];
pub(super) const EBML_READ_VERSION: Id = &[0x42, 0xF7];
pub(super) const EBML_MAX_ID_LENGTH: Id = &[0x42, 0xF2];
pub(super) const EBML_MAX_SIZE_LENGTH: Id = &[0x42, 0xF3];
pub(super) const DOC_TYPE: Id = &[0x42, 0x82];
pub(super) const DOC_TYPE_VERSION: Id = &[0x42, 0x87];
pub(super) const DOC_TYPE_READ_VERSION: Id = &[0x42, 0x85];

pub(super) const SEGMENT: Id = &[0x18, 0x53, 0x80, 0x67];

pub(super) const INFO: Id = &[0x15, 0x49, 0xA9, 0x66];
/// Called TimestampScale since RFC 9559.
pub(super) const TIMECODE_SCALE: Id = &[0x2A, 0xD7, 0xB1];
pub(super) const MUXING_APP: Id = &[0x4D, 0x80];
pub(super) const WRITING_APP: Id = &[0x57, 0x41];

pub(super) const TRACKS: Id = &[0x16, 0x54, 0xAE, 0x6B];
pub(super) const TRACK_ENTRY: Id = &[0xAE];
pub(super) const TRACK_NUMBER: Id = &[0xD7];
pub(super) const TRACK_UID: Id = &[0x73, 0xC5];
pub(super) const TRACK_TYPE: Id = &[0x83];
pub(super) const FLAG_LACING: Id = &[0x9C];
pub(super) const DEFAULT_DURATION: Id = &[0x23, 0xE3, 0x83];
pub(super) const NAME: Id = &[0x53, 0x6E];
pub(super) const CODEC_ID: Id = &[0x86];
pub(super) const CODEC_PRIVATE: Id = &[0x63, 0xA2];
pub(super) const VIDEO: Id = &[0xE0];
pub(super) const PIXEL_WIDTH: Id = &[0xB0];
pub(super) const PIXEL_HEIGHT: Id = &[0xBA];
pub(super) const AUDIO: Id = &[0xE1];
pub(super) const SAMPLING_FREQUENCY: Id = &[0xB5];
pub(super) const OUTPUT_SAMPLING_FREQUENCY: Id = &[0x78, 0xB5];
pub(super) const CHANNELS: Id = &[0x9F];
pub(super) const BIT_DEPTH: Id = &[0x62, 0x64];

pub(super) const CLUSTER: Id = &[0x1F, 0x43, 0xB6, 0x75];
/// The cluster's timecode; called Timestamp since RFC 9559.
pub(super) const TIMECODE: Id = &[0xE7];
pub(super) const SIMPLE_BLOCK: Id = &[0xA3];

pub(super) const TAGS: Id = &[0x12, 0x54, 0xC3, 0x67];
pub(super) const TAG: Id = &[0x73, 0x73];
pub(super) const SIMPLE_TAG: Id = &[0x67, 0xC8];
pub(super) const TAG_NAME: Id = &[0x45, 0xA3];
pub(super) const TAG_STRING: Id = &[0x44, 0x87];
