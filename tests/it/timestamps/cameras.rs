//! The camera's clock: `timestamp-source=reference-timestamp`.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use gst::prelude::*;
use gstkvssink::local::Local;
use test_case::test_case;

use super::STREAM;
use crate::support::{
    Pipeline, accounts, camera,
    feed::{Clip, Fed},
    packets::{self, Packet},
    properties, service, service_with,
    sound::Sound,
    stored::assert_decodes,
};

const HOUR_MS: i64 = 3_600_000;
/// How often a camera is tried whose machine stands still; the last time counts.
const ATTEMPTS: usize = 6;
/// Longer than a thread waits for its turn.
const LONGEST_PAUSE: Duration = Duration::from_millis(300);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Seconds from 1900, where NTP begins to count, to 1970.
const NTP_TO_UNIX_S: u64 = 2_208_988_800;

/// A camera with sound by RTSP, whose clock is an hour wrong. Until its first RTCP sender report the pipeline's clock
/// counts; from the next key frame on each timecode is the camera's NTP time, within 5 ms. Nothing is lost, and when that
/// is earlier than what was sent, another session begins.
#[test_case(-3600; "an hour behind")]
#[test_case(3600; "an hour ahead")]
fn timecodes_are_the_times_of_the_camera(offset: i64) {
    // A camera on a machine that stands still has no clock that anybody could go by.
    let steady = (1..ATTEMPTS).any(|_| try_a_camera(offset, false));
    assert!(steady || try_a_camera(offset, true));
}

/// False: the machine stood still, and that does not count.
fn try_a_camera(offset: i64, counts: bool) -> bool {
    let ahead = offset > 0;
    // Else it would refuse times of the future.
    let local = service_with(|options| options.clock_offset_ms = if ahead { HOUR_MS } else { 0 });
    let clock = format!("--clock-offset={offset}");
    // A first sender report comes within 3.1 s, and not before one.
    let arguments = ["--gop", "12", "--audio", "aac", "--tell", &clock];
    let (camera, uri) = camera::start(125, &arguments);
    let pipeline = Pipeline::new(&format!(
        "rtspsrc location={uri} protocols=tcp name=camera add-reference-timestamp-meta=true \
         camera. ! rtph264depay ! h264parse \
         ! kvssink name=sink stream-name={STREAM} timestamp-source=reference-timestamp {} \
         camera. ! rtpmp4gdepay ! aacparse ! queue ! sink.",
        properties(&local)
    ));
    let said = ["sink", "audio_0"].map(|pad| with_reference(&pipeline, pad));
    let (outcome, pause) = longest_pause(&local, || pipeline.run());
    if pause > LONGEST_PAUSE && !counts {
        return false;
    }
    assert!(outcome.eos && outcome.errors.is_empty(), "{outcome:?}");
    let said = said.map(|said| said.lock().unwrap().clone());
    let [frames_in, persisted, dropped, pending] = accounts(&pipeline.stats("sink"));
    drop(pipeline);
    let taken = camera::Taken::of(&camera.end());

    let files = local.session_files(STREAM);
    // A camera on a busy machine may say later times that are earlier, too.
    assert!(files.len() >= if ahead { 1 } else { 2 }, "{files:?}");
    for file in &files {
        assert_decodes(file);
    }
    let stored: Vec<_> = files
        .iter()
        .flat_map(|file| packets::stored(file))
        .collect();
    for ((track, taken), said) in [1, 2].into_iter().zip(&taken.0).zip(&said) {
        let of = stored.iter().filter(|packet| packet.track == track);
        let of: Vec<_> = of.collect();
        let off = of.iter().map(|packet| off_ms(packet, taken[&packet.hash]));
        let off: Vec<_> = off.collect();
        // Until its own report comes, sound stays as far from the picture as it was.
        let turn = off.iter().position(|off| off.abs() < 60_000).unwrap();
        assert!(
            turn > 0,
            "track {track} had no time of the pipeline: {off:?}"
        );
        let (before, after) = off.split_at(turn);
        let by_pipeline = |off: &i64| (off + offset * 1000).abs() < 60_000;
        assert!(before.iter().all(by_pipeline), "track {track}: {off:?}");
        let said = of[turn..].iter().map(|packet| said.contains(&packet.hash));
        let mut both = after.iter().zip(said.clone());
        assert!(
            both.all(|(off, said)| off.abs() <= if said { 5 } else { 1000 }),
            "track {track}: {off:?}"
        );
        assert!(said.filter(|said| *said).count() > 10, "track {track}");
    }
    let of = |track| stored.iter().filter(move |packet| packet.track == track);
    assert_eq!(of(1).count(), 125, "pictures");
    // Only what came before the first picture is not sent.
    let first = taken.0[0].values().min().unwrap();
    let since = taken.0[1].values().filter(|at| *at > first).count();
    assert!(of(2).count() + 1 >= since, "{} of {since}", of(2).count());
    assert_eq!((frames_in, pending), (persisted + dropped, 0));
    assert_eq!(persisted, stored.len() as u64);
    true
}

