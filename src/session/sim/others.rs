//! Other sources beside the camera: microphones that are regular, sparse, late, silent, or come back, and a second camera.
//!
//! Belongs here: what they give when. Does not belong here: the stories ([`super::tracks`]).

use std::{ops::Range, time::Duration};

use bytes::Bytes;

use super::{Happening, World, source::EPOCH_MS};
use crate::{
    definition::StreamingType,
    fragment::is_video,
    media::{Codec, Frame, Track, TrackNumber, alaw_private, fixtures::AVCC},
    session::Refused,
    time::Timestamp,
};

/// Frames of other sources have numbers of their own.
const FIRST: u64 = 1 << 40;

/// Other frames are never at the time of the camera's: a fragment is known by its timecode.
const APART_MS: u64 = 37;

/// Which other source a frame is of; `None`: the camera.
pub(super) fn other_of(number: u64) -> Option<usize> {
    usize::try_from(number / FIRST).ok()?.checked_sub(1)
}

pub(super) struct Other {
    pub(super) track: Track,
    /// From one frame to the next.
    pub(super) pace: Duration,
    /// When it gives frames, in ms of its own time.
    pub(super) gives: Vec<Range<u64>>,
    /// It says so when it gives none.
    pub(super) gaps: bool,
    /// It ends then.
    pub(super) ends_ms: Option<u64>,
    /// Its caps come with the first frame; before that it is only expected.
    pub(super) unknown: bool,
    pub(super) size: usize,
    next: u64,
    pub(super) waiting: Option<Frame>,
}

/// G.711 of this rate, as track 2.
pub(super) fn audio(rate: u32) -> Track {
    Track::audio(Codec::Alaw, alaw_private(rate, 1), rate, 1).unwrap()
}

/// A second camera, as track 3.
pub(super) fn second_video() -> Track {
    let track = Track::video(Codec::H264, Bytes::from_static(AVCC), 160, 98).unwrap();
    track.with_number(TrackNumber::new(3).unwrap())
}

impl Other {
    /// Gives a frame each 100 ms, all the time.
    pub(super) fn new(track: Track) -> Self {
        Self {
            track,
            pace: Duration::from_millis(100),
            gives: Vec::from([0..u64::MAX]),
            gaps: false,
            ends_ms: None,
            unknown: false,
            size: 80,
            next: 0,
            waiting: None,
        }
    }

    fn millis(&self, number: u64) -> u64 {
        u64::try_from(self.pace.as_millis()).unwrap() * number
    }

    fn gives(&self, number: u64) -> bool {
        let millis = self.millis(number);
        self.gives.iter().any(|range| range.contains(&millis))
    }
}

impl World {
    /// With this source beside the camera.
    pub(super) fn and(mut self, other: Other) -> Self {
        let which = self.others.len();
        let number = other.track.number();
        self.session.expect_track(number).unwrap();
        if !other.unknown {
            self.session.set_track(other.track.clone()).unwrap();
        }
        self.ledger
            .others
            .insert(self.first_of(which), other.track.clone());
        self.others.push(other);
        self.plan(Duration::ZERO, Happening::Other(which));
        self
    }

    /// Without the camera.
    pub(super) fn without_camera(mut self) -> Self {
        self.frames_left = 0;
        self.session.remove_track(TrackNumber::VIDEO);
        self
    }

    pub(super) fn first_of(&self, which: usize) -> u64 {
        FIRST * (which as u64 + 1)
    }

    /// From its `from`-th frame on the other source has another track.
    pub(super) fn changes(&mut self, which: usize, from: u64, track: Track) {
        self.ledger
            .others
            .insert(self.first_of(which) + from, track);
    }

    pub(super) fn other_comes(&mut self, which: usize) {
        let first = self.first_of(which);
        let shift = self.shift;
        let other = &mut self.others[which];
        if self.session.is_stopped() || other.waiting.is_some() {
            return;
        }
        let (place, track) = (other.next, other.track.number());
        let millis = other.millis(place);
        if self.off || other.ends_ms.is_some_and(|ends| millis >= ends) {
            return self.session.end_track(self.now, track);
        }
        other.next += 1;
        let at = EPOCH_MS.saturating_add_signed(shift) + APART_MS + millis;
        if !other.gives(place) {
            if other.gaps {
                let until = Timestamp::from_millis(at) + other.pace;
                self.session.track_gap(self.now, track, until);
            }
            let pace = other.pace;
            return self.plan(pace, Happening::Other(which));
        }
        if std::mem::take(&mut other.unknown) {
            self.session.set_track(other.track.clone()).unwrap();
        }
        let number = first + place;
        let track_now = self.ledger.track(number);
        if other.track != track_now {
            other.track = track_now.clone();
            self.session.set_track(track_now).unwrap();
        }
        let size = other.size.max(12);
        let mut payload = vec![number as u8; size];
        payload[..4].copy_from_slice(&u32::try_from(size - 4).unwrap().to_be_bytes());
        payload[4..12].copy_from_slice(&number.to_be_bytes());
        other.waiting = Some(Frame {
            track,
            pts: Timestamp::from_millis(at),
            dts: None,
            key: !is_video(&other.track) || place.is_multiple_of(10),
            payload: payload.into(),
        });
        self.offer_others();
    }

    pub(super) fn offer_others(&mut self) {
        for which in 0..self.others.len() {
            let Some(frame) = self.others[which].waiting.take() else {
                continue;
            };
            let number = super::source::number(&frame.payload);
            self.shown.insert(number, frame.pts);
            match self.session.put_frame(self.now, frame) {
                Ok(()) => {
                    self.taken.insert(number);
                    let pace = match self.session.definition.streaming_type {
                        StreamingType::Offline => self.others[which].pace / 2,
                        _ => self.others[which].pace,
                    };
                    self.plan(pace, Happening::Other(which));
                }
                Err(Refused::Full(frame)) => self.others[which].waiting = Some(frame),
                Err(Refused::Stopped) => {}
            }
        }
    }
}
