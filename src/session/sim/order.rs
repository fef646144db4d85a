//! Stories of a stream that is behind and sends live media first.

use super::{scenarios::secs, source::EPOCH_MS, *};
use crate::{
    definition::{SpoolDefinition, SpoolOrder},
    session::AckKind,
};

/// A camera of some 1,450 bytes a second in fragments of 2 s, with little memory, on a link of so many bytes a second.
fn camera(order: SpoolOrder, bytes_per_second: u64) -> World {
    let mut world = World::with(7, |definition| {
        definition.storage = 100_000;
        let mut spool = SpoolDefinition::new("/spool");
        spool.order = order;
        definition.spool = Some(spool);
    });
    world.source.sizes = (1000, 100);
    world.bytes_per_second = bytes_per_second;
    world
}

impl World {
    /// How old the newest frame was at most that the service had for good, from `since` on.
    fn longest_behind(&self, since: Mono) -> Duration {
        let mut newest = EPOCH_MS;
        let mut longest = Duration::ZERO;
        for (at, event) in &self.told {
            if let Event::Ack(ack) = event
                && ack.kind == AckKind::Persisted
                && let Some(timecode) = ack.timecode
            {
                let now = at.saturating_since(Mono::from_secs(10));
                let behind = now.saturating_sub(Duration::from_millis(newest - EPOCH_MS));
                if *at > since {
                    longest = longest.max(behind);
                }
                newest = newest.max(timecode.as_millis());
            }
        }
        longest
    }

    fn is_behind(&self) -> bool {
        self.session.buffered_duration() > secs(30)
    }
}

#[test]
fn a_stream_that_was_away_is_live_again_at_once_and_its_backlog_follows() {
    let mut world = camera(SpoolOrder::LiveFirst, 5000).away(5, 605);
    world.run_for(secs(600));
    let until = world.now + secs(1200);
    world.run_while(until, |world| world.stats().sessions < 2);
    let (began, sent) = (world.now, world.stats().bytes_sent);
    world.run_while(until, World::is_behind);
    let took = world.now.saturating_since(began).as_secs_f64();
    let rate = (world.stats().bytes_sent - sent) as f64 / took;
    assert!(world.now < until && rate >= 0.8 * 5000.0, "{rate} bytes/s");
    // The first fragments after the outage are live: a turn, its ends, and two fragments.
    let behind = world.longest_behind(began + secs(5));
    assert!(behind < secs(20), "{behind:?}");
    // Then it goes on in one session.
    let sessions = world.stats().sessions;
    world.run_for(secs(600));
    assert!(world.stats().sessions <= sessions + 1);
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), Vec::<u64>::new());
    let stats = world.stats();
    assert_eq!(stats.frames_dropped(), 0);
    assert!(stats.fragments_resent <= 1, "only what the outage cut");
}

#[test]
fn the_oldest_first_is_live_only_when_all_is_sent() {
    let mut world = camera(SpoolOrder::OldestFirst, 5000).away(5, 605);
    world.run_for(secs(660));
    assert!(world.is_behind() && world.stats().sessions == 2);
    assert!(world.longest_behind(Mono::from_secs(640)) > secs(500));
}

#[test]
fn a_short_outage_changes_no_order() {
    let mut world = camera(SpoolOrder::LiveFirst, 5000).away(5, 25);
    world.run_for(secs(120));
    assert_eq!(world.drain(), Ok(()));
    let mut sent = world.service.sessions.concat();
    sent.dedup();
    assert!(sent.is_sorted(), "{sent:?}");
    assert_eq!(world.stats().sessions, 2);
}

#[test]
fn on_a_link_that_is_too_slow_live_media_comes_and_the_rest_when_there_is_room() {
    let mut world = camera(SpoolOrder::LiveFirst, 1200);
    world.run_for(secs(1500));
    let behind = world.longest_behind(Mono::from_secs(60));
    assert!(behind < secs(45), "{behind:?}");
    assert!(world.stats().spool.fragments > 20);
    world.bytes_per_second = 6000;
    world.run_for(secs(900));
    assert!(!world.is_behind());
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), Vec::<u64>::new());
    assert_eq!(world.stats().frames_dropped(), 0);
}

