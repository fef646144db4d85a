//! What a camera gives: frames, the tracks they belong to, and the codec's own data.
//!
//! In: bytes and numbers from the element or the application. Out: [`Frame`]s and [`Track`]s that were validated
//! once and hold from then on.
//!
//! Belongs here: frames, tracks, codec private data, NAL unit lengths.
//! Does not belong here: where a fragment is cut, bytes on the wire ([`crate::mkv`]), caps.

mod frame;
mod h264;
mod track;

pub use frame::{Frame, TrackNumber};
pub use h264::{Avcc, InvalidAccessUnit, InvalidAvcc, ParameterSet, check_nal_lengths};
pub use track::{Codec, InvalidTrack, MAX_CODEC_ID, MAX_CODEC_PRIVATE, MAX_NAME, Track, TrackKind};

#[cfg(test)]
pub(crate) mod fixtures;
