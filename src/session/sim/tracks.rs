//! Stories of several tracks: one is regular, sparse, late, silent, or comes back; and what goes with fragments.
//!
//! The service of the world refuses a fragment without a frame of each track that its header declares (4010, 4011), more
//! than ten tags (4009), and tags before blocks; the tap wants each frame under the header of its track.

use std::time::Duration;

use super::{
    others::{audio, second_video},
    *,
};
use crate::session::EventMetadata;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

impl World {
    fn missing_events(&self) -> (usize, usize) {
        (
            self.told_times(|event| matches!(event, Event::TrackMissing { .. })),
            self.told_times(|event| matches!(event, Event::TrackRestored { .. })),
        )
    }

    /// Everything that is missing was told.
    fn nothing_is_lost_silently(&self) {
        assert_eq!(self.missing().len() as u64, self.stats().frames_dropped());
    }
}

#[test]
fn video_and_audio_share_a_session_and_every_fragment() {
    let mut world = World::seeded(7).and(Other::new(audio(8000)));
    world.run_for(secs(60));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(world.service.sessions.len(), 1);
    assert_eq!(world.service.archive.len(), 31);
    assert_eq!(world.missing_events(), (0, 0));
    assert_eq!(world.stats().frames_dropped(), 0);
}

#[test]
fn a_track_that_is_silent_from_the_start_is_waited_for_once() {
    let mut silent = Other::new(audio(8000));
    silent.gives = vec![];
    let mut world = World::seeded(7).and(silent);
    world.run_for(secs(4));
    assert_eq!(world.service.sessions.len(), 0, "it is waited for");
    world.run_for(secs(56));
    // It costs the order nothing after the first five seconds.
    let kept = world.session.lanes.frames();
    assert_eq!(kept, 0, "{kept} frames wait");
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(world.service.sessions.len(), 1);
    assert_eq!(world.missing_events(), (1, 0));
}

#[test]
fn a_track_without_caps_is_left_out_and_joins_when_they_come() {
    let mut unknown = Other::new(audio(8000));
    (unknown.unknown, unknown.gives) = (true, vec![20_000..u64::MAX]);
    let mut world = World::seeded(7).and(unknown);
    world.service.stream = Stream::Missing;
    world.run_for(secs(60));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing_events(), (1, 1));
    assert_eq!(world.service.sessions.len(), 2);
    world.nothing_is_lost_silently();
}

#[test]
fn an_end_does_not_wait_for_a_track_that_never_said_what_it_is() {
    let mut unknown = Other::new(audio(8000));
    (unknown.unknown, unknown.gives) = (true, vec![]);
    let mut world = World::seeded(7).and(unknown);
    world.service.stream = Stream::Missing;
    world.run_for(secs(3));
    assert_eq!(world.service.sessions.len(), 0, "it is waited for");
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
}

#[test]
fn a_late_track_joins_at_the_next_fragment() {
    let mut late = Other::new(audio(8000));
    late.gives = vec![21_000..u64::MAX];
    let mut world = World::seeded(7).and(late);
    world.run_for(secs(60));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing_events(), (1, 1));
    assert_eq!(world.service.sessions.len(), 2);
    let lost = world.dropped(DropReason::NoTrack);
    assert!(lost <= 20, "{lost} frames, a fragment has 20");
    world.nothing_is_lost_silently();
    assert_eq!(world.stats().frames_dropped(), lost);
}

#[test]
fn a_track_that_stays_away_is_left_out_until_it_is_back() {
    let mut comes_and_goes = Other::new(audio(8000));
    comes_and_goes.gives = vec![0..20_500, 50_500..u64::MAX];
    let mut world = World::seeded(7).and(comes_and_goes);
    world.run_for(secs(90));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing_events(), (1, 1));
    assert_eq!(world.service.sessions.len(), 3);
    world.nothing_is_lost_silently();
    assert!(world.stats().frames_dropped() <= 20);
    let video = world
        .missing()
        .iter()
        .filter(|number| **number < 1 << 40)
        .count();
    assert_eq!(video, 0);
}

#[test]
fn a_sparse_track_does_not_begin_a_session_for_each_of_its_frames() {
    for gaps in [true, false] {
        let mut sparse = Other::new(audio(8000));
        sparse.gives = (0..100).map(|n| n * 3500..n * 3500 + 50).collect();
        sparse.gaps = gaps;
        let mut world = World::seeded(7).and(sparse);
        world.run_for(secs(120));
        assert_eq!(world.drain(), Ok(()));
        world.nothing_is_lost_silently();
        assert_eq!(
            world.stats().frames_dropped(),
            world.dropped(DropReason::NoTrack)
        );
        // There and back each ten seconds.
        let sessions = world.service.sessions.len();
        assert!(sessions <= 26, "{sessions} sessions");
    }
}

