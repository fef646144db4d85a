//! Several tracks, when their time stands still or begins anew.

use std::collections::BTreeSet;

use gst::prelude::*;

use super::STREAM;
use crate::support::{
    PATIENCE, Pipeline, accounts,
    bus::{Heard, is_eos, is_error, tells},
    media, packets, properties, service,
    stored::assert_decodes,
};

/// A live picture and a live tone are paused and go on: running time stood still, so they are tied to the wall clock
/// again, both at the same time, and stay in sync. Nothing that came is lost.
#[test]
fn tracks_stay_in_sync_over_a_pause() {
    let local = service();
    let pipeline = Pipeline::new(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 option-string=scenecut=0 ! h264parse \
         ! kvssink name=sink stream-name={STREAM} {} \
         audiotestsrc is-live=true samplesperbuffer=160 ! audio/x-raw,rate=8000,channels=1 ! alawenc ! queue ! sink.",
        properties(&local)
    ));
    let came = ["sink", "audio_0"].map(|pad| packets::watch(&pipeline, pad));
    let mut heard = Heard::of(&pipeline);
    let stored_more = |frames: usize| {
        let stored = || {
            local
                .fragments(STREAM)
                .iter()
                .map(|f| f.frames as usize)
                .sum::<usize>()
        };
        let already = stored();
        assert!(local.wait_for(PATIENCE, |_| stored() >= already + frames));
    };
    pipeline.0.set_state(gst::State::Playing).unwrap();
    stored_more(60);
    pipeline.0.set_state(gst::State::Paused).unwrap();
    // The clock goes on, for longer than tracks may be out of sync.
    let clock = gst::SystemClock::obtain();
    let later = clock.time() + gst::ClockTime::from_mseconds(700);
    clock.new_single_shot_id(later).wait().0.unwrap();
    pipeline.0.set_state(gst::State::Playing).unwrap();
    stored_more(60);
    assert!(pipeline.0.send_event(gst::event::Eos::new()));
    heard.until(&pipeline, |message| {
        is_eos(message) || is_error(message, "sink")
    });
    heard.stop(&pipeline);
    assert!(heard.eos(), "{heard:#?}");
    let came = came.map(|times| times.lock().unwrap().clone());
    let [frames_in, persisted, dropped, pending] = accounts(&pipeline.stats("sink"));
    assert_eq!(frames_in, (came[0].len() + came[1].len()) as u64);
    assert_eq!((frames_in, pending), (persisted + dropped, 0));
    // Sound before the first picture, after each of the two beginnings.
    assert_eq!(dropped, heard.dropped("no-key-frame"), "{heard:#?}");

    let files = local.session_files(STREAM);
    let mut stored = [Vec::new(), Vec::new()];
    for file in &files {
        assert_decodes(file);
        for (all, of_file) in stored.iter_mut().zip(packets::times(file)) {
            all.extend(of_file);
        }
    }
    assert_eq!(stored[0].len(), came[0].len());
    // How far each is from its running time, in ms: two distances, the same for both tracks.
    let moved = |track: usize| {
        let lost = came[track].len() - stored[track].len();
        let pairs = came[track][lost..].iter().zip(&stored[track]);
        let moved = pairs.map(|(came, stored)| (stored - came + 500) / 1000);
        moved.collect::<Vec<_>>()
    };
    let (video, audio) = (moved(0), moved(1));
    let turns: BTreeSet<_> = video.iter().map(|ms| ms / 100).collect();
    assert!(turns.len() >= 2, "the pause does not show: {video:?}");
    for at in &audio {
        let closest = video
            .iter()
            .map(|of_video| (of_video - at).abs())
            .min()
            .unwrap();
        assert!(closest <= 20, "{at}: {video:?} {audio:?}");
    }
}

/// A file with picture and sound is played again after a flushing seek: the two stay as far apart as in the file, and
/// nothing of the second time is missing.
#[test]
fn tracks_stay_in_sync_after_a_seek() {
    for streaming_type in ["realtime", "offline"] {
        let local = service();
        let clip = media::clip("a.mp4");
        let pipeline = Pipeline::new(&format!(
            "filesrc location={} ! qtdemux name=demux ! queue ! h264parse \
             ! kvssink name=sink stream-name={STREAM} streaming-type={streaming_type} {} \
             demux. ! queue ! aacparse ! sink.",
            clip.display(),
            properties(&local)
        ));
        let mut heard = Heard::of(&pipeline);
        pipeline.0.set_state(gst::State::Playing).unwrap();
        heard.until(&pipeline, |message| {
            tells(message, "kvs-fragment-ack") || is_error(message, "sink")
        });
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT;
        pipeline.0.seek_simple(flags, gst::ClockTime::ZERO).unwrap();
        let source = packets::times(&clip);
        let whole = (source[0].len() + source[1].len()) as u64;
        heard.until(&pipeline, |message| {
            let all = accounts(&pipeline.stats("sink"))[1] >= whole;
            is_error(message, "sink") || (is_eos(message) && all)
        });
        heard.stop(&pipeline);
        assert!(heard.errors("sink").is_empty(), "{heard:#?}");
        let [frames_in, persisted, dropped, pending] = accounts(&pipeline.stats("sink"));
        assert_eq!((frames_in, pending), (persisted + dropped, 0));
        assert_eq!(dropped, heard.dropped("no-key-frame"), "{heard:#?}");
        let mut stored = [Vec::new(), Vec::new()];
        for file in local.session_files(STREAM) {
            for (all, of_file) in stored.iter_mut().zip(packets::times(&file)) {
                all.extend(of_file);
            }
        }
        // The last time that it was played.
        let second = [0, 1].map(|track| {
            let all = &stored[track];
            all[all.len() - source[track].len()..].to_vec()
        });
        let off = packets::out_of_sync(&source, &second);
        assert!(off <= 2_000, "{streaming_type}: {off} µs");
    }
}
