//! Random worlds: whatever goes wrong, the promises hold, and once nothing goes wrong any more everything arrives.
//!
//! `KVSSINK_WORLDS` is how many (`make test`: thousands, `make soak`: a hundred thousand), `KVSSINK_FIRST_SEED` the first
//! of their seeds, `KVSSINK_SEED` the only one, to replay it.

use std::time::Duration;

use test_case::test_case;

use super::{
    others::{audio, second_video},
    source::EPOCH_MS,
    *,
};
use crate::{
    definition::{Fragmentation, TimecodeType},
    session::{AckKind, EventMetadata, Fatal, LOSS_WINDOW},
};

/// A world of that seed: its camera, its link, its service and their faults, for a while.
fn wild(seed: u64) -> World {
    let mut dice = fastrand::Rng::with_seed(seed ^ 0x5EED);
    let one_of = |dice: &mut fastrand::Rng, of: u32| dice.u32(0..of) == 0;
    let offline = dice.bool();
    let acks = !one_of(&mut dice, 4);
    let mut disk = super::Disk::default();
    let mut world = World::with(seed, |definition| {
        definition.streaming_type = match (offline, one_of(&mut dice, 3)) {
            (true, _) => StreamingType::Offline,
            (false, true) => StreamingType::NearRealtime,
            (false, false) => StreamingType::Realtime,
        };
        definition.fragment_acks = acks;
        definition.connection_staleness = Duration::from_secs(20);
        definition.storage = *dice.choice(&[8 << 10, 64 << 10, 1 << 20]).unwrap();
        if one_of(&mut dice, 4) {
            definition.timecode_type = TimecodeType::Relative;
        }
        if one_of(&mut dice, 4) {
            definition.fragmentation = Fragmentation::AfterDuration(Duration::from_secs(3));
        }
        if one_of(&mut dice, 6) {
            definition.bandwidth = Some(dice.u64(20_000..200_000));
        }
        if one_of(&mut dice, 4) {
            definition.buffer_duration = Duration::from_secs(10);
        }
        if one_of(&mut dice, 4) {
            definition.replay_duration = Duration::from_secs(dice.u64(1..10));
        }
        definition.restart_on_error = !one_of(&mut dice, 16);
        if one_of(&mut dice, 2) {
            definition.tags = [("site".to_owned(), "yard".to_owned())].into();
        }
        disk = super::disk::wild(seed, definition);
    });
    world.disk = disk;
    if one_of(&mut dice, 2) {
        world = with_others(world, &mut dice);
    }
    world.source.fps = dice.u64(2..16);
    world.source.gop = dice.u64(1..40);
    world.source.b_frames = dice.bool();
    world.source.sizes = (dice.usize(8..10_000), dice.usize(8..800));
    world.bytes_per_second = *dice.choice(&[100_000, 300_000, 3_000_000]).unwrap();
    // As `net::put_media` has it.
    world.kernel_patience = Some(Duration::from_secs(30));
    if one_of(&mut dice, 3) {
        world.service.stream = Stream::Missing;
    }
    if acks && one_of(&mut dice, 5) {
        world.service.retention = Duration::ZERO;
    }
    world.service.describe_denied = world.service.stream == Stream::Active
        && !world.service.retention.is_zero()
        && one_of(&mut dice, 4);
    let mut rate = |most: f64| if dice.bool() { 0.0 } else { dice.f64() * most };
    world.faults = Faults {
        away: Vec::new(),
        call_lost: rate(0.6),
        call_refused: rate(0.4),
        cut: rate(0.9),
        silent: if acks { rate(0.3) } else { 0.0 },
        // Without acks a clean end of the response is a confirmation.
        closes: if acks { rate(0.7) } else { 0.0 },
        error_ack: if acks { rate(0.5) } else { 0.0 },
        fatal_ack: 0.0,
        garbage: if acks { rate(0.3) } else { 0.0 },
        poison: rate(0.1),
        reordered: false,
        ack_lost: if acks { rate(0.2) } else { 0.0 },
        ack_twice: rate(0.3),
        stalls: rate(0.4),
        deaf: rate(0.2),
    };
    world.faults.reordered = dice.bool();
    if acks && one_of(&mut dice, 16) {
        world.faults.fatal_ack = dice.f64() * 0.5;
    }
    // Longer than any fragment: one that outlasts the connections can never be sent whole.
    world.key_life = one_of(&mut dice, 3).then(|| Duration::from_secs(dice.u64(60..400)));
    for _ in 0..dice.u32(0..3) {
        let from = world.now + Duration::from_millis(dice.u64(0..60_000));
        world
            .faults
            .away
            .push((from, from + Duration::from_millis(dice.u64(0..30_000))));
    }
    if seed.is_multiple_of(7) {
        world.service.future = EPOCH_MS + dice.clone().u64(0..90_000);
    }
    if let Some(long) = super::disk::long_outage(seed, &world) {
        world.faults.away.push(long);
    }
    for _ in 0..dice.u32(0..3) {
        let number = dice.u64(0..30) * world.source.gop;
        world
            .ledger
            .widths
            .insert(number, [320, 640][dice.usize(0..2)]);
    }
    if one_of(&mut dice, 3) {
        for _ in 0..dice.u32(1..4) {
            let hour = 3_600_000;
            let step = *dice
                .choice(&[hour, 25_000, 70, -70, -3_000, -hour])
                .unwrap();
            world.source.steps.insert(dice.u64(0..300), step);
        }
    }
    world
}

