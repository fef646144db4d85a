//! What is sent is what is stored: real files frame for frame, and the settings that decide how it is stored.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use gstkvssink::local::{FragmentRecord, Local};
use matroska_demuxer::MatroskaFile;
use test_case::test_case;

use super::support::{
    Outcome, Pipeline, accounts,
    media::{self, AccessUnit},
    properties,
    scripts::{Process, with_service},
    service, service_with,
    stored::{self, from_first},
    test_source,
};

/// A file that is sent offline arrives frame for frame: same bytes, same order, same distances, and others can read it.
#[test]
fn a_real_file_arrives_frame_for_frame() {
    for clip in [
        "bikes.mp4",
        "bigbuckbunny.mp4",
        "carphone_pristine.mp4",
        "world.mp4",
    ] {
        let local = service();
        let source = demuxed(clip);
        let expected = media::access_units(&source);
        assert!(expected.len() > 30, "{clip}");
        send(&local, &source, "streaming-type=offline");
        let file = only_file(&local);
        stored::assert_readable(&file);
        assert_eq!(
            from_first(stored::frames(&file)),
            from_first(expected),
            "{clip}"
        );
    }
}

/// B-frames, without h264parse: stored in decode order with their presentation times, which are not in order; with a
/// pyramid a B-frame is shown after one that came later.
#[test_case("x264enc", true; "as x264enc has them by default")]
#[test_case("x264enc speed-preset=ultrafast bframes=2", false; "which nothing refers to")]
#[test_case("x264enc speed-preset=veryfast bframes=3 b-pyramid=true", true; "in a pyramid")]
fn b_frames_keep_their_order_and_their_times(encoder: &str, pyramid: bool) {
    let local = service();
    let source = format!("{PICTURE} num-buffers=80 pattern=ball ! {I420} ! {encoder}");
    let sent = send(&local, &source, "").1;
    assert_eq!(sent.len(), 80);
    let descents: Vec<bool> = sent
        .windows(2)
        .map(|pair| pair[1].pts_ms < pair[0].pts_ms)
        .collect();
    assert!(descents.contains(&true), "no B-frames: {sent:?}");
    assert_eq!(
        descents.windows(2).any(|pair| pair == [true, true]),
        pyramid
    );
    stored::assert_readable(&only_file(&local));
}

/// With key-frame-fragmentation=false a live stream has fewer, longer fragments: each begins with the first key frame
/// after fragment-duration.
#[test]
fn fragments_may_be_longer_than_the_key_frame_distance() {
    let lengths = |more: &str| {
        let local = service();
        send(&local, &test_source(125, 8, true), more);
        let fragments = by_fragment(&local);
        assert!(fragments.iter().all(|(_, frames)| frames[0].key));
        fragments
            .iter()
            .map(|(_, frames)| frames.len())
            .collect::<Vec<_>>()
    };
    // A key frame every 320 ms: the first one after 2000 ms comes after 2240 ms.
    assert_eq!(
        lengths("key-frame-fragmentation=false fragment-duration=2000"),
        [56, 56, 13]
    );
    assert_eq!(lengths("")[..15], [8; 15]);
}

/// x264enc cuts at scene changes, too: here every second frame is a key frame. The service takes five fragments a
/// second, so fragments hold more than one of them, and nothing is dropped.
#[test]
fn many_key_frames_make_five_fragments_a_second() {
    let local = service();
    let source =
        format!("{PICTURE} num-buffers=100 ! {I420} ! x264enc tune=zerolatency key-int-max=2");
    let sent = send(&local, &source, "").1;
    let keys = sent.iter().filter(|unit| unit.key).count();
    assert!(keys >= 48, "{keys} key frames in 4 s");

    let fragments = by_fragment(&local);
    assert!(fragments.iter().all(|(_, frames)| frames[0].key));
    assert!(fragments.len() >= 12, "{fragments:?}");
    for six in fragments.windows(6) {
        let second = six[5].0.timecode_ms - six[0].0.timecode_ms;
        assert!(second >= 1000, "six fragments begin in {second} ms");
    }
}

