//! Several tracks: which there are, which are missing, and how their frames come to stand in one order.
//!
//! Belongs here: what the tracks of a stream are and become, and which of them a fragment declares. Does not belong here:
//! the order itself (`fragment::interleave`), a frame's way into the store (`frames`).

use std::time::Duration;

use super::{Event, Refused, Session};
use crate::{
    definition::{Invalid, StreamingType},
    fragment::{
        Before, DropReason, Entry, Fragment, MAX_TRACKS, Placed, Tracks, WINDOW, cost_in_lane,
        is_video,
    },
    media::{Frame, Track, TrackNumber},
    time::{Mono, Timestamp},
};

/// A live track that was missing and is back comes and goes with a session each time. Not more often than this, as media
/// goes: what comes sooner is left out.
const REJOIN: Duration = Duration::from_secs(10);

/// One of several tracks.
pub(super) struct Member {
    number: TrackNumber,
    /// It is left out until it is back.
    out: bool,
    /// That was told.
    told: bool,
    /// A frame of it came since.
    back: bool,
    /// When it was back for the last time.
    joined: Option<Timestamp>,
}

impl Member {
    fn new(number: TrackNumber) -> Self {
        Self {
            number,
            out: false,
            told: false,
            back: false,
            joined: None,
        }
    }
}

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

    /// A track was announced, and what it is is not known yet.
    pub(super) fn awaits_track(&self) -> bool {
        let mut numbers = self.lanes.numbers();
        self.lanes.are_many()
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
        let storage = self.definition.storage;
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

    /// The place of a frame, among those of the other tracks.
    pub(super) fn place(&mut self, frame: &Frame) -> Placed {
        if !self.lanes.are_many() {
            return self.cutter.place(frame);
        }
        let lead = self.lead(Some(frame));
        self.cutter.set_lead(lead);
        let placed = self.cutter.place(frame);
        match placed {
            Placed::Continues { .. } => self.join(frame).unwrap_or(placed),
            // It begins another session anyway, in which its time may be earlier.
            Placed::Dropped(DropReason::Timecode)
                if lead == Some(frame.track) && self.is_out(frame.track) =>
            {
                self.cutter.restart();
                self.complete();
                self.cutter.place(frame)
            }
            _ => placed,
        }
    }

    /// The frame goes into the open fragment if that declares its track, or may still do so.
    fn join(&mut self, frame: &Frame) -> Option<Placed> {
        let number = frame.track;
        let open = self.store.open()?;
        if open.tracks.iter().any(|track| track.number() == number) {
            return None;
        }
        if let Some(track) = self.cutter.track(number).cloned()
            && !open.is_settled()
        {
            self.store.join(track);
            return None;
        }
        if let Some(member) = self.member(number) {
            (member.out, member.back) = (true, true);
        }
        Some(Placed::Dropped(DropReason::NoTrack))
    }

    /// The track whose key frames begin fragments: the first of video that is there, else the first that is there. `frame`:
    /// whose turn it is.
    pub(super) fn lead(&self, frame: Option<&Frame>) -> Option<TrackNumber> {
        let is_there = |member: &&Member| {
            let number = member.number;
            let comes = frame.is_some_and(|frame| frame.track == number);
            let is_back = comes && frame.is_some_and(|frame| frame.key || self.goes_on(number));
            let is_over =
                self.lanes.is_over(number) || (self.flushing && self.lanes.is_empty(number));
            (!member.out || is_back) && (comes || !is_over)
        };
        let there = || {
            let members = self.members.iter().filter(is_there);
            members.filter_map(|member| self.cutter.track(member.number))
        };
        let lead = there()
            .find(|track| is_video(track))
            .or_else(|| there().next());
        let lead = lead.map(Track::number);
        lead.or_else(|| frame.map(|frame| frame.track))
    }

    /// The open fragment declares this track, and nothing of it is missing.
    fn goes_on(&self, number: TrackNumber) -> bool {
        let declares = |open: &Fragment| open.tracks.iter().any(|track| track.number() == number);
        self.cutter.is_intact(number) && self.store.open().is_some_and(declares)
    }

    /// What the fragment that begins with this frame is to declare, and which of it has no frame in it yet.
    pub(super) fn header(&mut self, frame: &Frame) -> (Tracks, u8) {
        if self.lanes.are_many() {
            let others: Vec<_> = self.lanes.numbers().collect();
            for number in others.into_iter().filter(|other| *other != frame.track) {
                if let Some(track) = self.lanes.take_next_track(number) {
                    self.cutter.set_track(track);
                }
            }
        }
        let Some(all) = self.cutter.tracks().cloned() else {
            return (Tracks::default(), 0);
        };
        if !self.lanes.are_many() {
            return (all, 0);
        }
        let offline = self.definition.streaming_type == StreamingType::Offline;
        let mut declared = 0_u8;
        for (place, track) in all.iter().enumerate() {
            let number = track.number();
            let begins = number == frame.track;
            let is_over = self.lanes.is_over(number);
            let waits = !self.lanes.is_empty(number);
            let Some(member) = self.member(number) else {
                continue;
            };
            let rests = member
                .joined
                .is_some_and(|joined| frame.pts.saturating_since(joined) < REJOIN);
            let is_back = member.out && (member.back || waits) && !rests;
            let is_there = if member.out {
                is_back || offline
            } else {
                !is_over
            };
            if begins || is_there {
                if member.out {
                    member.joined = Some(frame.pts);
                }
                (member.out, member.back) = (false, false);
                declared |= 1 << place;
            }
        }
        let is_declared = |place: usize| declared & (1 << place) != 0;
        let tracks: Tracks = if (0..all.len()).all(is_declared) {
            all
        } else {
            let some = all.iter().enumerate();
            some.filter(|(place, _)| is_declared(*place))
                .map(|(_, track)| track.clone())
                .collect()
        };
        let absent = (1_u8 << tracks.len()) - 1;
        (tracks, absent)
    }

    /// The open fragment, if any, is complete, without the tracks that have no frame in it.
    pub(super) fn complete(&mut self) {
        for number in self.store.complete() {
            self.left_out(number);
        }
    }

    /// A track that is not over gave nothing.
    fn left_out(&mut self, number: TrackNumber) {
        if self.lanes.is_over(number) {
            return;
        }
        let Some(member) = self.member(number) else {
            return;
        };
        member.out = true;
        if !std::mem::replace(&mut member.told, true) {
            self.tell(Event::TrackMissing { track: number });
        }
    }

    /// A frame of this track has its place.
    pub(super) fn is_back(&mut self, number: TrackNumber) {
        let Some(member) = self.member(number) else {
            return;
        };
        member.out = false;
        if std::mem::take(&mut member.told) {
            self.tell(Event::TrackRestored { track: number });
        }
    }

    fn is_out(&self, number: TrackNumber) -> bool {
        let mut members = self.members.iter();
        members.any(|member| member.number == number && member.out)
    }

    fn member(&mut self, number: TrackNumber) -> Option<&mut Member> {
        self.members
            .iter_mut()
            .find(|member| member.number == number)
    }

    /// A member for each lane, in the same order.
    fn remember_members(&mut self) {
        let mut before = std::mem::take(&mut self.members);
        for number in self.lanes.numbers() {
            let known = before.iter().position(|member| member.number == number);
            let member = known.map(|known| before.swap_remove(known));
            self.members
                .push(member.unwrap_or_else(|| Member::new(number)));
        }
    }
}

fn too_many(tracks: usize) -> Invalid {
    let reason = format!("{tracks} tracks: a stream has 1 to {MAX_TRACKS}");
    Invalid::new("tracks", reason)
}
