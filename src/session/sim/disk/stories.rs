//! Stories of a disk: what it keeps, and what comes of it when it fails, is full, or outlives a process.

use super::*;

#[test]
fn an_outage_longer_than_memory_loses_nothing() {
    let mut world = camera(SpoolMode::Overflow).away(5, 600);
    world.run_for(secs(500));
    let stats = world.stats();
    assert!(stats.bytes_buffered <= 100_000, "{stats}");
    assert!(stats.spool.bytes > 10 * 100_000, "{:?}", stats.spool);
    assert!(stats.spool.fragments > 100 && stats.spool.age > secs(400));
    world.run_for(secs(300));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), Vec::<u64>::new());
    assert_eq!(world.stats().frames_dropped(), 0);
    assert_eq!(world.disk.files.len(), 0, "PERSISTED removes them");
    assert!(told(&world, |event| matches!(event, SpoolEvent::Progress(_))) > 10);
}

#[test]
fn memory_that_suffices_needs_no_disk_but_always_does() {
    for (mode, any) in [(SpoolMode::Overflow, false), (SpoolMode::Always, true)] {
        let mut world = camera(mode);
        world.run_for(secs(60));
        assert_eq!(world.drain(), Ok(()));
        assert_eq!(world.disk.writes > 25, any, "{}", world.disk.writes);
        assert_eq!(world.disk.files.len(), 0);
        assert_eq!(world.missing(), Vec::<u64>::new());
    }
}

#[test]
fn what_the_end_leaves_is_sent_by_the_next_run() {
    for mode in [SpoolMode::Overflow, SpoolMode::Always] {
        let mut world = camera(mode).away(5, 600);
        world.run_for(secs(100));
        (world.frames_left, world.off) = (0, true);
        assert_eq!(world.end(secs(3), true), Ok(()), "late is not lost");
        let stats = world.stats();
        assert_eq!((stats.frames_dropped(), stats.frames_pending), (0, 0));
        assert_eq!(stats.spool.frames_left as usize, world.disk.frames().len());
        assert_eq!(
            told(&world, |event| matches!(event, SpoolEvent::Left { .. })),
            1
        );
        let missing = world.missing();
        assert_eq!(world.disk.frames(), missing.iter().copied().collect());
        let mut next = world.rises_again();
        assert_eq!(next.drain(), Ok(()));
        let durable = next.service.frames();
        assert!(missing.iter().all(|frame| durable.contains(frame)));
        assert_eq!(next.stats().spool.frames_recovered, stats.spool.frames_left);
        assert_eq!(next.stats().frames_persisted, stats.spool.frames_left);
        assert_eq!(next.disk.files.len(), 0);
    }
}

#[test]
fn a_process_that_is_killed_loses_nothing_that_was_told_to_be_kept() {
    for seconds in 10..40 {
        let mut world = camera(SpoolMode::Always).away(5, 20);
        world.run_for(Duration::from_millis(seconds * 1100));
        let kept: u64 = world
            .told
            .iter()
            .map(|(_, event)| match event {
                Event::Spool(SpoolEvent::Kept { frames, .. }) => *frames,
                _ => 0,
            })
            .sum();
        let mut before = world.disk.frames();
        before.extend(world.service.frames());
        assert!(before.len() as u64 >= kept);
        let mut next = world.rises_again();
        assert_eq!(next.drain(), Ok(()));
        assert!(next.service.frames().is_superset(&before));
    }
}

#[test]
fn a_disk_that_fails_leaves_memory_alone_and_is_told_once() {
    let mut world = camera(SpoolMode::Overflow).away(5, 900);
    world.disk.fails = 1.0;
    world.run_for(secs(200));
    let stats = world.stats();
    assert!(stats.dropped[&DropReason::Storage] > 0, "{stats}");
    assert_eq!(
        told(&world, |event| matches!(event, SpoolEvent::Failed { .. })),
        1
    );
    assert_eq!(stats.spool.state, "failing");
    world.disk.fails = 0.0;
    // It is tried again each five minutes at least.
    world.run_for(secs(320));
    assert_eq!(
        told(&world, |event| matches!(event, SpoolEvent::Restored)),
        1
    );
    let before = world.stats().frames_dropped();
    world.run_for(secs(600));
    assert_eq!(world.stats().frames_dropped(), before, "from then on");
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing().len() as u64, world.stats().frames_dropped());
}

