//! [`Intake`]: where the threads that bring media meet the driver that takes it away.
//!
//! One std lock around the session. Frames come in on any thread; the driver polls, handles and transmits on its own.
//! Waits are on a std condition variable, so that no thread of an application ever enters tokio.
//! Belongs here: the lock, who wakes whom. Does not belong here: what a frame or an answer means (`session`).

mod tasks;

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use tokio::sync::Notify;

use super::clock::{Clock, Patience};
use crate::{
    definition::Invalid,
    fragment::DropReason,
    media::{Frame, Track, TrackNumber},
    producer::{Troubles, is_called_back},
    session::{
        EventMetadata, Input, InvalidMetadata, Output, Plan, Refused, Session, SpoolNews, Stats,
        StreamError, Waiting,
    },
    time::{Mono, Timestamp},
};

/// Longest sleep of a waiting thread before it looks again, so that a wake-up that never came costs no more.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A process that stood still (stopped, frozen, a machine that is too busy) has spent its patience without that its driver had a
/// turn. So the driver has this time more, counted in waits: to stand still once more costs one of them.
const LAST_TURN: Duration = Duration::from_millis(20);
const LAST_TURNS: u32 = 10;
/// How long callbacks may take when an end was reached, before whoever waits for it goes on without them.
pub(crate) const LAST_CALLS: Duration = Duration::from_millis(500);
/// Shortest suspend that counts; less may be the time between the readings of two clocks.
const SHORTEST_SUSPEND: Duration = Duration::from_secs(1);

/// Why a frame was not taken.
///
/// ```
/// use gstkvssink::producer::{Frame, PutError, Stream};
///
/// # fn f(stream: Stream, frame: Frame) {
/// match stream.put_frame(frame) {
///     Ok(()) => {}
///     Err(PutError::Interrupted(frame)) => println!("{frame:?} can be put again"),
///     Err(error) => println!("{error}"), // the stream has ended
/// }
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// The wait for room was interrupted ([`crate::producer::Stream::interrupt`]), or a callback would have to wait; the
    /// frame is given back.
    #[error("the wait for room was interrupted")]
    Interrupted(Frame),
    /// The stream has ended.
    #[error("the stream has ended")]
    Stopped,
}

/// Why what was waited for did not come.
///
/// ```
/// use std::time::Duration;
/// use gstkvssink::producer::{Stream, WaitError};
///
/// # fn f(stream: Stream) {
/// match stream.wait_ready(Duration::from_secs(30)) {
///     Ok(()) => println!("ready"),
///     Err(WaitError::Interrupted) => println!("not yet"),
///     Err(error) => println!("{error}"),
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The caller did not want to wait any longer, or is a callback; the stream goes on.
    #[error("the wait was given up")]
    Interrupted,
    /// The stream ended before everything was PERSISTED.
    #[error(transparent)]
    Failed(#[from] StreamError),
}

/// The session, shared.
pub(crate) struct Intake {
    state: Mutex<State>,
    /// Room was made, or an end was reached.
    changed: Condvar,
    /// The same, for tasks.
    changed_for_tasks: Notify,
    /// Threads that wait for it; it is changed under the lock.
    threads: AtomicUsize,
    /// Tasks that wait for it.
    tasks: AtomicUsize,
    /// There is something for the driver.
    work: Notify,
    clock: Clock,
    /// The thread of the driver.
    driver: ThreadId,
    /// The id of its callbacks.
    id: u64,
    troubles: Arc<Troubles>,
}

struct State {
    session: Session,
    /// Whoever waits for room, or for a drain, returns at once.
    interrupted: bool,
    /// Drains whose event, and all before it, was told to the callbacks.
    told: u64,
    /// Since when a drain is over whose event was not told.
    untold: Option<Mono>,
    /// Threads and tasks that wait for a drain.
    draining: usize,
    /// A drain was begun that nobody waits for.
    begun: bool,
    /// The driver has gone.
    closed: bool,
    /// The suspended time that the session knows of.
    suspended: Duration,
    seen: Seen,
}

/// What others wait for, as it was when they were woken last.
#[derive(Clone, Copy, Default, PartialEq)]
struct Seen {
    room: u64,
    waiting: Waiting,
    drains: u64,
    told: u64,
    ended: bool,
    ready: bool,
}

