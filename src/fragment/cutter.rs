//! [`Cutter`]: where a fragment begins, and which frames have no place in one.
//!
//! In: frames in decode order and the tracks they belong to. Out: for each frame its place: begins a fragment, goes into
//! the one that is open, or is dropped for a reason.
//! Does not belong here: memory limits ([`super::Store`]).

use std::time::Duration;

use super::{DropReason, Tracks};
use crate::{
    definition::{Fragmentation, StreamDefinition, TimecodeType},
    media::{Frame, Track, TrackNumber},
    mkv,
    time::{Timecode, Timestamp},
};

/// Longest fragment ("Amazon Kinesis Video Streams service quotas", fragment duration).
pub(crate) const MAX_FRAGMENT_DURATION: Duration = Duration::from_secs(20);
/// When a fragment is this long, a key frame is asked for: an encoder that obeys has five seconds for it.
const ASK_FOR_KEY_FRAME: Duration = Duration::from_secs(15);
/// Largest fragment ("Amazon Kinesis Video Streams service quotas", fragment size).
pub(crate) const MAX_FRAGMENT_BYTES: u64 = 50_000_000;
/// At most five fragments a second ("Amazon Kinesis Video Streams service quotas").
const MIN_FRAGMENT_DURATION: Duration = Duration::from_millis(200);

/// The place of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It begins a fragment of this timecode; the one before is complete.
    Begins { timecode: Timecode },
    /// It goes into the open fragment, this far from its timecode.
    Continues { offset_ms: i16 },
    /// It has no place.
    Dropped(DropReason),
}

/// Decides the place of each frame.
pub(crate) struct Cutter {
    fragmentation: Fragmentation,
    /// Length of fragments that audio begins.
    audio: Duration,
    timecode_type: TimecodeType,
    tracks: Option<Tracks>,
    /// The track whose key frames begin fragments: the first of video, else the first.
    lead: Option<TrackNumber>,
    /// Video tracks whose next frame has all that it refers to.
    intact: Vec<TrackNumber>,
    /// Producer timestamp of the stream's first frame: the zero of RELATIVE timecodes.
    start: Option<Timestamp>,
    open: Option<Open>,
    /// Greatest timecode placed so far. A cluster's must be greater (kvs-facts §4, "strict order").
    greatest: Option<Timecode>,
    /// How often time began anew. Timecodes rise within one of them.
    epoch: u32,
}

/// The fragment that frames go into.
struct Open {
    timecode: Timecode,
    begun: Timestamp,
    /// The track that began it, and its latest frame.
    led_by: TrackNumber,
    led_until: Timestamp,
    /// Payload bytes so far, and room for their headers.
    bytes: u64,
    /// A key frame was asked for, in time before the fragment must end.
    asked: bool,
}

impl Cutter {
    pub(crate) fn new(definition: &StreamDefinition) -> Self {
        Self {
            fragmentation: definition.fragmentation,
            audio: definition.fragment_duration,
            timecode_type: definition.timecode_type,
            tracks: None,
            lead: None,
            intact: Vec::new(),
            start: None,
            open: None,
            greatest: None,
            epoch: 0,
        }
    }

    /// The tracks of the frames that follow. Other tracks than before end the open fragment: true when they did.
    pub(crate) fn set_tracks(&mut self, tracks: Tracks) -> bool {
        let changed = self.tracks.as_ref().is_some_and(|before| *before != tracks);
        let video = tracks.iter().find(|track| is_video(track));
        self.lead = video.or_else(|| tracks.first()).map(Track::number);
        self.tracks = Some(tracks);
        changed && self.end_fragment()
    }

    /// One track is another, or comes to the others. What that means to the open fragment is the caller's.
    pub(crate) fn set_track(&mut self, track: Track) {
        let number = track.number();
        let mut tracks: Vec<_> = self
            .tracks
            .iter()
            .flat_map(|tracks| tracks.iter())
            .cloned()
            .collect();
        let place = tracks.partition_point(|other| other.number() < number);
        match tracks
            .get_mut(place)
            .filter(|other| other.number() == number)
        {
            Some(other) => *other = track,
            None => tracks.insert(place, track),
        }
        self.intact.retain(|other| *other != number);
        self.tracks = Some(tracks.into());
    }

