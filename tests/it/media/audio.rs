//! Sound of every format, alone and beside video.

use test_case::{test_case, test_matrix};

use super::clips::{
    Format, Picture,
    Sound::{self, *},
    assert_never_refused, distances, of_track, send, stored_frames,
};
use crate::support::{
    accounts,
    feed::Clip,
    feeds::{Feeds, Source, put_together},
    properties, service, stored,
};

/// 2.1 s of it: longer than the fragments that sound alone makes.
fn buffers(sound: Sound) -> u32 {
    match sound {
        AacRaw | AacAdts => 100,
        Alaw | Mulaw => 106,
    }
}

/// Bytes and times of the frames of a track are those of the source.
fn assert_track(frames: &[stored::Stored], clip: &Clip, expected: &[Vec<u8>]) {
    let bytes: Vec<_> = frames.iter().map(|frame| &frame.data).collect();
    assert_eq!(bytes.len(), expected.len());
    let differs = bytes
        .iter()
        .zip(expected)
        .position(|(is, expected)| *is != expected);
    assert_eq!(differs, None);
    for (frame, distance) in frames.iter().zip(distances(clip)) {
        // A frame of AAC lasts 21 1/3 ms, so both are rounded.
        let at = frame.at_ms - frames[0].at_ms;
        assert!(at.abs_diff(distance) <= 1, "{at} {distance}");
    }
    assert!(frames.iter().all(|frame| frame.key));
}

/// Sound alone is track 1, in fragments of fragment-duration.
#[test_case(AacRaw)]
#[test_case(AacAdts)]
#[test_case(Alaw)]
#[test_case(Mulaw)]
fn every_frame_of_sound_alone_arrives(sound: Sound) {
    let local = service();
    let (clip, expected) = sound.clip(buffers(sound));
    let fed = send(&local, "fragment-duration=1000", &clip);
    let frames = expected.len() as u64;
    assert_eq!(accounts(&fed.stats()), [frames, frames, 0, 0]);
    let stored = stored_frames(&local);
    assert_track(&stored, &clip, &expected);
    assert!(stored.iter().all(|frame| frame.track == 1));
    let fragments = local.fragments("cam");
    assert_eq!(fragments.len(), 3, "{fragments:?}");
    let files = local.session_files("cam");
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    stored::assert_decodes(file);
    let expected = match sound {
        AacRaw | AacAdts => "audio/aac",
        Alaw => "audio/alaw",
        Mulaw => "audio/mulaw",
    };
    let media_type = local.describe("cam").unwrap().media_type;
    assert_eq!(media_type.as_deref(), Some(expected));
}

/// Beside video sound is track 2, in every fragment of it; on whichever pad the two come.
#[test_matrix([AacRaw, AacAdts, Alaw, Mulaw], ["sink", "video_0"])]
fn every_frame_beside_video_arrives(sound: Sound, video_pad: &str) {
    let local = service();
    let picture = Picture {
        frames: 50,
        gop: 10,
        bframes: 2,
        ..Picture::default()
    };
    let (video, _) = picture.clip(Format::Avc);
    let (audio, expected) = sound.clip(buffers(sound));
    let mut feeds = Feeds::new(&format!("stream-name=cam {}", properties(&local)));
    let sources = [feeds.source(video_pad), feeds.source("audio_0")];
    feeds.play();
    for (source, clip) in sources.iter().zip([&video, &audio]) {
        source.begin(clip);
    }
    let [to_video, to_audio]: &[Source; 2] = &sources;
    put_together(&[(to_video, &video), (to_audio, &audio)]);
    feeds.finish(&[to_video, to_audio]);

    let frames = 50 + expected.len() as u64;
    assert_eq!(
        accounts(&feeds.stats()),
        [frames, frames, 0, 0],
        "{:#?}",
        feeds.heard
    );
    assert!(
        feeds.heard.warnings("sink").is_empty(),
        "{:#?}",
        feeds.heard
    );
    assert_never_refused(&local, &feeds.heard.told("kvs-fragment-ack"));
    let stored = stored_frames(&local);
    let audio_stored = of_track(&stored, 2);
    assert_track(&audio_stored, &audio, &expected);
    let pictures = of_track(&stored, 1);
    let same = |frame: &stored::Stored, buffer: &gst::Buffer| {
        frame.data == *buffer.map_readable().unwrap()
    };
    assert!(
        pictures.len() == 50
            && pictures
                .iter()
                .zip(&video.buffers)
                .all(|(frame, buffer)| same(frame, buffer))
    );
    // What was at the same time is at the same time: both clips begin at 0.
    let apart = pictures[0].at_ms.abs_diff(audio_stored[0].at_ms);
    assert!(apart <= 1, "{apart} ms");
    let fragments = local.fragments("cam");
    assert_eq!(fragments.len(), 5, "one for each key frame");
    let files = local.session_files("cam");
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    stored::assert_decodes(file);
    let media_type = local.describe("cam").unwrap().media_type.unwrap();
    assert!(media_type.starts_with("video/h264,audio/"), "{media_type}");
}