/// Other tracks beside the camera, or in its place: regular, sparse, late, silent, coming and going, not known at first.
fn with_others(mut world: World, dice: &mut fastrand::Rng) -> World {
    for which in 0..dice.usize(1..3) {
        let mut other = Other::new(match which {
            0 => audio(8000),
            _ => second_video(),
        });
        other.pace = Duration::from_millis(dice.u64(20..400));
        let (from, to) = (dice.u64(0..20_000), dice.u64(20_000..40_000));
        let each = dice.u64(300..12_000);
        other.gives = match dice.u32(0..6) {
            0 => vec![],
            1 => vec![from..u64::MAX],
            2 => vec![0..from, to..u64::MAX],
            3 => (0..20).map(|n| n * each..n * each + each / 4).collect(),
            _ => other.gives,
        };
        other.gaps = dice.bool();
        other.unknown = dice.u32(0..4) == 0;
        other.ends_ms = (dice.u32(0..5) == 0).then(|| dice.u64(0..60_000));
        other.size = dice.usize(12..2000);
        world = world.and(other);
        if which == 0 && dice.u32(0..3) == 0 {
            world.changes(which, dice.u64(1..200), audio(16_000));
        }
    }
    if dice.u32(0..6) == 0 {
        world = world.without_camera();
    }
    world
}

/// Bad weather, then good weather, then the end.
fn live_through(seed: u64) -> World {
    let mut world = wild(seed);
    let mut dice = fastrand::Rng::with_seed(seed ^ 0xD1CE);
    let fatal_acks = world.faults.fatal_ack > 0.0;
    if let Some((_, to)) = super::disk::long_outage(seed, &world) {
        world.run_for(to.saturating_since(world.now));
    }
    for _ in 0..dice.u32(1..4) {
        let time = Duration::from_millis(dice.u64(0..40_000));
        world.run_for(time);
        match dice.u32(0..13) {
            0 => world.session.end_fragment(),
            1 => {
                let limit = Duration::from_secs(600);
                world.ask_for_end(limit, false);
            }
            3 => {
                let time = Duration::from_millis(dice.u64(1000..7_200_000));
                world.suspend(time, dice.bool());
            }
            4 if !world.others.is_empty() => {
                let track = world.others[0].track.number();
                world.session.end_fragment_of(track);
            }
            5 if world.others.len() > 1 => {
                let gone = world.others[1].track.number();
                world.others[1].gives = vec![];
                world.others[1].waiting = None;
                world.session.remove_track(gone);
            }
            // Each time to hours where nothing was before: the service knows a fragment by its timecode.
            6 if world.session.definition.timecode_type == TimecodeType::Absolute => {
                world.session.restart_time();
                world.shift -= 7_200_000;
            }
            7..9 => {
                let name = format!("n{}", world.source.next);
                for n in 0..dice.u32(0..12) {
                    let persistent = dice.u32(0..4) == 0;
                    let value = ["", "v"][dice.usize(0..2)];
                    let name = format!("{name}.{}", n / 2);
                    let _ = world.session.put_metadata(&name, value, persistent);
                }
                let event = EventMetadata {
                    image: dice.bool(),
                    notification: true,
                    ..EventMetadata::default()
                };
                let _ = world.session.put_event(event);
            }
            // A clock is found to be wrong, or right again.
            9 => {
                let millis = *dice.choice(&[0, 600_000, -3_600_000]).unwrap();
                let offset = Input::ClockOffset(millis);
                world.session.handle(world.now, offset);
            }
            // The application knows that the network is another one now.
            10 => world.session.reset_connection(),
            // The application gives up waiting for room, and with it that frame.
            2 if world.waiting.is_some() => {
                let each = world.session.definition.fragmentation == Fragmentation::EachKeyFrame;
                let begins = each && world.source.gop >= world.source.fps;
                // Without the key frame that was to begin a fragment there is none: that need not be told.
                let interleaves = world.session.interleaves();
                if let Some(frame) = world.waiting.take()
                    && (interleaves || !(frame.key && begins))
                {
                    world.session.end_fragment_of(frame.track);
                }
                world.plan(Duration::ZERO, Happening::Frame);
            }
            _ => {}
        }
        world.turn();
    }
    if dice.bool() {
        let heals = world.now;
        world.faults = Faults::default();
        world.service.future = u64::MAX;
        world.faults.away.retain(|(from, _)| *from < heals);
        let outcome = world.drain();
        // What was refused for good, or must not be tried again, has ended the stream before.
        let over = outcome.as_ref().err().map(|error| error.fatal);
        match over {
            Some(Fatal::Refused) if fatal_acks => {}
            Some(Fatal::Lost) if !world.session.definition.restart_on_error => {}
            _ => assert_eq!(outcome, Ok(()), "in good weather everything arrives"),
        }
    }
    let limit = Duration::from_millis(dice.u64(0..3000));
    (world.frames_left, world.off) = (0, true);
    let missing = world.stats().frames_pending + world.dropped(DropReason::Unfinished);
    let before = world.session.ended().cloned();
    let outcome = world.end(limit, true);
    if outcome.is_ok() && before != Some(outcome.clone()) {
        assert_eq!(world.stats().frames_pending, 0);
    }
    let unfinished = world.dropped(DropReason::Unfinished);
    assert!(unfinished <= missing, "{unfinished} of {missing}");
    world.run_for(Duration::from_secs(1));
    world
}

