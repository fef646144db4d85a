//! Stories of a disk that does not answer, and of one that removes nothing.

use super::{
    disk::{camera, told},
    scenarios::secs,
    *,
};
use crate::{definition::SpoolMode, session::SpoolEvent};

fn failures(world: &World) -> Vec<&str> {
    let failures = world.told.iter().filter_map(|(_, event)| match event {
        Event::Spool(SpoolEvent::Failed { reason }) => Some(reason.as_str()),
        _ => None,
    });
    failures.collect()
}

fn restored(world: &World) -> usize {
    told(world, |event| *event == SpoolEvent::Restored)
}

#[test]
fn a_write_that_hangs_is_told_once_and_memory_goes_on_alone() {
    let mut world = camera(SpoolMode::Always);
    // In the middle of a fragment, when nothing else is to be done.
    world.run_for(secs(21));
    world.disk.free = world.now + secs(300);
    world.run_for(secs(100));
    let stats = world.stats();
    assert_eq!((stats.spool.state, stats.spool.failures), ("failing", 1));
    let expected = "writing to the spool of cam1 in /spool takes longer than 15.0s: see whether";
    let failures = failures(&world);
    assert!(
        failures.len() == 1 && failures[0].starts_with(expected),
        "{failures:?}"
    );
    assert!(stats.frames_in - stats.frames_persisted < 60, "{stats}");
    world.run_for(secs(300));
    assert_eq!((world.stats().spool.state, restored(&world)), ("open", 1));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.stats().frames_dropped(), 0);
    assert_eq!(world.missing(), Vec::<u64>::new());
    // What was PERSISTED meanwhile has no use for its file.
    assert_eq!(
        (world.disk.files_left(), world.stats().spool.failures),
        (0, 1)
    );
}

#[test]
fn while_the_disk_hangs_that_has_the_backlog_what_memory_has_is_sent() {
    let mut world = camera(SpoolMode::Overflow).away(5, 100);
    // As much again as comes before anybody notices.
    world.session.definition.storage = 300_000;
    world.run_for(secs(90));
    assert!(world.stats().spool.fragments > 20);
    world.disk.free = world.now + secs(300);
    world.run_for(secs(200));
    let stats = world.stats();
    let newest = world.service.frames().last().copied().unwrap_or_default();
    assert!(stats.frames_in - newest < 60, "{newest}: {stats}");
    assert!(stats.frames_pending > 400, "{stats}");
    assert_eq!(failures(&world).len(), 1);
    // It is there again, and so is all that it has.
    world.run_for(secs(200));
    let stats = world.stats();
    assert!(stats.frames_pending < 60, "{stats}");
    assert_eq!((stats.spool.state, restored(&world)), ("open", 1));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.stats().frames_dropped(), 0);
    assert_eq!(world.missing(), Vec::<u64>::new());
    assert_eq!(world.disk.files_left(), 0);
}

#[test]
fn memory_keeps_its_bound_while_neither_the_disk_nor_the_service_answers() {
    let mut world = camera(SpoolMode::Overflow).away(5, 200);
    world.run_for(secs(60));
    let on_disk = world.stats().spool.frames;
    world.disk.free = world.now + secs(120);
    world.run_for(secs(100));
    let stats = world.stats();
    assert!(stats.bytes_buffered <= 100_000, "{stats}");
    assert!(stats.dropped[&DropReason::Storage] > 0, "{stats}");
    assert_eq!(stats.spool.frames, on_disk);
    world.run_for(secs(200));
    assert_eq!(world.drain(), Ok(()));
    let lost = world.dropped(DropReason::Storage);
    assert_eq!(world.stats().frames_dropped(), lost);
    assert_eq!(world.missing().len() as u64, lost);
}

