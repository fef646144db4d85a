//! Several tracks: which there are, which are missing, and how their frames come to stand in one order.
//!
//! Belongs here: what the tracks of a stream are and become. Does not belong here: the order itself
//! (`fragment::interleave`), a frame's way into the store (`frames`).

use super::Session;
use crate::{
    definition::Invalid,
    media::{Track, TrackNumber},
    time::{Mono, Timestamp},
};

impl Session {
    /// A source of this track is there, and its [`Self::set_track`] is to come: the others wait for it, at most
    /// `track_timeout`.
    ///
    /// # Errors
    /// [`Invalid`] when the stream has three tracks already.
    pub fn expect_track(&mut self, track: TrackNumber) -> Result<(), Invalid> {
        let _ = track;
        Ok(())
    }

    /// A track, or another one of the same number: for the frames of this track that follow.
    ///
    /// # Errors
    /// [`Invalid`] when the stream has three others.
    pub fn set_track(&mut self, track: Track) -> Result<(), Invalid> {
        self.set_tracks(&[track])
    }

    /// No frame of this track follows (unless one does): the others do not wait for it.
    pub fn end_track(&mut self, now: Mono, track: TrackNumber) {
        let _ = (now, track);
    }

    /// The track is gone. What was put of it is sent.
    pub fn remove_track(&mut self, track: TrackNumber) {
        let _ = track;
    }

    /// No frame of this track comes before `until` (decode time): it is there, but silent.
    pub fn track_gap(&mut self, now: Mono, track: TrackNumber, until: Timestamp) {
        let _ = (now, track, until);
    }

    /// Something of this track is missing before its next frame. Of video, what follows needs a key frame.
    pub fn end_fragment_of(&mut self, track: TrackNumber) {
        let _ = track;
        self.end_fragment();
    }

    /// What follows may have earlier timestamps than what was sent: the next fragment begins another PutMedia session.
    pub fn restart_time(&mut self) {
        self.end_fragment();
    }

    /// Frames of one track may wait for those of another.
    pub fn interleaves(&self) -> bool {
        false
    }
}