/// What must be true when a world has ended.
fn judge(world: &World) {
    let stats = world.stats();
    assert!(world.session.is_stopped());
    assert_eq!(stats.frames_pending, 0);
    assert_eq!(stats.frames_in, world.taken.len() as u64);
    assert!(matches!(world.told.last(), Some((_, Event::Closed(last))) if **last == stats));
    assert!(world.told_times(|event| matches!(event, Event::Failed(_))) <= 1);
    // Every loss is told.
    let mut told = BTreeMap::new();
    for (_, event) in &world.told {
        if let Event::FramesDropped { reason, frames, .. } = event {
            *told.entry(*reason).or_default() += frames;
        }
    }
    assert_eq!(told, stats.dropped);
    // So is every ack, and each that settled a fragment was measured.
    let (mut acks, mut measured) = (BTreeMap::new(), BTreeMap::new());
    for (_, event) in &world.told {
        if let Event::Ack(ack) = event {
            *acks.entry(ack.kind).or_default() += 1;
            if ack.latency.is_some() {
                *measured.entry(ack.kind).or_default() += 1;
            }
        }
    }
    assert_eq!(acks, stats.acks);
    let counts = stats.ack_latency.iter();
    let counts: BTreeMap<_, _> = counts.map(|(kind, of)| (*kind, of.count)).collect();
    assert_eq!(measured, counts);
    let persisted = counts.get(&AckKind::Persisted).copied().unwrap_or(0);
    assert!(persisted <= stats.fragments_persisted, "{stats:?}");
    // Once a second and reason, but for the last words before an end.
    let mut before = BTreeMap::new();
    for (index, (at, event)) in world.told.iter().enumerate() {
        let Event::FramesDropped { reason, .. } = event else {
            continue;
        };
        let mut after = world.told[index..].iter();
        let is_last = after.any(|(then, event)| {
            matches!(event, Event::Drained | Event::State("stopped")) && then == at
        });
        let before = before.insert(*reason, *at);
        assert!(
            is_last || before.is_none_or(|before| before + LOSS_WINDOW <= *at),
            "{reason} at {at} again after {before:?}"
        );
    }
    // What is not durable was dropped and told with its time, and what counts as PERSISTED is durable.
    let on_disk = world.disk.frames();
    for number in world.missing() {
        if on_disk.contains(&number) {
            continue;
        }
        let shown = world.shown[&number];
        let is_told = |event: &Event| matches!(event, Event::FramesDropped { from, to, .. } if *from <= shown && shown <= *to);
        assert!(world.told_times(is_told) > 0, "frame {number} is missing");
    }
    let missing = world.missing();
    let missing = missing.iter().filter(|frame| !on_disk.contains(frame));
    let missing = missing.count() as u64;
    assert!(
        missing <= stats.frames_dropped(),
        "{missing} missing: {stats}"
    );
    let durable = world.service.frames();
    assert!(
        stats.frames_persisted <= durable.len() as u64,
        "{} durable: {stats}",
        durable.len()
    );
    for timecode in &world.ledger.settled {
        let sent = &world.ledger.frames[timecode];
        assert!(
            sent.is_subset(&durable),
            "{timecode} is settled and not durable"
        );
    }
    let spool = world.session.definition.spool.as_ref();
    let drops_old = spool.is_some_and(|spool| !spool.max_age.is_zero());
    if world.session.definition.streaming_type == StreamingType::Offline {
        assert_eq!(world.dropped(DropReason::Storage), 0, "it waits");
        if !drops_old {
            assert_eq!(world.dropped(DropReason::Age), 0, "offline drops nothing");
        }
    }
    let definition = &world.session.definition;
    if definition.streaming_type == StreamingType::NearRealtime && !drops_old {
        assert_eq!(world.dropped(DropReason::Age), 0, "it keeps what it can");
    }
    if definition.replay_duration.is_zero() || definition.streaming_type == StreamingType::Offline {
        assert_eq!(world.dropped(DropReason::Replay), 0);
    }
    if !definition.restart_on_error {
        let lost = |event: &Event| matches!(event, Event::ConnectionLost(_));
        assert_eq!(world.told_times(lost), 0, "nobody tries again");
    }
    let offset = world.told.iter().rev().find_map(|(_, event)| match event {
        Event::ClockOffset { millis } => Some(*millis),
        _ => None,
    });
    assert_eq!(stats.clock_offset_ms, offset.unwrap_or_default());
    // A loss of the connection is told once, until it is restored.
    let mut lost = false;
    for (_, event) in &world.told {
        match event {
            Event::ConnectionLost(_) => assert!(!std::mem::replace(&mut lost, true)),
            Event::ConnectionRestored { .. } => assert!(std::mem::take(&mut lost)),
            _ => {}
        }
    }
}

