//! What happens in a case, as it happens: frames come, the fault is injected, acks come, the connection is lost.

use std::{
    sync::{Condvar, Mutex, MutexGuard},
    time::Duration,
};

use gstkvssink::local::{Fault, FaultKind, Local};

use super::cases::{Case, End, GOP, Type, When};
use crate::support::{PATIENCE, feed::hash, service_with};

/// Of every case; each has a service of its own.
pub(crate) const STREAM: &str = "cam";

/// What happens, as it happens.
pub(crate) struct Course {
    pub(crate) local: Local,
    pub(crate) case: &'static Case,
    state: Mutex<State>,
    /// Another PERSISTED was read, or the connection was lost.
    heard: Condvar,
}

/// A frame that came.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) hash: String,
    pub(crate) pts_ms: u64,
}

/// An outage that was told to be over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restored {
    /// How long it was, as told.
    pub(crate) outage: Duration,
    /// When the loss and the end of it were heard of.
    pub(crate) lost: Duration,
    pub(crate) restored: Duration,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) sent: Vec<Sent>,
    /// The numbers of the fragments whose PERSISTED was read.
    pub(crate) persisted: Vec<String>,
    /// The timecodes of the first and the last of them, in ms.
    span: Option<(u64, u64)>,
    /// When the connection was lost, while it is.
    lost: Option<Duration>,
    /// The same, by the state of the session.
    backing_off: Option<Duration>,
    pub(crate) injected: Duration,
    pub(crate) outages: usize,
    /// When it was tried again, since the loss.
    pub(crate) tries: Vec<Duration>,
    pub(crate) restored: Vec<Restored>,
    pub(crate) recovery: Option<Duration>,
    /// What the fault did not do.
    pub(crate) complaint: Option<String>,
}

impl Course {
    /// Of a service that has not heard of the stream yet.
    pub(crate) fn new(case: &'static Case) -> Self {
        Self {
            local: service_with(|_| ()),
            case,
            state: Mutex::default(),
            heard: Condvar::new(),
        }
    }

    pub(crate) fn so_far(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn inject(&self) {
        let fault: Fault = self.case.fault.parse().unwrap();
        let is_port = matches!(
            fault.kind,
            FaultKind::Refuse { .. } | FaultKind::Away { .. }
        );
        self.so_far().injected = self.local.uptime();
        self.local.inject(fault);
        if is_port && !self.strike() {
            self.complain("the port is still open");
        }
        if self.case.when == When::MiddleWithCut {
            // At once: it waits for no more bytes, which do not come meanwhile.
            self.local.inject("end-after:1".parse().unwrap());
        }
    }

    /// A panic in a streaming thread would say less.
    fn complain(&self, of: impl Into<String>) {
        self.so_far().complaint = Some(of.into());
    }

    /// Waits until the faults have struck.
    fn strike(&self) -> bool {
        self.local.wait_for(PATIENCE, |local| {
            local.faults().iter().all(|(_, struck)| *struck > 0)
        })
    }

    /// Waits until PERSISTED was read of every fragment that is complete when the frame of this number comes.
    fn settle(&self, count: usize) {
        let complete = count.saturating_sub(2) / GOP;
        if complete == 0 {
            return;
        }
        // A second each; timecodes are rounded to whole milliseconds.
        let long_ms = (complete as u64 * 1000).saturating_sub(1001);
        self.hear("what is complete is not PERSISTED", |state| {
            state
                .span
                .is_some_and(|(first, last)| last - first >= long_ms)
        });
    }

    /// Waits until what the bus told makes this so.
    fn hear(&self, complaint: &str, so: impl Fn(&State) -> bool) {
        let waited = self
            .heard
            .wait_timeout_while(self.so_far(), PATIENCE, |state| !so(state))
            .map(|(_, waited)| waited);
        if waited.unwrap().timed_out() {
            self.complain(complaint);
        }
    }

    /// A frame comes. The one in the middle waits until the fault has struck, so that this does not depend on time.
    pub(crate) fn frame(&self, buffer: &gst::BufferRef, middle: usize) {
        let sent = Sent {
            hash: hash(buffer),
            pts_ms: buffer.pts().map_or(0, gst::ClockTime::mseconds),
        };
        let count = {
            let mut state = self.so_far();
            state.sent.push(sent);
            state.sent.len()
        };
        if let Some(over) = self.case.over {
            if count == over {
                self.local.clear_faults();
            }
            // Before: a PERSISTED that the outage loses makes a loss of what is stored. After: frames that the machine is late
            // with come all at once, as in another outage.
            let is_away = middle < count && count < over;
            if !is_away && count % GOP == 1 {
                self.settle(count);
            }
        }
        if count != middle {
            return;
        }
        if self.case.when.is_start() {
            // After an ERROR nothing strikes any more.
            if self.case.end(Type::Realtime) == End::Error {
                return;
            }
        } else {
            let stored = |local: &Local| !local.fragments(STREAM).is_empty();
            if !self.local.wait_for(PATIENCE, stored) {
                self.complain("nothing is stored");
            }
            self.inject();
        }
        if !self.strike() {
            self.complain(format!("not struck: {:?}", self.local.faults()));
        }
        if self.case.over.is_some() {
            // What is sent when it is not known yet cannot make room: a busy machine would cut a fragment.
            self.hear("not lost", |state| state.outages > 0);
        }
    }

    pub(crate) fn lost(&self) {
        if self.case.when == When::StartUntilLost {
            self.local.clear_faults();
        }
        let now = self.local.uptime();
        let mut state = self.so_far();
        state.outages += 1;
        state.lost.get_or_insert(now);
        self.heard.notify_all();
    }

    pub(crate) fn persisted(&self, number: &str, timecode_ms: u64) {
        let mut state = self.so_far();
        state.persisted.push(number.to_owned());
        let (first, last) = state.span.unwrap_or((timecode_ms, timecode_ms));
        state.span = Some((first, last.max(timecode_ms)));
        self.heard.notify_all();
    }

    pub(crate) fn restored(&self, outage: Duration) {
        let restored = self.local.uptime();
        let mut state = self.so_far();
        let Some(lost) = state.lost.take() else {
            state.complaint = Some("restored, and was not lost".into());
            return;
        };
        let recovery = Some(restored.saturating_sub(lost));
        state.recovery = state.recovery.max(recovery);
        state.restored.push(Restored {
            outage,
            lost,
            restored,
        });
    }

    /// The session is in another state.
    pub(crate) fn entered(&self, name: &str) {
        let now = self.local.uptime();
        let mut state = self.so_far();
        match (name, state.backing_off) {
            ("backing-off", None) => state.backing_off = Some(now),
            ("streaming", _) => state.backing_off = None,
            ("describing" | "resolving" | "opening", Some(since)) => {
                state.tries.push(now.saturating_sub(since));
            }
            _ => {}
        }
    }
}