    /// One track is gone.
    pub(crate) fn remove_track(&mut self, number: TrackNumber) {
        let others = self.tracks.iter().flat_map(|tracks| tracks.iter());
        let others: Tracks = others
            .filter(|other| other.number() != number)
            .cloned()
            .collect();
        self.intact.retain(|other| *other != number);
        self.tracks = (!others.is_empty()).then_some(others);
    }

    /// The track of this number.
    pub(crate) fn track(&self, number: TrackNumber) -> Option<&Track> {
        self.tracks
            .as_ref()?
            .iter()
            .find(|track| track.number() == number)
    }

    /// The track whose key frames begin fragments from here on.
    pub(crate) fn set_lead(&mut self, lead: Option<TrackNumber>) {
        self.lead = lead;
    }

    /// A frame of this track needs not be a key frame.
    pub(crate) fn is_intact(&self, number: TrackNumber) -> bool {
        self.intact.contains(&number)
    }

    /// Time begins anew: a fragment may have any timecode, in another session.
    pub(crate) fn restart(&mut self) {
        if self.start.take().is_some() {
            self.epoch += 1;
        }
        (self.open, self.greatest) = (None, None);
        self.intact.clear();
    }

    /// How often time began anew.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The tracks that were set last.
    pub(crate) fn tracks(&self) -> Option<&Tracks> {
        self.tracks.as_ref()
    }

    /// The time that RELATIVE timecodes count from; `None` before the first frame.
    pub(crate) fn start(&self) -> Option<Timestamp> {
        self.start
    }

    /// A fragment is open: frames go into it.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The next frame must be a key frame; the open fragment, if any, is complete. True when there was one.
    pub(crate) fn end_fragment(&mut self) -> bool {
        self.intact.clear();
        self.close()
    }

    /// The open fragment, if any, is complete. True when there was one.
    pub(crate) fn close(&mut self) -> bool {
        self.open.take().is_some()
    }

    /// Something of this track is missing before its next frame. True when that ends the open fragment.
    pub(crate) fn end_fragment_of(&mut self, number: TrackNumber) -> bool {
        self.intact.retain(|intact| *intact != number);
        let ends = self.lead == Some(number) && self.track(number).is_some_and(is_video);
        ends && self.open.take().is_some()
    }

    /// The open fragment comes near its longest duration with this frame: a key frame is to be asked for. True once for
    /// each fragment.
    pub(crate) fn wants_key_frame(&mut self, track: TrackNumber, newest: Timestamp) -> bool {
        let leads = self.lead == Some(track);
        leads
            && self.open.as_mut().is_some_and(|open| {
                newest.saturating_since(open.begun) >= ASK_FOR_KEY_FRAME
                    && !std::mem::replace(&mut open.asked, true)
            })
    }

    /// The place of `frame`. Nothing changes until it is [`Self::put`] there.
    pub(crate) fn place(&self, frame: &Frame) -> Placed {
        let Some(track) = self.track(frame.track) else {
            return Placed::Dropped(DropReason::NoTrack);
        };
        let (leads, is_video) = (self.lead == Some(frame.track), is_video(track));
        // Any frame of audio can be decoded by itself.
        let key = frame.key || !is_video;
        if frame.payload.len() as u64 + HEADERS > MAX_FRAGMENT_BYTES {
            return Placed::Dropped(DropReason::TooLarge);
        }
        if frame.payload.is_empty() || track.check_payload(&frame.payload).is_err() {
            return Placed::Dropped(DropReason::Malformed);
        }
        let Some(open) = &self.open else {
            return if key && leads {
                self.begin(frame)
            } else {
                Placed::Dropped(DropReason::NoKeyFrame)
            };
        };
        if !key && !self.is_intact(frame.track) {
            return Placed::Dropped(DropReason::NoKeyFrame);
        }
        let begins = key && leads;
        if begins && self.cuts(open, frame, is_video) {
            let place = self.begin(frame);
            // Behind what another track has: it stays in the open fragment as long as that may last.
            let is_alone = self.tracks.as_ref().is_none_or(|tracks| tracks.len() == 1);
            if is_alone || place != Placed::Dropped(DropReason::Timecode) {
                return place;
            }
        }
        let is_early = !leads && open.begun.saturating_since(frame.pts) >= MAX_FRAGMENT_DURATION;
        let is_late = frame.pts.saturating_since(open.begun) >= MAX_FRAGMENT_DURATION;
        let is_full = open.bytes + frame.payload.len() as u64 + HEADERS > MAX_FRAGMENT_BYTES;
        match self.offset(open.timecode, frame.pts) {
            Some(offset_ms) if !is_early && !is_late && !is_full => Placed::Continues { offset_ms },
            // A key frame that jumps back or far ahead, or finds no room, may begin a fragment, if the order allows it.
            _ if begins => self.begin(frame),
            Some(_) if is_full => Placed::Dropped(DropReason::TooLarge),
            _ => Placed::Dropped(DropReason::Timecode),
        }
    }

