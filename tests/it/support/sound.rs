//! A second pad of a [`Fed`] sink, which the test pushes sound into: A-law of 20 ms a piece, each of other bytes.

use gst::prelude::*;

use super::{Pipeline, feed::Fed};

/// Bytes of 20 ms at 8 kHz.
const PIECE: u64 = 160;

pub(crate) struct Sound {
    pad: gst::Pad,
}

impl Sound {
    /// Linked to a requested pad of the sink; before PLAYING, so that the picture waits for it.
    pub(crate) fn of(fed: &Fed) -> Self {
        Self::into(&fed.pipeline)
    }

    fn into(pipeline: &Pipeline) -> Self {
        let sink = pipeline.element("sink");
        let pad = gst::Pad::builder(gst::PadDirection::Src)
            .name("sound")
            .build();
        let request = sink.request_pad_simple("audio_%u").unwrap();
        pad.link_full(&request, gst::PadLinkCheck::empty()).unwrap();
        pad.set_active(true).unwrap();
        Self { pad }
    }

    /// Its stream begins: caps, and a segment from 0 on.
    pub(crate) fn begin(&self) {
        let caps = gst::Caps::builder("audio/x-alaw")
            .field("rate", 8000)
            .field("channels", 1)
            .build();
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        for event in [
            gst::event::StreamStart::new("sound"),
            gst::event::Caps::new(&caps),
            gst::event::Segment::new(&segment),
        ] {
            assert!(self.event(event));
        }
    }

    pub(crate) fn event(&self, event: gst::Event) -> bool {
        self.pad.push_event(event)
    }

    /// Piece `n`, of the time at 20 ms each.
    pub(crate) fn piece(n: u64) -> gst::Buffer {
        let bytes = (0..PIECE).map(|byte| (n * 7 + byte) as u8);
        let mut bytes: Vec<_> = bytes.collect();
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        let edit = buffer.get_mut().unwrap();
        edit.set_pts(gst::ClockTime::from_mseconds(n * 20));
        edit.set_duration(gst::ClockTime::from_mseconds(20));
        buffer
    }

    pub(crate) fn put(&self, buffer: gst::Buffer) {
        self.pad.push(buffer).unwrap();
    }

    pub(crate) fn eos(&self) {
        assert!(self.event(gst::event::Eos::new()));
    }
}