/// Whether anybody knew before that it hangs, or not.
#[test]
fn an_end_does_not_wait_for_a_disk_that_hangs_and_says_so() {
    for (known, expected) in [
        (true, "takes longer"),
        (false, "not kept at the end: writing"),
    ] {
        let mut world = camera(SpoolMode::Always).away(5, 900);
        world.run_for(secs(40));
        world.disk.free = world.now + secs(600);
        let kept = world.stats().spool.frames;
        world.run_for(secs(if known { 30 } else { 3 }));
        let outcome = world.end(secs(2), true);
        let stats = world.stats();
        let unfinished = world.dropped(DropReason::Unfinished);
        assert_eq!(outcome.unwrap_err().missing, unfinished);
        assert_eq!(stats.spool.frames_left, kept);
        let failures = failures(&world);
        assert!(
            failures.len() == 1 && failures[0].contains(expected),
            "{failures:?}"
        );
        let left = world.disk.frames();
        let mut next = world.rises_again();
        assert_eq!(next.drain(), Ok(()));
        assert!(next.service.frames().is_superset(&left));
    }
}

#[test]
fn what_an_earlier_run_has_left_is_sent_though_the_directory_was_long_not_to_be_read() {
    let mut world = camera(SpoolMode::Always).away(5, 600);
    world.run_for(secs(60));
    let left = world.disk.frames();
    let mut next = world.rises_again();
    (next.frames_left, next.off, next.source.next) = (u64::MAX, false, 620);
    next.disk.free = next.now + secs(100);
    next.run_for(secs(90));
    let opening = "opening the spool of cam1 in /spool takes longer";
    assert!(failures(&next)[0].starts_with(opening));
    let stats = next.stats();
    assert_eq!(stats.spool.state, "failing");
    assert!(stats.frames_in - stats.frames_persisted < 60, "{stats}");
    next.run_for(secs(60));
    assert_eq!((restored(&next), failures(&next).len()), (1, 1));
    assert!(next.service.frames().is_superset(&left));
    assert_eq!(next.drain(), Ok(()));
    assert_eq!(next.disk.files_left(), 0);
}

#[test]
fn a_suspend_is_no_time_in_which_a_disk_could_answer() {
    let mut world = camera(SpoolMode::Always);
    world.run_for(secs(20));
    world.disk.free = world.now + secs(10);
    world.run_for(secs(5));
    world.suspend(secs(3600), false);
    world.run_for(secs(20));
    assert_eq!(failures(&world), [""; 0]);
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.disk.files_left(), 0);
}

#[test]
fn what_cannot_be_removed_is_told_and_removed_when_it_can_be() {
    let mut world = camera(SpoolMode::Always);
    world.disk.unremovable = 1.0;
    world.run_for(secs(60));
    let stats = world.stats();
    assert_eq!(stats.spool.state, "failing");
    assert!(stats.spool.failures > 10, "{:?}", stats.spool);
    assert!(failures(&world)[0].ends_with("and the next run sends it again"));
    assert!(world.disk.files_left() > 10 && stats.spool.fragments < 5);
    world.disk.unremovable = 0.0;
    world.run_for(secs(320));
    assert_eq!((failures(&world).len(), restored(&world)), (1, 1));
    assert_eq!(world.stats().spool.state, "open");
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(
        (world.disk.files_left(), world.stats().frames_dropped()),
        (0, 0)
    );
}

#[test]
fn what_can_never_be_removed_is_tried_so_often_and_left_to_the_next_run() {
    let mut world = camera(SpoolMode::Always);
    world.disk.unremovable = 1.0;
    world.run_for(secs(20));
    (world.frames_left, world.off) = (0, true);
    world.run_for(secs(7200));
    assert_eq!((world.disk.clears, failures(&world).len()), (8, 1));
    let left = world.disk.frames();
    assert_eq!(world.drain(), Ok(()));
    let mut next = world.rises_again();
    assert_eq!(next.drain(), Ok(()));
    assert_eq!(next.stats().spool.frames_recovered as usize, left.len());
    assert_eq!(next.disk.files_left(), 0);
}

#[test]
fn files_that_cannot_be_removed_need_their_place() {
    let most = 400_000;
    let mut world = camera(SpoolMode::Always);
    world.session.definition.spool.as_mut().unwrap().max_bytes = most;
    world.disk.unremovable = 1.0;
    world.run_for(secs(900));
    assert!((most - 50_000..=most).contains(&world.disk.bytes()));
    let stats = world.stats();
    assert!(stats.frames_in - stats.frames_persisted < 60, "{stats}");
    assert_eq!(stats.frames_dropped(), 0);
}
