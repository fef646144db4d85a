//! What happens in a case, as it happens: frames come, the fault is injected, acks come, the connection is lost.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use gstkvssink::{
    local::{Fault, FaultKind, Local},
    producer::StreamCallbacks,
    session::{Ack, AckKind, Failure},
};

use super::cases::{Case, End, Type, When};
use crate::support::{PATIENCE, feed::hash, service_with};

/// Of every case; each has a service of its own.
pub(crate) const STREAM: &str = "cam";

/// What happens, as it happens.
pub(crate) struct Course {
    pub(crate) local: Local,
    pub(crate) case: &'static Case,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    /// The hashes of the frames that came.
    pub(crate) sent: Vec<String>,
    /// The numbers of the fragments whose PERSISTED was read.
    pub(crate) persisted: Vec<String>,
    /// When the connection was lost, while it is.
    lost: Option<Duration>,
    pub(crate) outages: usize,
    /// When it was tried again, since the loss.
    pub(crate) tries: Vec<Duration>,
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

    /// A frame comes. The one in the middle waits until the fault has struck, so that this does not depend on time.
    pub(crate) fn frame(&self, buffer: &gst::BufferRef, middle: usize) {
        let hash = hash(buffer);
        let count = {
            let mut state = self.so_far();
            state.sent.push(hash);
            state.sent.len()
        };
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
    }

    pub(crate) fn lost(&self) {
        if self.case.when == When::StartUntilLost {
            self.local.clear_faults();
        }
        let now = self.local.uptime();
        let mut state = self.so_far();
        state.outages += 1;
        state.lost.get_or_insert(now);
    }

    pub(crate) fn persisted(&self, number: &str) {
        let now = self.local.uptime();
        let mut state = self.so_far();
        state.persisted.push(number.to_owned());
        if let Some(since) = state.lost.take() {
            state.recovery = state.recovery.max(Some(now.saturating_sub(since)));
        }
    }
}

impl StreamCallbacks for Course {
    fn ack(&self, ack: &Ack) {
        if ack.kind == AckKind::Persisted {
            self.persisted(ack.fragment_number.as_deref().unwrap_or_default());
        }
    }

    fn connection_lost(&self, _: &Failure) {
        self.lost();
    }

    fn state(&self, name: &'static str) {
        let now = self.local.uptime();
        let mut state = self.so_far();
        if let Some(since) = state.lost
            && ["describing", "resolving", "opening"].contains(&name)
        {
            state.tries.push(now.saturating_sub(since));
        }
    }
}
