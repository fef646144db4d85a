//! Stories: one thing goes wrong, one promise holds.

use std::time::Duration;

use super::{source::EPOCH_MS, *};
use crate::session::{AckKind, Fatal};

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Timecodes of the fragments with these numbers: one each two seconds.
fn timecodes(numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let of = |number| EPOCH_MS + number * 2000;
    numbers.into_iter().map(of).collect()
}

impl World {
    /// The service is not there between these seconds from now.
    pub(super) fn away(mut self, from: u64, to: u64) -> Self {
        self.faults
            .away
            .push((self.now + secs(from), self.now + secs(to)));
        self
    }

    fn states(&self) -> Vec<&'static str> {
        let state = |(_, event): &(Mono, Event)| match event {
            Event::State(state) => Some(*state),
            _ => None,
        };
        self.told.iter().filter_map(state).collect()
    }
}

#[test]
fn what_the_camera_gives_is_persisted_frame_for_frame() {
    let mut world = World::seeded(7);
    world.run_for(secs(60));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(world.service.sessions, [timecodes(0..31)]);
    assert_eq!(world.acks(AckKind::Persisted).count(), 31);
    assert_eq!(world.stats().frames_dropped(), 0);
    assert!(world.stats().persisted_latency.is_some());
}

#[test]
fn a_cut_connection_is_resumed_at_the_first_fragment_that_is_not_persisted() {
    // The tap of the world compares the bytes, and refuses what is PERSISTED.
    let mut world = World::seeded(7).away(7, 9);
    world.run_for(secs(20));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(world.service.sessions, [timecodes(0..4), timecodes(3..11)]);
    assert_eq!(world.stats().fragments_resent, 1);
    assert_eq!(
        world.told_times(|event| matches!(event, Event::ConnectionLost(_))),
        1
    );
    let restored = |event: &Event| matches!(event, Event::ConnectionRestored { resending: 1, .. });
    assert_eq!(world.told_times(restored), 1);
}

#[test]
fn acks_that_were_lost_cost_a_second_copy_and_no_frame() {
    for seed in 0..20 {
        let mut world = World::seeded(seed);
        world.faults.cut = 0.8;
        world.run_for(secs(60));
        world.faults.cut = 0.0;
        assert_eq!(world.drain(), Ok(()));
        assert_eq!(world.missing(), [0; 0]);
        assert_eq!(world.stats().frames_dropped(), 0);
        assert_eq!(world.stats().frames_persisted, world.taken.len() as u64);
    }
}

#[test]
fn a_stream_that_starts_without_a_service_catches_up_when_it_comes() {
    let mut world = World::seeded(7).away(0, 30);
    world.service.stream = Stream::Missing;
    world.run_for(secs(60));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(
        world.told_times(|event| matches!(event, Event::ConnectionLost(_))),
        1
    );
    assert_eq!(world.told_times(|event| matches!(event, Event::Ready)), 1);
    assert!(
        world.service.calls.len() <= 30 && world.most_attempts <= 8,
        "{} calls",
        world.service.calls.len()
    );
}

#[test]
fn a_new_stream_is_created_awaited_and_tagged_before_media_is_sent() {
    let mut world = World::with(7, |definition| {
        definition.tags = [("site".to_owned(), "yard".to_owned())].into();
    });
    world.service.stream = Stream::Missing;
    world.run_for(secs(10));
    let mut calls: Vec<_> = world.service.calls.iter().map(|(_, call)| *call).collect();
    calls.dedup();
    use Call::*;
    assert_eq!(calls, [Describe, Create, Describe, Tag, Resolve, PutMedia]);
}

#[test]
fn the_end_of_the_stream_ends_the_fragment_then_the_body() {
    let mut world = World::seeded(7);
    world.run_for(secs(11));
    assert_eq!(world.drain(), Ok(()));
    // The service refuses a body that ends without the end of its fragment.
    assert_eq!(world.service.closed, 1);
    assert!(
        world
            .states()
            .ends_with(&["streaming", "draining", "closing", "ready"])
    );
    assert_eq!(world.end(secs(1), true), Ok(()));
    assert!(matches!(world.told.last(), Some((_, Event::Closed(_)))));
}

#[test]
fn a_stream_goes_on_with_a_key_frame_after_its_end() {
    let mut world = World::seeded(7);
    world.run_for(secs(10));
    assert_eq!(world.drain(), Ok(()));
    world.frames_left = u64::MAX;
    world.plan(secs(5), Happening::Frame);
    world.run_for(secs(15));
    assert_eq!(world.drain(), Ok(()));
    let dropped = world.stats().frames_dropped();
    assert_eq!(dropped, world.dropped(DropReason::NoKeyFrame));
    assert_eq!(world.missing().len() as u64, dropped);
    assert_eq!(world.service.sessions.len(), 2);
}