#[test]
fn a_full_spool_drops_its_oldest_and_an_old_one_too() {
    for (by_age, reason) in [(false, DropReason::Spool), (true, DropReason::Age)] {
        let mut world = World::with(7, |definition| {
            definition.storage = 100_000;
            let mut spool = SpoolDefinition::new("/spool");
            match by_age {
                true => spool.max_age = secs(150),
                false => spool.max_bytes = 400_000,
            }
            definition.spool = Some(spool);
        })
        .away(5, 600);
        world.run_for(secs(500));
        let stats = world.stats();
        assert!(stats.spool.bytes <= 1 << 20 && world.disk.bytes() <= 1 << 20);
        let kept: Vec<_> = stats.dropped.keys().collect();
        assert_eq!(kept, [&reason]);
        world.run_for(secs(200));
        assert_eq!(world.drain(), Ok(()));
        let missing = world.missing();
        // Fragments of 20 frames that follow one another; the first of all was sent when the service went away.
        assert_eq!(missing.len() as u64, world.stats().frames_dropped());
        let (first, last) = (missing[0], missing[missing.len() - 1]);
        assert_eq!(missing, (first..=last).collect::<Vec<_>>());
        assert_eq!(world.disk.files.len(), 0);
    }
}

#[test]
fn a_refused_fragment_is_set_aside() {
    let mut world = camera(SpoolMode::Always);
    world.faults.poison = 1.0;
    world.run_for(secs(60));
    world.faults.poison = 0.0;
    assert_eq!(world.drain(), Ok(()));
    let refused = world.dropped(DropReason::Rejected);
    assert!(refused > 0);
    assert!(!world.disk.refused.is_empty());
    let asides = told(&world, |event| matches!(event, SpoolEvent::SetAside { .. }));
    assert_eq!(asides, world.disk.refused.len());
    assert_eq!(world.disk.files.len(), 0);
}

#[test]
fn a_file_that_cannot_be_read_holds_nothing_up() {
    let mut world = camera(SpoolMode::Overflow).away(5, 100);
    world.run_for(secs(90));
    (world.disk.unreadable, world.disk.damaged) = (0.3, 0.5);
    world.run_for(secs(60));
    assert_eq!(world.drain(), Ok(()));
    let lost = world.dropped(DropReason::Spool);
    assert!(lost > 0 && lost < 500, "{lost}");
    assert_eq!(world.missing().len() as u64, lost);
}

#[test]
fn offline_waits_for_a_full_spool_that_must_not_drop() {
    let mut world = World::with(7, |definition| {
        definition.streaming_type = StreamingType::Offline;
        definition.storage = 100_000;
        let mut spool = SpoolDefinition::new("/spool");
        spool.policy = SpoolPolicy::Block;
        spool.max_bytes = 400_000;
        definition.spool = Some(spool);
    })
    .away(5, 200);
    world.run_for(secs(190));
    assert!(world.waiting.is_some() && world.disk.bytes() > 200_000);
    world.run_for(secs(60));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.stats().frames_dropped(), 0);
    assert_eq!(world.missing(), Vec::<u64>::new());
}

/// Two hours at a thousandth of 8 Mbit/s; `make soak` has them at full size (`outage`).
#[test]
fn two_hours_of_outage_are_caught_up_with_most_of_the_link() {
    let outage = secs(7200);
    let mut world = World::with(7, |definition| {
        definition.storage = 100_000;
        definition.spool = Some(SpoolDefinition::new("/spool"));
    })
    .away(5, 5 + outage.as_secs());
    (world.source.sizes, world.source.gop) = ((1000, 100), 100);
    world.disk.slowest_ms = 50;
    world.bytes_per_second = 5000;
    world.run_for(outage);
    let stats = world.stats();
    assert!(stats.bytes_buffered <= 100_000, "{stats}");
    // The camera goes on meanwhile.
    let until = world.now + outage;
    world.run_while(until, |world| world.stats().sessions < 2);
    let (began, sent) = (world.now, world.stats().bytes_sent);
    world.run_while(until, |world| world.stats().spool.fragments > 0);
    let took = world.now.saturating_since(began).as_secs_f64();
    let rate = (world.stats().bytes_sent - sent) as f64 / took;
    assert!(world.now < until && rate >= 0.8 * 5000.0, "{rate} bytes/s");
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), Vec::<u64>::new());
    assert_eq!(world.stats().frames_dropped(), 0);
}

