//! What waits at the intake without a thread: tasks, of whatever runtime.
//!
//! They have no timer, and need none: the driver looks for them now and then ([`Intake::look_again`]).

use std::{pin::pin, sync::atomic::Ordering, time::Duration};

use super::{Intake, LOOK_AGAIN, PutError, WaitError};
use crate::{media::Frame, session::Refused};

impl Intake {
    /// [`Self::wait_ready`] for tasks.
    pub(crate) async fn ready_in_task(&self) -> Result<(), WaitError> {
        if self.called_back() {
            let readiness = self.lock().readiness();
            return readiness.unwrap_or(Err(WaitError::Interrupted));
        }
        self.until(|| self.lock().readiness()).await
    }

    /// [`Self::put_frame`] for tasks. A frame whose future is dropped was not taken.
    pub(crate) async fn put_frame_in_task(&self, frame: Frame) -> Result<(), PutError> {
        let may_wait = !self.called_back();
        let mut frame = Some(frame);
        self.until(|| {
            let mut state = self.lock();
            let plan = state.session.plan();
            let taken = state.session.put_frame(self.clock.now(), frame.take()?);
            match taken {
                Ok(()) => self.taken(state, plan),
                Err(Refused::Stopped) => return Some(Err(PutError::Stopped)),
                Err(Refused::Full(back)) if state.interrupted || !may_wait => {
                    return Some(Err(PutError::Interrupted(back)));
                }
                Err(Refused::Full(back)) => {
                    frame = Some(back);
                    // From now on: what is less than it was before is not news.
                    state.has_changed();
                    return None;
                }
            }
            Some(Ok(()))
        })
        .await
    }

    /// [`Self::drain`] for tasks.
    pub(crate) async fn drain_in_task(&self, limit: Duration) -> Result<(), WaitError> {
        let drains = {
            let mut state = self.lock();
            if self.called_back() || state.interrupted {
                return Err(state.not_waiting());
            }
            state.draining += 1;
            self.begin_end(&mut state, limit, false)
        };
        let _drains = Drains(self);
        self.until(|| {
            let state = self.lock();
            let interrupted = || state.interrupted.then_some(Err(WaitError::Interrupted));
            state.outcome(drains, false).or_else(interrupted)
        })
        .await
    }

    /// [`Self::stop`] for tasks, without a limit but that of the session: the driver closes soon after it.
    pub(crate) async fn stop_in_task(&self, limit: Duration) -> Result<(), WaitError> {
        {
            let mut state = self.lock();
            self.begin_end(&mut state, limit, true);
            if self.called_back() {
                return Err(state.not_waiting());
            }
        }
        self.until(|| self.lock().outcome(u64::MAX, true)).await
    }

    /// Asks again whenever something has changed, until there is an answer.
    async fn until<T>(&self, mut answer: impl FnMut() -> Option<T>) -> T {
        let _waits = Waits::begin(self);
        // From now on the driver looks now and then.
        self.work.notify_one();
        loop {
            let changed = self.changed_for_tasks.notified();
            let mut changed = pin!(changed);
            // From here on a change is not missed.
            changed.as_mut().enable();
            if let Some(answer) = answer() {
                return answer;
            }
            changed.await;
        }
    }

    /// Tasks wait: they have no timer to look again, so the driver looks for them.
    pub(crate) fn look_again(&self) -> Option<Duration> {
        (self.tasks.load(Ordering::Relaxed) > 0).then_some(LOOK_AGAIN)
    }
}

/// A task waits.
struct Waits<'a>(&'a Intake);

impl<'a> Waits<'a> {
    fn begin(intake: &'a Intake) -> Self {
        intake.tasks.fetch_add(1, Ordering::Relaxed);
        Self(intake)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.tasks.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A task waits for a drain.
struct Drains<'a>(&'a Intake);

impl Drop for Drains<'_> {
    fn drop(&mut self) {
        self.0.lock().end_waits();
    }
}
