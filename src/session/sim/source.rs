//! A camera: GOPs of key, predicted and B-frames at a steady rate, each frame with its number in its payload.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use crate::{
    media::{Frame, TrackNumber},
    time::Timestamp,
};

/// Wall-clock time of the first frame.
pub(super) const EPOCH_MS: u64 = 1_700_000_000_000;

#[derive(Clone)]
pub(super) struct Source {
    pub(super) fps: u64,
    /// Frames of a GOP.
    pub(super) gop: u64,
    pub(super) b_frames: bool,
    /// Payload of a key frame and of the others, in bytes.
    pub(super) sizes: (usize, usize),
    /// Number of the next frame, in decode order.
    pub(super) next: u64,
    /// Somebody sets the clock of the timestamps before these frames: so many ms on, or back.
    pub(super) steps: BTreeMap<u64, i64>,
}

impl Source {
    pub(super) fn new() -> Self {
        Self {
            fps: 10,
            gop: 20,
            b_frames: true,
            sizes: (4000, 500),
            next: 0,
            steps: BTreeMap::new(),
        }
    }

    /// From one frame to the next.
    pub(super) fn pace(&self) -> Duration {
        Duration::from_nanos(1_000_000_000 / self.fps)
    }

    pub(super) fn frame(&mut self) -> Frame {
        let number = self.next;
        self.next += 1;
        let (gop, place) = (number / self.gop, number % self.gop);
        let shown = gop * self.gop + self.shown(place);
        let key = place == 0;
        let size = if key { self.sizes.0 } else { self.sizes.1 };
        // One NAL unit: its length, then the number, then filler.
        let size = size.max(12);
        let mut payload = vec![number as u8; size];
        payload[..4].copy_from_slice(&u32::try_from(size - 4).unwrap().to_be_bytes());
        payload[4..12].copy_from_slice(&number.to_be_bytes());
        let stepped: i64 = self.steps.range(..=number).map(|(_, step)| step).sum();
        Frame {
            track: TrackNumber::VIDEO,
            pts: Timestamp::from_millis(EPOCH_MS.saturating_add_signed(stepped))
                + Duration::from_nanos(shown * (1_000_000_000 / self.fps)),
            dts: None,
            key,
            payload: Bytes::from(payload),
        }
    }

    /// Place of the n-th frame of a GOP when shown: I P B B P B B …, decoded I P(3) B(1) B(2) …
    fn shown(&self, place: u64) -> u64 {
        let whole = (self.gop - 1) / 3 * 3;
        if !self.b_frames || place == 0 || place > whole {
            return place;
        }
        match (place - 1) % 3 {
            0 => place + 2,
            _ => place - 1,
        }
    }
}

/// The number of a frame, from its payload.
pub(super) fn number(payload: &[u8]) -> u64 {
    payload[4..12]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}
