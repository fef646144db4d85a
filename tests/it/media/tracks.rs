//! A second track that is silent, sparse, short, late or lost: the first one never waits for ever, and is told.

use gst::prelude::*;
use gstkvssink::local::Local;
use test_case::test_case;

use super::clips::{Format, Picture, Sound, assert_never_refused, of_track, stored_frames};
use crate::support::{
    accounts,
    bus::{is_eos, tells},
    feed::Clip,
    feeds::{Feeds, Source, put_together},
    properties, service,
};

/// An hour: whoever waits for it fails.
const FOR_EVER: &str = "track-timeout=3600000";

/// Video on `sink` and sound on `audio_0`, of two seconds, in PLAYING.
pub(super) struct World {
    pub(super) local: Local,
    pub(super) feeds: Feeds,
    pub(super) to_video: Source,
    pub(super) to_audio: Source,
    pub(super) video: Clip,
    pub(super) audio: Clip,
}

impl World {
    pub(super) fn playing(more: &str) -> Self {
        let world = Self::new(more);
        world.feeds.play();
        world.to_video.begin(&world.video);
        world.to_audio.begin(&world.audio);
        world
    }

    pub(super) fn new(more: &str) -> Self {
        let local = service();
        let picture = Picture {
            frames: 50,
            gop: 10,
            ..Picture::default()
        };
        let (video, _) = picture.clip(Format::Avc);
        let (audio, _) = Sound::Alaw.clip(100);
        let feeds = Feeds::new(&format!("stream-name=cam {more} {}", properties(&local)));
        Self {
            to_video: feeds.source("sink"),
            to_audio: feeds.source("audio_0"),
            local,
            feeds,
            video,
            audio,
        }
    }

    /// All of both, side by side.
    pub(super) fn put_both(&self) {
        put_together(&[(&self.to_video, &self.video), (&self.to_audio, &self.audio)]);
    }

    pub(super) fn finish(&mut self) {
        self.feeds.finish(&[&self.to_video, &self.to_audio]);
    }

    /// So many frames came, all of video arrived, and so did those of sound that were not announced as dropped. Gives how
    /// many that were.
    pub(super) fn assert_accounted(&self, video: usize, audio: usize) -> usize {
        let heard = &self.feeds.heard;
        let stats = self.feeds.stats();
        let [all, persisted, dropped, pending] = accounts(&stats);
        assert_eq!((all, pending), ((video + audio) as u64, 0), "{heard:#?}");
        assert_eq!(all, persisted + dropped, "{stats}");
        let announced = heard.told("kvs-frames-dropped");
        let announced = announced
            .iter()
            .map(|told| told.get::<u64>("frames").unwrap());
        assert_eq!(announced.sum::<u64>(), dropped, "{heard:#?}");
        let stored = stored_frames(&self.local);
        let [stored_video, stored_audio] = [1, 2].map(|track| of_track(&stored, track).len());
        assert_eq!(stored_video, video, "{heard:#?}");
        assert_eq!(
            (stored_video + stored_audio) as u64,
            persisted,
            "{heard:#?}"
        );
        assert_never_refused(&self.local, &heard.told("kvs-fragment-ack"));
        assert!(heard.errors("sink").is_empty(), "{heard:#?}");
        audio - stored_audio
    }

    /// The tracks that were announced as missing, or as restored.
    fn told(&self, message: &str) -> Vec<u32> {
        let told = self.feeds.heard.told(message);
        told.iter().map(|told| told.get("track").unwrap()).collect()
    }
}

fn split(clip: &Clip, at: usize) -> (Clip, Clip) {
    let part = |buffers: &[gst::Buffer]| Clip {
        events: clip.events.clone(),
        buffers: buffers.to_vec(),
    };
    let (first, second) = clip.buffers.split_at(at);
    (part(first), part(second))
}

fn is_persisted(message: &gst::Message) -> bool {
    tells(message, "kvs-fragment-ack")
        && message.structure().unwrap().get::<&str>("type") == Ok("PERSISTED")
}

