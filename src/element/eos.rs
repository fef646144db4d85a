//! [`Eos`]: the EOS message is kept back until everything is PERSISTED.
//!
//! BaseSink holds a lock while it handles the event EOS, and changes of state want that lock. So nothing waits there: the
//! message that BaseSink then posts is kept, and posted by whoever learns that everything is PERSISTED.
//! An application, and gst-launch, act on the message: for them EOS means PERSISTED.

use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(super) struct Eos(Mutex<Stage>);

#[derive(Default)]
enum Stage {
    /// No EOS yet, or it was flushed.
    #[default]
    Streaming,
    /// Acks are missing. With the message, once BaseSink has posted it.
    Draining(Option<gst::Message>),
    /// Everything is PERSISTED.
    Drained,
}

impl Eos {
    /// The event came, on one of the pads.
    pub(super) fn begin(&self) {
        let mut stage = self.stage();
        if !matches!(*stage, Stage::Draining(_)) {
            *stage = Stage::Draining(None);
        }
    }

    /// The message, where BaseSink posts none.
    pub(super) fn keep(&self, message: gst::Message) {
        if let Stage::Draining(kept) = &mut *self.stage() {
            kept.get_or_insert(message);
        }
    }

    /// BaseSink posts the message: given back when it may go to the bus now.
    pub(super) fn post(&self, message: gst::Message) -> Option<gst::Message> {
        match &mut *self.stage() {
            Stage::Draining(kept) => {
                *kept = Some(message);
                None
            }
            Stage::Streaming | Stage::Drained => Some(message),
        }
    }

    /// Everything is PERSISTED: the message that was kept.
    pub(super) fn drained(&self) -> Option<gst::Message> {
        let mut stage = self.stage();
        match &mut *stage {
            Stage::Draining(kept) => {
                let kept = kept.take();
                *stage = Stage::Drained;
                kept
            }
            Stage::Streaming | Stage::Drained => None,
        }
    }

    /// PAUSED: EOS is for PLAYING, where BaseSink posts it again.
    pub(super) fn pause(&self) {
        if let Stage::Draining(kept) = &mut *self.stage() {
            *kept = None;
        }
    }

    /// A flush, another stream, or the end: nobody waits for EOS any more. True when somebody did.
    pub(super) fn cancel(&self) -> bool {
        !matches!(std::mem::take(&mut *self.stage()), Stage::Streaming)
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
