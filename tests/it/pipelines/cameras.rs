//! Cameras and microphones: a real one by RTSP, and pictures and tones in the place of those that need hardware.

use test_case::test_case;

use super::{frames, launch_line, only_file, run, script};
use crate::support::{Pipeline, accounts, camera, packets, properties, service, stored};

/// rtsp-camera: everything that a camera sends, from its first client to its goodbye; also if it asks who is there, and
/// if it sends B-frames.
#[test_case(&[], &[]; "that lets everybody in")]
#[test_case(&["--user", "u", "--password", "p"], &[("RTSP_USER", "u"), ("RTSP_PASSWORD", "p")]; "that asks for a password")]
#[test_case(&["--bframes", "2"], &[]; "with B-frames")]
fn rtsp_camera_sends_all_of_a_camera(camera: &[&str], environment: &[(&str, &str)]) {
    let local = service();
    let (camera, uri) = camera::start(50, camera);
    let mut command = script("rtsp-camera");
    command.arg(uri).envs(environment.iter().copied());
    run(command, &local).assert_success();
    camera.end().assert_success();
    // Their times are those of the jitter buffer, so they say nothing of the camera's.
    stored::assert_decodes(&only_file(&local));
    let frames = frames(&local);
    let keys: Vec<_> = frames.iter().map(|frame| frame.key).collect();
    let expected: Vec<_> = (0..50).map(|frame| frame % 25 == 0).collect();
    assert_eq!(keys, expected);
}

/// v4l2-camera needs a camera. Its launch line is what the shell makes of the script; GStreamer takes it as it is, and
/// with a picture instead of the camera, raw or JPEG as cameras have it, it sends everything.
#[test_case("video/x-raw,format=YUY2,width=640,height=480,framerate=30/1"; "raw")]
#[test_case("video/x-raw,format=I420,width=640,height=480,framerate=30/1 ! jpegenc"; "with JPEG")]
fn v4l2_camera_sends_all_of_a_picture(picture: &str) {
    drop(Pipeline::new(&launch_line("v4l2-camera")));
    let picture = format!("videotestsrc num-buffers=90 ! {picture}");
    sends_all_of_a_picture("v4l2-camera", "v4l2src device=/dev/video0", &picture);
}

/// libcamera-camera: the same, at the caps that libcamerasrc gives.
#[test]
fn libcamera_camera_sends_all_of_a_picture() {
    let picture = "videotestsrc num-buffers=90 ! video/x-raw,format=NV12 ! identity";
    sends_all_of_a_picture("libcamera-camera", "libcamerasrc", picture);
}

fn sends_all_of_a_picture(name: &str, source: &str, picture: &str) {
    let local = service();
    let line = replaced(
        &launch_line(name),
        &[
            (source, picture),
            (
                "kvssink",
                &format!("kvssink name=sink {}", properties(&local)),
            ),
        ],
    );
    let pipeline = Pipeline::new(&line);
    pipeline.run().assert_clean();
    assert_eq!(accounts(&pipeline.stats("sink")), [90, 90, 0, 0]);
    let fragments = local.fragments(name);
    let frames: Vec<_> = fragments.iter().map(|fragment| fragment.frames).collect();
    assert_eq!(frames, [60, 30]);
    stored::assert_readable(&local.session_files(name)[0]);
}

/// camera-microphone: a live picture and a live tone, both to their last frame; the times of the two have the same
/// distances as where they came from.
#[test]
fn camera_microphone_sends_picture_and_tone_in_sync() {
    let local = service();
    let line = replaced(
        &launch_line("camera-microphone"),
        &[
            (
                "v4l2src device=/dev/video0",
                "videotestsrc is-live=true num-buffers=150 \
                 ! video/x-raw,format=YUY2,width=640,height=480,framerate=30/1",
            ),
            (
                "alsasrc device=default",
                "audiotestsrc is-live=true num-buffers=240 samplesperbuffer=1000 \
                 ! audio/x-raw,format=S16LE,rate=48000,channels=1",
            ),
            ("kvssink", &format!("kvssink {}", properties(&local))),
        ],
    );
    let pipeline = Pipeline::new(&line);
    let came = ["sink", "audio_0"].map(|pad| packets::watch(&pipeline, pad));
    let outcome = pipeline.run();
    let came = came.map(|times| times.lock().unwrap().clone());
    assert!(outcome.eos && outcome.warnings.is_empty(), "{outcome:?}");
    let files = local.session_files("camera-microphone");
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    stored::assert_readable(file);
    let stored = packets::times(file);
    // The microphone is there before the camera has its first picture.
    let early = came[1].iter().filter(|at| **at <= came[0][0]).count();
    let lost = came[1].len() - stored[1].len();
    assert!(lost <= early, "{lost} of {early}");
    let all = (came[0].len() + came[1].len()) as u64;
    let lost = lost as u64;
    assert_eq!(
        accounts(&pipeline.stats("sink")),
        [all, all - lost, lost, 0]
    );
    assert_eq!((came[0].len(), stored[0].len()), (150, 150));
    let fragments = local.fragments("camera-microphone");
    assert_eq!(
        fragments.len(),
        3,
        "a key frame each two seconds: {fragments:?}"
    );
    let off = packets::out_of_sync(&came, &stored);
    assert!(off <= 2_000, "{off} µs");
}

/// rtsp-camera-audio: what a camera sends from its first picture to its goodbye.
#[test]
fn rtsp_camera_audio_sends_all_of_a_camera() {
    let local = service();
    let (camera, uri) = camera::start(50, &["--audio", "aac", "--tell"]);
    let mut command = script("rtsp-camera-audio");
    command.arg(uri);
    run(command, &local).assert_success();
    let taken = camera::Taken::of(&camera.end());
    let file = only_file(&local);
    stored::assert_decodes(&file);
    let stored = packets::stored(&file);
    let of = |track| stored.iter().filter(move |packet| packet.track == track);
    assert_eq!(of(1).count(), 50);
    assert!(of(1).all(|packet| taken.0[0].contains_key(&packet.hash)));
    assert!(of(2).all(|packet| taken.0[1].contains_key(&packet.hash)));
    // What was said before the first picture is not sent.
    let first = taken.0[0].values().min().unwrap();
    let since = taken.0[1].values().filter(|at| *at >= first).count();
    assert!(of(2).count() + 2 >= since, "{} of {since}", of(2).count());
}

/// The line with other elements in the place of some.
fn replaced(line: &str, by: &[(&str, &str)]) -> String {
    by.iter().fold(line.to_owned(), |line, (what, by)| {
        assert_eq!(line.matches(what).count(), 1, "{what} in {line}");
        line.replace(what, by)
    })
}
