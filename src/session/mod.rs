//! The protocol: what to ask of the service and when, what its answers mean, when to try again. No I/O, no clock.
//!
//! In: frames, [`Input`]s from the network, `now`. Out: [`Output`]s to perform, chunks to send, [`Event`]s to tell.
//!
//! ```text
//! loop {
//!     match session.poll(now) {              // until it says Wait
//!         Output::Call(call) => start it, Output::Open { .. } => start PutMedia, …
//!         Output::Wait { at, .. } => wait for `at`, an answer, a frame, or room on the wire
//!     }
//!     session.handle(now, input);            // what came
//!     while the wire has room { session.transmit(now) }
//! }
//! ```
//! What is transmitted may make something due, such as the end of the body: poll again before the next wait.
//!
//! Belongs here: states, deadlines, acks, the error policy. Does not belong here: sockets, tokio, GStreamer, URLs.

mod ack;
mod ahead;
#[cfg(any(feature = "net", feature = "internals", fuzzing, test))]
pub(crate) mod answer;
mod backoff;
mod deadlines;
mod end;
mod event;
mod frames;
mod latency;
mod link;
mod members;
mod order;
mod pace;
pub(crate) mod policy;
mod prepare;
mod pressure;
mod rates;
mod refusal;
#[cfg(test)]
mod sim;
mod spool;
mod state;
mod storage;
#[cfg(test)]
mod table;
mod tags;
mod tracks;
#[cfg(any(feature = "net", test))]
mod watch;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::BytesMut;

pub(crate) use ack::AckReader;
pub use ack::{Ack, AckKind};
pub use event::{Event, Stats, StreamError};
pub use frames::Refused;
pub use latency::AckLatency;
pub use policy::{Call, Cause, Failure, Fatal};
pub use spool::{SPOOL_PROGRESS, SpoolEvent, SpoolStats, SpoolTask};
pub(crate) use spool::{SpoolNews, Task};
pub(crate) use storage::{Share, Storage};
pub use tags::{EventMetadata, InvalidMetadata, MAX_METADATA};
#[cfg(any(feature = "net", test))]
pub(crate) use watch::{Plan, Waiting};

use backoff::Backoff;
use end::Ending;
use latency::Latencies;
use members::Member;
use order::Turns;
use pace::Pace;
use policy::{Action, Before};
use pressure::Pressure;
use rates::Rate;
use state::{State, Step};

use crate::{
    definition::{StreamDefinition, StreamingType},
    fragment::{Block, Cutter, DropReason, Labels, Lanes, Store},
    time::{Mono, Timecode, Timestamp},
};

/// Frames that are dropped within this time are told together.
pub const LOSS_WINDOW: Duration = Duration::from_secs(1);
/// How often a stream that is not ACTIVE yet is described: well below the quota of 5 calls a second and stream.
const ACTIVATION_POLL: Duration = Duration::from_millis(500);

