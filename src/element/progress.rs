//! [`Progress`]: how far the upload of a file has come, told each second.

use std::sync::{Mutex, PoisonError};

use gst::{glib, prelude::*, subclass::prelude::*};

use super::{KvsSink, report};
use crate::time::Timecode;

const INTERVAL: gst::ClockTime = gst::ClockTime::SECOND;

/// Of one stream that is offline.
#[derive(Default)]
pub(super) struct Progress(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    clock: Option<gst::PeriodicClockId>,
    /// Timecodes of fragments that are PERSISTED: of the first and of the latest.
    first: Option<Timecode>,
    latest: Option<Timecode>,
    /// Of the whole file, once it is known.
    duration: Option<gst::ClockTime>,
}

impl Progress {
    /// Tells each second from now on, on a thread of GStreamer's system clock.
    pub(super) fn begin(&self, element: &KvsSink) {
        let clock = gst::SystemClock::obtain();
        let id = clock.new_periodic_id(clock.time() + INTERVAL, INTERVAL);
        let element = element.downgrade();
        let told = id.wait_async(move |_, _, _| tell(&element, false));
        if told.is_ok() {
            self.lock().clock = Some(id);
        }
    }

    /// Tells nothing any more.
    pub(super) fn end(&self) {
        let ended = std::mem::take(&mut *self.lock());
        if let Some(id) = ended.clock {
            id.unschedule();
        }
    }

    /// A fragment is PERSISTED.
    pub(super) fn persisted(&self, timecode: Timecode) {
        let mut inner = self.lock();
        if inner.clock.is_some() {
            inner.first = inner.first.min(Some(timecode)).or(Some(timecode));
            inner.latest = inner.latest.max(Some(timecode));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `over`: everything is PERSISTED, and it is told a last time.
pub(super) fn tell(element: &glib::WeakRef<KvsSink>, over: bool) {
    let Some(element) = element.upgrade() else {
        return;
    };
    let progress = &element.imp().progress;
    let known = {
        let inner = progress.lock();
        if inner.clock.is_none() {
            return;
        }
        inner.duration
    };
    // Without the lock: the query runs through the elements in front.
    let duration = known.or_else(|| duration(&element));
    let mut inner = progress.lock();
    inner.duration = duration;
    let media = match (inner.first, inner.latest, duration) {
        (_, _, Some(duration)) if over => duration,
        (Some(first), Some(latest), _) => {
            gst::ClockTime::from_mseconds(latest.as_millis().saturating_sub(first.as_millis()))
        }
        _ => gst::ClockTime::ZERO,
    };
    drop(inner);
    let share = match duration {
        _ if over => Some(1.0),
        Some(whole) if !whole.is_zero() => {
            Some((media.nseconds() as f64 / whole.nseconds() as f64).min(1.0))
        }
        _ => None,
    };
    report::post_progress(&element, media, share);
}

/// Of the longest track, if the elements in front know it.
pub(super) fn duration(element: &KvsSink) -> Option<gst::ClockTime> {
    let pads = element.sink_pads();
    pads.iter()
        .filter_map(|pad| pad.peer_query_duration::<gst::ClockTime>())
        .max()
}
