//! Stories of what a stream must not exceed: its storage, the age of what it keeps, what it sends again, its patience.

use super::{scenarios::secs, *};
use crate::session::Fatal;

#[test]
fn a_full_realtime_store_drops_the_oldest_fragments_as_a_whole() {
    let mut world = World::with(7, |definition| definition.storage = 100_000).away(5, 60);
    world.run_for(secs(90));
    assert_eq!(world.drain(), Ok(()));
    let missing = world.missing();
    // One fragment is durable though its ack was lost with the connection.
    assert_eq!(
        missing.len() as u64 + 20,
        world.dropped(DropReason::Storage)
    );
    assert_eq!(
        world.dropped(DropReason::Storage),
        world.stats().frames_dropped()
    );
    // One run of frames, from a key frame to before a key frame.
    let (first, last) = (missing[0], missing[missing.len() - 1]);
    assert_eq!(missing, (first..=last).collect::<Vec<_>>());
    assert_eq!((first % 20, last % 20), (0, 19));
}

#[test]
fn near_realtime_keeps_what_is_too_old_for_realtime() {
    for streaming_type in [StreamingType::Realtime, StreamingType::NearRealtime] {
        let mut world = World::with(7, |definition| {
            definition.streaming_type = streaming_type;
            definition.buffer_duration = secs(10);
        })
        .away(5, 60);
        world.run_for(secs(90));
        assert_eq!(world.drain(), Ok(()));
        let (missing, age) = (world.missing(), world.dropped(DropReason::Age));
        assert_eq!(
            world.stats().frames_dropped(),
            age,
            "and for no other reason"
        );
        if streaming_type == StreamingType::NearRealtime {
            assert_eq!((missing.len(), age), (0, 0));
            continue;
        }
        // Whole fragments, one after the other.
        assert!(age >= 40 * 10, "{age}");
        assert_eq!(missing.len() as u64, age);
        let (first, last) = (missing[0], missing[missing.len() - 1]);
        assert_eq!(missing, (first..=last).collect::<Vec<_>>());
        assert_eq!((first % 20, last % 20), (0, 19));
    }
}

#[test]
fn what_was_sent_longer_ago_than_the_replay_duration_is_not_sent_again() {
    for (replay_s, streaming_type) in [
        (3, StreamingType::Realtime),
        (3, StreamingType::NearRealtime),
        (3, StreamingType::Offline),
        (0, StreamingType::Realtime),
    ] {
        let mut world = World::with(7, |definition| {
            definition.streaming_type = streaming_type;
            definition.replay_duration = secs(replay_s);
        });
        world.run_for(secs(5));
        // What is sent from here on leads nowhere, until that is noticed.
        let id = world.body.unwrap();
        let link = world.connections.get_mut(&id).unwrap();
        (link.cut, link.silent) = (true, true);
        world.run_for(secs(100));
        assert_eq!(world.drain(), Ok(()));
        let (missing, replay) = (world.missing(), world.dropped(DropReason::Replay));
        assert_eq!(world.stats().frames_dropped(), replay);
        if replay_s == 0 || streaming_type == StreamingType::Offline {
            assert_eq!((missing.len(), replay), (0, 0), "{streaming_type:?}");
            continue;
        }
        // The wire has swallowed six fragments of 2 s; the newest, and the one that ended less than 3 s before it, come again.
        assert_eq!(missing.len() as u64, replay);
        assert_eq!(missing, (40..120).collect::<Vec<_>>());
        assert_eq!(
            world.told_times(|event| matches!(
                event,
                Event::FramesDropped {
                    reason: DropReason::Replay,
                    frames: 80,
                    ..
                }
            )),
            1
        );
    }
}

#[test]
fn a_stream_that_must_not_restart_ends_with_the_first_failure() {
    for (from, sent) in [(0, false), (7, true)] {
        let mut world =
            World::with(7, |definition| definition.restart_on_error = false).away(from, 60);
        world.run_for(secs(30));
        assert!(world.session.is_stopped());
        let failed: Vec<_> = world
            .told
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Failed(error) => Some(error.clone()),
                _ => None,
            })
            .collect();
        let [error] = &failed[..] else {
            panic!("{failed:?}")
        };
        assert_eq!(error.fatal, Fatal::Lost);
        assert_eq!(error.missing, world.dropped(DropReason::Unfinished));
        assert_eq!(error.missing, world.stats().frames_dropped());
        assert_eq!(sent, world.stats().frames_persisted > 0);
        assert_eq!(world.stats().connection_attempts, u64::from(sent));
        let lost = |event: &Event| matches!(event, Event::ConnectionLost(_));
        assert_eq!(world.told_times(lost), 0, "nobody tries again");
        assert_eq!(world.end(secs(1), true), Err(error.clone()));
    }
}

#[test]
fn offline_nothing_is_dropped_and_room_is_always_made() {
    for (seed, storage) in [4 << 10, 20 << 10, 1 << 20].into_iter().enumerate() {
        for acks in [true, false] {
            let mut world = World::with(seed as u64, |definition| {
                definition.streaming_type = StreamingType::Offline;
                definition.storage = storage;
                definition.fragment_acks = acks;
            })
            .away(20, 30);
            world.run_for(secs(120));
            assert_eq!(world.drain(), Ok(()), "{storage} bytes, acks: {acks}");
            assert_eq!(world.missing(), [0; 0]);
            assert_eq!(world.stats().frames_dropped(), 0);
            assert!(world.longest_wait < secs(30), "{:?}", world.longest_wait);
            assert!(world.taken.len() > 500, "{} frames", world.taken.len());
        }
    }
}

#[test]
fn a_large_frame_behind_small_fragments_gets_room_without_acks() {
    // What waits for the end of the session is less than half of the storage, so nothing but the frame ends it.
    for seed in 0..10 {
        let mut world = World::with(seed, |definition| {
            definition.streaming_type = StreamingType::Offline;
            definition.storage = 30_000;
            definition.fragment_acks = false;
        });
        world.source.sizes = (1000, 10);
        world.run_for(secs(3 + seed));
        world.source.sizes = (25_000, 10);
        world.run_for(secs(30));
        assert!(world.longest_wait < secs(5), "{:?}", world.longest_wait);
        assert_eq!(world.drain(), Ok(()));
        assert_eq!(world.missing(), [0; 0]);
    }
}

#[test]
fn what_waits_for_room_no_more_leaves_nothing_behind() {
    let mut world = World::with(7, |definition| {
        definition.streaming_type = StreamingType::Offline;
        definition.storage = 20 << 10;
    })
    .away(5, 30);
    world.run_for(secs(20));
    // A flush: the frame that waits for room is given up, and none follows.
    assert!(world.waiting.take().is_some());
    world.session.end_fragment();
    world.run_for(secs(100));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(world.stats().frames_pending, 0);
    let lost = |event: &Event| matches!(event, Event::ConnectionLost(_));
    assert_eq!(world.told_times(lost), 1, "a pause is no outage");
}