#[test]
fn offline_a_sparse_track_loses_nothing() {
    for acks in [true, false] {
        for storage in [20 << 10, 1 << 20] {
            let mut sparse = Other::new(audio(8000));
            sparse.gives = (0..100).map(|n| n * 3500..n * 3500 + 50).collect();
            sparse.gaps = true;
            let mut world = World::with(7, |definition| {
                definition.streaming_type = StreamingType::Offline;
                definition.fragment_acks = acks;
                definition.storage = storage;
            })
            .and(sparse);
            world.run_for(secs(120));
            assert_eq!(world.drain(), Ok(()));
            assert_eq!(world.missing(), [0; 0]);
            assert_eq!(world.stats().frames_dropped(), 0);
            assert!(world.taken.len() > 500, "{} frames", world.taken.len());
        }
    }
}

#[test]
fn audio_alone_is_cut_by_the_fragment_duration() {
    let mut world = World::with(7, |definition| definition.fragment_duration = secs(3))
        .and(Other::new(audio(8000)))
        .without_camera();
    world.run_for(secs(60));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    let session = &world.service.sessions[0];
    assert!(
        session.windows(2).all(|pair| pair[1] - pair[0] == 3000),
        "{session:?}"
    );
    assert_eq!(world.service.sessions.len(), 1);
}

#[test]
fn three_tracks_share_every_fragment() {
    let mut world = World::seeded(7)
        .and(Other::new(audio(8000)))
        .and(Other::new(second_video()));
    world.run_for(secs(60));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(world.service.sessions.len(), 1);
}

#[test]
fn when_the_video_stays_away_audio_goes_on_alone_and_nothing_waits_for_ever() {
    let mut world = World::seeded(7).and(Other::new(audio(8000)));
    world.pauses.insert(100, secs(40));
    world.source.steps.insert(100, 40_000);
    world.run_for(secs(90));
    let latest = world.service.frames().into_iter().max().unwrap() % (1 << 40);
    assert!(latest > 800, "audio {latest} is durable after 90 s");
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing_events(), (1, 1));
    world.nothing_is_lost_silently();
}

#[test]
fn a_track_that_ended_is_not_waited_for_and_not_missing() {
    let mut short = Other::new(audio(8000));
    short.ends_ms = Some(21_000);
    let mut world = World::seeded(7).and(short);
    world.run_for(secs(60));
    assert_eq!(world.session.lanes.frames(), 0);
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(world.missing_events(), (0, 0));
    assert_eq!(world.service.sessions.len(), 2);
}

#[test]
fn audio_goes_on_to_the_end_when_the_video_has_ended() {
    let mut world = World::seeded(7).and(Other::new(audio(8000)));
    world.run_for(secs(20));
    world.frames_left = 0;
    world
        .session
        .end_track(world.now, crate::media::TrackNumber::VIDEO);
    world.run_for(secs(40));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    assert!(world.taken.len() > 750, "{}", world.taken.len());
}

#[test]
fn another_audio_track_waits_for_the_next_fragment_and_loses_nothing() {
    let mut world = World::seeded(7).and(Other::new(audio(8000)));
    world.changes(0, 110, audio(16_000));
    world.run_for(secs(40));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(world.service.sessions.len(), 2);
    assert_eq!(world.missing_events(), (0, 0));
}

#[test]
fn another_video_track_beside_audio_loses_nothing() {
    let mut world = World::seeded(7).and(Other::new(audio(8000)));
    world.ledger.widths.insert(100, 320);
    world.run_for(secs(40));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(world.service.sessions.len(), 2);
}

#[test]
fn a_cut_connection_costs_two_tracks_nothing() {
    for seed in 0..10 {
        let mut world = World::seeded(seed).and(Other::new(audio(8000)));
        world.faults.cut = 0.8;
        world.run_for(secs(60));
        world.faults.cut = 0.0;
        assert_eq!(world.drain(), Ok(()));
        assert_eq!(world.missing(), [0; 0]);
    }
}

