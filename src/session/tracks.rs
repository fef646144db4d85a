//! Several tracks: which there are, which are missing, and how their frames come to stand in one order.
//!
//! Belongs here: what the tracks of a stream are and become, and when their frames go on. Does not belong here:
//! the order itself (`fragment::interleave`), which of them a fragment declares (`members`), the store (`frames`).

use super::{Event, Refused, Session};
use crate::{
    definition::{Invalid, StreamingType},
    fragment::{Before, DropReason, Entry, Fragment, MAX_TRACKS, Tracks, WINDOW, cost_in_lane},
    media::{Frame, Track, TrackNumber},
    time::{Mono, Timestamp},
};

impl Session {
    /// The tracks of the frames that follow. Other tracks than before begin a new PutMedia session at the next key frame.
    ///
    /// # Errors
    /// [`Invalid`] when there are none or more than three, or two have the same number.
    pub fn set_tracks(&mut self, tracks: &[Track]) -> Result<(), Invalid> {
        if tracks.is_empty() || tracks.len() > MAX_TRACKS {
            return Err(too_many(tracks.len()));
        }
        let mut numbers = tracks.iter().map(Track::number);
        while let Some(number) = numbers.next() {
            if numbers.clone().any(|other| other == number) {
                return Err(Invalid::new(
                    "tracks",
                    format!("two have the number {number}"),
                ));
            }
        }
        self.flush();
        self.lanes.set(tracks.iter().map(Track::number));
        self.remember_members();
        if self.cutter.set_tracks(Tracks::from(tracks)) {
            self.complete();
        }
        Ok(())
    }

    /// A source of this track is there, and its [`Self::set_track`] is to come: the others wait for it, at most
    /// `track_timeout`.
    ///
    /// # Errors
    /// [`Invalid`] when the stream has three tracks already.
    pub fn expect_track(&mut self, track: TrackNumber) -> Result<(), Invalid> {
        if !self.lanes.add(track) {
            return Err(too_many(MAX_TRACKS + 1));
        }
        self.remember_members();
        Ok(())
    }

    /// A track, or another one of the same number: for the frames of this track that follow. Another header begins a new
    /// PutMedia session: of the track that begins fragments at its next key frame, of others with the next fragment, for
    /// which their frames wait.
    ///
    /// # Errors
    /// [`Invalid`] when the stream has three others.
    pub fn set_track(&mut self, track: Track) -> Result<(), Invalid> {
        let number = track.number();
        self.expect_track(number)?;
        let is_new = self.cutter.track(number).is_none();
        if !is_new
            && self.lanes.are_many()
            && let Some(before) = self.lanes.before(number)
        {
            before.track = Some(track);
        } else if is_new || !self.lanes.are_many() {
            self.change_track(track);
        }
        Ok(())
    }

    /// No frame of this track follows (unless one does): the others do not wait for it.
    pub fn end_track(&mut self, now: Mono, track: TrackNumber) {
        self.lanes.end(track);
        self.pump(now);
    }

    /// The track is gone. What was put of it is sent.
    pub fn remove_track(&mut self, track: TrackNumber) {
        if !self.lanes.contains(track) {
            return;
        }
        self.flush();
        let rest: Vec<_> = self
            .lanes
            .numbers()
            .filter(|other| *other != track)
            .collect();
        self.lanes.set(rest.into_iter());
        self.remember_members();
        self.cutter.remove_track(track);
        self.store.forgo(track);
        // The open fragment goes on only if all that are left are in it, and one of them may begin the next.
        let goes_on = !self.cutter.end_fragment_of(track)
            && self.store.open().is_none_or(|open| {
                let has = |number| open.tracks.iter().any(|track| track.number() == number);
                self.lanes.numbers().all(has)
            });
        if !goes_on {
            self.cutter.close();
            self.complete();
        }
        self.cutter.set_lead(self.lead(None));
    }

    /// No frame of this track comes before `until` (decode time): it is there, but silent.
    pub fn track_gap(&mut self, now: Mono, track: TrackNumber, until: Timestamp) {
        self.lanes.gap(now, track, until);
        self.pump(now);
    }

    /// Something of this track is missing before its next frame. Of video, what follows needs a key frame.
    pub fn end_fragment_of(&mut self, track: TrackNumber) {
        if !self.lanes.are_many() {
            self.hole(track);
        } else if let Some(before) = self.lanes.before(track) {
            before.hole = true;
        }
    }

    /// What follows may have earlier timestamps than what was sent: the next fragment begins another PutMedia session.
    pub fn restart_time(&mut self) {
        self.flush();
        self.lanes.restart();
        self.cutter.restart();
        self.complete();
    }

    /// Frames of one track may wait for those of another.
    pub fn interleaves(&self) -> bool {
        self.lanes.are_many()
    }

    /// A track was announced, and what it is is not known yet. At the end nobody waits for it.
    pub(super) fn awaits_track(&self) -> bool {
        let mut numbers = self.lanes.numbers();
        self.ending.is_none()
            && self.lanes.are_many()
            && numbers.any(|number| {
                self.cutter.track(number).is_none()
                    && !self.lanes.is_silent(number)
                    && !self.lanes.is_over(number)
            })
    }

    /// Frames that are kept, wherever they wait.
    pub(super) fn frames_kept(&self) -> u64 {
        self.store.frames() + self.lanes.frames()
    }

