//! What is settled with the control plane before media flows: that the stream is there, as it should be, and where it is.
//!
//! Belongs here: the order of the calls. Does not belong here: what is done when one fails (`policy`), the calls (`net`).

use std::time::Duration;

use super::{ACTIVATION_POLL, Call, Described, Event, Session, StreamStatus, state::State};
use crate::time::Mono;

/// How long a data endpoint is used for new connections before it is asked for again (kvs-facts §2).
const ENDPOINT_AGE: Duration = Duration::from_secs(45 * 60);

impl Session {
    pub(super) fn described(&mut self, now: Mono, described: Described) {
        self.keeps_nothing = described.retention.is_zero();
        match described.status {
            StreamStatus::Active if self.created && !self.definition.tags.is_empty() => {
                self.call(Call::Tag)
            }
            StreamStatus::Active => {
                // One that was made here has what was asked for.
                let created = std::mem::take(&mut self.created);
                if !created && self.differs(described.retention) {
                    self.call(Call::Retain);
                } else {
                    self.call(Call::Resolve);
                }
            }
            StreamStatus::Creating | StreamStatus::Deleting => self.enter(State::Activating {
                again: now + ACTIVATION_POLL,
            }),
        }
    }

    /// Tells once that the stream has another retention than it should. True when that is to be changed.
    fn differs(&mut self, has: Duration) -> bool {
        let wanted = self.wanted_retention();
        if has == wanted {
            return false;
        }
        if self.told_retention.replace(has) != Some(has) {
            self.tell(Event::RetentionDiffers { has, wanted });
        }
        self.definition.update_retention
    }

    fn wanted_retention(&self) -> Duration {
        Duration::from_secs(self.definition.retention_hours() * 3600)
    }

    /// The call succeeded.
    pub(super) fn done(&mut self, now: Mono, call: Call) {
        if call == Call::Retain {
            self.keeps_nothing = self.wanted_retention().is_zero();
        }
        self.go_on(now, call);
    }

    /// The call succeeded, or can be done without.
    pub(super) fn go_on(&mut self, now: Mono, call: Call) {
        match call {
            Call::Create => {
                self.created = true;
                self.call(Call::Describe);
            }
            // It was made here, and nobody may describe it: its tags are still to be set.
            Call::Describe if self.created && !self.definition.tags.is_empty() => {
                self.call(Call::Tag)
            }
            Call::Describe | Call::Tag | Call::Retain => {
                if call == Call::Tag {
                    self.created = false;
                }
                self.call(Call::Resolve);
            }
            Call::Resolve => {
                self.created = false;
                self.keep_endpoint(now);
                if !self.ready {
                    self.ready = true;
                    self.tell(Event::Ready);
                }
            }
            Call::PutMedia | Call::Delete => {}
        }
    }

    pub(super) fn is_endpoint_old(&self, now: Mono) -> bool {
        now.saturating_since(self.resolved) >= ENDPOINT_AGE
    }

    /// The endpoint is old: perhaps there is another one. If nobody can say so now, the old one is good enough.
    pub(super) fn refresh(&mut self) {
        self.refreshing = true;
        self.call(Call::Resolve);
    }

    pub(super) fn keep_endpoint(&mut self, now: Mono) {
        self.refreshing = false;
        self.resolved = now;
        self.enter(State::Ready);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        definition::{StreamDefinition, StreamName},
        fragment::tests::tracks,
        media::{Frame, TrackNumber},
        session::{Cause, Failure, Input, Output},
        time::Timestamp,
    };

    const NOW: Mono = Mono::from_secs(1);
    const HOURS: Duration = Duration::from_secs(3600);

    fn session(change: impl FnOnce(&mut StreamDefinition)) -> Session {
        let mut definition = StreamDefinition::new(StreamName::new("cam1").unwrap());
        change(&mut definition);
        Session::new(definition, 7)
    }

    /// The calls that are wanted now, `O` for a connection, and what was told of the retention in hours.
    fn rest(session: &mut Session, now: Mono) -> Vec<String> {
        let mut wanted = Vec::new();
        loop {
            match session.poll(now) {
                Output::Call(call) => wanted.push(call.to_string()),
                Output::Open { .. } => wanted.push("O".into()),
                Output::Tell(Event::RetentionDiffers { has, wanted: ours }) => {
                    let hours = |time: Duration| time.as_secs() / 3600;
                    wanted.push(format!("{}≠{}", hours(has), hours(ours)));
                }
                Output::Wait { .. } => return wanted,
                _ => {}
            }
        }
    }

    fn described(session: &mut Session, retention: Duration) -> Vec<String> {
        let described = Described {
            status: StreamStatus::Active,
            retention,
        };
        session.handle(NOW, Input::Described(described));
        rest(session, NOW)
    }

    fn fail(session: &mut Session, now: Mono, call: Call, status: u16, code: &str) -> Vec<String> {
        let failure = Failure {
            call,
            cause: Cause::Answer {
                status,
                code: code.into(),
                request_id: None,
            },
            message: String::new(),
        };
        session.handle(now, Input::Failed(&failure));
        rest(session, now)
    }

