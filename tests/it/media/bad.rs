//! Input that no service could take: it is named, the service never sees it, and what can go on goes on.

use gst::prelude::*;
use gstkvssink::local::Local;
use test_case::test_case;

use super::clips::{Format, Picture, Sound, assert_never_refused, stored_frames};
use crate::support::{
    accounts,
    bus::is_error,
    feed::{Clip, Fed},
    log::Lines,
    properties, service, stored,
};

/// A buffer of these bytes in the place of another one.
fn instead_of(buffer: &gst::Buffer, bytes: Vec<u8>) -> gst::Buffer {
    let mut other = match bytes.is_empty() {
        true => gst::Buffer::new(),
        false => gst::Buffer::from_slice(bytes),
    };
    let what = gst::BufferCopyFlags::FLAGS | gst::BufferCopyFlags::TIMESTAMPS;
    buffer
        .copy_into(other.get_mut().unwrap(), what, 0..0)
        .unwrap();
    other
}

fn bytes(buffer: &gst::BufferRef) -> Vec<u8> {
    buffer.map_readable().unwrap().to_vec()
}

fn fed(local: &Local, clip: &Clip) -> Fed {
    Fed::playing(&format!("stream-name=cam {}", properties(local)), clip)
}

/// The clip with one buffer replaced: `lost` frames are dropped and told, as many for `reason`, and a log line says `says`.
/// All others arrive, and the service had nothing to complain of.
fn one_is_bad(
    clip: &Clip,
    index: usize,
    bad: Vec<u8>,
    reason: &str,
    says: &str,
    lost: std::ops::Range<usize>,
) {
    let local = service();
    // Until nobody logs any more: GStreamer takes a listener away under those who speak to it.
    let lines = Lines::listen();
    let mut fed = fed(&local, clip);
    let mut buffers = clip.buffers.clone();
    buffers[index] = instead_of(&buffers[index], bad);
    fed.put_all(&buffers);
    fed.finish();
    let said = lines.so_far();
    assert!(
        said.iter().any(|line| line.contains(says)),
        "nothing says {says:?}"
    );
    let (all, dropped) = (buffers.len() as u64, lost.len() as u64);
    assert_eq!(accounts(&fed.stats()), [all, all - dropped, dropped, 0]);
    assert_eq!(fed.heard.dropped(reason), 1, "{:#?}", fed.heard);
    assert_eq!(
        fed.heard.dropped("no-key-frame"),
        dropped - 1,
        "{:#?}",
        fed.heard
    );
    assert_never_refused(&local, &fed.heard.told("kvs-fragment-ack"));
    assert_eq!(stored_frames(&local).len() as u64, all - dropped);
    let clean: Vec<_> = local.session_files("cam");
    assert_eq!(clean.len(), 1, "no connection was lost by it");
}

fn video(format: Format) -> Clip {
    let picture = Picture {
        frames: 30,
        gop: 10,
        ..Picture::default()
    };
    picture.clip(format).0
}

/// An empty buffer is dropped: alone between key frames, with what refers to it when it should have been a key frame.
#[test_case(Format::Avc, 15, 15..16; "avc")]
#[test_case(Format::Avc, 10, 10..20; "avc in the place of a key frame")]
#[test_case(Format::H264ByteStream, 15, 15..16; "byte stream")]
#[test_case(Format::Hev1, 15, 15..16; "hev1")]
fn an_empty_buffer(format: Format, index: usize, lost: std::ops::Range<usize>) {
    one_is_bad(&video(format), index, vec![], "malformed", "empty", lost);
}

/// An empty buffer of sound.
#[test_case(Sound::AacRaw)]
#[test_case(Sound::AacAdts)]
#[test_case(Sound::Alaw)]
fn an_empty_buffer_of_sound(sound: Sound) {
    let (clip, _) = sound.clip(50);
    one_is_bad(&clip, 15, vec![], "malformed", "empty", 15..16);
}