#[test]
fn what_an_earlier_run_has_left_does_not_hold_up_live_media() {
    let mut world = camera(SpoolOrder::LiveFirst, 5000).away(5, 9999);
    world.run_for(secs(1200));
    (world.frames_left, world.off) = (0, true);
    assert_eq!(world.end(secs(3), true), Ok(()));
    let left = world.disk.frames();
    let mut next = world.rises_again();
    next.bytes_per_second = 5000;
    next.source.next = 1_000_000;
    next.source.sizes = (1000, 100);
    (next.frames_left, next.off) = (u64::MAX, false);
    // Its first fragment has two seconds, and waits for one of the backlog.
    next.run_for(secs(6));
    let mut live = next.service.frames().split_off(&1_000_000);
    assert!(!live.is_empty());
    next.run_for(secs(54));
    live = next.service.frames().split_off(&1_000_000);
    assert!(live.len() > 350, "{} of 600", live.len());
    next.run_for(secs(900));
    assert_eq!(next.drain(), Ok(()));
    assert!(next.service.frames().is_superset(&left));
    assert_eq!(next.missing(), Vec::<u64>::new());
    assert_eq!(next.disk.files_left(), 0);
}

#[test]
fn an_end_waits_for_the_backlog_too() {
    let mut world = camera(SpoolOrder::LiveFirst, 5000).away(5, 605);
    world.run_for(secs(660));
    assert!(world.is_behind());
    let sessions = world.stats().sessions;
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), Vec::<u64>::new());
    // That of the turn, and then all that is left in its order.
    assert!(world.stats().sessions <= sessions + 1);
}

#[test]
fn without_live_media_the_backlog_takes_no_turns() {
    let mut world = camera(SpoolOrder::LiveFirst, 5000).away(5, 605);
    world.run_for(secs(600));
    (world.frames_left, world.off) = (0, true);
    world.run_for(secs(300));
    assert_eq!(world.missing(), Vec::<u64>::new());
    let sessions = world.stats().sessions;
    assert!(sessions <= 4, "{sessions} sessions");
    // Nor does what an earlier run has left.
    let mut world = camera(SpoolOrder::LiveFirst, 5000).away(5, 9999);
    world.run_for(secs(600));
    (world.frames_left, world.off) = (0, true);
    assert_eq!(world.end(secs(3), true), Ok(()));
    let mut next = world.rises_again();
    next.run_for(secs(300));
    assert_eq!(next.disk.files_left(), 0);
    assert_eq!(next.stats().sessions, 1);
}

#[test]
fn a_session_of_the_backlog_goes_on_with_live_media_also_when_the_camera_pauses() {
    for seed in 0..20 {
        let mut world = camera(SpoolOrder::LiveFirst, 50_000).away(5, 65);
        world.random = fastrand::Rng::with_seed(seed);
        world.run_for(secs(70));
        let until = world.now + secs(30);
        world.run_while(until, World::is_behind);
        let sessions = world.stats().sessions;
        world.run_for(Duration::from_millis(2500));
        // In mid-fragment.
        (world.frames_left, world.off) = (0, true);
        world.run_for(secs(60));
        let lost = |event: &Event| matches!(event, Event::ConnectionLost(_));
        assert_eq!(world.told_times(lost), 1, "the outage");
        assert!(world.stats().sessions <= sessions + 1);
        assert_eq!(world.missing(), Vec::<u64>::new());
        assert_eq!(world.drain(), Ok(()));
    }
}

#[test]
fn a_slow_disk_does_not_hold_live_media_up() {
    let mut world = camera(SpoolOrder::LiveFirst, 50_000).away(5, 605);
    world.run_for(secs(620));
    world.disk.is_slow(14_000);
    let began = world.now;
    world.run_for(secs(600));
    let behind = world.longest_behind(began + secs(60));
    assert!(behind < secs(32), "{behind:?}");
    let lost = |event: &Event| matches!(event, Event::ConnectionLost(_));
    assert_eq!(world.told_times(lost), 1, "the outage");
    world.disk.is_slow(0);
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), Vec::<u64>::new());
}
