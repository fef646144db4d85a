//! Several pads of one kvssink that a test puts into, each as a streaming thread would.

use std::thread::JoinHandle;

use gst::prelude::*;

use super::{
    Pipeline,
    bus::{self, Heard},
    feed::Clip,
};

/// A kvssink, named `sink`, of which nothing is linked yet.
pub(crate) struct Feeds {
    pub(crate) pipeline: Pipeline,
    pub(crate) heard: Heard,
}

/// What a test puts into one of its pads.
pub(crate) struct Source {
    pad: gst::Pad,
}

impl Feeds {
    /// In NULL.
    pub(crate) fn new(properties: &str) -> Self {
        super::init();
        let pipeline = Pipeline(gst::Pipeline::new());
        let sink = gst::parse::launch(&format!("kvssink name=sink {properties}")).unwrap();
        pipeline.0.add(&sink).unwrap();
        let heard = Heard::of(&pipeline);
        Self { pipeline, heard }
    }

    /// A source that is linked to the pad of this name: `sink`, or one that is requested.
    pub(crate) fn source(&self, name: &str) -> Source {
        let sink = self.pipeline.element("sink");
        let to = sink
            .static_pad(name)
            .or_else(|| sink.request_pad_simple(name))
            .unwrap_or_else(|| panic!("no pad {name}"));
        let pad = gst::Pad::builder(gst::PadDirection::Src)
            .name(format!("to_{name}"))
            .build();
        pad.link_full(&to, gst::PadLinkCheck::empty()).unwrap();
        pad.set_active(true).unwrap();
        Source { pad }
    }

    pub(crate) fn play(&self) {
        self.set(gst::State::Playing);
    }

    pub(crate) fn set(&self, state: gst::State) {
        self.pipeline.0.set_state(state).unwrap();
    }

    pub(crate) fn until(&mut self, done: impl FnMut(&gst::Message) -> bool) -> gst::Message {
        self.heard.until(&self.pipeline, done)
    }

    /// The bus until its EOS message, which comes without an error of the sink.
    pub(crate) fn until_eos(&mut self) -> gst::Message {
        let message = self.until(|message| bus::is_eos(message) || bus::is_error(message, "sink"));
        assert!(bus::is_eos(&message), "{:#?}", self.heard);
        message
    }

    /// EOS on all of them, and the bus until its EOS message; then NULL.
    pub(crate) fn finish(&mut self, sources: &[&Source]) {
        for source in sources {
            source.eos();
        }
        self.until_eos();
        self.heard.stop(&self.pipeline);
    }

    pub(crate) fn stats(&self) -> gst::Structure {
        self.pipeline.stats("sink")
    }
}

impl Source {
    /// The beginning of `clip`: its events.
    pub(crate) fn begin(&self, clip: &Clip) {
        for event in &clip.events {
            self.event(event.clone());
        }
    }

    /// It is taken.
    pub(crate) fn event(&self, event: gst::Event) {
        assert!(self.pad.push_event(event.clone()), "{event:?}");
    }

    pub(crate) fn put(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.pad.push(buffer.clone())
    }

    /// Puts all of them; each is taken.
    pub(crate) fn put_all(&self, buffers: &[gst::Buffer]) {
        for buffer in buffers {
            self.put(buffer).unwrap();
        }
    }

    pub(crate) fn eos(&self) {
        self.event(gst::event::Eos::new());
    }

    /// Puts them on a thread of its own, up to the first that is refused.
    pub(crate) fn put_aside(
        &self,
        buffers: &[gst::Buffer],
    ) -> JoinHandle<Result<gst::FlowSuccess, gst::FlowError>> {
        let (pad, buffers) = (self.pad.clone(), buffers.to_vec());
        std::thread::spawn(move || {
            buffers
                .into_iter()
                .try_fold(gst::FlowSuccess::Ok, |_, buffer| pad.push(buffer))
        })
    }

    /// The pad that it is linked to is released.
    pub(crate) fn release(&self) {
        let to = self.pad.peer().unwrap();
        let sink = to.parent_element().unwrap();
        sink.release_request_pad(&to);
    }
}

/// Puts all of them in the order of their decode times, as sources that run side by side would.
pub(crate) fn put_together(all: &[(&Source, &Clip)]) {
    let mut next = vec![0; all.len()];
    loop {
        let heads = all.iter().enumerate().filter_map(|(index, (_, clip))| {
            let buffer = clip.buffers.get(next[index])?;
            Some((clip.order(buffer), index))
        });
        let Some((_, index)) = heads.min() else {
            return;
        };
        let (source, clip) = all[index];
        source.put(&clip.buffers[next[index]]).unwrap();
        next[index] += 1;
    }
}
