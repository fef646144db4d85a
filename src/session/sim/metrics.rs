//! What the numbers say in worlds whose course is known.

use super::{scenarios::secs, *};
use crate::session::AckKind;

#[test]
fn a_steady_camera_has_its_rates_and_every_ack_its_latency() {
    let mut world = World::seeded(7);
    world.run_for(secs(60));
    let stats = world.stats();
    assert!((9.5..=10.5).contains(&stats.frame_rate), "{stats:?}");
    let average = stats.bytes_sent as f64 / 60.0;
    let near = average * 0.5..average * 1.5;
    assert!(near.contains(&stats.transfer_rate), "{stats:?}");
    // What is open, and the one before it, whose ack is on its way.
    assert!(stats.buffered_duration > Duration::ZERO, "{stats:?}");
    assert!(stats.buffered_duration <= secs(4), "{stats:?}");
    assert_eq!(world.drain(), Ok(()));
    let stats = world.stats();
    for kind in AckKind::MEASURED {
        assert_eq!(stats.acks[kind], 31, "{kind}");
        let latency = stats.ack_latency[kind];
        assert_eq!(latency.count, 31, "{kind}");
        assert!(latency.p50 <= latency.max, "{latency:?}");
        // No fragment is sent later than it comes, and the service takes a part of a second.
        assert!(latency.max < secs(4), "{kind}: {latency:?}");
    }
    let latencies = stats.ack_latency;
    assert!(latencies[&AckKind::Received].last <= latencies[&AckKind::Persisted].last);
    assert_eq!(
        stats.persisted_latency,
        Some(latencies[&AckKind::Persisted].last)
    );
    assert_eq!(stats.buffered_duration, Duration::ZERO);
}

#[test]
fn without_a_service_what_is_kept_grows_and_nothing_is_transferred() {
    let mut world = World::seeded(7).away(10, 100);
    world.run_for(secs(40));
    let stats = world.stats();
    assert!((9.5..=10.5).contains(&stats.frame_rate), "{stats:?}");
    assert_eq!(stats.transfer_rate, 0.0);
    assert!(stats.buffered_duration >= secs(29), "{stats:?}");
    world.run_for(secs(80));
    assert_eq!(world.drain(), Ok(()));
    let longest = world.stats().ack_latency[&AckKind::Persisted].max;
    assert!(longest >= secs(80), "what waited shows: {longest:?}");
}

#[test]
fn what_is_idle_or_over_has_no_rate() {
    let mut world = World::seeded(7);
    world.run_for(secs(20));
    (world.frames_left, world.off) = (0, true);
    world.run_for(secs(30));
    let stats = world.stats();
    assert_eq!((stats.frame_rate, stats.transfer_rate), (0.0, 0.0));
    let mut world = World::seeded(7);
    world.run_for(secs(20));
    assert_eq!(world.end(secs(60), true), Ok(()));
    let stats = world.stats();
    assert_eq!((stats.frame_rate, stats.transfer_rate), (0.0, 0.0));
}

#[test]
fn a_fragment_that_is_skipped_is_counted_as_dropped() {
    let mut world = World::seeded(7);
    let frames = |world: &World| world.stats().frames_in / 20;
    world.service.poison.extend([source::EPOCH_MS + 6000]);
    world.run_for(secs(30));
    assert_eq!(world.drain(), Ok(()));
    let stats = world.stats();
    assert_eq!(stats.fragments_dropped, 1);
    assert_eq!(stats.fragments_persisted, frames(&world));
    assert_eq!(stats.acks[&AckKind::Error], 2);
    assert!(!stats.ack_latency.contains_key(&AckKind::Error));
}
