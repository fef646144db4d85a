//! Real clips (`scripts/media` fetches them), and the access units that a pipeline gives to a sink.

use std::{
    path::PathBuf,
    sync::mpsc::{self, Receiver},
};

use gst::prelude::*;
use sha2::{Digest, Sha256};

use super::Pipeline;

/// A clip of `target/media`.
pub(crate) fn clip(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("target/media")
        .join(name);
    assert!(
        path.is_file(),
        "{} is missing: run scripts/media, or make test",
        path.display()
    );
    path
}

/// One access unit: the hash of its bytes, and its presentation time in ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccessUnit {
    pub(crate) sha256: String,
    pub(crate) pts_ms: u64,
    pub(crate) key: bool,
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What `launch` (without a sink) gives to a sink, in order; presentation times are running times.
pub(crate) fn access_units(launch: &str) -> Vec<AccessUnit> {
    let pipeline = Pipeline::new(&format!(
        "{launch} ! video/x-h264,stream-format=avc,alignment=au ! fakesink name=probe sync=false signal-handoffs=false"
    ));
    let units = watch(&pipeline.element("probe"));
    let outcome = pipeline.run();
    assert!(outcome.eos, "{outcome:?}");
    drop(pipeline);
    units.try_iter().collect()
}

/// What comes to the pad `sink` of this element from now on.
pub(crate) fn watch(element: &gst::Element) -> Receiver<AccessUnit> {
    let (sender, units) = mpsc::channel();
    let pad = element.static_pad("sink").unwrap();
    let segment = std::sync::Mutex::new(gst::Segment::new());
    pad.add_probe(gst::PadProbeType::DATA_DOWNSTREAM, move |_, info| {
        match info.data.as_ref() {
            Some(gst::PadProbeData::Event(event)) => {
                if let gst::EventView::Segment(event) = event.view() {
                    *segment.lock().unwrap() = event.segment().clone();
                }
            }
            Some(gst::PadProbeData::Buffer(buffer)) => {
                let segment = segment.lock().unwrap();
                let time = segment.downcast_ref::<gst::ClockTime>().unwrap();
                let pts = time.to_running_time(buffer.pts().unwrap()).unwrap();
                let unit = AccessUnit {
                    sha256: sha256(&buffer.map_readable().unwrap()),
                    pts_ms: (pts.nseconds() + 500_000) / 1_000_000,
                    key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
                };
                sender.send(unit).unwrap();
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
    units
}