/// What the network did.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// DescribeStream answered.
    Described(Described),
    /// CreateStream, TagStream, UpdateDataRetention or GetDataEndpoint succeeded.
    Done(Call),
    /// A call, or the attempt to open PutMedia, did not succeed.
    Failed(&'a Failure),
    /// PutMedia was answered with 200: media may flow.
    Opened {
        /// When the credentials end that it was asked with.
        until: Option<Mono>,
    },
    /// Bytes of the response of PutMedia.
    Response(&'a [u8]),
    /// An ack of it that was read elsewhere.
    Ack(&'a Ack),
    /// The response of PutMedia ended.
    Closed,
    /// The machine was suspended for so long, and `now` went on.
    Suspended(Duration),
    /// So many milliseconds the clock of the service is now known to be ahead of the device's; 0: they agree.
    ClockOffset(i64),
}

/// The answer of DescribeStream.
///
/// ```
/// use gstkvssink::producer::Described;
///
/// let described = Described::active(std::time::Duration::from_secs(24 * 3600));
/// assert_eq!(described.retention.as_secs(), 86_400);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Described {
    /// What the stream can do.
    pub status: StreamStatus,
    /// 0: nothing is kept, so RECEIVED is the last ack.
    pub retention: Duration,
}

impl Described {
    /// A stream that takes media, and keeps it so long.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gstkvssink::producer::{Described, StreamStatus};
    ///
    /// let described = Described::active(Duration::from_secs(7200));
    /// assert_eq!(described.status, StreamStatus::Active);
    /// ```
    pub fn active(retention: Duration) -> Self {
        let status = StreamStatus::Active;
        Self { status, retention }
    }
}

/// The status of a stream ("DescribeStream", StreamInfo).
///
/// ```
/// use gstkvssink::producer::{Described, StreamStatus};
///
/// let mut not_yet = Described::active(std::time::Duration::ZERO); // nothing is kept
/// not_yet.status = StreamStatus::Creating;
/// assert_ne!(not_yet.status, StreamStatus::Active);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamStatus {
    /// It takes media; also while it is UPDATING.
    Active,
    /// Not yet.
    Creating,
    /// Not any more.
    Deleting,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Make this call of the control plane. At most one call or connection is under way.
    Call(Call),
    /// Begin PutMedia: its body is what [`Session::transmit`] gives.
    Open {
        /// The time that RELATIVE timecodes count from, or that of the first fragment.
        start: Timestamp,
    },
    /// End the body: the terminating chunk. The response will end.
    CloseBody,
    /// Forget the call or the connection that is under way.
    Abort,
    /// Do this with the files of the spool, without waiting for it.
    Spool(SpoolTask),
    /// Tell this.
    Tell(Event),
    /// Nothing, until then or until something comes.
    Wait {
        /// When to poll again; `None`: only when something comes.
        at: Option<Mono>,
        /// What is due then.
        why: &'static str,
    },
}

/// Frames that were dropped and not told yet.
struct Loss {
    frames: u64,
    from: Timestamp,
    to: Timestamp,
    /// A key frame was asked for because of it.
    asked: bool,
}

/// Between a lost connection and the next PERSISTED: a service that takes a connection and cuts it again is still away.
struct Outage {
    since: Mono,
    /// Fragments that the newest connection had to send again.
    resending: u64,
}

/// One stream and its way to the service.
pub struct Session {
    definition: StreamDefinition,
    state: State,
    /// Frames of several tracks on their way to the cutter.
    lanes: Lanes,
    members: Vec<Member>,
    /// What waits is to leave, whoever may still come.
    flushing: bool,
    cutter: Cutter,
    labels: Labels,
    /// Memory for what goes before payloads.
    heads: BytesMut,
    store: Store,
    backoff: Backoff,
    pace: Pace,
    outputs: VecDeque<Output>,
    stats: Stats,
    /// Frames that came.
    frame_rate: Rate,
    /// Bytes handed to the connection.
    transfer_rate: Rate,
    latencies: Latencies,
    losses: BTreeMap<DropReason, Loss>,
    losses_due: Option<Mono>,
    /// When the last frame came that was kept.
    last_frame: Mono,
    /// The newest `now` that was given, for calls that have none.
    seen: Mono,
    pressure: Pressure,
    /// Of the storage of the producer.
    share: Share,
    /// The fragment that the last chunk began.
    began: Option<Timecode>,
    /// Another connection is wanted.
    reset: bool,
    /// Ends that were reached, but for that for good.
    drains: u64,
    /// The way to the service is lost, or was found again but has not proved itself.
    outage: Option<Outage>,
    ending: Option<Ending>,
    /// The outcome of the last ending, or of a failure.
    ended: Option<Result<(), StreamError>>,
    /// RECEIVED is the last ack of a stream that keeps nothing.
    keeps_nothing: bool,
    /// A frame was refused for want of room, and none was taken since.
    full: bool,
    /// A frame had to wait since much was not sent, and none was taken since.
    ahead: bool,
    /// The stream was made here: it will be ACTIVE, and then its tags are to be set.
    created: bool,
    ready: bool,
    /// The retention that the stream has and that was told because it differs.
    told_retention: Option<Duration>,
    /// When the data endpoint was asked for.
    resolved: Mono,
    /// It is asked for again though it works.
    refreshing: bool,
    spool: Option<spool::Spooling>,
    turns: Turns,
}

