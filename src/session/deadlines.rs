//! What a session waits for, how long, and what happens when it does not come.
//!
//! Belongs here: every deadline of a connection. Does not belong here: the wait after a failure ([`super::backoff`]), the
//! end of the stream (`end`).

use std::time::Duration;

use super::{Event, Failure, Session, policy::Action, state::State};
use crate::time::Mono;

/// A source that gives no frame for this long is paused, gated, or waits for motion. The service closes after some 30 s
/// without data (kvs-facts §7), which would look like a failure and cost the fragment that is open.
const IDLE: Duration = Duration::from_secs(10);

/// The service ends a connection after 45 min with error ack 4003; AWS's own client renews it after 40 ("PutMedia";
/// kvs-facts §1).
const ROTATION: Duration = Duration::from_secs(40 * 60);

/// A session is renewed before its credentials end: it lives on without (kvs-facts §9, which is inferred), but only until
/// it is cut. In the last quarter of what is left to them, as long as any fragment is (20 s) and three times that at most;
/// the keyring has others by then, in their last quarter at the latest.
const CREDENTIALS_LEAD: Duration = Duration::from_secs(60);
/// Credentials that end so soon have none after them yet: to begin anew at once would bring nothing.
const SHORTEST_LIFE: Duration = Duration::from_secs(2);

/// When a session is to be followed by another that was asked for at `opened`, and whose credentials end as they say `now`.
pub(super) fn rotation(opened: Mono, now_and_end: Option<(Mono, Mono)>) -> Mono {
    let by_service = opened + ROTATION;
    let Some((now, end)) = now_and_end else {
        return by_service;
    };
    let left = end.saturating_since(now);
    if left < SHORTEST_LIFE {
        return by_service;
    }
    let lead = (left / 4).min(CREDENTIALS_LEAD);
    by_service.min(now + (left - lead))
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Answer,
    Ack,
    Frame,
    Rotation,
    /// It is another's turn.
    Turn,
    End,
}

impl Due {
    fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer of PutMedia",
            Self::Ack => "connection-staleness",
            Self::Frame => "idle",
            Self::Rotation => "rotation",
            Self::Turn => "turn",
            Self::End => "end of the response",
        }
    }
}

impl Session {
    /// When the link has waited long enough, and for what.
    pub(super) fn link_deadline(&self) -> Option<(Mono, &'static str)> {
        self.link_due().map(|(at, due)| (at, due.as_str()))
    }

    fn link_due(&self) -> Option<(Mono, Due)> {
        let definition = &self.definition;
        match &self.state {
            State::Opening(link) => Some((
                link.opened + definition.connection_timeout + definition.completion_timeout,
                Due::Answer,
            )),
            State::Streaming(link) => {
                // Only when all that came was sent: what waits for the wire is not idle, nor a frame that waits for room.
                // Whether its last fragment is complete or not: the service learns that with the next one, or here.
                let is_over = link.last && self.store.at_boundary();
                let idle = link.clusters > 0 && !is_over && !self.has_to_send() && !self.full;
                [
                    self.ack_due(link.due),
                    idle.then(|| (self.last_frame + IDLE, Due::Frame)),
                    (!link.last).then_some((link.rotation, Due::Rotation)),
                    self.turn_due().map(|at| (at, Due::Turn)),
                ]
                .into_iter()
                .flatten()
                .min_by_key(|(at, _)| *at)
            }
            State::Draining(link) => self.ack_due(link.due),
            State::Closing { since, .. } => {
                Some((*since + definition.completion_timeout, Due::End))
            }
            _ => None,
        }
    }

    fn ack_due(&self, since: Option<Mono>) -> Option<(Mono, Due)> {
        let since = since.filter(|_| self.definition.fragment_acks)?;
        Some((since + self.definition.connection_staleness, Due::Ack))
    }

    pub(super) fn expire_link(&mut self, now: Mono) {
        let Some((_, due)) = self.link_due().filter(|(at, _)| *at <= now) else {
            return;
        };
        let definition = &self.definition;
        match due {
            Due::Answer => {
                let limit = definition.connection_timeout + definition.completion_timeout;
                let failure = Failure::lost(format!("no answer within {} s", limit.as_secs()));
                self.act(now, Action::Resolve, &failure, None);
            }
            Due::Ack => {
                let silence = definition.connection_staleness;
                let failure = Failure::lost(format!("no ack for {} s", silence.as_secs()));
                self.tell(Event::ConnectionStale { silence });
                self.act(now, Action::Resolve, &failure, None);
            }
            Due::Frame => {
                self.end_fragment();
                self.last();
                self.tell(Event::Underflow);
            }
            Due::Rotation => self.last(),
            // Whoever looks sees it.
            Due::Turn => {}
            // With acks everything is settled; the end of the response would have told nothing new.
            Due::End if definition.fragment_acks => self.leave_link(),
            Due::End => {
                let silence = definition.completion_timeout.as_secs();
                let failure = Failure::lost(format!("the response did not end within {silence} s"));
                self.act(now, Action::Resolve, &failure, None);
            }
        }
    }

    fn last(&mut self) {
        if let Some(link) = self.state.link_mut() {
            link.last = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(None, 2400; "credentials without an end")]
    #[test_case(Some(12 * 3600), 2400; "half a day")]
    #[test_case(Some(2000), 1941; "a minute before the end")]
    #[test_case(Some(8), 7; "the last quarter")]
    #[test_case(Some(1), 2400; "nearly at their end")]
    #[test_case(Some(0), 2400; "at their end")]
    fn a_session_is_renewed_before_its_credentials_end(life_s: Option<u64>, expected_s: u64) {
        let opened = Mono::from_secs(100);
        // It was answered a second later.
        let now = Mono::from_secs(101);
        let end = life_s.map(|s| (now, now + Duration::from_secs(s)));
        let expected = opened + Duration::from_secs(expected_s);
        assert_eq!(rotation(opened, end), expected);
    }
}