#[test]
fn the_end_during_a_back_off_waits_for_the_service() {
    let mut world = World::seeded(7).away(10, 40);
    world.run_for(secs(25));
    assert_eq!(world.stats().state, "backing-off");
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
}

#[test]
fn every_frame_that_is_missing_at_the_deadline_is_counted() {
    let mut world = World::seeded(7).away(10, 1000);
    world.run_for(secs(25));
    let pending = world.stats().frames_pending;
    let error = world.end(secs(5), true).unwrap_err();
    assert_eq!((error.fatal, error.missing), (Fatal::Unfinished, pending));
    assert_eq!(world.dropped(DropReason::Unfinished), pending);
    assert_eq!(world.missing().len() as u64, pending);
}

#[test]
fn other_tracks_begin_another_session_and_lose_nothing() {
    let mut world = World::seeded(7);
    world.ledger.widths.insert(100, 320);
    world.run_for(secs(20));
    assert_eq!(world.drain(), Ok(()));
    // The tap of the world compares the header with the tracks of each frame.
    assert_eq!(world.service.sessions, [timecodes(0..5), timecodes(5..11)]);
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(
        world.told_times(|event| matches!(event, Event::ConnectionLost(_))),
        0
    );
}

#[test]
fn a_poison_fragment_is_skipped_after_one_retry_and_the_rest_arrives() {
    let mut world = World::seeded(7);
    world.service.poison.extend(timecodes([3]));
    world.run_for(secs(30));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), (60..80).collect::<Vec<_>>());
    // It was skipped while it grew; the rest of it had no place then.
    let skipped = world.dropped(DropReason::Rejected);
    assert!(skipped > 0);
    assert_eq!(skipped + world.dropped(DropReason::NoKeyFrame), 20);
    assert_eq!(world.stats().frames_dropped(), 20);
    let sent: Vec<_> = world.service.sessions.concat();
    let poison = timecodes([3])[0];
    assert_eq!(sent.iter().filter(|sent| **sent == poison).count(), 2);
}

#[test]
fn a_stream_that_keeps_nothing_is_settled_by_received() {
    let mut world = World::seeded(7).away(7, 9);
    world.service.retention = Duration::ZERO;
    world.run_for(secs(20));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(world.acks(AckKind::Persisted).count(), 0);
}

#[test]
fn a_connection_that_leads_nowhere_is_given_up_after_the_staleness() {
    let mut world = World::seeded(7).away(10, 11);
    world.run_for(secs(5));
    let id = world.body.unwrap();
    let link = world.connections.get_mut(&id).unwrap();
    (link.cut, link.silent) = (true, true);
    world.faults.away.clear();
    world.run_for(secs(100));
    assert_eq!(
        world.told_times(|event| matches!(event, Event::ConnectionLost(_))),
        1
    );
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
}

#[test]
fn a_stop_ends_by_its_deadline_in_every_state() {
    // The world refuses an end that is overdue.
    for state in [
        "describing",
        "creating",
        "activating",
        "tagging",
        "resolving",
        "opening",
        "streaming",
        "backing-off",
        "draining",
        "closing",
    ] {
        for seed in 0..20 {
            let mut world = World::with(seed, |definition| {
                definition.tags = [("site".to_owned(), "yard".to_owned())].into();
            })
            .away(12, 20);
            world.service.stream = Stream::Missing;
            // It drains and closes for other tracks.
            world.ledger.widths.insert(60, 320);
            let until = world.now + secs(24);
            world.run_while(until, |world| world.stats().state != state);
            assert_eq!(world.stats().state, state);
            let pending = world.stats().frames_pending;
            let outcome = world.end(Duration::from_millis(seed * 100), true);
            assert!(world.session.is_stopped());
            let missing = outcome.map_or_else(|error| error.missing, |()| 0);
            assert_eq!(world.dropped(DropReason::Unfinished), missing);
            assert!(missing <= pending, "{missing} of {pending}");
        }
    }
}

#[test]
fn a_paused_source_ends_its_session_and_a_key_frame_begins_another() {
    let mut world = World::seeded(7);
    world.pauses.insert(40, secs(60));
    world.run_for(secs(80));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(
        world.service.sessions.len(),
        2,
        "{:?}",
        world.service.sessions
    );
    assert_eq!(world.stats().fragments_resent, 0);
    let lost = |event: &Event| matches!(event, Event::ConnectionLost(_));
    assert_eq!(world.told_times(lost), 0, "a pause is no outage");
    let underflow = |event: &Event| matches!(event, Event::Underflow);
    assert_eq!(world.told_times(underflow), 1);
}

#[test]
fn after_a_pause_between_key_frames_one_is_asked_for_and_what_came_before_it_is_told() {
    let mut world = World::seeded(7);
    world.pauses.insert(50, secs(60));
    world.run_for(secs(80));
    assert_eq!(world.drain(), Ok(()));
    // Frames 50 to 59 refer to a fragment that has ended; 60 is a key frame.
    assert_eq!(world.stats().frames_dropped(), 10);
    assert_eq!(
        world.told_times(|event| matches!(event, Event::KeyFrameNeeded)),
        1
    );
    assert_eq!(world.service.sessions.len(), 2);
}