impl State {
    fn new(session: Session) -> Self {
        Self {
            session,
            interrupted: false,
            told: 0,
            untold: None,
            draining: 0,
            begun: false,
            closed: false,
            suspended: Duration::ZERO,
            seen: Seen::default(),
        }
    }

    /// The stream is ready, or has ended.
    fn readiness(&self) -> Option<Result<(), WaitError>> {
        match self.session.ended() {
            Some(Err(error)) => Some(Err(WaitError::Failed(error.clone()))),
            _ if self.session.is_ready() => Some(Ok(())),
            _ if self.session.is_stopped() || self.interrupted => Some(Err(WaitError::Interrupted)),
            _ => None,
        }
    }

    /// How the end came out that was asked for after so many drains. The end for good, and an error, which is one, are only
    /// over when the driver has told them and gone; a drain when it and what happened before it was told.
    fn outcome(&self, drains: u64, stop: bool) -> Option<Result<(), WaitError>> {
        if self.closed {
            let outcome = self.session.ended().cloned().unwrap_or(Ok(()));
            return Some(outcome.map_err(WaitError::Failed));
        }
        (!stop && self.told > drains).then_some(Ok(()))
    }

    /// A drain is over; callbacks have a moment to be told of it.
    fn wait_for_callbacks(&mut self, now: Mono) {
        if self.session.drains() == self.told {
            self.untold = None;
            return;
        }
        let since = *self.untold.get_or_insert(now);
        if now.saturating_since(since) >= LAST_CALLS {
            self.told = self.session.drains();
            self.untold = None;
        }
    }

    /// Something happened since the last look that others may wait for.
    fn has_changed(&mut self) -> bool {
        let now = Seen {
            room: self.session.room(),
            waiting: self.session.waiting(),
            drains: self.session.drains(),
            told: self.told,
            ended: self.session.ended().is_some(),
            ready: self.session.is_ready(),
        };
        let before = std::mem::replace(&mut self.seen, now);
        let room = now.room;
        room > before.room || now != Seen { room, ..before }
    }
}

impl State {
    /// Whoever cannot wait is told an error that there is, else that it did not wait.
    fn not_waiting(&self) -> WaitError {
        match self.session.ended() {
            Some(Err(error)) => WaitError::Failed(error.clone()),
            _ => WaitError::Interrupted,
        }
    }

    /// Somebody does not wait for a drain any more. When nobody does, it is forgotten.
    fn end_waits(&mut self) {
        self.draining -= 1;
        if self.draining == 0 && !self.begun {
            self.session.resume();
        }
    }
}

impl Intake {
    pub(crate) fn new(
        session: Session,
        clock: Clock,
        driver: ThreadId,
        id: u64,
        troubles: Arc<Troubles>,
    ) -> Self {
        Self {
            state: Mutex::new(State::new(session)),
            changed: Condvar::new(),
            changed_for_tasks: Notify::new(),
            threads: AtomicUsize::new(0),
            tasks: AtomicUsize::new(0),
            work: Notify::new(),
            clock,
            driver,
            id,
            troubles,
        }
    }

    /// The caller is a callback: were it to wait, nothing would go on that it waits for.
    pub(crate) fn called_back(&self) -> bool {
        is_called_back(self.id) || thread::current().id() == self.driver
    }

    /// Waits until the stream is ready, or has ended: then why.
    pub(crate) fn wait_ready(&self, patience: Patience) -> Result<(), WaitError> {
        let may_wait = !self.called_back();
        let mut state = self.lock();
        loop {
            if let Some(readiness) = state.readiness() {
                return readiness;
            }
            if !may_wait || !patience.lasts() {
                return Err(WaitError::Interrupted);
            }
            state = self.wait(state, patience.left());
        }
    }

    /// What callbacks missed.
    pub(crate) fn troubles(&self) -> Arc<Troubles> {
        Arc::clone(&self.troubles)
    }

    /// Not under the lock, but after it was held: whoever began to wait before is counted.
    fn notify_changed(&self) {
        // It would be a call of the kernel, whether anybody waits or not.
        if self.threads.load(Ordering::Relaxed) > 0 {
            self.changed.notify_all();
        }
        self.changed_for_tasks.notify_waiters();
    }