/// A NAL unit that is shorter than its length says, or a length that is cut off.
#[test_case(Format::Avc, 1; "avc")]
#[test_case(Format::Hvc1, 1; "hvc1")]
#[test_case(Format::Hev1, 40; "hev1")]
fn a_truncated_nal_unit(format: Format, missing: usize) {
    let clip = video(format);
    let mut short = bytes(&clip.buffers[15]);
    short.truncate(short.len() - missing);
    one_is_bad(&clip, 15, short, "malformed", "NAL", 15..16);
}

/// Bytes without a start code are no byte-stream.
#[test_case(Format::H264ByteStream)]
#[test_case(Format::H265ByteStream)]
fn no_start_code(format: Format) {
    let clip = video(format);
    one_is_bad(
        &clip,
        15,
        vec![0x65; 100],
        "malformed",
        "start code",
        15..16,
    );
}

/// ADTS without a sync word, and one that is cut off.
#[test]
fn no_adts_header() {
    let (clip, _) = Sound::AacAdts.clip(50);
    one_is_bad(&clip, 15, vec![0x21; 100], "malformed", "sync word", 15..16);
    let mut short = bytes(&clip.buffers[15]);
    short.truncate(short.len() - 1);
    one_is_bad(&clip, 15, short, "malformed", "cut off", 15..16);
}

/// A SPS of garbage with a key frame: nothing that needs it is sent, and the next one begins anew.
#[test_case(Format::H264ByteStream, &[0x67, 0xFF, 0xFF, 0xFF]; "byte stream")]
#[test_case(Format::H265ByteStream, &[0x42, 0x01, 0xFF, 0xFF]; "h265 byte stream")]
fn a_garbage_sps(format: Format, sps: &[u8]) {
    let clip = video(format);
    let spoilt = [&[0, 0, 0, 1], sps, &bytes(&clip.buffers[10])].concat();
    one_is_bad(&clip, 10, spoilt, "malformed", "SPS", 10..20);
}

/// The same in the caps: STREAM/FORMAT, which says what is wrong.
#[test_case("video/x-h264,stream-format=avc,alignment=au,width=160,height=120,codec_data=(buffer)014d400bffe1000467ffffff01000468ce0fc8", "codec_data"; "garbage SPS in avcC")]
#[test_case("video/x-h264,stream-format=avc,alignment=au,codec_data=(buffer)014d40", "codec_data"; "a short avcC")]
#[test_case("video/x-h265,stream-format=hvc1,alignment=au,codec_data=(buffer)0102", "codec_data"; "a short hvcC")]
#[test_case("audio/mpeg,mpegversion=4,stream-format=raw,codec_data=(buffer)ff", "AudioSpecificConfig"; "a short AudioSpecificConfig")]
#[test_case("audio/mpeg,mpegversion=4,stream-format=raw", "codec_data"; "AAC without codec data")]
fn garbage_in_caps(caps: &str, names: &str) {
    let local = service();
    let mut fed = Fed::new(&format!("stream-name=cam {}", properties(&local)));
    fed.play();
    assert!(fed.event(gst::event::StreamStart::new("x")));
    fed.event(gst::event::Caps::new(&caps.parse().unwrap()));
    fed.until(|message| is_error(message, "sink"));
    fed.heard.stop(&fed.pipeline);
    let error = fed.heard.the_error("sink");
    assert!(error.error().matches(gst::StreamError::Format), "{error:?}");
    assert!(error.error().to_string().contains(names), "{error:?}");
    assert!(local.attempts("cam").is_empty());
}

