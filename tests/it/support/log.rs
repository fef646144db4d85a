//! What can be seen of the element from outside: its log lines, and conditions that nothing announces.

use std::{
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use super::PATIENCE;

/// Log lines of kvssink from here on, down to the most detailed ones.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn listen() -> Self {
        super::init();
        let (sender, lines) = channel();
        gst::log::remove_default_log_function();
        gst::log::set_threshold_for_name("kvssink", gst::DebugLevel::Memdump);
        gst::log::add_log_function(move |category, _, _, _, _, object, message| {
            if category.name() == "kvssink" {
                let said = message.get().map(|text| text.to_string());
                // The test may have ended.
                let _ = sender.send(format!("{object:?} {}", said.unwrap_or_default()));
            }
        });
        Self(lines)
    }

    /// Waits for a line with `text`.
    pub(crate) fn until(&self, text: &str) {
        while !self
            .0
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("nothing says {text:?}"))
            .contains(text)
        {}
    }

    /// Waits until EOS waits for the acks.
    pub(crate) fn until_eos_waits(&self) {
        self.until("waiting for the last acks");
    }

    pub(crate) fn so_far(&self) -> Vec<String> {
        self.0.try_iter().collect()
    }
}

/// Looks again and again until `condition` holds, for what no message announces. False when it never does.
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    const LOOK_AGAIN: Duration = Duration::from_millis(5);
    for _ in 0..PATIENCE.as_millis() / LOOK_AGAIN.as_millis() {
        if condition() {
            return true;
        }
        std::thread::park_timeout(LOOK_AGAIN);
    }
    condition()
}
