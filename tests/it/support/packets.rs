//! Packets of files, as ffprobe and a demuxer that is not ours read them, and their times beside those of the source.

use std::{
    fs::File,
    io::BufReader,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use gst::prelude::*;
use matroska_demuxer::{Frame, MatroskaFile};

use super::{Pipeline, media::sha256};

/// Presentation times in µs of the packets of each track of any file, in decode order: of video first, then of audio.
/// Without those that a player throws away (what an encoder put in front, before the file's own beginning).
pub(crate) fn times(file: &Path) -> [Vec<i64>; 2] {
    ["v:0", "a:0"].map(|track| {
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-select_streams", track])
            .args(["-show_entries", "packet=pts_time,flags", "-of", "csv=p=0"])
            .arg(file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .filter_map(|line| line.trim_end_matches(',').split_once(','))
            .filter(|(_, flags)| !flags.contains('D'))
            .map(|(time, _)| {
                let (seconds, micros) = time.split_once('.').unwrap();
                format!("{seconds}{micros}").parse().unwrap()
            })
            .collect()
    })
}

/// A stored frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) track: u64,
    pub(crate) hash: String,
    pub(crate) ms: u64,
    pub(crate) key: bool,
    pub(crate) bytes: usize,
}

/// The frames of a stored session, of all tracks, as they stand there.
pub(crate) fn stored(file: &Path) -> Vec<Packet> {
    let mut demuxer = MatroskaFile::open(BufReader::new(File::open(file).unwrap())).unwrap();
    let video: Vec<_> = demuxer
        .tracks()
        .iter()
        .filter(|track| track.video().is_some())
        .map(|track| track.track_number().get())
        .collect();
    let mut frame = Frame::default();
    let mut packets = Vec::new();
    while demuxer.next_frame(&mut frame).unwrap() {
        packets.push(Packet {
            track: frame.track,
            hash: hash(&frame.data, video.contains(&frame.track)),
            ms: frame.timestamp,
            key: frame.is_keyframe.unwrap_or_default(),
            bytes: frame.data.len(),
        });
    }
    packets
}

/// SHA-256 of a frame; of video only of its last NAL unit, since parsers put parameter sets in front, and take them away.
pub(crate) fn hash(data: &[u8], video: bool) -> String {
    let mut last = data;
    while video
        && let Some((length, rest)) = last.split_first_chunk::<4>()
        && let Ok(length) = usize::try_from(u32::from_be_bytes(*length))
        && length <= rest.len()
    {
        if length == rest.len() {
            return sha256(rest);
        }
        last = &rest[length..];
    }
    sha256(data)
}

/// How far apart the tracks of `stored` are from where they are in `source`, at the most, in µs; both from [`times`].
/// Each track may have lost packets in front, but none behind.
pub(crate) fn out_of_sync(source: &[Vec<i64>; 2], stored: &[Vec<i64>; 2]) -> i64 {
    let moved = source.iter().zip(stored).flat_map(|(source, stored)| {
        let lost = source.len().checked_sub(stored.len()).unwrap();
        let pairs = source[lost..].iter().zip(stored);
        pairs.map(|(source, stored)| stored - source)
    });
    let moved: Vec<_> = moved.collect();
    moved.iter().max().unwrap() - moved.iter().min().unwrap()
}

/// Running times of what comes to this pad of the sink, in µs.
pub(crate) fn watch(pipeline: &Pipeline, pad: &str) -> Arc<Mutex<Vec<i64>>> {
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let pad = pipeline.element("sink").static_pad(pad).unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data {
            let event = pad.sticky_event::<gst::event::Segment>(0).unwrap();
            let segment = event.segment().downcast_ref::<gst::ClockTime>().unwrap();
            let at = segment.to_running_time_full(buffer.pts()).unwrap();
            let micros = i64::try_from(at.abs().useconds()).unwrap();
            let micros = if at.is_negative() { -micros } else { micros };
            seen.lock().unwrap().push(micros);
        }
        gst::PadProbeReturn::Ok
    });
    times
}