#[test]
fn an_end_that_cannot_wait_for_the_service_is_reached_when_all_is_on_disk() {
    let mut world = camera(SpoolMode::Overflow).away(5, 200);
    world.run_for(secs(60));
    assert_eq!(world.end(secs(10), false), Ok(()));
    assert_eq!(world.told_times(|event| *event == Event::Drained), 1);
    assert_eq!(
        told(&world, |event| matches!(event, SpoolEvent::Left { .. })),
        1
    );
    let before = world.disk.frames().len();
    assert!(before > 500, "{before}");
    // It goes on, and everything arrives when there is a service.
    world.run_for(secs(300));
    assert_eq!(world.drain(), Ok(()));
    // The end was in the middle of a fragment: what followed needed a key frame.
    let lost = world.dropped(DropReason::NoKeyFrame);
    assert_eq!(world.stats().frames_dropped(), lost);
    assert_eq!(world.missing().len() as u64, lost);
}

#[test]
fn a_disk_that_is_full_gives_what_is_on_it() {
    let mut world = camera(SpoolMode::Overflow).away(5, 300);
    world.run_for(secs(250));
    let before = world.stats().spool.fragments;
    assert!(before > 50);
    world.disk.unwritable = true;
    world.run_for(secs(200));
    let stats = world.stats();
    assert!(stats.spool.fragments < before / 2, "{:?}", stats.spool);
    assert_eq!(
        told(&world, |event| matches!(event, SpoolEvent::Failed { .. })),
        1
    );
    world.run_for(secs(300));
    assert_eq!(world.drain(), Ok(()));
    let lost: BTreeSet<_> = world.missing().into_iter().collect();
    assert_eq!(lost.len() as u64, world.dropped(DropReason::Storage));
}

#[test]
fn a_thread_that_has_gone_leaves_what_is_on_disk_to_the_next_run() {
    let mut world = camera(SpoolMode::Overflow).away(5, 100);
    world.run_for(secs(90));
    let on_disk = world.disk.frames();
    let reason = "a fault".to_owned();
    let gone = SpoolNews::Gone { reason };
    world.session.handle_spool(world.now, &gone);
    world.run_for(secs(100));
    assert_eq!(world.drain(), Ok(()));
    assert!(world.missing().len() as u64 > world.stats().frames_dropped());
    assert!(world.disk.frames().is_superset(&on_disk));
    let mut next = world.rises_again();
    assert_eq!(next.drain(), Ok(()));
    assert!(next.service.frames().is_superset(&on_disk));
}

#[test]
fn what_an_earlier_run_has_left_does_not_end_this_one_whatever_is_wrong_with_it() {
    let mut world = camera(SpoolMode::Always).away(5, 600);
    world.run_for(secs(60));
    let left = world.disk.frames();
    let mut next = world.rises_again();
    (next.faults.fatal_ack, next.bytes_per_second) = (1.0, 1000);
    next.run_for(secs(600));
    assert!(!next.session.is_stopped());
    assert!(next.dropped(DropReason::Rejected) > 0 && !next.disk.refused.is_empty());
    next.faults.fatal_ack = 0.0;
    assert_eq!(next.drain(), Ok(()));
    let mut safe = next.service.frames();
    safe.extend(next.disk.refused.values().flat_map(|body| frames(body)));
    assert!(safe.is_superset(&left));
}

/// A clock that was an hour ahead, and then set: what was taken before will be of the future for an hour, and what comes after it
/// need not wait for that.
#[test]
fn what_a_wrong_clock_has_stamped_holds_nothing_up_when_it_is_set() {
    for spool in [false, true] {
        let mut world = match spool {
            true => camera(SpoolMode::Always),
            false => World::seeded(7),
        };
        (world.shift, world.service.future) = (3_600_000, source::EPOCH_MS + 1_800_000);
        world.run_for(secs(59));
        assert_eq!(world.service.frames().len(), 0);
        assert_eq!(world.stats().frames_dropped(), 0, "it may become true");
        let wrong = world.stats().frames_in;
        let refused = |world: &World| world.acks(AckKind::Error).count();
        let before = refused(&world);
        world.session.restart_time();
        world.shift = 0;
        world.run_for(secs(120));
        // All of it at once, though no fragment was refused twice but the first.
        assert!(refused(&world) <= before + 2);
        assert_eq!(world.drain(), Ok(()));
        assert_eq!(world.dropped(DropReason::Rejected), wrong, "spool: {spool}");
        // And those until the next key frame.
        let lost = world.stats().frames_dropped();
        assert_eq!(world.missing(), (0..lost).collect::<Vec<_>>());
        assert_eq!(world.disk.refused.is_empty(), !spool);
    }
}

