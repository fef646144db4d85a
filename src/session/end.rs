//! The end of a stream: asked for and reached, run out of time, or forced by what cannot work.
//!
//! Belongs here: what is waited for, what counts as missing, the last events. Does not belong here: how a connection is
//! drained (`link`).

use std::time::Duration;

use super::{
    Event, Failure, Fatal, Output, Session, Share, StreamError, policy::Cause, state::State,
};
use crate::{
    fragment::{DropReason, FragmentId},
    time::Mono,
};

/// The end that was asked for.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    pub(super) deadline: Mono,
    /// When it was asked for, first.
    pub(super) asked: Mono,
    /// The deadline was put off, so that all is written to disk.
    pub(super) flushed: bool,
    /// Fragments before this one are to be settled.
    pub(super) until: FragmentId,
    /// Stop for good; otherwise the stream may go on with a key frame.
    pub(super) stop: bool,
}

impl Session {
    /// Ends the stream: everything that was put is sent and PERSISTED, or counted as dropped at `deadline`. With `stop`
    /// it is over then, and no frame is taken any more; without, a key frame goes on, and is not waited for. The outcome is
    /// [`Self::ended`].
    pub fn end(&mut self, now: Mono, deadline: Mono, stop: bool) {
        if self.is_over() {
            return;
        }
        self.end_fragment();
        self.ended = None;
        let deadline = self
            .ending
            .map_or(deadline, |ending| ending.deadline.min(deadline));
        self.ending = Some(Ending {
            asked: self.ending.map_or(now, |ending| ending.asked),
            flushed: self.ending.is_some_and(|ending| ending.flushed),
            deadline,
            until: self.store.next_id(),
            stop: stop || self.ending.is_some_and(|ending| ending.stop),
        });
        self.settle(now);
    }

    /// The end that was asked for, unless it is for good, is not wanted any more: frames may follow.
    pub fn resume(&mut self) {
        if self.ending.is_some_and(|ending| !ending.stop) {
            self.ending = None;
        }
    }

    /// Nothing could be sent in a suspend, so whoever waits for the end waits as long as before it.
    pub(super) fn suspended(&mut self, time: Duration) {
        if let Some(ending) = &mut self.ending {
            ending.deadline = ending.deadline + time;
        }
        self.lanes.suspended(time);
        self.spool_suspended(time);
    }

    /// Nobody drives this session any more: the end, with everything that is still kept counted as dropped.
    pub fn abandon(&mut self, now: Mono) {
        if self.is_stopped() {
            return;
        }
        self.leave(now);
        if self.is_stopped() {
            return;
        }
        let missing = self.frames_kept();
        let message =
            format!("the thread of the producer failed; {missing} frames were not PERSISTED");
        let error = StreamError {
            fatal: Fatal::Internal,
            message,
            status: None,
            request_id: None,
            error_id: None,
            missing,
        };
        self.stop_now(now, Err(error));
    }

    /// How the last [`Self::end`] came out; `None` while it is under way. An error stays.
    pub fn ended(&self) -> Option<&Result<(), StreamError>> {
        self.ended.as_ref()
    }

    /// Ends that were reached, but for that for good: as many as [`Event::Drained`] were told.
    pub fn drains(&self) -> u64 {
        self.drains
    }

    /// The end that was asked for, when nothing is missing to it.
    pub(super) fn settle(&mut self, now: Mono) {
        if let Some(ending) = self.ending
            && !self.spool_opens()
            && self.store.settled(ending.until)
            && (self.state.link().is_none() || !self.store.is_empty())
        {
            self.end_well(now, ending);
        }
    }

    fn end_well(&mut self, now: Mono, ending: Ending) {
        if ending.stop {
            return self.stop(now, Ok(()));
        }
        self.tell_losses();
        self.ending = None;
        self.ended = Some(Ok(()));
        self.drains += 1;
        self.tell(Event::Drained);
    }

    pub(super) fn run_out_of_time(&mut self, now: Mono, ending: Ending) {
        if self.store.settled(ending.until) {
            return self.end_well(now, ending);
        }
        if !ending.stop && self.is_safe(now, ending.until) {
            if ending.flushed {
                self.end_well(now, ending);
            }
            return;
        }
        let missing = self.frames_kept();
        let fragments = self.store.pending().count();
        let message = format!(
            "{missing} frames in {fragments} fragments were not PERSISTED in time (stop-stream-timeout is {} s), in state {}",
            self.definition.stop_timeout.as_secs(),
            self.state.name()
        );
        let error = StreamError {
            fatal: Fatal::Unfinished,
            message,
            status: None,
            request_id: None,
            error_id: None,
            missing,
        };
        self.stop(now, Err(error));
    }

    pub(super) fn give_up(
        &mut self,
        now: Mono,
        fatal: Fatal,
        failure: &Failure,
        error_id: Option<u32>,
    ) {
        let (status, request_id) = match &failure.cause {
            Cause::Answer {
                status, request_id, ..
            } => (Some(*status), request_id.clone()),
            _ => (None, None),
        };
        let message = match fatal {
            Fatal::NotFound => format!(
                "stream {} does not exist and allow-create-stream is false: create it, or allow it to be created. {failure}",
                self.definition.name
            ),
            Fatal::NotAuthorized if status == Some(407) => {
                format!("not let through by the proxy. {failure}")
            }
            Fatal::NotAuthorized => {
                format!("not authorized: check the credentials, their region and policy. {failure}")
            }
            _ => failure.to_string(),
        };
        self.stop(
            now,
            Err(StreamError {
                fatal,
                message,
                status,
                request_id,
                error_id,
                missing: self.frames_kept(),
            }),
        );
    }

    /// The end, once. What is still kept is written, if there is a spool, or dropped and counted.
    pub(super) fn stop(&mut self, now: Mono, outcome: Result<(), StreamError>) {
        if !self.leaves(now, &outcome) {
            self.stop_now(now, outcome);
        }
    }

    fn stop_now(&mut self, now: Mono, mut outcome: Result<(), StreamError>) {
        if self.state.call().is_some() {
            self.outputs.push_back(Output::Abort);
        }
        self.end_fragment();
        let left_on_disk = self.leave_files();
        if let Err(error) = &mut outcome {
            error.missing = error.missing.saturating_sub(left_on_disk);
            if error.fatal == Fatal::Unfinished && error.missing == 0 {
                // Late, but not lost: the next stream of this name sends it.
                outcome = Ok(());
            }
        }
        let left: Vec<_> = self.store.pending().map(|fragment| fragment.id).collect();
        for id in left {
            self.evict(now, id, DropReason::Unfinished);
        }
        self.tell_losses();
        self.enter(State::Stopped);
        if let Err(error) = &outcome {
            self.tell(Event::Failed(error.clone()));
        }
        self.ending = None;
        self.ended = Some(outcome);
        self.share = Share::default();
        let stats = self.stats(now);
        self.tell(Event::Closed(Box::new(stats)));
    }
}
