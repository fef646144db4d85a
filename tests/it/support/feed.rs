//! Access units that a test puts itself: it is the streaming thread, so it decides what comes when.

use std::{
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use gst::prelude::*;

use super::{
    Pipeline,
    bus::{self, Heard},
    media::{AccessUnit, sha256},
};

/// What an encoder gave: its events (STREAM_START, CAPS, SEGMENT) and its buffers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clip {
    pub(crate) events: Vec<gst::Event>,
    pub(crate) buffers: Vec<gst::Buffer>,
}

/// The access units that `launch` (without a sink) makes.
pub(crate) fn record(launch: &str) -> Clip {
    record_as(launch, "video/x-h264,stream-format=avc,alignment=au")
}

/// What `launch` (without a sink) makes, in this form.
pub(crate) fn record_as(launch: &str, caps: &str) -> Clip {
    let [clip] = record_each(&format!("{launch} ! {caps} ! {}", probe(0)));
    clip
}

/// The sink of a launch line whose buffers [`record_each`] gives as the clip of this number.
pub(crate) fn probe(number: usize) -> String {
    format!("fakesink name=probe{number} sync=false async=false")
}

/// What comes to each [`probe`] of `launch`.
pub(crate) fn record_each<const N: usize>(launch: &str) -> [Clip; N] {
    let pipeline = Pipeline::new(launch);
    let clips = std::array::from_fn::<_, N, _>(|n| {
        let probe = pipeline.element(&format!("probe{n}"));
        listen(&probe.static_pad("sink").unwrap())
    });
    let outcome = pipeline.run();
    assert!(outcome.eos, "{launch}: {outcome:?}");
    clips.map(|clip| std::mem::take(&mut *clip.lock().unwrap()))
}

