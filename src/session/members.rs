//! Which tracks a fragment declares: those that are there, and not those that are missing until they are back.
//!
//! Belongs here: the place of a frame among several tracks, the header of a fragment. Does not belong here: what the tracks
//! are and in which order their frames come (`tracks`).

use std::time::Duration;

use super::{Event, Session};
use crate::{
    definition::StreamingType,
    fragment::{DropReason, Fragment, Placed, Tracks, is_video},
    media::{Frame, Track, TrackNumber},
    time::Timestamp,
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
    pub(super) fn left_out(&mut self, number: TrackNumber) {
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
    pub(super) fn remember_members(&mut self) {
        let mut before = std::mem::take(&mut self.members);
        for number in self.lanes.numbers() {
            let known = before.iter().position(|member| member.number == number);
            let member = known.map(|known| before.swap_remove(known));
            self.members
                .push(member.unwrap_or_else(|| Member::new(number)));
        }
    }
}