/// The number in the environment variable of this name.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Says how to see a failure again.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(seed) = self;
            eprintln!(
                "to replay it: KVSSINK_SEED={seed} cargo test --no-default-features --lib the_world_of_one_seed"
            );
        }
    }
}

fn play(seed: u64) {
    let _replay = Replay(seed);
    let mut world = live_through(seed);
    judge(&world);
    // What it has left on disk, the next one sends.
    let left = world.disk.frames();
    // Other tracks would need their sources again, by which the link knows them.
    if left.is_empty() || !world.others.is_empty() {
        return;
    }
    let mut next = world.rises_again();
    assert_eq!(next.drain(), Ok(()));
    assert_eq!(next.dropped(DropReason::Spool), 0);
    let mut durable = next.service.frames();
    durable.extend(
        next.disk
            .refused
            .values()
            .flat_map(|body| super::disk::frames(body)),
    );
    let old = next.dropped(DropReason::Age) + next.dropped(DropReason::Rejected);
    let lost = left.difference(&durable).count() as u64;
    assert!(lost <= old, "{lost} of {} lost, {old} told", left.len());
    assert!(next.disk.frames().is_empty());
}

/// Each takes its share of the worlds, so that all cores work.
const SHARDS: u64 = 8;

#[test_case(0)]
#[test_case(1)]
#[test_case(2)]
#[test_case(3)]
#[test_case(4)]
#[test_case(5)]
#[test_case(6)]
#[test_case(7)]
fn whatever_happens_the_promises_hold(shard: u64) {
    // As few as give each shard some, wherever the number is not set.
    let worlds = number("KVSSINK_WORLDS").unwrap_or(200);
    let first = number("KVSSINK_FIRST_SEED").unwrap_or(0);
    for nth in (shard..worlds).step_by(SHARDS as usize) {
        play(first.wrapping_add(nth));
    }
}

#[test]
fn a_world_is_the_same_each_time() {
    let story = |seed| live_through(seed).told.clone();
    assert_eq!(story(11), story(11));
}

#[test]
fn the_world_of_one_seed_is_replayed() {
    play(number("KVSSINK_SEED").unwrap_or(1));
}