#[test]
fn a_fragment_that_is_complete_is_persisted_though_no_key_frame_follows() {
    let mut world = World::seeded(7);
    // In the middle of a fragment: a flush, other caps.
    world.run_for(secs(5));
    world.session.end_fragment();
    world.frames_left = 0;
    world.run_for(secs(120));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(world.stats().frames_pending, 0);
    assert_eq!(world.stats().frames_persisted, world.taken.len() as u64);
    assert_eq!(world.service.closed, 1, "its session was ended, not cut");
    let lost = |event: &Event| matches!(event, Event::ConnectionLost(_));
    assert_eq!(world.told_times(lost), 0, "a pause is no outage");
}

#[test]
fn frames_that_find_no_place_do_not_keep_a_session_alive() {
    let mut world = World::seeded(7);
    // The encoder does not know what a force-key-unit event is.
    (world.source.gop, world.source.b_frames) = (1200, false);
    world.run_for(secs(60));
    let stats = world.stats();
    assert_eq!((stats.frames_persisted, stats.frames_pending), (200, 0));
    world.run_for(secs(240));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(
        world.service.sessions,
        [timecodes([0]), timecodes([60]), timecodes([120])]
    );
    assert_eq!(world.service.closed, 3);
    assert_eq!(world.stats().fragments_resent, 0);
    let lost = |event: &Event| matches!(event, Event::ConnectionLost(_));
    assert_eq!(world.told_times(lost), 0);
}

#[test]
fn a_session_ends_by_itself_before_45_minutes_and_nothing_is_lost() {
    let mut world = World::seeded(7);
    world.run_for(secs(42 * 60));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(world.service.sessions.len(), 2);
    assert_eq!(world.stats().fragments_resent, 0);
    assert_eq!(
        world.told_times(|event| matches!(event, Event::ConnectionLost(_))),
        0
    );
}

#[test]
fn an_hour_that_passes_at_once_costs_nothing_that_is_kept() {
    // At any moment of a connection; whether the peer is still there or not; whatever wakes the driver after it.
    for millis in (0..12_000).step_by(1130) {
        for (dead, frame_first) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut world = World::seeded(millis);
            world.run_for(Duration::from_millis(millis));
            let kept = world.taken.clone();
            if let Some(id) = world.body.filter(|_| dead) {
                let link = world.connections.get_mut(&id).unwrap();
                (link.cut, link.silent) = (true, true);
            }
            world.suspend(secs(3600), frame_first);
            world.run_for(secs(150));
            assert_eq!(world.stats().state, "streaming");
            assert_eq!(world.drain(), Ok(()));
            let missing = world.missing();
            assert!(missing.iter().all(|number| !kept.contains(number)));
            // A session that is idle by the clock ends its fragment, whose rest then has no place.
            assert_eq!(missing.len() as u64, world.dropped(DropReason::NoKeyFrame));
            assert!(
                missing.len() < 20 && (!frame_first || missing.is_empty()),
                "{missing:?}"
            );
            assert!(
                millis < 1000 || world.service.sessions.len() > 1,
                "it is over 40 minutes old"
            );
        }
    }
}

#[test]
fn a_suspend_does_not_count_against_the_time_for_the_end() {
    let mut world = World::seeded(7).away(10, 3640);
    world.run_for(secs(15));
    world.frames_left = 0;
    world.ask_for_end(secs(60), true);
    world.run_for(secs(10));
    world.suspend(secs(3600), false);
    world.run_while(world.now + secs(60), |world| {
        world.session.ended().is_none()
    });
    assert_eq!(world.session.ended(), Some(&Ok(())));
    assert_eq!(world.missing(), [0; 0]);
}

#[test]
fn a_clock_that_is_set_forwards_makes_nothing_too_old() {
    let mut world = World::with(7, |definition| {
        definition.buffer_duration = secs(60);
        definition.replay_duration = secs(60);
    })
    .away(5, 40);
    world.source.steps.insert(200, 3_600_000);
    world.run_for(secs(60));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(world.stats().frames_dropped(), 0);
}

#[test]
fn a_clock_that_is_set_back_costs_what_would_be_stored_out_of_order() {
    let mut world = World::seeded(7);
    world.source.steps.insert(200, -3_000);
    world.run_for(secs(60));
    assert_eq!(world.drain(), Ok(()));
    // Three seconds are there already; the fragments begin each two seconds.
    let missing = world.missing();
    assert_eq!(missing, (200..240).collect::<Vec<_>>());
    assert_eq!(
        world.dropped(DropReason::Timecode) + world.dropped(DropReason::NoKeyFrame),
        40
    );
    assert_eq!(world.stats().frames_dropped(), 40);
}
