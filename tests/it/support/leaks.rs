//! At the end of a test nothing of GStreamer's is left that it made: no element, pad, buffer, event, message, caps.
//!
//! GStreamer's own tracer `leaks` watches the process from its first use on. A test is over when its thread ends, after
//! everything in it was dropped; only then is looked. With nextest a test has its process for itself; without, the tests
//! run one after the other. Where several threads use GStreamer at a time, the last one looks.

use std::{
    io::Write,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use gst::{glib, prelude::*};

use super::log::{eventually, threads};

/// So many of what is left are shown.
const SHOWN: usize = 20;

/// What a plugin brings along when it is loaded, and what stays as long as the registry.
const OF_THE_REGISTRY: &str = "type-name=(string)GstTypeFindFactory,";

/// Threads that are watched and go on.
static GOING_ON: AtomicUsize = AtomicUsize::new(0);
/// A test has failed: what is left of it is not its worst, and no later one's fault.
static FAILED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static WATCH: Watch = Watch::begin();
}

/// From here on, up to the end of this thread, nothing may be left.
pub(super) fn watch() {
    WATCH.with(|_| ());
}

/// In the drop of something that tests use: when a panic drops it, nobody looks any more.
pub(super) fn dropped() {
    if std::thread::panicking() {
        FAILED.store(true, Ordering::SeqCst);
    }
}

struct Watch {
    test: String,
}

impl Watch {
    fn begin() -> Self {
        GOING_ON.fetch_add(1, Ordering::SeqCst);
        tracer();
        let test = std::thread::current()
            .name()
            .unwrap_or("a thread")
            .to_owned();
        Self { test }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if GOING_ON.fetch_sub(1, Ordering::SeqCst) > 1 || FAILED.load(Ordering::SeqCst) {
            return;
        }
        let mut left = Vec::new();
        // Another thread may hold something for a moment; when there is only that of the harness, nobody does.
        eventually(|| {
            let alone = threads().len() <= 2;
            left = alive();
            left.is_empty() || alone
        });
        if !left.is_empty() {
            let count = left.len();
            left.truncate(SHOWN);
            let left = left.join("\n");
            // Not by `eprintln`, which the harness keeps to itself; and a panic here could not be caught.
            let mut stderr = std::io::stderr();
            let _ = writeln!(stderr, "{} leaves {count} behind:\n{left}", self.test);
            std::process::abort();
        }
    }
}

fn tracer() -> &'static gst::Tracer {
    static TRACER: OnceLock<gst::Tracer> = OnceLock::new();
    TRACER.get_or_init(|| {
        gst::Plugin::load_by_name("coretracers").expect("a part of GStreamer");
        let leaks = glib::Type::from_name("GstLeaksTracer").unwrap();
        glib::Object::with_type(leaks).downcast().unwrap()
    })
}

/// What was made since the tracer was, and lives. Its signal `get-live-objects` would be simpler, but gives objects away
/// that it does not own.
fn alive() -> Vec<String> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let category = "GST_TRACER";
    let listener = gst::log::add_log_function({
        let lines = Arc::clone(&lines);
        move |from, _, _, _, _, _, message| {
            let text = message.get().map(|text| text.to_string());
            let text = text.unwrap_or_default();
            if from.name() == category
                && text.starts_with("object-alive,")
                && !text.contains(OF_THE_REGISTRY)
            {
                lines.lock().unwrap().push(text);
            }
        }
    });
    // It would say all of it, too, each time.
    gst::log::remove_default_log_function();
    gst::log::set_threshold_for_name(category, gst::DebugLevel::Trace);
    tracer().emit_by_name::<()>("log-live-objects", &[]);
    gst::log::unset_threshold_for_name(category);
    gst::log::remove_log_function(listener);
    std::mem::take(&mut *lines.lock().unwrap())
}
