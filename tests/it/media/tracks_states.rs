//! Two pads, and what happens to pipelines: releases, flushes, states.

use gst::prelude::*;
use test_case::test_case;

use super::{
    clips::{Format, Picture, of_track, stored_frames},
    tracks::World,
};
use crate::support::{PATIENCE, accounts, feed::Clip, feeds::put_together, log::eventually};

fn part(clip: &Clip, range: std::ops::Range<usize>) -> Clip {
    Clip {
        events: clip.events.clone(),
        buffers: clip.buffers[range].to_vec(),
    }
}

/// A pad that is released in PLAYING is not waited for; what it gave arrives.
#[test]
fn a_pad_may_be_released_in_playing() {
    let mut world = World::playing("track-timeout=3600000 streaming-type=offline");
    let (video, audio) = (part(&world.video, 0..25), part(&world.audio, 0..50));
    put_together(&[(&world.to_video, &video), (&world.to_audio, &audio)]);
    world.to_audio.release();
    world.to_video.put_all(&world.video.buffers[25..]);
    world.to_video.eos();
    world.feeds.until_eos();
    world.feeds.heard.stop(&world.feeds.pipeline);
    assert_eq!(world.assert_accounted(50, 50), 0);
}

/// The last pad that has not ended is released: that is the end.
#[test]
fn the_release_of_the_last_pad_that_plays_is_the_end() {
    let mut world = World::playing("");
    world.put_both();
    world.to_video.eos();
    world.to_audio.release();
    world.feeds.until_eos();
    world.feeds.heard.stop(&world.feeds.pipeline);
    assert_eq!(world.assert_accounted(50, 100), 0);
}

/// A thread that waits for the other track is let go when its pad is released.
#[test]
fn a_release_lets_a_thread_go_that_waits() {
    let mut world = World::playing("track-timeout=3600000 streaming-type=offline");
    let putting = world.to_audio.put_aside(&long(&world.audio));
    assert!(eventually(|| accounts(&world.feeds.stats())[0] >= 500));
    world.to_audio.release();
    let flow = putting.join().unwrap();
    assert!(
        matches!(
            flow,
            Err(gst::FlowError::Flushing | gst::FlowError::NotLinked)
        ),
        "{flow:?}"
    );
    let frames = accounts(&world.feeds.stats())[0];
    // Behind the sound, which has been sent meanwhile.
    let later = gst::ClockTime::from_seconds(20);
    world.to_video.event(world.video.segment_at(later));
    world.to_video.put_all(&world.video.buffers);
    world.to_video.eos();
    world.feeds.until_eos();
    world.feeds.heard.stop(&world.feeds.pipeline);
    let audio = usize::try_from(frames).unwrap();
    assert_eq!(world.assert_accounted(50, audio), 0);
}

/// Sound of 14 s, more than may wait for the other track.
fn long(audio: &Clip) -> Vec<gst::Buffer> {
    let step = gst::ClockTime::from_mseconds(20);
    (0..700)
        .map(|n| {
            let mut buffer = audio.buffers[0].copy_deep().unwrap();
            let times = buffer.get_mut().unwrap();
            times.set_pts(step * n);
            times.set_dts(step * n);
            buffer
        })
        .collect()
}

/// NULL ends the wait of a thread whose track is far ahead, and says what is missing.
#[test]
fn null_ends_the_wait_for_another_track() {
    let mut world = World::playing("track-timeout=3600000 streaming-type=offline");
    let putting = world.to_audio.put_aside(&long(&world.audio));
    assert!(eventually(|| accounts(&world.feeds.stats())[0] >= 500));
    world.feeds.heard.stop(&world.feeds.pipeline);
    assert_eq!(putting.join().unwrap(), Err(gst::FlowError::Flushing));
    let [all, persisted, dropped, pending] = accounts(&world.feeds.stats());
    assert!((500..700).contains(&all), "{all}");
    assert_eq!((persisted + dropped, pending), (all, 0));
    // All of it was put, and there was a service.
    assert_eq!(dropped, 0, "{:#?}", world.feeds.heard);
}

/// A flush of one pad: the other one goes on, and what follows on both arrives.
#[test_case(false; "of sound")]
#[test_case(true; "of video")]
fn a_flush_of_one_pad_leaves_the_other(of_video: bool) {
    let mut world = World::playing("track-timeout=1000");
    let (video, audio) = (part(&world.video, 0..20), part(&world.audio, 0..40));
    put_together(&[(&world.to_video, &video), (&world.to_audio, &audio)]);
    let (source, clip) = match of_video {
        true => (&world.to_video, &world.video),
        false => (&world.to_audio, &world.audio),
    };
    source.event(gst::event::FlushStart::new());
    source.event(gst::event::FlushStop::new(false));
    source.event(clip.segment_at(gst::ClockTime::ZERO));
    let (video, audio) = (part(&world.video, 20..50), part(&world.audio, 40..100));
    put_together(&[(&world.to_video, &video), (&world.to_audio, &audio)]);
    world.finish();
    assert_eq!(world.assert_accounted(50, 100), 0);
}