impl Session {
    /// A session that has not asked anything yet. `seed` feeds the jitter of its back-off.
    #[cfg(any(test, fuzzing, feature = "internals"))]
    pub fn new(definition: StreamDefinition, seed: u64) -> Self {
        Self::with_share(definition, Share::default(), seed)
    }

    /// A session that has not asked anything yet, with a part of a storage that is shared with others. `seed` feeds the jitter
    /// of its back-off.
    pub(crate) fn with_share(definition: StreamDefinition, share: Share, seed: u64) -> Self {
        Self {
            state: State::New,
            lanes: Lanes::default(),
            members: Vec::new(),
            flushing: false,
            cutter: Cutter::new(&definition),
            labels: Labels::default(),
            heads: BytesMut::new(),
            store: match definition.spool {
                Some(_) => Store::with_room_before(),
                None => Store::default(),
            },
            backoff: Backoff::new(seed),
            pace: Pace::new(definition.bandwidth),
            outputs: VecDeque::new(),
            stats: Stats::default(),
            frame_rate: Rate::default(),
            transfer_rate: Rate::default(),
            latencies: Latencies::default(),
            losses: BTreeMap::new(),
            losses_due: None,
            last_frame: Mono::ZERO,
            seen: Mono::ZERO,
            pressure: Pressure::default(),
            share,
            began: None,
            reset: false,
            drains: 0,
            outage: None,
            ending: None,
            ended: None,
            keeps_nothing: !definition.describe_before_put && definition.retention.is_zero(),
            full: false,
            ahead: false,
            created: false,
            ready: false,
            told_retention: None,
            resolved: Mono::ZERO,
            refreshing: false,
            spool: definition
                .spool
                .as_ref()
                .map(|_| spool::Spooling::default()),
            turns: Turns::default(),
            definition,
        }
    }

    /// What the stream is.
    #[cfg(any(fuzzing, feature = "internals"))]
    pub fn definition(&self) -> &StreamDefinition {
        &self.definition
    }

    /// The numbers, now.
    pub fn stats(&self, now: Mono) -> Stats {
        // What has ended has no rate, however soon it is asked.
        let rate = |rate: &Rate| match self.is_stopped() {
            true => 0.0,
            false => rate.per_second(now),
        };
        Stats {
            state: self.state.name(),
            frame_rate: rate(&self.frame_rate),
            transfer_rate: rate(&self.transfer_rate),
            buffered_duration: self.buffered_duration(),
            ack_latency: self.latencies.summaries(),
            frames_pending: self.frames_kept(),
            bytes_buffered: self.bytes_kept(),
            fragments_pending: self.store.pending().count() as u64,
            spool: self.spool_stats(now),
            ..self.stats.clone()
        }
    }

    /// The media type list of the stream, for CreateStream: as it was set, else that of the tracks once they are known.
    pub fn content_type(&self) -> Option<String> {
        self.definition.content_type.clone().or_else(|| {
            if self.awaits_track() {
                return None;
            }
            // Those of an earlier run, when this one has none.
            let restored = || Some(&self.store.current()?.tracks);
            let types: Vec<_> = self
                .cutter
                .tracks()
                .or_else(restored)?
                .iter()
                .map(|track| track.codec().content_type())
                .collect();
            Some(types.join(","))
        })
    }

