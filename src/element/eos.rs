//! [`Eos`]: the EOS message is kept back until everything is PERSISTED.
//!
//! BaseSink holds a lock while it handles the event EOS, and changes of state want that lock. So nothing waits there: the
//! message that BaseSink then posts is kept, and posted by whoever learns that everything is PERSISTED.
//! An application, and gst-launch, act on the message: for them EOS means PERSISTED.

use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(super) struct Eos(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    stage: Stage,
    /// What is to be posted.
    message: Option<gst::Message>,
    /// The event came on BaseSink's own pad: the message is its own, and it posts another one after a pause.
    base_sink: bool,
}

#[derive(Default, PartialEq, Eq)]
enum Stage {
    /// No EOS yet, or it was flushed.
    #[default]
    Streaming,
    /// Tracks or acks are missing.
    Draining,
    /// Everything is PERSISTED.
    Drained,
}

impl Eos {
    /// The event came, on BaseSink's own pad or on another.
    pub(super) fn begin(&self, base_sink: bool) {
        let mut inner = self.lock();
        inner.stage = Stage::Draining;
        inner.base_sink |= base_sink;
    }

    /// The message, where BaseSink posts none.
    pub(super) fn keep(&self, message: gst::Message) {
        self.lock().message.get_or_insert(message);
    }

    /// BaseSink posts the message: given back when it may go to the bus now.
    pub(super) fn post(&self, message: gst::Message) -> Option<gst::Message> {
        let mut inner = self.lock();
        if inner.stage == Stage::Drained {
            return Some(message);
        }
        inner.message = Some(message);
        None
    }

    /// Everything is PERSISTED: the message that was kept.
    pub(super) fn drained(&self) -> Option<gst::Message> {
        let mut inner = self.lock();
        if inner.stage != Stage::Draining {
            return None;
        }
        inner.stage = Stage::Drained;
        inner.message.take()
    }

    /// PAUSED: EOS is for PLAYING, where BaseSink posts it again.
    pub(super) fn pause(&self) {
        let mut inner = self.lock();
        if inner.base_sink {
            inner.message = None;
        }
    }

    /// A flush, another stream, or the end: nobody waits for EOS any more. On another pad than BaseSink's own, that one's
    /// end stands. True when somebody waited.
    pub(super) fn cancel(&self, base_sink: bool) -> bool {
        let mut inner = self.lock();
        if base_sink || !inner.base_sink {
            inner.message = None;
        }
        inner.base_sink &= !base_sink;
        std::mem::take(&mut inner.stage) != Stage::Streaming
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> gst::Message {
        gst::init().unwrap();
        gst::message::Eos::new()
    }

    #[test]
    fn the_message_of_base_sink_outlives_what_other_pads_do() {
        let eos = Eos::default();
        eos.begin(true);
        assert!(eos.post(message()).is_none());
        assert!(eos.cancel(false), "another stream on another pad");
        eos.begin(false);
        assert!(eos.drained().is_some());
        assert!(eos.drained().is_none(), "once");
        assert!(eos.post(message()).is_some(), "BaseSink posts it again");
    }

    #[test]
    fn a_flush_of_its_own_pad_takes_the_message_back() {
        let eos = Eos::default();
        eos.begin(true);
        assert!(eos.post(message()).is_none());
        assert!(eos.cancel(true));
        assert!(!eos.cancel(true));
        eos.begin(false);
        assert!(eos.drained().is_none());
    }

    #[test]
    fn over_a_pause_only_base_sink_has_another_message() {
        let eos = Eos::default();
        eos.begin(false);
        eos.keep(message());
        eos.pause();
        assert!(eos.drained().is_some(), "nobody posts it again");

        let eos = Eos::default();
        eos.begin(true);
        assert!(eos.post(message()).is_none());
        eos.pause();
        assert!(eos.post(message()).is_none(), "in PLAYING");
        assert!(eos.drained().is_some());
    }
}