    /// Takes a frame of one of several tracks.
    pub(super) fn queue(&mut self, now: Mono, frame: Frame, anyway: bool) -> Result<(), Refused> {
        let (number, bytes) = (frame.track, frame.payload.len() as u64);
        if !self.lanes.contains(number) {
            self.lose(now, DropReason::NoTrack, 1, frame.pts, frame.pts);
            return Ok(());
        }
        match self.definition.streaming_type {
            StreamingType::Offline if !anyway && self.must_wait(number, bytes) => {
                return Err(Refused::Full(frame));
            }
            StreamingType::Offline => {}
            StreamingType::Realtime | StreamingType::NearRealtime => {
                if !self.make_room_in_lanes(now, cost_in_lane(bytes)) {
                    self.lose(now, DropReason::Storage, 1, frame.pts, frame.pts);
                    self.end_fragment_of(number);
                    return Ok(());
                }
            }
        }
        self.lanes.push(now, frame);
        Ok(())
    }

    /// Offline: there is no room for a frame of this track, or the others are too far behind. Half of the storage is for
    /// what waits for them.
    pub(super) fn must_wait(&self, number: TrackNumber, bytes: u64) -> bool {
        let storage = self.storage_limit();
        let limit = storage.saturating_sub(self.store.bytes()).min(storage / 2);
        self.lanes.must_wait(number, bytes, limit)
    }

    /// Realtime: what waits gives way to the store, where whole fragments can be taken out.
    fn make_room_in_lanes(&mut self, now: Mono, cost: u64) -> bool {
        while !self.evict_for(now, cost) {
            match self.lanes.pop_any() {
                Some(entry) => self.pass(now, entry, true),
                None => return self.make_room(now, cost, false),
            };
        }
        true
    }

    /// Frames whose turn it is go on.
    pub(super) fn pump(&mut self, now: Mono) {
        if !self.lanes.are_many() {
            return;
        }
        let window = (self.definition.streaming_type != StreamingType::Offline).then_some(WINDOW);
        loop {
            if !self.cutter.is_open() {
                self.lanes.release();
            }
            let entry = self.lanes.pop(now, self.definition.track_timeout, window);
            for number in self.lanes.take_silent() {
                self.left_out(number);
                if window.is_some() {
                    self.store.forgo(number);
                }
            }
            if !entry.is_some_and(|entry| self.pass(now, entry, false)) {
                break;
            }
        }
        if self.store.open().is_some_and(|open| !open.is_settled()) {
            let over = |number: &TrackNumber| self.lanes.is_over(*number);
            let over: Vec<_> = self.lanes.numbers().filter(over).collect();
            for number in over {
                self.store.forgo(number);
            }
        }
    }

    /// Everything that waits goes on, in order, whoever may still come.
    pub(super) fn flush(&mut self) {
        if !self.lanes.are_many() {
            return;
        }
        self.flushing = true;
        while let Some(entry) = self.lanes.pop_any() {
            self.pass(self.seen, entry, true);
        }
        while let Some((number, before)) = self.lanes.take_before() {
            self.take_effect(number, before);
        }
        self.flushing = false;
    }

    /// A frame leaves its lane. False when it has to wait for room.
    fn pass(&mut self, now: Mono, mut entry: Entry, forced: bool) -> bool {
        let number = entry.frame.track;
        if let Some(before) = &entry.before {
            let other = before
                .track
                .as_ref()
                .filter(|track| self.must_wait_for_fragment(track));
            if other.is_some() && !forced {
                self.lanes.hold(entry);
                // Only then does it go on.
                self.tell(Event::KeyFrameNeeded);
                return true;
            }
            if other.is_some() {
                self.cutter.close();
                self.complete();
            }
        }
        if let Some(before) = entry.before.take() {
            self.take_effect(number, *before);
        }
        match self.admit(now, &entry.frame, forced) {
            Ok(()) => true,
            Err(_) => {
                self.lanes.stall(entry);
                false
            }
        }
    }

    /// The open fragment has another header, and is not the track's to end.
    fn must_wait_for_fragment(&self, track: &Track) -> bool {
        let number = track.number();
        let has_another = |open: &Fragment| {
            let mut tracks = open.tracks.iter();
            tracks.any(|other| other.number() == number && other != track)
        };
        self.cutter.is_open()
            && self.lead(None) != Some(number)
            && self.store.open().is_some_and(has_another)
    }

    fn take_effect(&mut self, number: TrackNumber, before: Before) {
        if before.hole {
            self.hole(number);
        }
        if let Some(track) = before.track {
            self.change_track(track);
        }
        for (tag, persistent) in before.tags {
            self.label(tag, persistent);
        }
    }

    fn hole(&mut self, number: TrackNumber) {
        if self.cutter.end_fragment_of(number) {
            self.complete();
        }
    }

    /// The track is another from here on.
    fn change_track(&mut self, track: Track) {
        let number = track.number();
        let before = self.cutter.track(number);
        let is_other = before.is_some_and(|before| *before != track);
        if is_other && (!self.lanes.are_many() || self.lead(None) == Some(number)) {
            self.cutter.close();
            self.complete();
        }
        self.cutter.set_track(track);
        if !self.lanes.are_many() {
            self.cutter.set_lead(Some(number));
        }
    }
}

fn too_many(tracks: usize) -> Invalid {
    let reason = format!("{tracks} tracks: a stream has 1 to {MAX_TRACKS}");
    Invalid::new("tracks", reason)
}