/// A pad that is linked and gives nothing, not even caps, or caps only: after track-timeout the other goes on without it,
/// and that is told once.
#[test_case(false; "nothing at all")]
#[test_case(true; "caps")]
fn a_silent_track_is_left_out(caps: bool) {
    let mut world = World::new("track-timeout=100");
    world.feeds.play();
    world.to_video.begin(&world.video);
    if caps {
        world.to_audio.begin(&world.audio);
    }
    world.to_video.put_all(&world.video.buffers);
    world.feeds.until(is_persisted);
    world.finish();
    assert_eq!(world.assert_accounted(50, 0), 0);
    assert_eq!(world.told("kvs-track-missing"), [2]);
    assert_eq!(world.local.fragments("cam").len(), 5);
}

/// The same when it is the video that gives nothing: sound makes fragments of its own.
#[test]
fn silent_video_is_left_out() {
    let mut world = World::playing("track-timeout=100 fragment-duration=1000");
    world.to_audio.put_all(&world.audio.buffers);
    world
        .feeds
        .until(|message| tells(message, "kvs-track-missing"));
    world.finish();
    assert_eq!(world.assert_accounted(0, 100), 0);
    assert_eq!(world.told("kvs-track-missing"), [1]);
}

/// A track of few frames: all of video arrives, and what of the other has no place is announced.
#[test]
fn a_sparse_track_stalls_nobody() {
    let mut world = World::playing("track-timeout=100");
    let sparse: Vec<_> = world.audio.buffers.iter().step_by(30).cloned().collect();
    world.audio.buffers = sparse;
    world.put_both();
    world.finish();
    let lost = world.assert_accounted(50, 4);
    assert!(lost < 4, "{lost}");
}

/// A track that ends is not waited for: the other one goes on alone, and only then is EOS.
#[test]
fn a_track_that_ends_early_is_not_waited_for() {
    let mut world = World::playing(&format!("{FOR_EVER} streaming-type=offline"));
    let (first, _) = split(&world.audio, 50);
    let (begins, ends) = split(&world.video, 25);
    put_together(&[(&world.to_video, &begins), (&world.to_audio, &first)]);
    world.to_audio.eos();
    world.to_video.put_all(&ends.buffers);
    world.feeds.until(is_persisted);
    world.to_video.eos();
    world.feeds.until_eos();
    world.feeds.heard.stop(&world.feeds.pipeline);
    assert_eq!(world.assert_accounted(50, 50), 0);
    assert_eq!(world.told("kvs-track-missing"), [0; 0], "it ended");
    let file = world.local.session_files("cam");
    assert_eq!(file.len(), 2, "with it, and without");
}

/// A track that comes late: the other began without it, and it is in the fragments that follow.
#[test]
fn a_track_that_comes_late_is_taken_in() {
    let mut world = World::new("track-timeout=100");
    world.feeds.play();
    world.to_video.begin(&world.video);
    let (begins, ends) = split(&world.video, 25);
    world.to_video.put_all(&begins.buffers);
    world
        .feeds
        .until(|message| tells(message, "kvs-track-missing"));
    let (_, late) = split(&world.audio, 50);
    world.to_audio.begin(&world.audio);
    put_together(&[(&world.to_video, &ends), (&world.to_audio, &late)]);
    world.finish();
    let lost = world.assert_accounted(50, 50);
    // Those of the fragment in which it came.
    assert!(lost <= 20, "{lost}");
    assert_eq!(world.told("kvs-track-missing"), [2]);
    assert_eq!(world.told("kvs-track-restored"), [2]);
}