    /// Records that `frame` went where [`Self::place`] said. A dropped frame of video leaves a hole that the next frames may
    /// refer to, so the rest until the next key frame has no place either.
    pub(crate) fn put(&mut self, frame: &Frame, placed: &Placed) {
        let timecode = match placed {
            Placed::Begins { timecode } => {
                self.start.get_or_insert(frame.pts);
                self.open = Some(Open {
                    timecode: *timecode,
                    begun: frame.pts,
                    led_by: frame.track,
                    led_until: frame.pts,
                    bytes: 0,
                    asked: false,
                });
                *timecode
            }
            Placed::Continues { .. } => self.timecode(frame.pts),
            // No frame of the track that is open refers to it.
            Placed::Dropped(DropReason::NoTrack) if self.track(frame.track).is_none() => return,
            // A decoder conceals one bad frame better than a viewer misses the rest of its GOP.
            Placed::Dropped(DropReason::Malformed) if !frame.key => return,
            Placed::Dropped(_) => {
                self.end_fragment_of(frame.track);
                return;
            }
        };
        if frame.key && !self.is_intact(frame.track) {
            self.intact.push(frame.track);
        }
        if let Some(open) = &mut self.open {
            open.bytes += frame.payload.len() as u64 + HEADERS;
            if open.led_by == frame.track {
                open.led_until = open.led_until.max(frame.pts);
            }
        }
        self.greatest = self.greatest.max(Some(timecode));
    }

    fn cuts(&self, open: &Open, frame: &Frame, is_video: bool) -> bool {
        if frame.pts < open.begun {
            return true;
        }
        // Of a file whose sound is a bit longer than its picture the rest does not make another fragment.
        let since = if is_video || open.led_by == frame.track {
            open.begun
        } else {
            open.led_until
        };
        let age = frame.pts.saturating_since(since);
        let shortest = match self.fragmentation {
            _ if !is_video => self.audio.max(MIN_FRAGMENT_DURATION),
            Fragmentation::EachKeyFrame => MIN_FRAGMENT_DURATION,
            Fragmentation::AfterDuration(duration) => duration.max(MIN_FRAGMENT_DURATION),
        };
        age >= shortest
    }

    /// A fragment that begins with `frame`: its timecode must be greater than all before. One millisecond is forgiven,
    /// so that rounding never costs a fragment.
    fn begin(&self, frame: &Frame) -> Placed {
        let timecode = self.timecode(frame.pts);
        match self.greatest {
            Some(greatest) if timecode == greatest => Placed::Begins {
                timecode: Timecode::from_millis(greatest.as_millis() + 1),
            },
            Some(greatest) if timecode < greatest => Placed::Dropped(DropReason::Timecode),
            _ => Placed::Begins { timecode },
        }
    }

    fn timecode(&self, pts: Timestamp) -> Timecode {
        Timecode::from_millis(pts.as_millis_rounded().saturating_sub(self.zero(pts)))
    }

    /// From the cluster's timecode to a frame's; in RELATIVE ones a frame may be shown before the first that began a
    /// fragment.
    fn offset(&self, cluster: Timecode, pts: Timestamp) -> Option<i16> {
        let zero = self.zero(pts);
        match pts.as_millis_rounded().checked_sub(zero) {
            Some(millis) => mkv::block_offset(cluster, Timecode::from_millis(millis)),
            None => {
                let before = zero - pts.as_millis_rounded();
                let offset = cluster.as_millis().checked_add(before)?;
                i16::try_from(offset).ok().map(|offset| -offset)
            }
        }
    }

    /// What timecodes count from, in milliseconds.
    fn zero(&self, pts: Timestamp) -> u64 {
        match self.timecode_type {
            TimecodeType::Absolute => 0,
            TimecodeType::Relative => self.start.unwrap_or(pts).as_millis_rounded(),
        }
    }
}

pub(crate) fn is_video(track: &Track) -> bool {
    track.codec().is_video()
}