/// A flush of both that resets the time, as of a seek: both go on together.
#[test]
fn a_seek_of_both_begins_anew() {
    let mut world = World::playing("");
    for _ in 0..2 {
        world.put_both();
        for source in [&world.to_video, &world.to_audio] {
            source.event(gst::event::FlushStart::new());
        }
        for (source, clip) in [
            (&world.to_video, &world.video),
            (&world.to_audio, &world.audio),
        ] {
            source.event(gst::event::FlushStop::new(true));
            source.event(clip.segment_at(gst::ClockTime::ZERO));
        }
    }
    world.put_both();
    world.finish();
    assert_eq!(world.assert_accounted(150, 300), 0);
    let stored = stored_frames(&world.local);
    for (video, audio) in of_track(&stored, 1)
        .chunks(50)
        .zip(of_track(&stored, 2).chunks(100))
    {
        let apart = video[0].at_ms.abs_diff(audio[0].at_ms);
        assert!(apart <= 1, "{apart} ms");
    }
}

/// READY↔PLAYING with two pads: each round is a stream.
#[test]
fn each_round_from_ready_uploads_both() {
    let mut world = World::new("");
    for round in 1..=3 {
        let sink = world.feeds.pipeline.element("sink");
        sink.set_property("stream-name", format!("cam{round}"));
        world.feeds.play();
        world.to_video.begin(&world.video);
        world.to_audio.begin(&world.audio);
        world.put_both();
        world.to_video.eos();
        world.to_audio.eos();
        world.feeds.until_eos();
        assert_eq!(accounts(&world.feeds.stats()), [150, 150, 0, 0], "{round}");
        world.feeds.set(gst::State::Ready);
        let frames = world.local.fragments(&format!("cam{round}"));
        assert_eq!(frames.iter().map(|f| f.frames).sum::<u32>(), 150, "{round}");
    }
    world.feeds.heard.stop(&world.feeds.pipeline);
    assert!(world.feeds.heard.errors("sink").is_empty());
}

/// A round that ends while the end waits for a pad on which nothing began: nothing of that wait is left for the next one.
#[test]
fn the_wait_for_a_pad_ends_with_its_round() {
    let mut world = World::new("track-timeout=3600000");
    world.feeds.play();
    world.to_video.begin(&world.video);
    world.to_video.put_all(&world.video.buffers);
    world.to_video.eos();
    // At the end of a test its events are gone, too.
    world.feeds.set(gst::State::Ready);
    assert_eq!(accounts(&world.feeds.stats()), [50, 50, 0, 0]);
    world.feeds.play();
    world.to_video.begin(&world.video);
    world.to_audio.begin(&world.audio);
    world.put_both();
    world.finish();
    assert_eq!(accounts(&world.feeds.stats()), [150, 150, 0, 0]);
}

/// In PAUSED no pad takes more than a buffer, and PLAYING takes all of both.
#[test]
fn both_pads_wait_in_paused() {
    let mut world = World::new("");
    world.feeds.set(gst::State::Paused);
    world.to_video.begin(&world.video);
    world.to_audio.begin(&world.audio);
    for _ in 0..3 {
        world.feeds.play();
        world.feeds.set(gst::State::Paused);
    }
    let putting = [
        world.to_video.put_aside(&world.video.buffers),
        world.to_audio.put_aside(&world.audio.buffers),
    ];
    for _ in 0..5 {
        world.feeds.set(gst::State::Paused);
        let (_, state, _) = world
            .feeds
            .pipeline
            .0
            .state(gst::ClockTime::from_seconds(PATIENCE.as_secs()));
        assert_eq!(state, gst::State::Paused);
        assert!(putting.iter().all(|putting| !putting.is_finished()));
    }
    world.feeds.play();
    for putting in putting {
        assert_eq!(putting.join().unwrap(), Ok(gst::FlowSuccess::Ok));
    }
    world.finish();
    let lost = world.assert_accounted(50, 100);
    assert_eq!(lost, 0, "{:#?}", world.feeds.heard);
}

/// NULL in PAUSED lets threads go that wait on both pads.
#[test]
fn null_in_paused_lets_both_pads_go() {
    let mut world = World::new("");
    world.feeds.set(gst::State::Paused);
    world.to_video.begin(&world.video);
    world.to_audio.begin(&world.audio);
    let putting = [
        world.to_video.put_aside(&world.video.buffers),
        world.to_audio.put_aside(&world.audio.buffers),
    ];
    world.feeds.heard.stop(&world.feeds.pipeline);
    for putting in putting {
        assert_eq!(putting.join().unwrap(), Err(gst::FlowError::Flushing));
    }
    let [all, persisted, dropped, pending] = accounts(&world.feeds.stats());
    assert_eq!((all, pending), (persisted + dropped, 0));
}

/// Two tracks of video: key frames of the first cut the fragments, all of both arrives.
#[test]
fn two_videos_arrive() {
    let mut world = World::new("");
    let (other, _) = Picture {
        frames: 50,
        gop: 5,
        width: 192,
        ..Picture::default()
    }
    .clip(Format::H264ByteStream);
    world.to_audio.release();
    world.to_audio = world.feeds.source("video_0");
    world.audio = other;
    world.feeds.play();
    world.to_video.begin(&world.video);
    world.to_audio.begin(&world.audio);
    world.put_both();
    world.finish();
    assert_eq!(
        accounts(&world.feeds.stats()),
        [100, 100, 0, 0],
        "{:#?}",
        world.feeds.heard
    );
    assert_eq!(world.local.fragments("cam").len(), 5);
}