    /// The stream exists, is ACTIVE, and its data endpoint is known.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// The session is over: no input matters any more.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped)
    }

    /// No frame is taken any more.
    fn is_over(&self) -> bool {
        matches!(self.state, State::Stopped | State::Leaving { .. })
    }

    /// What to do next. Poll until it says [`Output::Wait`].
    pub fn poll(&mut self, now: Mono) -> Output {
        self.seen = now;
        if std::mem::take(&mut self.reset) {
            self.reopen();
        }
        self.catch_up(now);
        self.expire(now);
        self.pump(now);
        self.advance(now);
        self.give_back(now);
        self.keep_on_disk(now);
        self.outputs.pop_front().unwrap_or_else(|| {
            let due = self.due();
            Output::Wait {
                at: due.map(|(at, _)| at),
                why: due.map_or("input", |(_, why)| why),
            }
        })
    }

    /// What is kept no longer since the last input, for those who want to drop it at a better moment than the next.
    pub(crate) fn take_settled(&mut self) -> Vec<Vec<Block>> {
        self.store.take_settled()
    }

    fn due(&self) -> Option<(Mono, &'static str)> {
        let due = self.deadlines().into_iter().flatten();
        due.min_by_key(|(at, _)| *at)
    }

    /// What came from the network.
    pub fn handle(&mut self, now: Mono, input: Input<'_>) {
        self.seen = now;
        drop(self.take_settled());
        match (input, self.state.call()) {
            (Input::Described(described), Some(Call::Describe)) => self.described(now, described),
            (Input::Done(done), Some(call)) if done == call => self.done(now, call),
            (Input::Failed(failure), Some(call)) if failure.call == call => {
                self.failed(now, failure)
            }
            (Input::Opened { until }, Some(Call::PutMedia)) => self.opened(now, until),
            (Input::Response(bytes), Some(Call::PutMedia)) => self.response(now, bytes),
            (Input::Ack(ack), Some(Call::PutMedia)) => self.acknowledged(now, ack.clone()),
            (Input::Closed, Some(Call::PutMedia)) => self.response_ended(now),
            (Input::Suspended(time), _) => self.suspended(time),
            (Input::ClockOffset(millis), _) if !self.is_stopped() => {
                self.stats.clock_offset_ms = millis;
                self.tell(Event::ClockOffset { millis });
            }
            // The answer of something that was given up meanwhile.
            _ => {}
        }
        self.pump(now);
        self.advance(now);
    }

    /// What became of a task of the spool. What follows from it is for the next [`Self::poll`]: this comes from another thread
    /// than the driver's, which must not send what is of the next connection before it knows that this one is over.
    #[cfg(any(feature = "net", feature = "internals", fuzzing, test))]
    pub(crate) fn handle_spool(&mut self, now: Mono, news: &SpoolNews) {
        self.seen = now;
        if !self.is_stopped() {
            self.spool_news(now, news);
        }
    }

    fn before(&self) -> Before {
        match self.definition.streaming_type {
            _ if self.stats.sessions == 0 => Before::Nothing,
            StreamingType::Offline => Before::Offline,
            StreamingType::Realtime | StreamingType::NearRealtime => Before::Streaming,
        }
    }

    fn failed(&mut self, now: Mono, failure: &Failure) {
        if std::mem::take(&mut self.refreshing) {
            return self.keep_endpoint(now);
        }
        let action = match policy::on_failure(failure, self.before()) {
            refused @ Action::GiveUp(Fatal::Refused) => match self.turned_away(failure) {
                // What it was to begin with is not to be sent.
                Some(Action::GoOn) => return self.leave_link(),
                action => action.unwrap_or(refused),
            },
            action => action,
        };
        self.act(now, action, failure, None);
    }

    /// Does what the policy says. `error_id` is that of the ERROR ack, if it was one.
    fn act(&mut self, now: Mono, action: Action, failure: &Failure, error_id: Option<u32>) {
        if matches!(self.state, State::Closing { .. }) && self.definition.fragment_acks {
            // All that was sent is settled: however it ends, nothing is lost by it.
            return self.leave_link();
        }
        let same = match failure.call {
            Call::PutMedia => Step::Open,
            call => Step::Call(call),
        };
        match action {
            Action::GoOn => self.go_on(now, failure.call),
            // It was made just now, and not everybody at the service knows it yet.
            Action::Create if self.created => self.enter(State::Activating {
                again: now + ACTIVATION_POLL,
            }),
            Action::Create if self.definition.allow_create => {
                self.drop_link();
                self.enter(State::Unannounced);
            }
            Action::Create => self.give_up(now, Fatal::NotFound, failure, error_id),
            Action::GiveUp(fatal) => self.give_up(now, fatal, failure, error_id),
            Action::Retry | Action::Skip => self.back_off(now, failure, same, false),
            Action::RetrySlowly => self.back_off(now, failure, same, true),
            Action::Resolve => self.back_off(now, failure, Step::Call(Call::Resolve), false),
            Action::Describe => self.back_off(now, failure, Step::Call(Call::Describe), true),
        }
    }

    fn back_off(&mut self, now: Mono, failure: &Failure, then: Step, slowly: bool) {
        if !self.definition.restart_on_error {
            return self.give_up(now, Fatal::Lost, failure, None);
        }
        self.drop_link();
        self.forget_old(now);
        if self.outage.is_none() {
            self.outage = Some(Outage {
                since: now,
                resending: 0,
            });
            self.tell(Event::ConnectionLost(failure.clone()));
        }
        let wait = if slowly {
            self.backoff.next_slow()
        } else {
            self.backoff.next()
        };
        self.enter(State::BackingOff {
            until: now + wait,
            then,
        });
    }

    /// Steps that need no input.
    fn advance(&mut self, now: Mono) {
        self.pass_over_hung();
        match &self.state {
            State::New if self.definition.describe_before_put => self.call(Call::Describe),
            State::New => self.call(Call::Resolve),
            State::Unannounced if self.content_type().is_some() => self.call(Call::Create),
            State::Ready if self.spool_opens() => {}
            State::Ready if self.has_to_send() && self.is_endpoint_old(now) => self.refresh(),
            State::Ready if self.has_to_send() => self.open(now),
            State::Opening(_) | State::Streaming(_) | State::Draining(_) => self.advance_link(now),
            _ => {}
        }
        self.settle(now);
    }

    /// What is due by now.
    fn expire(&mut self, now: Mono) {
        let is_due = |at: Option<Mono>| at.is_some_and(|at| at <= now);
        self.pace.expire(now);
        if is_due(self.losses_due) {
            self.tell_losses();
        }
        if let Some(ending) = self.ending
            && is_due(Some(ending.deadline))
        {
            return self.run_out_of_time(now, ending);
        }
        match &self.state {
            State::Activating { again } if is_due(Some(*again)) => self.call(Call::Describe),
            State::BackingOff { until, then } if is_due(Some(*until)) => match *then {
                Step::Call(call) => self.call(call),
                Step::Open => self.enter(State::Ready),
            },
            _ => self.expire_link(now),
        }
    }

    /// Something is to be sent, from memory or from disk.
    fn has_to_send(&self) -> bool {
        self.store.has_unsent() || (self.store.awaits_disk() && !self.spool_hangs())
    }

    fn deadlines(&self) -> [Option<(Mono, &'static str)>; 6] {
        let state = match &self.state {
            State::Activating { again } => Some((*again, "activation")),
            State::BackingOff { until, .. } => Some((*until, "back-off")),
            State::Leaving { until, .. } => Some((*until, "spool, before the end")),
            _ => self.link_deadline(),
        };
        [
            state,
            self.ending
                .map(|ending| (ending.deadline, "stop-stream-timeout")),
            self.losses_due.map(|due| (due, "losses to tell")),
            self.lanes.due().map(|due| (due, "track-timeout")),
            self.pace.due().map(|due| (due, "bandwidth")),
            self.spool_due(),
        ]
    }

    fn call(&mut self, call: Call) {
        self.outputs.push_back(Output::Call(call));
        self.enter(State::Calling(call));
    }

    fn enter(&mut self, state: State) {
        let before = self.state.name();
        self.state = state;
        if self.state.name() != before {
            self.tell(Event::State(self.state.name()));
        }
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Tell(event));
    }
}