/// Timecodes are those of the wall clock, or count from 0; the times that the service knows are the same.
#[test_case(""; "since the epoch")]
#[test_case("absolute-fragment-times=false"; "since the first frame")]
fn fragments_have_the_time_of_the_wall_clock(more: &str) {
    let local = service();
    send(&local, &test_source(100, 25, false), more);
    let fragments = local.fragments(STREAM);
    assert_eq!(fragments.len(), 4);
    let zero = if more.is_empty() {
        0
    } else {
        fragments[0].producer_timestamp_ms
    };
    for (fragment, at) in fragments.iter().zip([0, 1000, 2000, 3000]) {
        assert_eq!(fragment.timecode_ms + zero, fragment.producer_timestamp_ms);
        let from_first = fragment.producer_timestamp_ms - fragments[0].producer_timestamp_ms;
        assert_eq!(from_first, at);
        let off = fragment
            .producer_timestamp_ms
            .abs_diff(fragment.server_timestamp_ms);
        assert!(off < 600_000, "{off} ms from the service's clock");
    }
}

/// Without acks everything is stored all the same, end of stream comes, and the accounts are settled.
#[test]
fn without_acks_everything_is_stored() {
    let local = service();
    let source = test_source(100, 25, false);
    let (outcome, sent) = send(&local, &source, "fragment-acks=false");
    assert_eq!(sent.len(), 100);
    assert!(outcome.told("kvs-fragment-ack").is_empty(), "{outcome:?}");
    assert_eq!(outcome.told("kvs-stream-closed").len(), 1, "{outcome:?}");
}

/// A stream that is created has the media type of its track, unless the user gave one, and the user's retention.
#[test_case("", "video/h264", 2; "by default")]
#[test_case("content-type=video/x-mine retention-period=7", "video/x-mine", 7; "as the user says")]
fn a_created_stream_has_a_media_type_and_a_retention(more: &str, media_type: &str, hours: u32) {
    let local = service();
    send(&local, &test_source(30, 25, false), more);
    let stream = local.describe(STREAM).unwrap();
    assert_eq!(
        (stream.media_type.as_deref(), stream.retention_hours),
        (Some(media_type), hours)
    );
}

/// A stream that exists is used as it is, whatever would be asked of a new one, and may exist only.
#[test]
fn an_existing_stream_is_used_as_it_is() {
    let local = service();
    send(&local, &test_source(30, 25, false), "retention-period=5");
    let before = local.describe(STREAM).unwrap();
    let other = "allow-create-stream=false retention-period=24 content-type=video/x-mine";
    send(&local, &test_source(30, 25, false), other);
    let after = local.describe(STREAM).unwrap();
    assert_eq!(
        (
            after.arn,
            after.version,
            after.retention_hours,
            after.media_type
        ),
        (before.arn, before.version, 5, before.media_type)
    );
    assert_eq!(local.session_files(STREAM).len(), 2);
    let changes = local
        .requests()
        .iter()
        .filter(|request| ["CreateStream", "UpdateDataRetention"].contains(&&*request.api))
        .count();
    assert_eq!(changes, 1, "{:?}", local.requests());
}

/// Codec id and track name of the header are the user's, or those of the C++ element.
#[test_case("", "V_MPEG4/ISO/AVC", "kinesis_video"; "by default")]
#[test_case("codec-id=V_MINE track-name=front-door", "V_MINE", "front-door"; "as the user says")]
fn the_stored_header_names_codec_and_track(more: &str, codec_id: &str, name: &str) {
    let local = service();
    send(&local, &test_source(30, 25, false), more);
    let file = std::fs::File::open(only_file(&local)).unwrap();
    let file = MatroskaFile::open(std::io::BufReader::new(file)).unwrap();
    let [track] = file.tracks() else {
        panic!("{:?}", file.tracks())
    };
    assert_eq!((track.codec_id(), track.name()), (codec_id, Some(name)));
}

/// The service sees the user agent in every call: as it is in PutMedia, as the application's name in those of the SDK.
#[test_case("", concat!("kvssink/", env!("CARGO_PKG_VERSION")), concat!("app/kvssink-", env!("CARGO_PKG_VERSION")); "by default")]
#[test_case("user-agent=front-door/1.2", "front-door/1.2", "app/front-door-1.2"; "as the user says")]
fn the_service_sees_the_user_agent(more: &str, put_media: &str, control: &str) {
    let local = service();
    send(&local, &test_source(30, 25, false), more);
    let requests = local.requests();
    for api in [
        "DescribeStream",
        "CreateStream",
        "GetDataEndpoint",
        "PutMedia",
    ] {
        assert!(requests.iter().any(|request| request.api == api), "{api}");
    }
    for request in requests {
        let agent = request.user_agent.as_deref().unwrap_or_default();
        if request.api == "PutMedia" {
            assert_eq!(agent, put_media);
        } else {
            let words: Vec<_> = agent.split(' ').collect();
            assert!(words.contains(&control), "{request:?}");
        }
    }
}

