//! What a camera gives: frames, the tracks they belong to, and the codec's own data.
//!
//! In: bytes and numbers from the element or the application. Out: [`Frame`]s and [`Track`]s that were validated
//! once and hold from then on.
//!
//! Belongs here: frames, tracks, codec private data, NAL units, what becomes of byte-stream and ADTS ([`Reframer`]).
//! Does not belong here: where a fragment is cut, bytes on the wire ([`crate::mkv`]), caps.

mod aac;
mod codec;
mod frame;
mod g711;
mod h264;
mod h265;
mod nal;
mod pce;
mod reframe;
mod track;

pub use aac::InvalidAudioSpecificConfig;
pub use codec::Codec;
pub use frame::{Frame, TrackNumber};
pub use g711::{InvalidWaveFormat, alaw_private, mulaw_private};
#[cfg(any(fuzzing, feature = "internals"))]
pub use h264::{Avcc, check_nal_lengths};
pub use h264::{InvalidAccessUnit, InvalidAvcc, ParameterSet};
pub use h265::InvalidHvcc;
pub use reframe::{Format, Hints, InvalidFormat, Malformed, Reframed, Reframer, Unit};
pub use track::{InvalidTrack, MAX_CODEC_ID, MAX_CODEC_PRIVATE, MAX_TRACK_NAME, Track, TrackKind};

#[cfg(test)]
pub(crate) mod fixtures;