/// What comes of it, and the longest time for which another thread did not run meanwhile.
fn longest_pause<T>(local: &Local, act: impl FnOnce() -> T) -> (T, Duration) {
    let (over, is_over) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let (mut longest, mut last) = (Duration::ZERO, local.uptime());
            while is_over.recv_timeout(LOOK_AGAIN) == Err(RecvTimeoutError::Timeout) {
                let now = local.uptime();
                longest = longest.max(now - last);
                last = now;
            }
            longest
        });
        let outcome = act();
        drop(over);
        (outcome, watch.join().unwrap())
    })
}

/// The hashes of those that come to this pad of the sink with the camera's time.
fn with_reference(pipeline: &Pipeline, pad: &str) -> Arc<Mutex<BTreeSet<String>>> {
    let hashes = Arc::new(Mutex::new(BTreeSet::new()));
    let said = Arc::clone(&hashes);
    let video = pad == "sink";
    let pad = pipeline.element("sink").static_pad(pad).unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data
            && buffer.meta::<gst::ReferenceTimestampMeta>().is_some()
        {
            let hash = packets::hash(&buffer.map_readable().unwrap(), video);
            said.lock().unwrap().insert(hash);
        }
        gst::PadProbeReturn::Ok
    });
    hashes
}

/// How far a stored frame is from when it was taken, in ms.
fn off_ms(packet: &Packet, taken_ns: u64) -> i64 {
    let ms = i64::try_from(packet.ms).unwrap();
    ms - i64::try_from((taken_ns + 500_000) / 1_000_000).unwrap()
}