/// What comes to this pad from now on.
fn listen(pad: &gst::Pad) -> Arc<Mutex<Clip>> {
    let clip = Arc::new(Mutex::new(Clip::default()));
    let heard = Arc::clone(&clip);
    pad.add_probe(gst::PadProbeType::DATA_DOWNSTREAM, move |_, info| {
        let mut clip = heard.lock().unwrap();
        match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => clip.buffers.push(buffer.clone()),
            Some(gst::PadProbeData::Event(event))
                if matches!(
                    event.type_(),
                    gst::EventType::StreamStart | gst::EventType::Caps | gst::EventType::Segment
                ) =>
            {
                clip.events.push(event.clone());
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
    clip
}

/// A picture that does not compress: 8 Mbit/s, a key frame every `gop` frames.
pub(crate) fn large_source(frames: u32, gop: u32) -> String {
    format!(
        "videotestsrc pattern=snow num-buffers={frames} ! video/x-raw,format=I420,width=480,height=360,framerate=25/1 \
         ! x264enc key-int-max={gop} option-string=scenecut=0 speed-preset=ultrafast bframes=0 bitrate=8000 ! h264parse"
    )
}

impl Clip {
    /// The picture of [`super::test_source`], as fast as it can be made.
    pub(crate) fn test(frames: u32, gop: u32) -> Self {
        record(&super::test_source(frames, gop, false))
    }

    /// A picture that does not compress: some 40 kB per frame, a key frame every `gop` frames.
    pub(crate) fn large(frames: u32, gop: u32) -> Self {
        record(&large_source(frames, gop))
    }

    /// A picture of a few bytes, a key frame every `gop` frames.
    pub(crate) fn small(frames: u32, gop: u32) -> Self {
        record(&format!(
            "videotestsrc pattern=black num-buffers={frames} ! video/x-raw,format=I420,width=64,height=64,framerate=25/1 \
             ! x264enc key-int-max={gop} option-string=scenecut=0 speed-preset=ultrafast bframes=2 ! h264parse"
        ))
    }

    /// Codec private data, from the caps.
    pub(crate) fn codec_data(&self) -> Vec<u8> {
        let caps = self.caps();
        let codec_data = caps.structure(0).unwrap().get::<gst::Buffer>("codec_data");
        codec_data.unwrap().map_readable().unwrap().to_vec()
    }

    pub(crate) fn caps(&self) -> gst::Caps {
        let caps = self.events.iter().find_map(|event| match event.view() {
            gst::EventView::Caps(caps) => Some(caps.caps_owned()),
            _ => None,
        });
        caps.unwrap()
    }

    fn segment(&self) -> gst::FormattedSegment<gst::ClockTime> {
        let segment = self.events.iter().find_map(|event| match event.view() {
            gst::EventView::Segment(segment) => Some(segment.segment().clone()),
            _ => None,
        });
        segment.unwrap().downcast::<gst::ClockTime>().unwrap()
    }

    /// The running time at this time of the clip, in ns.
    pub(crate) fn running_time(&self, at: gst::ClockTime) -> i64 {
        let time = self.segment().to_running_time_full(at).unwrap();
        let nanos = i64::try_from(time.abs().nseconds()).unwrap();
        if time.is_negative() { -nanos } else { nanos }
    }

    /// The running time at which the buffer is decoded (else shown), in ns.
    pub(crate) fn order(&self, buffer: &gst::BufferRef) -> i64 {
        self.running_time(buffer.dts_or_pts().unwrap())
    }

    /// The segment, with running times that begin at `base`.
    pub(crate) fn segment_at(&self, base: gst::ClockTime) -> gst::Event {
        let mut segment = self.segment();
        segment.set_base(base);
        gst::event::Segment::new(&segment)
    }

    /// The hashes of the payloads, in order.
    pub(crate) fn hashes(&self) -> Vec<String> {
        self.buffers.iter().map(|buffer| hash(buffer)).collect()
    }
}

pub(crate) fn hash(buffer: &gst::BufferRef) -> String {
    sha256(&buffer.map_readable().unwrap())
}

/// The hashes of stored frames.
pub(crate) fn hashes(units: &[AccessUnit]) -> Vec<String> {
    units.iter().map(|unit| unit.sha256.clone()).collect()
}

/// A kvssink, named `sink`, whose pad the test pushes into.
pub(crate) struct Fed {
    pub(crate) pipeline: Pipeline,
    pub(crate) heard: Heard,
    pad: gst::Pad,
}

impl Fed {
    /// In PLAYING, with the beginning of `clip` pushed.
    pub(crate) fn playing(properties: &str, clip: &Clip) -> Self {
        let fed = Self::new(properties);
        fed.begin(clip);
        fed
    }

    /// To PLAYING, with the beginning of `clip` pushed.
    pub(crate) fn begin(&self, clip: &Clip) {
        self.play();
        for event in &clip.events {
            assert!(self.event(event.clone()), "{event:?}");
        }
    }

    /// In NULL.
    pub(crate) fn new(properties: &str) -> Self {
        Self::into(&format!("kvssink name=sink {properties}"))
    }

    /// Into another sink, in NULL.
    pub(crate) fn into(sink: &str) -> Self {
        super::init();
        // A launch line of one element is no pipeline.
        let pipeline = Pipeline(gst::Pipeline::new());
        let sink = gst::parse::launch(sink).unwrap();
        pipeline.0.add(&sink).unwrap();
        let heard = Heard::of(&pipeline);
        let pad = gst::Pad::builder(gst::PadDirection::Src)
            .name("feed")
            .build();
        pad.link_full(
            &sink.static_pad("sink").unwrap(),
            gst::PadLinkCheck::empty(),
        )
        .unwrap();
        pad.set_active(true).unwrap();
        Self {
            pipeline,
            heard,
            pad,
        }
    }

    pub(crate) fn play(&self) {
        self.pipeline.0.set_state(gst::State::Playing).unwrap();
    }

    pub(crate) fn event(&self, event: gst::Event) -> bool {
        self.pad.push_event(event)
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

    /// The event EOS; its message comes when everything is PERSISTED.
    pub(crate) fn eos(&self) {
        assert!(self.event(gst::event::Eos::new()));
    }

    /// Puts them on a thread of its own, up to the first that is refused.
    pub(crate) fn put_aside(
        &self,
        buffers: Vec<gst::Buffer>,
    ) -> JoinHandle<Result<gst::FlowSuccess, gst::FlowError>> {
        let pad = self.pad.clone();
        std::thread::spawn(move || {
            let mut outcome = Ok(gst::FlowSuccess::Ok);
            for buffer in buffers {
                outcome = pad.push(buffer);
                if outcome.is_err() {
                    break;
                }
            }
            outcome
        })
    }

    /// EOS, and the bus until its EOS message; then NULL.
    pub(crate) fn finish(&mut self) {
        self.eos();
        self.until(|message| bus::is_eos(message) || bus::is_error(message, "sink"));
        assert!(self.heard.eos(), "{:#?}", self.heard);
        self.heard.stop(&self.pipeline);
    }

    pub(crate) fn until(&mut self, done: impl FnMut(&gst::Message) -> bool) -> gst::Message {
        self.heard.until(&self.pipeline, done)
    }

    /// Listens until so many more acks of each of these types have come.
    pub(crate) fn until_acks(&mut self, wanted: &[(&str, usize)]) {
        let mut wanted = wanted.to_vec();
        self.until(|message| {
            let kind = message.structure().and_then(|said| said.get("type").ok());
            for (wanted, left) in &mut wanted {
                if kind == Some(*wanted) {
                    *left = left.saturating_sub(1);
                }
            }
            bus::is_error(message, "sink") || wanted.iter().all(|(_, left)| *left == 0)
        });
    }

    pub(crate) fn stats(&self) -> gst::Structure {
        self.pipeline.stats("sink")
    }
}