#[test]
fn tags_go_with_the_fragment_of_their_frame_and_again_with_it() {
    for two in [false, true] {
        let mut world = World::seeded(7);
        if two {
            world = world.and(Other::new(audio(8000)));
        }
        world.faults.cut = 0.5;
        let mut put = Vec::new();
        for _ in 0..40 {
            world.run_for(Duration::from_millis(730));
            let number = world.source.next - 1;
            world
                .session
                .put_metadata(&format!("n{number}"), "v", false)
                .unwrap();
            put.push(number);
        }
        world.faults.cut = 0.0;
        assert_eq!(world.drain(), Ok(()));
        assert_eq!(world.missing(), [0; 0]);
        for number in put {
            let name = format!("n{number}");
            let tagged = |(_, tags): &(&u64, &Vec<(String, String)>)| {
                tags.iter().any(|(other, _)| *other == name)
            };
            let timecodes: Vec<_> = world
                .service
                .tags
                .iter()
                .filter(tagged)
                .map(|(timecode, _)| *timecode)
                .collect();
            let [timecode] = timecodes[..] else {
                panic!("{name} is in {timecodes:?}");
            };
            assert!(
                world.service.archive[&timecode].contains(&number),
                "{name} in {timecode}"
            );
        }
    }
}

#[test]
fn a_persistent_tag_is_in_each_fragment_until_it_is_cancelled() {
    let mut world = World::seeded(7);
    world.session.put_metadata("site", "yard", true).unwrap();
    world.run_for(secs(11));
    world.session.put_metadata("site", "gate", true).unwrap();
    world.run_for(secs(10));
    world.session.put_metadata("site", "", true).unwrap();
    world.run_for(secs(10));
    assert_eq!(world.drain(), Ok(()));
    let values: Vec<_> = world
        .service
        .tags
        .values()
        .map(|tags| match &tags[..] {
            [] => "",
            [(name, value)] if name == "site" => value,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(values[..5], ["yard"; 5]);
    assert_eq!(values[5..11], ["gate"; 6]);
    assert_eq!(values[11..], [""; 5]);
}

#[test]
fn a_fragment_takes_nine_tags_and_the_tenth_is_refused_here() {
    let mut world = World::seeded(7).and(Other::new(audio(8000)));
    world.session.put_metadata("site", "yard", true).unwrap();
    let event = EventMetadata {
        image: true,
        notification: true,
        image_prefix: Some("porch".into()),
        pairs: vec![("who".into(), "cat".into())],
    };
    world.run_for(Duration::from_millis(2500));
    for _ in 0..2 {
        let again = EventMetadata {
            pairs: Vec::new(),
            ..event.clone()
        };
        world.session.put_event(again).unwrap();
    }
    for n in 0..5 {
        world
            .session
            .put_metadata(&format!("n{n}"), "v", false)
            .unwrap();
    }
    let refused = world.session.put_metadata("n9", "v", false).unwrap_err();
    assert!(refused.to_string().contains("10 tags"), "{refused}");
    assert!(world.session.put_event(event.clone()).is_err());
    let other = EventMetadata {
        image_prefix: Some("yard".into()),
        ..event.clone()
    };
    let refused = world.session.put_event(other).unwrap_err();
    assert!(refused.to_string().contains("prefix"), "{refused}");
    world.run_for(secs(2));
    world.session.put_event(event).unwrap();
    world.run_for(secs(10));
    assert_eq!(world.drain(), Ok(()));
    let most = world.service.tags.values().map(Vec::len).max();
    assert_eq!(most, Some(9));
    let images = world
        .service
        .tags
        .values()
        .flatten()
        .filter(|(name, _)| name.ends_with("IMAGE_GENERATION"));
    assert_eq!(images.count(), 2);
}

#[test]
fn a_clock_that_begins_anew_may_be_earlier_and_loses_nothing() {
    for two in [false, true] {
        let mut world = World::seeded(7);
        if two {
            world = world.and(Other::new(audio(8000)));
        }
        // Just before a key frame.
        world.run_for(Duration::from_millis(19_950));
        world.session.restart_time();
        world.shift = -3_600_000;
        world.run_for(secs(20));
        assert_eq!(world.drain(), Ok(()));
        assert_eq!(world.missing(), [0; 0], "two: {two}");
        assert_eq!(world.service.sessions.len(), 2);
        assert!(world.service.sessions[1][0] < world.service.sessions[0][0]);
    }
}

#[test]
fn no_more_bytes_are_sent_than_the_bandwidth_allows() {
    let mut world = World::with(7, |definition| definition.bandwidth = Some(20_000));
    world.source.sizes = (30_000, 2000);
    world.run_for(secs(60));
    let sent = world.stats().bytes_sent;
    assert!((1_000_000..=1_200_000).contains(&sent), "{sent}");
    world.source.sizes = (100, 100);
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
}