/// The switch-over: sound comes later than the picture, and may have the camera's time earlier than it, later or never.
/// Nothing is lost, tracks stay in sync, and all that is of the time after the key frame has the camera's time.
#[test_case(-HOUR_MS, Some(0), 5; "back, the sound knows it first")]
#[test_case(-HOUR_MS, Some(70), 5; "back, the sound knows it last")]
#[test_case(-HOUR_MS, None, 5; "back, the sound never knows it")]
#[test_case(-HOUR_MS, Some(0), -5; "back, and the sound comes first")]
#[test_case(-200, Some(0), 5; "back by less than a GOP")]
#[test_case(400_000, Some(0), 5; "ahead")]
fn the_switch_to_the_cameras_clock_loses_nothing(offset: i64, sound_from: Option<u64>, late: i64) {
    let local = service();
    let clip = Clip::test(100, 10);
    let more = "timestamp-source=reference-timestamp";
    // The pad is to be there before the first frame.
    let mut fed = Fed::new(&format!(
        "stream-name={STREAM} {} {more}",
        properties(&local)
    ));
    let sound = Sound::of(&fed);
    fed.begin(&clip);
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    assert!(fed.event(gst::event::Segment::new(&segment)));

    let zero = gst::glib::real_time() / 1000 + offset;
    let camera = |at: gst::ClockTime| u64::try_from(zero).unwrap() + at.mseconds();
    let first = clip.buffers[0].dts().unwrap();
    let mut begun = false;
    let mut put_sound = |n: i64| {
        let Ok(n) = u64::try_from(n) else { return };
        if !std::mem::replace(&mut begun, true) {
            sound.begin();
        }
        let mut piece = Sound::piece(n);
        let at = piece.pts().unwrap();
        if sound_from.is_some_and(|from| n >= from) {
            refer(piece.make_mut(), camera(at));
        }
        sound.put(piece);
    };
    for (n, buffer) in clip.buffers.iter().enumerate() {
        let mut buffer = buffer.clone();
        let edit = buffer.make_mut();
        edit.set_pts(edit.pts().map(|pts| pts - first));
        edit.set_dts(edit.dts().map(|dts| dts - first));
        if n >= 35 {
            let at = edit.pts().unwrap();
            refer(edit, camera(at));
        }
        fed.put(&buffer).unwrap();
        let n = i64::try_from(n).unwrap();
        for piece in [2 * n, 2 * n + 1] {
            put_sound(piece - late);
        }
    }
    sound.eos();
    fed.finish();
    let [frames_in, persisted, dropped, _] = accounts(&fed.stats());
    // Sound before the first picture has no place.
    assert!(
        dropped <= 4 && frames_in == persisted + dropped,
        "{:#?}",
        fed.heard
    );
    assert_eq!(
        fed.heard.dropped("no-key-frame"),
        dropped,
        "{:#?}",
        fed.heard
    );

    let files = local.session_files(STREAM);
    assert_eq!(files.len(), if offset < 0 { 2 } else { 1 }, "{files:?}");
    let stored: Vec<_> = files
        .iter()
        .flat_map(|file| packets::stored(file))
        .collect();
    let pictures: Vec<_> = stored.iter().filter(|packet| packet.track == 1).collect();
    assert_eq!(pictures.len(), 100);
    // In decode order.
    for (n, picture) in pictures.iter().enumerate() {
        let at = clip.buffers[n].pts().unwrap() - first;
        let off = i64::try_from(picture.ms).unwrap() - i64::try_from(camera(at)).unwrap();
        assert_eq!(off.abs() <= 1, n >= 40, "picture {n} is {off} ms off");
    }
    let turn = camera(clip.buffers[40].pts().unwrap() - first);
    let pieces: HashMap<_, _> = (0..250)
        .map(|n| {
            let piece = Sound::piece(n);
            let hash = packets::hash(&piece.map_readable().unwrap(), false);
            (hash, n)
        })
        .collect();
    let mut last = None;
    for piece in stored.iter().filter(|packet| packet.track == 2) {
        let n = pieces[&piece.hash];
        assert!(last.is_none_or(|last| n == last + 1), "{n} after {last:?}");
        last = Some(n);
        let at = camera(gst::ClockTime::from_mseconds(n * 20));
        let off = i64::try_from(piece.ms).unwrap() - i64::try_from(at).unwrap();
        if at >= turn + 200 {
            assert!(off.abs() <= 1, "piece {n} is {off} ms off");
        }
        if at + 200 <= turn {
            assert!(off.abs() > 1, "piece {n} has the camera's time");
        }
    }
}

/// What the camera says of the time at which a frame was taken.
fn refer(buffer: &mut gst::BufferRef, unix_ms: u64) {
    let ntp = gst::Caps::new_empty_simple("timestamp/x-ntp");
    let at = gst::ClockTime::from_mseconds(unix_ms + NTP_TO_UNIX_S * 1000);
    gst::ReferenceTimestampMeta::add(buffer, &ntp, at, gst::ClockTime::NONE);
}