    /// Waits until there is room for a frame of this track, the stream has ended, or the wait is interrupted.
    pub(crate) fn wait_for_room(&self, track: TrackNumber, bytes: u64, key: bool) {
        let may_wait = !self.called_back();
        let mut state = self.lock();
        while may_wait && !state.interrupted && !state.session.has_room(track, bytes, key) {
            state = self.wait(state, LOOK_AGAIN);
        }
    }

    /// Takes a frame, whether there is room or not.
    pub(crate) fn take_frame(&self, frame: Frame) -> Result<(), PutError> {
        let mut state = self.lock();
        let plan = state.session.plan();
        let taken = state.session.take_frame(self.clock.now(), frame);
        self.taken(state, plan);
        taken.map_err(|_| PutError::Stopped)
    }

    /// A frame was taken; before, the driver had this plan.
    fn taken(&self, state: MutexGuard<'_, State>, plan: Plan) {
        let covered = plan.covers(state.session.plan(), self.clock.now());
        let interleaves = state.session.interleaves();
        drop(state);
        if interleaves {
            // The thread of another track may wait for this frame.
            self.notify_changed();
        }
        if !covered {
            self.work.notify_one();
        }
    }

    /// Takes a frame. Waits for room only offline.
    pub(crate) fn put_frame(&self, mut frame: Frame) -> Result<(), PutError> {
        let may_wait = !self.called_back();
        let mut state = self.lock();
        let plan = loop {
            let plan = state.session.plan();
            match state.session.put_frame(self.clock.now(), frame) {
                Ok(()) => break plan,
                Err(Refused::Stopped) => return Err(PutError::Stopped),
                Err(Refused::Full(back)) => frame = back,
            }
            if state.interrupted || !may_wait {
                return Err(PutError::Interrupted(frame));
            }
            state = self.wait(state, LOOK_AGAIN);
        };
        self.taken(state, plan);
        Ok(())
    }

    pub(crate) fn drop_frame(&self, reason: DropReason, at: Timestamp) {
        self.lock().session.drop_frame(self.clock.now(), reason, at);
        self.work.notify_one();
    }

    pub(crate) fn set_tracks(&self, tracks: &[Track]) -> Result<(), Invalid> {
        self.act(|session| session.set_tracks(tracks))
    }

    pub(crate) fn expect_track(&self, track: TrackNumber) -> Result<(), Invalid> {
        self.act(|session| session.expect_track(track))
    }

    pub(crate) fn format_changed(&self, track: Track) -> Result<(), Invalid> {
        self.act(|session| session.set_track(track))
    }

    pub(crate) fn end_track(&self, track: TrackNumber) {
        let now = self.clock.now();
        self.act(|session| session.end_track(now, track));
    }

    pub(crate) fn remove_track(&self, track: TrackNumber) {
        self.act(|session| session.remove_track(track));
    }

    pub(crate) fn track_gap(&self, track: TrackNumber, until: Timestamp) {
        let now = self.clock.now();
        self.act(|session| session.track_gap(now, track, until));
    }

    pub(crate) fn end_fragment_of(&self, track: TrackNumber) {
        self.act(|session| session.end_fragment_of(track));
    }

    pub(crate) fn end_fragment(&self) {
        self.act(Session::end_fragment);
    }

    pub(crate) fn reset_connection(&self) {
        self.act(Session::reset_connection);
    }

    pub(crate) fn restart_time(&self) {
        self.act(Session::restart_time);
    }

    pub(crate) fn put_metadata(
        &self,
        name: &str,
        value: &str,
        persistent: bool,
    ) -> Result<(), InvalidMetadata> {
        self.act(|session| session.put_metadata(name, value, persistent))
    }

    pub(crate) fn put_event(&self, event: EventMetadata) -> Result<(), InvalidMetadata> {
        self.act(|session| session.put_event(event))
    }

    /// What one thread does may be what the driver, or the thread of another track, waits for.
    fn act<T>(&self, act: impl FnOnce(&mut Session) -> T) -> T {
        let outcome = act(&mut self.lock().session);
        self.notify_changed();
        self.work.notify_one();
        outcome
    }

