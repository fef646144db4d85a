//! A buffer is read: its times, its flags, its payload.
//!
//! Belongs here: flags, times of the segment, the payload without a copy. Does not belong here: what the times become
//! ([`super::stamp`]), what the payload becomes (`media`), where a fragment is cut (`fragment`).

use std::time::Duration;

use bytes::Bytes;

use super::stamp::Times;
use crate::{fragment::DropReason, time::Timestamp};

/// Seconds from 1900, where NTP begins to count, to 1970 (RFC 5905, figure 4).
const NTP_TO_UNIX_S: u64 = 2_208_988_800;

/// What a buffer holds, in the producer's words.
pub(super) struct Converted {
    /// Its source says that decoding may start here.
    pub(super) key: bool,
    pub(super) times: Times,
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
    let payload = payload(buffer).ok_or_else(|| {
        (
            DropReason::Malformed,
            "the buffer cannot be read".to_owned(),
        )
    })?;
    Ok(Converted {
        key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
        times: times(buffer, segment),
        payload,
    })
}

fn times(buffer: &gst::BufferRef, segment: &gst::Segment) -> Times {
    // In other formats than time there is none that could be known.
    let segment = segment.downcast_ref::<gst::ClockTime>();
    let running_time = |at: Option<gst::ClockTime>| {
        segment?.to_running_time_full(at?).map(|signed| {
            let nanos = i64::try_from(signed.abs().nseconds()).unwrap_or(i64::MAX);
            if signed.is_negative() { -nanos } else { nanos }
        })
    };
    Times {
        pts: running_time(buffer.pts()),
        dts: running_time(buffer.dts()),
        raw_pts: buffer.pts().map(gst::ClockTime::nseconds),
        raw_dts: buffer.dts().map(gst::ClockTime::nseconds),
        reference: reference(buffer),
        duration: buffer
            .duration()
            .filter(|duration| !duration.is_zero())
            .map(|duration| Duration::from_nanos(duration.nseconds())),
    }
}

/// When the buffer was taken, by the camera's clock.
fn reference(buffer: &gst::BufferRef) -> Option<Timestamp> {
    buffer
        .iter_meta::<gst::ReferenceTimestampMeta>()
        .find_map(|meta| {
            let nanos = meta.timestamp().nseconds();
            let structure = meta.reference().structure(0)?;
            match structure.name().as_str() {
                "timestamp/x-ntp" => nanos.checked_sub(NTP_TO_UNIX_S * 1_000_000_000),
                "timestamp/x-unix" => Some(nanos),
                "timestamp/x-ptp" => Some(nanos.saturating_sub(TAI_AHEAD)),
                _ => None,
            }
        })
        .map(Timestamp::from_nanos)
}

/// PTP counts in TAI, which has been ahead of UTC by 37 s since 2017 (IERS Bulletin C; IEEE 1588 §7.2).
const TAI_AHEAD: u64 = 37_000_000_000;

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

    fn converted(buffer: &gst::Buffer, segment: &gst::Segment) -> Converted {
        convert(buffer, segment).ok().unwrap()
    }

    #[test]
    fn times_are_running_times_and_may_be_negative() {
        let frame = converted(&buffer(Some(1040), Some(960)), &segment(1000));
        let Times {
            pts,
            dts,
            raw_pts,
            raw_dts,
            ..
        } = frame.times;
        assert_eq!((pts, dts), (Some(40_000_000), Some(-40_000_000)));
        assert_eq!((raw_pts, raw_dts), (Some(1_040_000_000), Some(960_000_000)));
        assert!(frame.key);
    }

    #[test]
    fn what_has_no_times_says_so() {
        let frame = converted(&buffer(None, None), &segment(0));
        assert_eq!((frame.times.pts, frame.times.dts), (None, None));
        let bytes = gst::FormattedSegment::<gst::format::Bytes>::new().upcast();
        let frame = converted(&buffer(Some(40), None), &bytes);
        assert_eq!(frame.times.pts, None);
    }

    #[test]
    fn the_cameras_clock_is_read_in_each_of_its_forms() {
        for (name, seconds) in [
            ("timestamp/x-ntp", 1_700_000_000 + 2_208_988_800),
            ("timestamp/x-unix", 1_700_000_000),
            ("timestamp/x-ptp", 1_700_000_037),
        ] {
            let mut buffer = buffer(Some(0), None);
            let caps = gst::Caps::new_empty_simple(name);
            gst::ReferenceTimestampMeta::add(
                buffer.get_mut().unwrap(),
                &caps,
                gst::ClockTime::from_seconds(seconds),
                gst::ClockTime::NONE,
            );
            let reference = converted(&buffer, &segment(0)).times.reference;
            assert_eq!(
                reference,
                Some(Timestamp::from_millis(1_700_000_000_000)),
                "{name}"
            );
        }
        let mut other = buffer(Some(0), None);
        let caps = gst::Caps::new_empty_simple("timestamp/x-boot");
        let time = gst::ClockTime::SECOND;
        gst::ReferenceTimestampMeta::add(other.get_mut().unwrap(), &caps, time, None);
        assert_eq!(converted(&other, &segment(0)).times.reference, None);
    }

    #[test]
    fn flags_that_say_nothing_of_references_do_not_matter() {
        let mut header = buffer(Some(0), None);
        header
            .get_mut()
            .unwrap()
            .set_flags(gst::BufferFlags::HEADER | gst::BufferFlags::DISCONT);
        assert!(converted(&header, &segment(0)).key);
        let mut delta = buffer(Some(0), None);
        delta
            .get_mut()
            .unwrap()
            .set_flags(gst::BufferFlags::DELTA_UNIT);
        assert!(!converted(&delta, &segment(0)).key);
    }

    #[test]
    fn the_payload_is_not_copied() {
        let buffer = buffer(Some(0), None);
        let at = buffer.map_readable().unwrap().as_ptr();
        assert_eq!(converted(&buffer, &segment(0)).payload.as_ptr(), at);
    }
}
