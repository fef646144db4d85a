//! A buffer becomes a frame.
//!
//! Belongs here: flags, times of the segment, the payload without a copy. Does not belong here: the wall clock
//! ([`super::timeline`]), where a fragment is cut (`fragment`).

use bytes::Bytes;

use crate::fragment::DropReason;

/// What a buffer holds, in the producer's words.
pub(super) struct Converted {
    pub(super) key: bool,
    /// Running time of presentation and decoding, in ns; before the segment it is negative.
    pub(super) pts: i64,
    pub(super) dts: Option<i64>,
    pub(super) payload: Bytes,
}

/// Takes a buffer apart.
///
/// # Errors
/// The reason to drop it, and in words what is wrong.
pub(super) fn convert(
    buffer: &gst::Buffer,
    segment: &gst::Segment,
) -> Result<Converted, (DropReason, String)> {
    let segment = segment.downcast_ref::<gst::ClockTime>().ok_or_else(|| {
        (
            DropReason::NoTimestamp,
            "the segment is not in time".to_owned(),
        )
    })?;
    let running_time = |at: Option<gst::ClockTime>| {
        at.and_then(|at| segment.to_running_time_full(at))
            .map(|signed| {
                let nanos = i64::try_from(signed.abs().nseconds()).unwrap_or(i64::MAX);
                if signed.is_negative() { -nanos } else { nanos }
            })
    };
    let dts = running_time(buffer.dts());
    let pts = running_time(buffer.pts()).or(dts).ok_or_else(|| {
        (
            DropReason::NoTimestamp,
            "the buffer has no timestamp".to_owned(),
        )
    })?;
    let payload = payload(buffer).ok_or_else(|| {
        (
            DropReason::Malformed,
            "the buffer cannot be read".to_owned(),
        )
    })?;
    Ok(Converted {
        key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
        pts,
        dts,
        payload,
    })
}

/// Memory that nobody waits for: GStreamer's own, and that of elements in Rust.
const HEAP: [&str; 2] = ["SystemMemory", "RustGlobalAllocatorMemory"];

/// The bytes of the buffer, which stays alive as long as they do. Copied only when its memory is not on the heap: memory
/// of a device (V4L2, DMA) comes from a pool of few buffers, and a camera stops when they do not come back.
fn payload(buffer: &gst::Buffer) -> Option<Bytes> {
    if buffer.size() == 0 {
        return Some(Bytes::new());
    }
    let heap = buffer
        .iter_memories()
        .all(|memory| HEAP.iter().any(|name| memory.is_type(*name)));
    let mapped = buffer.clone().into_mapped_buffer_readable().ok()?;
    Some(if heap {
        Bytes::from_owner(mapped)
    } else {
        Bytes::copy_from_slice(&mapped)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS_UNIT: &[u8] = &[0, 0, 0, 2, 0x65, 0x88];

    fn buffer(pts: Option<u64>, dts: Option<u64>) -> gst::Buffer {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::from_slice(ACCESS_UNIT);
        let edit = buffer.get_mut().unwrap();
        edit.set_pts(pts.map(gst::ClockTime::from_mseconds));
        edit.set_dts(dts.map(gst::ClockTime::from_mseconds));
        buffer
    }

    fn segment(start_ms: u64) -> gst::Segment {
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_start(gst::ClockTime::from_mseconds(start_ms));
        segment.upcast()
    }

    #[test]
    fn times_are_running_times_and_may_be_negative() {
        let frame = convert(&buffer(Some(1040), Some(960)), &segment(1000))
            .ok()
            .unwrap();
        assert_eq!((frame.pts, frame.dts), (40_000_000, Some(-40_000_000)));
        assert!(frame.key);
    }

    #[test]
    fn a_missing_presentation_time_is_the_decoding_time() {
        let frame = convert(&buffer(None, Some(1040)), &segment(1000))
            .ok()
            .unwrap();
        assert_eq!(frame.pts, 40_000_000);
        assert_eq!(
            convert(&buffer(None, None), &segment(0)).err().unwrap().0,
            DropReason::NoTimestamp
        );
    }

    #[test]
    fn flags_that_say_nothing_of_references_do_not_matter() {
        let mut header = buffer(Some(0), None);
        header
            .get_mut()
            .unwrap()
            .set_flags(gst::BufferFlags::HEADER | gst::BufferFlags::DISCONT);
        assert!(convert(&header, &segment(0)).ok().unwrap().key);
        let mut delta = buffer(Some(0), None);
        delta
            .get_mut()
            .unwrap()
            .set_flags(gst::BufferFlags::DELTA_UNIT);
        assert!(!convert(&delta, &segment(0)).ok().unwrap().key);
    }

    #[test]
    fn the_payload_is_not_copied() {
        let buffer = buffer(Some(0), None);
        let at = buffer.map_readable().unwrap().as_ptr();
        let frame = convert(&buffer, &segment(0)).ok().unwrap();
        assert_eq!(frame.payload.as_ptr(), at);
    }
}
