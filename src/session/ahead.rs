//! How far frames may be ahead of what was sent (offline).
//!
//! Belongs here: the bound on what is unsent. Does not belong here: the bound on what is kept until it is PERSISTED
//! (`frames`).

use super::Session;
use crate::time::Mono;

/// Most bytes that were not sent yet while frames are taken. What is not sent is safe with whoever gives it, and memory that
/// is used again soon costs less than new. Enough for 16 ms of a link of 1 Gbit/s.
const AHEAD: u64 = 2 << 20;

impl Session {
    /// More frames need not come before most of what is here was sent: half of it, so that whoever gives them is not woken
    /// for each.
    pub(super) fn gets_ahead(&mut self) -> bool {
        // What goes to disk while nothing can be sent need not wait.
        self.ahead = (self.sends() || !self.spool_takes()) && self.is_ahead();
        self.ahead
    }

    /// Enough was sent. Whoever had to wait gives frames soon, or nobody waits any more: the link is idle from now on, not
    /// since the last frame.
    pub(super) fn catch_up(&mut self, now: Mono) {
        if self.ahead && !self.is_ahead() {
            self.ahead = false;
            self.last_frame = now;
        }
    }

    /// What [`Self::gets_ahead`] said, as far as it is still so.
    pub(super) fn is_ahead(&self) -> bool {
        let most = AHEAD.min(self.definition.storage / 4);
        let most = if self.ahead { most / 2 } else { most };
        // What waits for another track, or for a header, cannot be sent: frames have to come.
        self.store.has_unsent() && self.store.unsent() > most
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        definition::{StreamDefinition, StreamName, StreamingType},
        fragment::tests::tracks,
        media::{Frame, TrackNumber},
        session::{Call, Described, Input, Output, Refused},
        time::Timestamp,
    };

    const NOW: Mono = Mono::from_secs(1);
    const PAYLOAD: usize = 64 << 10;

    fn frame(n: u64) -> Frame {
        Frame {
            track: TrackNumber::VIDEO,
            pts: Timestamp::from_millis(1_700_000_000_000 + n * 40),
            dts: None,
            key: n.is_multiple_of(50),
            payload: Bytes::from(vec![0; PAYLOAD]),
        }
    }

    /// Offers frames from this number on: of the first that has to wait.
    fn fill(session: &mut Session, from: u64) -> u64 {
        for n in from..from + 1000 {
            match session.put_frame(NOW, frame(n)) {
                Ok(()) => {}
                Err(Refused::Full(_)) => return n,
                Err(refused) => panic!("{refused:?}"),
            }
        }
        panic!("nothing is refused");
    }

    fn settle(session: &mut Session) {
        while !matches!(session.poll(NOW), Output::Wait { .. }) {}
    }

    fn offline(storage: u64) -> Session {
        let mut definition = StreamDefinition::new(StreamName::new("cam1").unwrap());
        definition.streaming_type = StreamingType::Offline;
        definition.storage = storage;
        let mut session = Session::new(definition, 7);
        session.set_tracks(&tracks(640)).unwrap();
        session
    }

    fn streams(session: &mut Session) {
        settle(session);
        let retention = session.definition.retention;
        session.handle(NOW, Input::Described(Described::active(retention)));
        settle(session);
        session.handle(NOW, Input::Done(Call::Resolve));
        settle(session);
        session.handle(NOW, Input::Opened { until: None });
        settle(session);
    }

    #[test]
    fn a_source_that_is_faster_than_the_link_is_held_back() {
        let mut session = offline(128 << 20);
        let refused = fill(&mut session, 0);
        assert_eq!(refused, AHEAD / PAYLOAD as u64, "2 MiB of 128 are taken");
        streams(&mut session);
        assert_eq!(fill(&mut session, refused), refused, "nothing was sent yet");
        let mut waits = 0;
        while !session.has_room(TrackNumber::VIDEO, PAYLOAD as u64, false) {
            assert!(session.transmit(NOW).is_some());
            waits += 1;
        }
        assert!(session.store.unsent() <= AHEAD / 2);
        assert!(waits > 2, "one frame is not enough to go on");
        let again = fill(&mut session, refused);
        assert!(again - refused >= AHEAD / 2 / PAYLOAD as u64);
    }

    #[test]
    fn a_link_that_nobody_gives_to_any_more_is_idle_though_somebody_waited() {
        let mut session = offline(128 << 20);
        fill(&mut session, 0);
        streams(&mut session);
        assert!(!session.has_room(TrackNumber::VIDEO, PAYLOAD as u64, false));
        // It gave up meanwhile.
        while session.transmit(NOW).is_some() {}
        let later = NOW + std::time::Duration::from_secs(2);
        let Output::Wait { at, .. } = session.poll(later) else {
            panic!("there is nothing to do");
        };
        let idle = at.expect("it is due to end");
        assert!(idle > later, "whoever waited has time to go on");
        while !matches!(session.poll(idle), Output::Wait { .. }) {}
        assert!(session.transmit(idle).is_some(), "its last fragment ends");
        assert!(session.has_ended_fragment());
    }

    #[test]
    fn a_small_storage_is_not_filled_with_what_was_not_sent() {
        let mut session = offline(1 << 20);
        assert_eq!(fill(&mut session, 0), (1 << 20) / 4 / PAYLOAD as u64);
    }

    #[test]
    fn a_frame_larger_than_all_that_may_be_ahead_is_taken() {
        let mut session = offline(128 << 20);
        let mut large = frame(0);
        large.payload = Bytes::from(vec![0; AHEAD as usize * 2]);
        session.put_frame(NOW, large).unwrap();
        assert_eq!(fill(&mut session, 1), 1, "the next one waits");
        streams(&mut session);
        while session.transmit(NOW).is_some() {}
        assert!(session.put_frame(NOW, frame(1)).is_ok());
    }
}