    /// While true, nobody waits for room or for a drain.
    pub(crate) fn interrupt(&self, interrupted: bool) {
        self.lock().interrupted = interrupted;
        self.notify_changed();
    }

    /// Asks for the end of what was put so far, and does not wait for it.
    pub(crate) fn begin_drain(&self, limit: Duration) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.begun = true;
        state.session.end(now, now + limit, false);
        drop(state);
        self.work.notify_one();
    }

    /// The end that was asked for is not wanted any more, unless somebody waits for it.
    pub(crate) fn resume(&self) {
        let mut state = self.lock();
        state.begun = false;
        if state.draining == 0 {
            state.session.resume();
        }
        drop(state);
        self.work.notify_one();
    }

    /// Asks for an end: after how many drains that was.
    fn begin_end(&self, state: &mut State, limit: Duration, stop: bool) -> u64 {
        // A suspend that was before does not count for this end.
        let now = self.notice_suspend(state);
        let drains = state.session.drains();
        state.session.end(now, now + limit, stop);
        self.work.notify_one();
        drains
    }

    /// Asks for the end of what was put so far, and waits until everything is PERSISTED.
    pub(crate) fn drain(&self, limit: Duration) -> Result<(), WaitError> {
        let mut state = self.lock();
        if self.called_back() || state.interrupted {
            return Err(state.not_waiting());
        }
        let drains = self.begin_end(&mut state, limit, false);
        state.draining += 1;
        let outcome = loop {
            match state.outcome(drains, false) {
                Some(outcome) => break outcome,
                None if state.interrupted => break Err(WaitError::Interrupted),
                None => state = self.wait(state, LOOK_AGAIN),
            }
        };
        state.end_waits();
        outcome
    }

    /// Asks for the end for good, and waits for it.
    pub(crate) fn stop(&self, limit: Duration, patience: Patience) -> Result<(), WaitError> {
        let may_wait = !self.called_back();
        let mut state = self.lock();
        self.begin_end(&mut state, limit, true);
        let mut turns = if patience.is_none() { 0 } else { LAST_TURNS };
        loop {
            if let Some(outcome) = state.outcome(u64::MAX, true) {
                return outcome;
            }
            let over = !patience.lasts();
            if !may_wait || (over && turns == 0) {
                return Err(state.not_waiting());
            }
            turns -= u32::from(over);
            state = self.wait(state, if over { LAST_TURN } else { patience.left() });
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.lock().session.stats(self.clock.now());
        (stats.callbacks_left_out, stats.callbacks_panicked) = self.troubles.counts();
        stats
    }

    /// For the callbacks: a drain was told.
    pub(crate) fn drain_told(&self) {
        let mut state = self.lock();
        state.told = (state.told + 1).min(state.session.drains());
        drop(state);
        self.notify_changed();
    }

    /// For the driver: what to do under the lock. Wakes the others if it has changed what they wait for.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Session) -> T) -> T {
        let mut state = self.lock();
        let outcome = act(&mut state.session);
        let changed = state.has_changed();
        let settled = state.session.take_settled();
        drop(state);
        // Not under the lock: much memory is freed with it.
        drop(settled);
        if changed {
            self.notify_changed();
        }
        outcome
    }

    /// For the driver: a look that changes nothing.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Session) -> T) -> T {
        look(&self.lock().session)
    }

    /// For the driver: what the session wants next.
    pub(crate) fn poll(&self) -> Output {
        let mut state = self.lock();
        let now = self.notice_suspend(&mut state);
        let output = state.session.poll(now);
        state.wait_for_callbacks(now);
        let changed = state.has_changed();
        let unloaded = state.session.take_settled();
        drop(state);
        drop(unloaded);
        if changed {
            self.notify_changed();
        }
        output
    }

    /// For the driver: until there is something to do. Cancel safe: a wake-up that comes in between is kept.
    pub(crate) async fn work(&self) {
        self.work.notified().await;
    }

    /// What became of a task of the spool.
    pub(crate) fn spool_news(&self, news: &SpoolNews) {
        self.with(|session| session.handle_spool(self.clock.now(), news));
        self.work.notify_one();
    }

    /// The driver is to look what has changed.
    pub(crate) fn wake_driver(&self) {
        self.work.notify_one();
    }

    /// For the driver: it is gone, whoever waits may go.
    ///
    /// The session is stopped by then, so no frame is taken any more.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.notify_changed();
    }

    /// Tells the session of a suspend, before it looks at what is due. Now.
    fn notice_suspend(&self, state: &mut State) -> Mono {
        let now = self.clock.now();
        let suspended = self.clock.suspended();
        let news = suspended.saturating_sub(state.suspended);
        if news >= SHORTEST_SUSPEND {
            state.suspended = suspended;
            state.session.handle(now, Input::Suspended(news));
        }
        now
    }

    /// Waits until something has changed, at most so long.
    fn wait<'a>(&self, mut state: MutexGuard<'a, State>, limit: Duration) -> MutexGuard<'a, State> {
        // From now on: what is less than it was before is not news.
        if state.has_changed() {
            // But of whoever waits for room the driver must know.
            self.work.notify_one();
        }
        self.threads.fetch_add(1, Ordering::Relaxed);
        let (state, waited) = self
            .changed
            .wait_timeout(state, limit.min(LOOK_AGAIN))
            .unwrap_or_else(PoisonError::into_inner);
        self.threads.fetch_sub(1, Ordering::Relaxed);
        if waited.timed_out() {
            // The driver looks again, too: its timers stand still in a suspend, after which something may long be due.
            self.work.notify_one();
        }
        state
    }

    /// A panic of another thread leaves numbers that are as good as any; refusing to go on would lose media.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// Where the clock goes on in a suspend.
