//! What the tests share: a local service, pipelines that run to their end, and what they said on the way.

#![allow(dead_code, reason = "not every test needs everything")]

pub(crate) mod alone;
pub(crate) mod bus;
pub(crate) mod camera;
pub(crate) mod documents;
pub(crate) mod feed;
pub(crate) mod feeds;
mod leaks;
pub(crate) mod log;
pub(crate) mod media;
pub(crate) mod packets;
pub(crate) mod port;
pub(crate) mod proxy;
pub(crate) mod recorder;
pub(crate) mod scripts;
pub(crate) mod sound;
pub(crate) mod stored;

use std::{sync::Once, time::Duration};

use gst::{glib::LogLevels, prelude::*};
use gstkvssink::local::{Local, Options};

/// Longest wait for anything. A test that comes near it has failed; none depends on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The test picture, as a live or a fast source makes it: two B-frames, a key frame every `gop` frames and nowhere else.
pub(crate) fn test_source(frames: u32, gop: u32, live: bool) -> String {
    format!(
        "videotestsrc is-live={live} num-buffers={frames} ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 \
         ! x264enc key-int-max={gop} option-string=scenecut=0 speed-preset=ultrafast bframes=2 ! h264parse"
    )
}

/// GStreamer, and the element from this build, not from a plugin file. A warning of GLib or GStreamer ends the process, as
/// with `G_DEBUG=fatal-warnings`, whoever starts the test and how.
pub(crate) fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let fatal = LogLevels::LEVEL_ERROR | LogLevels::LEVEL_CRITICAL | LogLevels::LEVEL_WARNING;
        gst::glib::log_set_always_fatal(fatal);
        gst::init().unwrap();
        gstkvssink::plugin_register_static().unwrap();
    });
    leaks::watch();
}

/// A local service whose streams are ACTIVE soon.
pub(crate) fn service() -> Local {
    service_with(|_| ())
}

/// The same with other options.
pub(crate) fn service_with(change: impl FnOnce(&mut Options)) -> Local {
    init();
    let mut options = Options {
        activation_delay: Duration::from_millis(50),
        ..Options::default()
    };
    change(&mut options);
    Local::start(options).unwrap()
}

/// The properties that make kvssink talk to `local`.
pub(crate) fn properties(local: &Local) -> String {
    let Options {
        access_key,
        secret_key,
        ..
    } = Options::default();
    format!(
        "endpoint={} access-key={access_key} secret-key={secret_key} stop-stream-timeout=30",
        local.endpoint()
    )
}

/// A pipeline from a launch line; NULL when dropped.
pub(crate) struct Pipeline(pub(crate) gst::Pipeline);

/// What came on the bus until the end.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) eos: bool,
    pub(crate) errors: Vec<gst::glib::Error>,
    pub(crate) warnings: Vec<gst::glib::Error>,
    /// Element messages of kvssink, in order.
    pub(crate) told: Vec<gst::Structure>,
}

impl Pipeline {
    pub(crate) fn new(launch: &str) -> Self {
        init();
        Self(gst::parse::launch(launch).unwrap().downcast().unwrap())
    }

    /// The element of this name.
    pub(crate) fn element(&self, name: &str) -> gst::Element {
        self.0
            .by_name(name)
            .unwrap_or_else(|| panic!("no element {name}"))
    }

    /// `stats` of the kvssink of this name.
    pub(crate) fn stats(&self, name: &str) -> gst::Structure {
        self.element(name).property("stats")
    }

    /// Sets PLAYING and waits for EOS or an error, then sets NULL.
    pub(crate) fn run(&self) -> Outcome {
        // A state change that fails posts why.
        let _ = self.0.set_state(gst::State::Playing);
        let outcome = self.wait(|outcome| outcome.eos || !outcome.errors.is_empty());
        self.0.set_state(gst::State::Null).unwrap();
        outcome
    }

    /// Reads the bus until `done`.
    pub(crate) fn wait(&self, mut done: impl FnMut(&Outcome) -> bool) -> Outcome {
        let bus = self.0.bus().unwrap();
        let mut outcome = Outcome::default();
        while !done(&outcome) {
            let timeout = gst::ClockTime::from_seconds(PATIENCE.as_secs());
            let message = bus
                .timed_pop(timeout)
                .unwrap_or_else(|| panic!("nothing more on the bus: {outcome:?}"));
            match message.view() {
                gst::MessageView::Eos(_) => outcome.eos = true,
                gst::MessageView::Error(error) => outcome.errors.push(error.error()),
                gst::MessageView::Warning(warning) => outcome.warnings.push(warning.error()),
                gst::MessageView::Element(element) => {
                    outcome
                        .told
                        .extend(element.structure().map(gst::StructureRef::to_owned));
                }
                _ => {}
            }
        }
        outcome
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        leaks::dropped();
        let _ = self.0.set_state(gst::State::Null);
        // Messages that nobody has read hold their elements, which hold the bus.
        if let Some(bus) = self.0.bus() {
            bus.set_flushing(true);
        }
    }
}

impl Outcome {
    /// Element messages of this name.
    pub(crate) fn told(&self, name: &str) -> Vec<&gst::Structure> {
        self.told
            .iter()
            .filter(|structure| structure.name() == name)
            .collect()
    }

    /// It ended well, and everything was persisted.
    pub(crate) fn assert_clean(&self) {
        assert!(
            self.eos && self.errors.is_empty() && self.warnings.is_empty(),
            "{self:?}"
        );
        assert!(self.told("kvs-frames-dropped").is_empty(), "{self:?}");
    }
}

/// The counters of `stats`: in, persisted, dropped, pending.
pub(crate) fn accounts(stats: &gst::StructureRef) -> [u64; 4] {
    [
        "frames-in",
        "frames-persisted",
        "frames-dropped",
        "frames-pending",
    ]
    .map(|name| stats.get(name).unwrap())
}