/// Room for the headers of a block and its share of the cluster's, in bytes.
const HEADERS: u64 = 64;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{definition::StreamName, fragment::tests::tracks};

    fn new(fragmentation: Fragmentation, timecode_type: TimecodeType) -> Cutter {
        let name = StreamName::new("cam1").unwrap();
        Cutter::new(&StreamDefinition {
            fragmentation,
            timecode_type,
            ..StreamDefinition::new(name)
        })
    }

    fn cutter() -> Cutter {
        let mut cutter = new(Fragmentation::EachKeyFrame, TimecodeType::Absolute);
        cutter.set_tracks(tracks(640));
        cutter
    }

    fn frame(ms: u64, key: bool) -> Frame {
        Frame {
            track: TrackNumber::VIDEO,
            pts: Timestamp::from_millis(ms),
            dts: None,
            key,
            payload: Bytes::from_static(&[0; 8]),
        }
    }

    fn put(cutter: &mut Cutter, ms: u64, key: bool) -> Placed {
        let frame = frame(ms, key);
        let placed = cutter.place(&frame);
        cutter.put(&frame, &placed);
        placed
    }

    fn begins(ms: u64) -> Placed {
        Placed::Begins {
            timecode: Timecode::from_millis(ms),
        }
    }

    #[test]
    fn each_key_frame_begins_a_fragment() {
        let mut cutter = cutter();
        assert_eq!(put(&mut cutter, 1000, true), begins(1000));
        assert_eq!(
            put(&mut cutter, 1040, false),
            Placed::Continues { offset_ms: 40 }
        );
        assert_eq!(put(&mut cutter, 2000, true), begins(2000));
    }

    #[test]
    fn frames_before_the_first_key_frame_have_no_place() {
        let mut cutter = cutter();
        assert_eq!(
            put(&mut cutter, 0, false),
            Placed::Dropped(DropReason::NoKeyFrame)
        );
        assert_eq!(put(&mut cutter, 40, true), begins(40));
    }

    #[test]
    fn frames_without_a_track_have_no_place() {
        let mut cutter = new(Fragmentation::EachKeyFrame, TimecodeType::Absolute);
        assert_eq!(
            put(&mut cutter, 0, true),
            Placed::Dropped(DropReason::NoTrack)
        );
        cutter.set_tracks(tracks(640));
        let audio = Frame {
            track: TrackNumber::AUDIO,
            ..frame(0, true)
        };
        assert_eq!(cutter.place(&audio), Placed::Dropped(DropReason::NoTrack));
    }

    #[test]
    fn a_minimal_duration_keeps_key_frames_in_the_open_fragment() {
        let mut cutter = new(
            Fragmentation::AfterDuration(Duration::from_secs(2)),
            TimecodeType::Absolute,
        );
        cutter.set_tracks(tracks(640));
        assert_eq!(put(&mut cutter, 0, true), begins(0));
        assert_eq!(
            put(&mut cutter, 1000, true),
            Placed::Continues { offset_ms: 1000 }
        );
        assert_eq!(put(&mut cutter, 2000, true), begins(2000));
    }

    #[test]
    fn there_are_never_more_than_five_fragments_a_second() {
        let mut cutter = cutter();
        let begun = (0..100)
            .filter(|n| matches!(put(&mut cutter, n * 40, true), Placed::Begins { .. }))
            .count();
        assert_eq!(begun, 20, "4 s of all-intra at 25/s");
    }

    #[test]
    fn a_cluster_is_strictly_after_the_last_frame_before_it() {
        let mut cutter = cutter();
        put(&mut cutter, 0, true);
        put(&mut cutter, 1000, false);
        // Equal: one millisecond later.
        assert_eq!(put(&mut cutter, 1000, true), begins(1001));
        // Back in time: no place, and neither for what refers to it.
        assert_eq!(
            put(&mut cutter, 500, true),
            Placed::Dropped(DropReason::Timecode)
        );
        assert_eq!(
            put(&mut cutter, 540, false),
            Placed::Dropped(DropReason::NoKeyFrame)
        );
    }

    #[test]
    fn b_frames_keep_their_place_before_the_key_frame() {
        let mut cutter = cutter();
        put(&mut cutter, 1000, true);
        assert_eq!(
            put(&mut cutter, 1120, false),
            Placed::Continues { offset_ms: 120 }
        );
        assert_eq!(
            put(&mut cutter, 1040, false),
            Placed::Continues { offset_ms: 40 }
        );
        // Open GOP: shown before the key frame that was decoded before it.
        assert_eq!(put(&mut cutter, 1240, true), begins(1240));
        assert_eq!(
            put(&mut cutter, 1200, false),
            Placed::Continues { offset_ms: -40 }
        );
    }

    #[test]
    fn a_fragment_ends_before_twenty_seconds() {
        let mut cutter = cutter();
        put(&mut cutter, 0, true);
        assert_eq!(
            put(&mut cutter, 19_999, false),
            Placed::Continues { offset_ms: 19_999 }
        );
        assert_eq!(
            put(&mut cutter, 20_000, false),
            Placed::Dropped(DropReason::Timecode)
        );
        assert_eq!(
            put(&mut cutter, 20_040, false),
            Placed::Dropped(DropReason::NoKeyFrame)
        );
        assert_eq!(put(&mut cutter, 20_080, true), begins(20_080));
    }

    #[test]
    fn a_key_frame_is_asked_for_in_time_and_once() {
        let mut cutter = cutter();
        let mut asked = Vec::new();
        for second in 0..40 {
            put(&mut cutter, second * 1000, second == 0 || second == 18);
            if cutter.wants_key_frame(TrackNumber::VIDEO, Timestamp::from_millis(second * 1000)) {
                asked.push(second);
            }
        }
        assert_eq!(asked, [15, 33]);
    }

    fn audio() -> Track {
        use crate::media::{Codec, alaw_private};
        Track::audio(Codec::Alaw, alaw_private(8000, 1), 8000, 1).unwrap()
    }

    fn sound(cutter: &mut Cutter, ms: u64) -> Placed {
        let frame = Frame {
            track: TrackNumber::AUDIO,
            ..frame(ms, false)
        };
        let placed = cutter.place(&frame);
        cutter.put(&frame, &placed);
        placed
    }

    #[test]
    fn only_key_frames_of_video_begin_fragments_beside_audio() {
        let mut cutter = cutter();
        cutter.set_track(audio());
        assert_eq!(
            sound(&mut cutter, 0),
            Placed::Dropped(DropReason::NoKeyFrame)
        );
        assert_eq!(put(&mut cutter, 40, true), begins(40));
        assert_eq!(sound(&mut cutter, 30), Placed::Continues { offset_ms: -10 });
        assert_eq!(
            sound(&mut cutter, 10_040),
            Placed::Continues { offset_ms: 10_000 }
        );
        assert!(!cutter.end_fragment_of(TrackNumber::AUDIO));
        assert!(cutter.end_fragment_of(TrackNumber::VIDEO));
    }

    #[test]
    fn audio_alone_is_cut_by_its_own_duration() {
        let mut cutter = new(Fragmentation::EachKeyFrame, TimecodeType::Absolute);
        cutter.set_tracks([audio()].into());
        assert_eq!(sound(&mut cutter, 0), begins(0));
        assert_eq!(
            sound(&mut cutter, 1999),
            Placed::Continues { offset_ms: 1999 }
        );
        assert_eq!(sound(&mut cutter, 2000), begins(2000));
        // What is lost of it ends nothing.
        let empty = Frame {
            track: TrackNumber::AUDIO,
            payload: Bytes::new(),
            ..frame(2020, true)
        };
        assert_eq!(cutter.place(&empty), Placed::Dropped(DropReason::Malformed));
        cutter.put(&empty, &Placed::Dropped(DropReason::Malformed));
        assert_eq!(
            sound(&mut cutter, 2040),
            Placed::Continues { offset_ms: 40 }
        );
    }

    #[test]
    fn the_rest_of_the_sound_stays_with_the_last_picture() {
        let mut cutter = cutter();
        cutter.set_track(audio());
        put(&mut cutter, 0, true);
        sound(&mut cutter, 10);
        put(&mut cutter, 5000, false);
        // The picture is over.
        cutter.set_lead(Some(TrackNumber::AUDIO));
        let continues = |offset_ms| Placed::Continues { offset_ms };
        assert_eq!(sound(&mut cutter, 5010), continues(5010));
        assert_eq!(sound(&mut cutter, 6999), continues(6999));
        assert_eq!(sound(&mut cutter, 7000), begins(7000));
        assert_eq!(sound(&mut cutter, 8999), continues(1999));
        assert_eq!(sound(&mut cutter, 9000), begins(9000));
    }

    #[test]
    fn a_key_frame_behind_what_audio_has_stays_in_the_open_fragment() {
        let mut cutter = cutter();
        cutter.set_track(audio());
        put(&mut cutter, 0, true);
        sound(&mut cutter, 3000);
        assert_eq!(
            put(&mut cutter, 2000, true),
            Placed::Continues { offset_ms: 2000 }
        );
        assert_eq!(put(&mut cutter, 4000, true), begins(4000));
    }

    #[test]
    fn a_second_video_track_waits_for_its_own_key_frame() {
        let mut cutter = cutter();
        let third = TrackNumber::new(3).unwrap();
        cutter.set_track(tracks(640)[0].clone().with_number(third));
        let of_third = |cutter: &mut Cutter, ms, key| {
            let frame = Frame {
                track: third,
                ..frame(ms, key)
            };
            let placed = cutter.place(&frame);
            cutter.put(&frame, &placed);
            placed
        };
        put(&mut cutter, 0, true);
        let no_key_frame = Placed::Dropped(DropReason::NoKeyFrame);
        assert_eq!(of_third(&mut cutter, 10, false), no_key_frame);
        assert_eq!(
            of_third(&mut cutter, 20, true),
            Placed::Continues { offset_ms: 20 }
        );
        put(&mut cutter, 2000, true);
        assert_eq!(
            of_third(&mut cutter, 2010, false),
            Placed::Continues { offset_ms: 10 },
            "fragments are no matter of its own"
        );
        cutter.end_fragment_of(third);
        assert_eq!(of_third(&mut cutter, 2020, false), no_key_frame);
        assert!(cutter.is_open());
    }

    #[test]
    fn a_time_that_begins_anew_may_be_earlier() {
        let mut cutter = new(Fragmentation::EachKeyFrame, TimecodeType::Relative);
        cutter.set_tracks(tracks(640));
        put(&mut cutter, 50_000, true);
        cutter.restart();
        assert_eq!((cutter.epoch(), cutter.is_open()), (1, false));
        assert_eq!(put(&mut cutter, 10_000, true), begins(0));
        assert_eq!(cutter.start(), Some(Timestamp::from_millis(10_000)));
        cutter.restart();
        cutter.restart();
        assert_eq!(cutter.epoch(), 2, "nothing came in between");
    }

    #[test]
    fn relative_timecodes_count_from_the_first_frame() {
        let mut cutter = new(Fragmentation::EachKeyFrame, TimecodeType::Relative);
        cutter.set_tracks(tracks(640));
        assert_eq!(put(&mut cutter, 1_700_000_000_123, true), begins(0));
        assert_eq!(put(&mut cutter, 1_700_000_002_123, true), begins(2000));
        assert_eq!(
            cutter.start(),
            Some(Timestamp::from_millis(1_700_000_000_123))
        );
    }

    #[test]
    fn other_tracks_end_the_fragment_and_the_same_do_not() {
        let mut cutter = cutter();
        put(&mut cutter, 0, true);
        assert!(!cutter.set_tracks(tracks(640)));
        assert_eq!(
            put(&mut cutter, 40, false),
            Placed::Continues { offset_ms: 40 }
        );
        assert!(cutter.set_tracks(tracks(320)));
        assert_eq!(
            put(&mut cutter, 80, false),
            Placed::Dropped(DropReason::NoKeyFrame)
        );
    }

    #[test]
    fn an_oversized_fragment_is_cut_off() {
        let mut cutter = cutter();
        put(&mut cutter, 0, true);
        let big = Frame {
            payload: Bytes::from(vec![0; 49_999_900]),
            ..frame(40, false)
        };
        assert_eq!(cutter.place(&big), Placed::Dropped(DropReason::TooLarge));
    }

    #[test]
    fn a_key_frame_that_finds_no_room_begins_a_fragment() {
        let mut cutter = new(
            Fragmentation::AfterDuration(Duration::from_secs(10)),
            TimecodeType::Absolute,
        );
        cutter.set_tracks(tracks(640));
        let big = |ms| Frame {
            payload: Bytes::from(vec![0; 30_000_000]),
            ..frame(ms, true)
        };
        for ms in [0, 1000] {
            assert_eq!(cutter.place(&big(ms)), begins(ms));
            cutter.put(&big(ms), &begins(ms));
        }
    }
}