    fn key_frame(session: &mut Session, now: Mono, ms: u64) {
        session.set_tracks(&tracks(640)).unwrap();
        let frame = Frame {
            track: TrackNumber::VIDEO,
            pts: Timestamp::from_millis(ms),
            dts: None,
            key: true,
            payload: Bytes::from_static(&[0; 100]),
        };
        session.put_frame(now, frame).unwrap();
    }

    /// Without `describe_before_put`, DescribeStream is only for a stream that is made.
    #[test]
    fn a_stream_need_not_be_described() {
        let mut session = session(|definition| definition.describe_before_put = false);
        assert_eq!(rest(&mut session, NOW), ["GetDataEndpoint"]);
        key_frame(&mut session, NOW, 1000);
        let missing = (Call::Resolve, 404, "ResourceNotFoundException");
        let wanted = fail(&mut session, NOW, missing.0, missing.1, missing.2);
        assert_eq!(wanted, ["CreateStream"]);
        session.handle(NOW, Input::Done(Call::Create));
        assert_eq!(rest(&mut session, NOW), ["DescribeStream"]);
        assert_eq!(described(&mut session, 2 * HOURS), ["GetDataEndpoint"]);
        session.handle(NOW, Input::Done(Call::Resolve));
        assert_eq!(rest(&mut session, NOW), ["O"]);
    }

    /// A policy need not allow DescribeStream: a stream that is made has its tags all the same.
    #[test]
    fn a_stream_that_nobody_may_describe_gets_its_tags() {
        let mut session = session(|definition| {
            definition.tags = [("site".to_owned(), "yard".to_owned())].into();
        });
        assert_eq!(rest(&mut session, NOW), ["DescribeStream"]);
        let denied = (Call::Describe, 400, "AccessDeniedException");
        assert_eq!(
            fail(&mut session, NOW, denied.0, denied.1, denied.2),
            ["GetDataEndpoint"]
        );
        key_frame(&mut session, NOW, 1000);
        let missing = (Call::Resolve, 404, "ResourceNotFoundException");
        assert_eq!(
            fail(&mut session, NOW, missing.0, missing.1, missing.2),
            ["CreateStream"]
        );
        session.handle(NOW, Input::Done(Call::Create));
        assert_eq!(rest(&mut session, NOW), ["DescribeStream"]);
        assert_eq!(
            fail(&mut session, NOW, denied.0, denied.1, denied.2),
            ["TagStream"]
        );
        session.handle(NOW, Input::Done(Call::Tag));
        assert_eq!(rest(&mut session, NOW), ["GetDataEndpoint"]);
    }

    #[test]
    fn what_is_not_described_keeps_what_its_definition_says() {
        for (hours, keeps_nothing) in [(0, true), (1, false)] {
            let session = session(|definition| {
                definition.describe_before_put = false;
                definition.retention = hours * HOURS;
            });
            assert_eq!(session.keeps_nothing, keeps_nothing);
        }
    }

    #[test]
    fn another_retention_is_told_once_and_left_as_it_is() {
        let mut session = session(|_| ());
        rest(&mut session, NOW);
        assert_eq!(
            described(&mut session, 24 * HOURS),
            ["24≠2", "GetDataEndpoint"]
        );
        session.call(Call::Describe);
        rest(&mut session, NOW);
        assert_eq!(described(&mut session, 24 * HOURS), ["GetDataEndpoint"]);
    }

    #[test]
    fn another_retention_is_updated_if_that_is_wanted() {
        let mut session = session(|definition| {
            definition.update_retention = true;
            definition.retention = Duration::ZERO;
        });
        rest(&mut session, NOW);
        assert_eq!(
            described(&mut session, HOURS),
            ["1≠0", "UpdateDataRetention"]
        );
        assert!(!session.keeps_nothing);
        session.handle(NOW, Input::Done(Call::Retain));
        assert!(session.keeps_nothing);
        assert_eq!(rest(&mut session, NOW), ["GetDataEndpoint"]);
    }

    #[test]
    fn who_may_not_update_the_retention_goes_on_with_it() {
        let mut session = session(|definition| {
            definition.update_retention = true;
            definition.retention = Duration::ZERO;
        });
        rest(&mut session, NOW);
        described(&mut session, HOURS);
        let wanted = fail(
            &mut session,
            NOW,
            Call::Retain,
            400,
            "AccessDeniedException",
        );
        assert_eq!(wanted, ["GetDataEndpoint"]);
        assert!(!session.keeps_nothing);
    }

    /// A connection that begins later than 45 minutes after GetDataEndpoint asks again; and does without the answer.
    #[test]
    fn an_old_endpoint_is_asked_for_again() {
        for answered in [true, false] {
            let mut session = session(|_| ());
            rest(&mut session, NOW);
            described(&mut session, 2 * HOURS);
            session.handle(NOW, Input::Done(Call::Resolve));
            let later = NOW + ENDPOINT_AGE;
            assert_eq!(rest(&mut session, later), [""; 0]);
            key_frame(&mut session, later, 1000);
            assert_eq!(rest(&mut session, later), ["GetDataEndpoint"]);
            if answered {
                session.handle(later, Input::Done(Call::Resolve));
                assert_eq!(rest(&mut session, later), ["O"]);
            } else {
                let throttled = "ClientLimitExceededException";
                let wanted = fail(&mut session, later, Call::Resolve, 400, throttled);
                assert_eq!(wanted, ["O"]);
            }
        }
    }
}