/// Over TLS a real file arrives frame for frame when the CA is trusted by SSL_CERT_FILE. The environment belongs to a
/// process, so this is gst-launch-1.0 with the plugin file.
#[test]
fn a_real_file_arrives_over_tls() {
    let local = service_with(|options| options.tls = true);
    assert!(local.endpoint().starts_with("https://"));
    let source = demuxed("bikes.mp4");
    launch(&local, &source, "", local.ca_file().unwrap()).assert_success();
    let file = only_file(&local);
    stored::assert_readable(&file);
    assert_eq!(
        from_first(stored::frames(&file)),
        from_first(media::access_units(&source))
    );
}

/// A service whose CA is not trusted gets nothing, and the warning says why.
#[test]
fn nothing_goes_to_a_service_that_is_not_trusted() {
    let local = service_with(|options| options.tls = true);
    let another = service_with(|options| options.tls = true);
    let ended = launch(
        &local,
        &demuxed("bikes.mp4"),
        "stop-stream-timeout=1",
        another.ca_file().unwrap(),
    );
    assert!(!ended.status.unwrap().success(), "{ended:#?}");
    // gst-launch-1.0 writes warnings on the one, errors on the other.
    let [_, warning] = ended
        .stdout
        .split("WARNING: from element")
        .collect::<Vec<_>>()[..]
    else {
        panic!("not one warning: {ended:#?}")
    };
    assert!(
        warning.contains("TLS") && warning.contains("certificate"),
        "{ended:#?}"
    );
    assert!(ended.stderr.contains("ERROR: from element"), "{ended:#?}");
    assert!(local.requests().is_empty(), "{:?}", local.requests());
    assert!(local.describe(STREAM).is_none());
}

const STREAM: &str = "files";
const PICTURE: &str = "videotestsrc";
const I420: &str = "video/x-raw,format=I420,width=320,height=240,framerate=25/1";

/// The H.264 track of a clip.
fn demuxed(clip: &str) -> String {
    format!(
        "filesrc location={} ! qtdemux ! h264parse",
        media::clip(clip).display()
    )
}

/// Sends all of `source` to [`STREAM`], and sees that everything that came to the sink was persisted, and is stored frame
/// for frame, in order, with the same bytes and distances. An encoder need not give the same bytes twice: x264 does not.
fn send(local: &Local, source: &str, more: &str) -> (Outcome, Vec<AccessUnit>) {
    let pipeline = Pipeline::new(&format!(
        "{source} ! kvssink name=sink stream-name={STREAM} {} {more}",
        properties(local)
    ));
    let came = media::watch(&pipeline.element("sink"));
    let outcome = pipeline.run();
    outcome.assert_clean();
    let came: Vec<_> = came.try_iter().collect();
    let frames = came.len() as u64;
    assert_eq!(accounts(&pipeline.stats("sink")), [frames, frames, 0, 0]);
    let files = local.session_files(STREAM);
    let stored = stored::frames(files.last().unwrap());
    assert_eq!(stored.len(), came.len());
    let differs = from_first(stored)
        .into_iter()
        .zip(from_first(came.clone()))
        .find(|(stored, came)| stored != came);
    assert_eq!(differs, None);
    (outcome, came)
}

/// The same by gst-launch-1.0, offline, with a CA to trust.
fn launch(local: &Local, source: &str, more: &str, ca: &Path) -> super::support::scripts::Ended {
    let line = format!("{source} ! kvssink stream-name={STREAM} streaming-type=offline {more}");
    let mut command = Command::new("gst-launch-1.0");
    command.args(line.split_whitespace());
    let mut command = with_service(command, local, STREAM);
    command.env("SSL_CERT_FILE", ca);
    Process::start(command).end()
}

/// The file of the stream's one session.
fn only_file(local: &Local) -> PathBuf {
    let files = local.session_files(STREAM);
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    file.clone()
}

/// Each fragment with its frames.
fn by_fragment(local: &Local) -> Vec<(FragmentRecord, Vec<AccessUnit>)> {
    let mut frames = stored::frames(&only_file(local)).into_iter();
    let fragments = local
        .fragments(STREAM)
        .into_iter()
        .map(|fragment| {
            let count = usize::try_from(fragment.frames).unwrap();
            let frames = frames.by_ref().take(count).collect();
            (fragment, frames)
        })
        .collect();
    assert_eq!(frames.next(), None);
    fragments
}