/// The time of the first fragment is in the request, so what an earlier run has left can have the whole session refused.
#[test]
fn what_an_earlier_run_has_left_stays_on_disk_when_the_service_refuses_its_time() {
    let mut world = camera(SpoolMode::Always).away(5, 600);
    world.run_for(secs(60));
    let left = world.disk.frames();
    for restarts in [true, false] {
        let mut next = world.rises_again();
        next.session.definition.restart_on_error = restarts;
        next.service.earliest_start = source::EPOCH_MS + 3_600_000;
        (next.shift, next.frames_left, next.off) = (7_200_000, u64::MAX, false);
        next.source.next = 100_000;
        next.run_for(secs(60));
        assert!(!next.session.is_stopped());
        let stats = next.stats();
        let refused = stats.connection_attempts - stats.sessions;
        assert_eq!(refused, if restarts { 2 } else { 1 }, "all of it at once");
        assert_eq!(next.drain(), Ok(()));
        assert_eq!(next.missing(), Vec::<u64>::new());
        assert_eq!(next.stats().frames_dropped(), 0);
        assert_eq!(next.disk.frames(), left);
        assert_eq!(next.stats().spool.frames_left, left.len() as u64);
        assert_eq!(
            told(&next, |event| matches!(event, SpoolEvent::Left { .. })),
            1
        );
        world = next;
        world.session.definition.restart_on_error = true;
    }
}

/// What an earlier run has left with a clock that is ahead waits for its time, as what this run takes does.
#[test]
fn a_clock_that_is_ahead_still_costs_time_and_no_media() {
    let mut world = camera(SpoolMode::Always).away(5, 600);
    world.run_for(secs(60));
    let left = world.disk.frames();
    let mut next = world.rises_again();
    next.service.future = source::EPOCH_MS + 20_000;
    next.run_for(secs(60));
    assert!(next.disk.frames().len() > 300);
    next.service.future = u64::MAX;
    assert_eq!(next.drain(), Ok(()));
    assert!(next.service.frames().is_superset(&left));
    assert_eq!(next.stats().frames_dropped(), 0);
}

/// Files that stay for the next run need their place: the disk does not get fuller than it may.
#[test]
fn what_stays_for_the_next_run_counts_for_the_bound() {
    let mut world = camera(SpoolMode::Always).away(5, 600);
    world.run_for(secs(60));
    let mut next = world.rises_again().away(20, 9000);
    next.service.earliest_start = source::EPOCH_MS + 3_600_000;
    (next.shift, next.frames_left, next.off) = (7_200_000, u64::MAX, false);
    next.source.next = 100_000;
    let max = next.disk.bytes() + 100_000;
    let spool = next.session.definition.spool.as_mut();
    spool.unwrap().max_bytes = max;
    next.run_for(secs(300));
    assert!(next.stats().spool.frames_left > 0 && next.dropped(DropReason::Spool) > 0);
    assert!(next.disk.bytes() <= max, "{} > {max}", next.disk.bytes());
}

#[test]
fn what_goes_to_disk_is_not_too_old_to_be_sent_again() {
    let mut world = World::with(7, |definition| {
        definition.storage = 10_000_000;
        definition.replay_duration = secs(10);
        definition.spool = Some(SpoolDefinition::new("/spool"));
    })
    .away(5, 305);
    let cut = world.now + secs(307);
    world.faults.away.push((cut, cut + secs(5)));
    world.bytes_per_second = 100_000;
    world.run_for(secs(400));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.stats().frames_dropped(), 0, "{}", world.stats());
    assert_eq!(world.missing(), Vec::<u64>::new());
}
