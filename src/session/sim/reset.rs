//! Stories: a connection that the application gives up, and streams that share a storage.

use super::{scenarios::secs, *};
use crate::{
    definition::{StreamName, StreamingType},
    fragment::tests::tracks,
    session::{Ack, AckKind, Storage},
    time::Timestamp,
};

#[test]
fn a_connection_that_is_reset_is_resumed_at_the_first_fragment_that_is_not_persisted() {
    let mut world = World::seeded(7);
    world.run_for(secs(7));
    world.session.reset_connection();
    world.turn();
    world.run_for(secs(13));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
    assert_eq!(world.stats().sessions, 2);
    assert_eq!(world.stats().frames_dropped(), 0);
    let lost = world.told_times(|event| matches!(event, Event::ConnectionLost(_)));
    assert_eq!(lost, 0, "it was wanted");
}

#[test]
fn a_reset_ends_a_back_off() {
    let mut world = World::seeded(7).away(0, 60);
    world.run_while(Mono::from_secs(3600), |world| {
        world.stats().state != "backing-off"
    });
    let attempts = world.stats().connection_attempts;
    world.session.reset_connection();
    world.turn();
    assert_ne!(world.stats().state, "backing-off");
    assert!(world.stats().connection_attempts <= attempts + 1);
    world.run_for(secs(70));
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
}

/// Two streams of a producer, without a service. The frames have 1000 bytes, each tenth is a key frame.
struct Two([Session; 2], [u64; 2]);

impl Two {
    fn of(storage: u64, types: [StreamingType; 2]) -> Self {
        let storage = Storage::new(storage);
        let session = |streaming_type| {
            let name = StreamName::new("cam").unwrap();
            let definition = StreamDefinition {
                streaming_type,
                ..StreamDefinition::new(name)
            };
            let mut session = Session::with_share(definition, storage.share(), 7);
            session.set_tracks(&tracks(640)).unwrap();
            session
        };
        Self(types.map(session), [0; 2])
    }

    /// Puts frames, as far as they are taken.
    fn put(&mut self, which: usize, frames: u64) {
        for _ in 0..frames {
            let n = self.1[which];
            let frame = Frame {
                track: crate::media::TrackNumber::VIDEO,
                pts: Timestamp::from_millis(1000 + n * 40),
                dts: None,
                key: n.is_multiple_of(10),
                payload: bytes::Bytes::from_static(&[0; 1000]),
            };
            if self.0[which].put_frame(Mono::from_millis(n), frame).is_ok() {
                self.1[which] += 1;
            }
        }
    }

    fn poll(&mut self, which: usize) {
        while !matches!(self.0[which].poll(Mono::from_secs(3)), Output::Wait { .. }) {}
    }

    fn held(&self) -> [u64; 2] {
        [0, 1].map(|which| self.0[which].stats(Mono::from_secs(3)).bytes_buffered)
    }
}

/// A camera that came first and cannot be sent gives back what is another's part, when that one needs it.
#[test]
fn live_streams_share_a_storage() {
    const STORAGE: u64 = 100_000;
    let mut two = Two::of(STORAGE, [StreamingType::Realtime; 2]);
    two.put(0, 200);
    let [first, _] = two.held();
    assert!(first > STORAGE * 8 / 10 && first <= STORAGE, "{first}");
    two.put(1, 200);
    two.poll(0);
    let [first, second] = two.held();
    assert!(first + second <= STORAGE, "{first} {second}");
    for held in [first, second] {
        assert!(held > STORAGE * 3 / 10, "{first} {second}");
    }
    for session in &two.0 {
        let stats = session.stats(Mono::from_secs(3));
        assert_eq!(
            stats.frames_in,
            stats.frames_pending + stats.frames_dropped()
        );
    }
}

/// A file that waits for room loses nothing, and takes no more than is left.
#[test]
fn a_file_and_a_camera_share_a_storage() {
    const STORAGE: u64 = 100_000;
    let mut two = Two::of(STORAGE, [StreamingType::Offline, StreamingType::Realtime]);
    two.put(1, 200);
    two.put(0, 200);
    two.poll(1);
    let [file, camera] = two.held();
    assert!(file + camera <= STORAGE * 11 / 10, "{file} {camera}");
    assert_eq!(two.0[0].stats(Mono::from_secs(3)).frames_dropped(), 0);
    assert!(two.1[0] >= 30, "it has its part: {}", two.1[0]);
    // The camera is gone: there is room again.
    two.0[1].end(Mono::from_secs(2), Mono::from_secs(2), true);
    two.poll(1);
    two.put(0, 200);
    let [file, camera] = two.held();
    assert_eq!(camera, 0);
    assert!(file > STORAGE * 8 / 10, "{file}");
}

/// A service that answers, but takes nothing, does not keep a connection: its IDLE acks are no progress.
#[test]
fn idle_acks_do_not_stand_for_those_that_are_due() {
    let mut world = World::seeded(7);
    world.run_for(secs(5));
    let id = world.body.unwrap();
    let link = world.connections.get_mut(&id).unwrap();
    (link.cut, link.silent) = (true, true);
    let idle = Ack {
        timecode: None,
        ..Ack::of_fragment(AckKind::Idle, crate::time::Timecode::ZERO)
    };
    let stale = |event: &Event| matches!(event, Event::ConnectionStale { .. });
    for _ in 0..70 {
        world.run_for(secs(1));
        if world.told_times(stale) == 0 {
            world.session.handle(world.now, Input::Ack(&idle));
        }
    }
    assert_eq!(world.told_times(stale), 1);
    assert_eq!(world.drain(), Ok(()));
    assert_eq!(world.missing(), [0; 0]);
}