#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        definition::{StreamDefinition, StreamName},
        fragment::tests::tracks,
    };

    const TIME: Duration = Duration::from_secs(10);

    /// With a frame, on a machine that was suspended since for [`TIME`]. This thread is the driver's: it never waits.
    fn suspended(prepare: impl FnOnce(&mut Session)) -> (Intake, Clock) {
        let definition = StreamDefinition::new(StreamName::new("cam1").unwrap());
        let mut session = Session::new(definition, 7);
        session.set_tracks(&tracks(640)).unwrap();
        let key_frame = Frame {
            track: TrackNumber::VIDEO,
            pts: Timestamp::from_millis(1000),
            dts: None,
            key: true,
            payload: Bytes::from_static(&[0; 100]),
        };
        session.put_frame(Mono::ZERO, key_frame).unwrap();
        prepare(&mut session);
        let clock = Clock::after_suspend_of(TIME);
        (
            Intake::new(session, clock, thread::current().id(), 1, Arc::default()),
            clock,
        )
    }

    fn next_wait(intake: &Intake) -> Option<Mono> {
        loop {
            if let Output::Wait { at, .. } = intake.poll() {
                return at;
            }
        }
    }

    #[test]
    fn a_driver_that_stood_still_has_one_more_turn() {
        let (intake, _) = suspended(|_| ());
        let patience = Patience::of(Duration::from_millis(1));
        let stopped = thread::scope(|scope| {
            // This thread is the driver, and does nothing as long as anybody has patience with it.
            let stop = scope.spawn(|| intake.stop(Duration::ZERO, patience));
            let waits = || intake.threads.load(Ordering::Relaxed) > 0;
            while patience.lasts() || !(waits() || stop.is_finished()) {
                thread::yield_now();
            }
            intake.close();
            stop.join().unwrap()
        });
        assert_eq!(stopped, Ok(()));
    }

    #[test]
    fn an_end_that_is_awaited_in_a_suspend_has_as_much_time_as_before() {
        let (intake, _) = suspended(|session| session.end(Mono::ZERO, Mono::ZERO + TIME, true));
        let at = next_wait(&intake);
        assert!(at >= Some(Mono::ZERO + TIME + TIME), "{at:?}");
        assert_eq!(intake.with(|session| session.ended().cloned()), None);
        assert_eq!(next_wait(&intake), at, "it is told once");
    }

    #[test]
    fn an_end_that_is_asked_for_after_a_suspend_has_its_time_from_then_on() {
        let (intake, clock) = suspended(|_| ());
        let waited = intake.stop(TIME, Patience::of(TIME));
        assert_eq!(waited, Err(WaitError::Interrupted));
        let at = next_wait(&intake);
        assert!(at.is_some() && at <= Some(clock.now() + TIME), "{at:?}");
    }
}