/// A frame of 60 MB fits into no fragment: it is dropped, and what does not need it arrives.
#[test_case(15, 15..20; "between key frames")]
#[test_case(10, 10..20; "a key frame")]
fn a_frame_of_60_mb(index: usize, lost: std::ops::Range<usize>) {
    let clip = video(Format::Avc);
    const SIZE: usize = 60_000_000;
    let mut large = bytes(&clip.buffers[index]);
    // Its last NAL unit again, filled up.
    let kind = clip.buffers[index].map_readable().unwrap()[4];
    let length = u32::try_from(SIZE).unwrap().to_be_bytes();
    large.clear();
    large.extend(length);
    large.push(kind);
    large.resize(SIZE + 4, 0x55);
    let local = service();
    let mut fed = fed(&local, &clip);
    let mut buffers = clip.buffers.clone();
    buffers[index] = instead_of(&buffers[index], large);
    fed.put_all(&buffers);
    fed.finish();
    let dropped = lost.len() as u64;
    assert_eq!(
        accounts(&fed.stats()),
        [30, 30 - dropped, dropped, 0],
        "{:#?}",
        fed.heard
    );
    assert_eq!(fed.heard.dropped("too-large"), 1, "{:#?}", fed.heard);
    assert_eq!(fed.heard.dropped("no-key-frame"), dropped - 1);
    assert!(fed.heard.errors("sink").is_empty(), "{:#?}", fed.heard);
    assert_never_refused(&local, &fed.heard.told("kvs-fragment-ack"));
    assert_eq!(stored_frames(&local).len() as u64, 30 - dropped);
}

/// Caps without a size do: the parameter sets say it.
#[test_case(Format::Avc)]
#[test_case(Format::H264ByteStream)]
#[test_case(Format::Hvc1)]
#[test_case(Format::H265ByteStream)]
fn caps_without_a_size(format: Format) {
    let local = service();
    let mut clip = video(format);
    let mut caps = clip.caps();
    let structure = caps.make_mut().structure_mut(0).unwrap();
    structure.remove_fields(["width", "height"]);
    for event in &mut clip.events {
        if event.type_() == gst::EventType::Caps {
            *event = gst::event::Caps::new(&caps);
        }
    }
    let mut fed = fed(&local, &clip);
    fed.put_all(&clip.buffers);
    fed.finish();
    assert_eq!(accounts(&fed.stats()), [30, 30, 0, 0]);
    let files = local.session_files("cam");
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    let video = stored::tracks(file)[0].video().unwrap().clone();
    assert_eq!(
        (video.pixel_width().get(), video.pixel_height().get()),
        (160, 120)
    );
}

/// Names beyond the limits of the service fail before anything flows, with the name of the property.
#[test_case("stream-name", 257; "stream name")]
#[test_case("content-type", 129; "content type")]
fn names_beyond_the_limits(property: &str, length: usize) {
    let local = service();
    let mut fed = Fed::new(&properties(&local));
    let sink = fed.pipeline.element("sink");
    sink.set_property(property, "x".repeat(length));
    assert!(fed.pipeline.0.set_state(gst::State::Playing).is_err());
    fed.heard.stop(&fed.pipeline);
    let error = fed.heard.the_error("sink");
    assert!(
        error.error().matches(gst::ResourceError::Settings),
        "{error:?}"
    );
    assert!(error.error().to_string().contains(property), "{error:?}");
    assert!(local.requests().is_empty());
}

/// Names of the track are known to be wrong with the caps at the latest.
#[test_case("track-name", 33; "track name")]
#[test_case("codec-id", 33; "codec id")]
fn names_of_the_track_beyond_the_limits(property: &str, length: usize) {
    let local = service();
    let clip = video(Format::Avc);
    let mut fed = Fed::new(&format!("stream-name=cam {}", properties(&local)));
    let sink = fed.pipeline.element("sink");
    sink.set_property(property, "x".repeat(length));
    if fed.pipeline.0.set_state(gst::State::Playing).is_ok() {
        for event in &clip.events {
            fed.event(event.clone());
        }
    }
    fed.until(|message| is_error(message, "sink"));
    fed.heard.stop(&fed.pipeline);
    let error = fed.heard.the_error("sink");
    assert!(error.error().to_string().contains(property), "{error:?}");
    assert!(local.attempts("cam").is_empty());
}