/// A pad that is requested in PLAYING joins those that play.
#[test]
fn a_pad_that_is_requested_in_playing_is_taken_in() {
    let local = service();
    let mut feeds = Feeds::new(&format!("stream-name=cam {}", properties(&local)));
    let to_video = feeds.source("sink");
    feeds.play();
    let picture = Picture {
        frames: 50,
        gop: 10,
        ..Picture::default()
    };
    let (video, _) = picture.clip(Format::Avc);
    let (audio, _) = Sound::Mulaw.clip(100);
    to_video.begin(&video);
    let (begins, ends) = split(&video, 25);
    to_video.put_all(&begins.buffers);
    let to_audio = feeds.source("audio_%u");
    let (_, late) = split(&audio, 50);
    to_audio.begin(&audio);
    put_together(&[(&to_video, &ends), (&to_audio, &late)]);
    feeds.finish(&[&to_video, &to_audio]);
    let mut world = World::new("");
    (world.local, world.feeds) = (local, feeds);
    let lost = world.assert_accounted(50, 50);
    assert!(lost <= 20, "{lost}");
}

/// GAP events say that a track is there and silent: nobody waits for it.
#[test]
fn gaps_are_presence() {
    let mut world = World::playing(&format!("{FOR_EVER} streaming-type=offline"));
    let step = gst::ClockTime::from_mseconds(40);
    for (n, buffer) in world.video.buffers.iter().enumerate() {
        world.to_video.put(buffer).unwrap();
        let gap = gst::event::Gap::builder(step * n as u64).duration(step);
        world.to_audio.event(gap.build());
    }
    world.feeds.until(is_persisted);
    world.finish();
    assert_eq!(world.assert_accounted(50, 0), 0);
}

/// EOS of one track is none of the stream: what comes on the other one still arrives.
#[test]
fn eos_comes_when_all_tracks_have_ended() {
    let mut world = World::playing(FOR_EVER);
    let (first, second) = split(&world.audio, 50);
    let (begins, _) = split(&world.video, 25);
    put_together(&[(&world.to_video, &begins), (&world.to_audio, &first)]);
    world.to_video.eos();
    world.feeds.until(is_persisted);
    world.to_audio.put_all(&second.buffers);
    let bus = world.feeds.pipeline.0.bus().unwrap();
    world.feeds.heard.0.extend(bus.iter());
    assert!(!world.feeds.heard.eos(), "{:#?}", world.feeds.heard);
    world.to_audio.eos();
    world.feeds.until_eos();
    world.feeds.heard.stop(&world.feeds.pipeline);
    assert_eq!(world.assert_accounted(25, 100), 0);
    let eos = world.feeds.heard.0.iter().filter(|message| is_eos(message));
    assert_eq!(eos.count(), 1);
}

/// With request pads only, EOS comes all the same, with the sequence number of its last event.
#[test_case(&["video_0", "audio_0"])]
#[test_case(&["audio_%u"])]
#[test_case(&["video_7"])]
fn eos_of_request_pads_has_the_number_of_its_event(pads: &[&str]) {
    let local = service();
    let mut feeds = Feeds::new(&format!("stream-name=cam {}", properties(&local)));
    let sources: Vec<_> = pads.iter().map(|pad| feeds.source(pad)).collect();
    feeds.play();
    let clips: Vec<_> = pads
        .iter()
        .map(|pad| match pad.starts_with("audio") {
            true => Sound::Alaw.clip(40).0,
            false => Picture::default().clip(Format::Avc).0,
        })
        .collect();
    let all: Vec<_> = sources.iter().zip(&clips).collect();
    for (source, clip) in &all {
        source.begin(clip);
    }
    put_together(&all);
    let mut seqnum = None;
    for source in &sources {
        let event = gst::event::Eos::new();
        seqnum = Some(event.seqnum());
        source.event(event);
    }
    let eos = feeds.until_eos();
    assert_eq!(Some(eos.seqnum()), seqnum);
    feeds.heard.stop(&feeds.pipeline);
    let frames: usize = clips.iter().map(|clip| clip.buffers.len()).sum();
    let frames = frames as u64;
    assert_eq!(accounts(&feeds.stats()), [frames, frames, 0, 0]);
}
