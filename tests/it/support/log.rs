//! What can be seen of the element from outside: its log lines, threads, and conditions that nothing announces.

use std::{
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use super::PATIENCE;

/// Log lines of kvssink from here on, down to the most detailed ones, until it is dropped. They belong to the process: of
/// several elements, all are heard.
pub(crate) struct Lines {
    lines: Receiver<String>,
    listener: Option<gst::log::DebugLogFunction>,
}

impl Lines {
    pub(crate) fn listen() -> Self {
        super::init();
        let (sender, lines) = channel();
        gst::log::remove_default_log_function();
        gst::log::set_threshold_for_name("kvssink", gst::DebugLevel::Memdump);
        let listener = gst::log::add_log_function(move |category, _, _, _, _, object, message| {
            if category.name() == "kvssink" {
                let said = message.get().map(|text| text.to_string());
                // The test may have ended.
                let _ = sender.send(format!("{object:?} {}", said.unwrap_or_default()));
            }
        });
        Self {
            lines,
            listener: Some(listener),
        }
    }

    /// Waits for a line with `text`.
    pub(crate) fn until(&self, text: &str) {
        while !self
            .lines
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("nothing says {text:?}"))
            .contains(text)
        {}
    }

    /// Waits for a line with `text`, where a panic would end nothing: in a streaming thread. False if none comes.
    pub(crate) fn hears(&self, text: &str) -> bool {
        loop {
            match self.lines.recv_timeout(PATIENCE / 4) {
                Ok(line) if line.contains(text) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// Waits until EOS waits for the acks.
    pub(crate) fn until_eos_waits(&self) {
        self.until("waiting for the last acks");
    }

    pub(crate) fn so_far(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }
}

/// What follows in the same process, as with plain `cargo test`, is not slowed down.
impl Drop for Lines {
    fn drop(&mut self) {
        gst::log::unset_threshold_for_name("kvssink");
        if let Some(listener) = self.listener.take() {
            gst::log::remove_log_function(listener);
        }
    }
}

/// Names of the threads of this process.
pub(crate) fn threads() -> Vec<String> {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        // One may end meanwhile.
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect()
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
