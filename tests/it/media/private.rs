//! Codec private data is what GStreamer's and ffmpeg's Matroska muxers write for the same stream, field by field.

use std::path::Path;

use test_case::test_case;

use super::clips::{
    AAC_RAW,
    Format::{self, *},
    Sound, send,
};
use crate::support::{Pipeline, feed::record_as, service, stored};

/// The CodecPrivate of a Matroska file of one track.
fn private(file: &Path) -> Vec<u8> {
    let tracks = stored::tracks(file);
    let [track] = &tracks[..] else {
        panic!("{tracks:?}")
    };
    track.codec_private().unwrap_or_default().to_vec()
}

/// What `matroskamux` writes for this.
fn by_gstreamer(launch: &str, dir: &Path) -> Vec<u8> {
    let file = dir.join("gstreamer.mkv");
    let pipeline = Pipeline::new(&format!(
        "{launch} ! matroskamux ! filesink location={}",
        file.display()
    ));
    assert!(pipeline.run().eos, "{launch}");
    private(&file)
}

/// What ffmpeg writes for this. It gets it in MPEG-TS, which has no codec private data that it could copy.
fn by_ffmpeg(launch: &str, dir: &Path) -> Vec<u8> {
    let (ts, file) = (dir.join("ffmpeg.ts"), dir.join("ffmpeg.mkv"));
    let pipeline = Pipeline::new(&format!(
        "{launch} ! mpegtsmux ! filesink location={}",
        ts.display()
    ));
    assert!(pipeline.run().eos, "{launch}");
    copy(&["-i", ts.to_str().unwrap()], &file)
}

fn copy(input: &[&str], file: &Path) -> Vec<u8> {
    let output = ["-c", "copy", file.to_str().unwrap()];
    stored::run("ffmpeg", &[&["-v", "error", "-y"], input, &output].concat());
    private(file)
}

/// What kvssink sends for this.
fn by_kvssink(launch: &str) -> Vec<u8> {
    let local = service();
    send(&local, "", &record_as(launch, "capsfilter"));
    let files = local.session_files("cam");
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    private(file)
}

/// A NAL unit without what is not its own: ffmpeg keeps the first zero of the start code that follows.
fn without_zeros(unit: &[u8]) -> Vec<u8> {
    let end = unit.iter().rposition(|byte| *byte != 0).unwrap();
    unit[..=end].to_vec()
}

/// The fields of an avcC (ISO/IEC 14496-15 §5.3.3.1.2); what High profiles have behind them is the last.
#[derive(Debug, PartialEq, Eq)]
struct Avcc {
    version_profile_compatibility_level: Vec<u8>,
    length_size: u8,
    sps: Vec<Vec<u8>>,
    pps: Vec<Vec<u8>>,
    chroma_and_depths: Vec<u8>,
}

impl Avcc {
    fn read(record: &[u8]) -> Self {
        let mut rest = &record[5..];
        let mut sets = |mask: u8| {
            let count = rest[0] & mask;
            rest = &rest[1..];
            let sets = (0..count).map(|_| {
                let (unit, after) =
                    rest[2..].split_at(u16::from_be_bytes([rest[0], rest[1]]).into());
                rest = after;
                without_zeros(unit)
            });
            sets.collect()
        };
        let (sps, pps) = (sets(0x1F), sets(0xFF));
        Self {
            version_profile_compatibility_level: record[..4].to_vec(),
            length_size: record[4],
            sps,
            pps,
            chroma_and_depths: rest.to_vec(),
        }
    }
}

/// H.264: with codec data in the caps, what GStreamer writes; from the parameter sets in the stream, what ffmpeg writes. The
/// two differ in the last field, which h264parse 1.22 leaves out.
#[test_case("I420", "baseline", "tune=zerolatency"; "baseline")]
#[test_case("I420", "main", "bframes=2"; "main")]
#[test_case("I420", "high", "dct8x8=true bframes=2"; "high")]
#[test_case("I420", "high", "interlaced=true option-string=nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500"; "interlaced with HRD")]
#[test_case("I422_10LE", "high-4:2:2", ""; "ten bits of 4:2:2")]
fn h264(raw: &str, profile: &str, options: &str) {
    let dir = tempfile::tempdir().unwrap();
    let source = format!(
        "videotestsrc num-buffers=12 ! video/x-raw,format={raw},width=160,height=120,framerate=25/1 \
         ! x264enc key-int-max=6 {options} ! video/x-h264,stream-format=byte-stream,profile={profile}"
    );
    let launch = |format: Format| format!("{source} ! {}", format.parser());
    let gstreamer = by_gstreamer(&launch(Avc), dir.path());
    let ffmpeg = by_ffmpeg(&launch(H264ByteStream), dir.path());
    let ours = Avcc::read(&by_kvssink(&launch(Avc)));
    assert_eq!(ours, Avcc::read(&gstreamer));
    let theirs = Avcc::read(&ffmpeg);
    for format in [Avc3, H264ByteStream] {
        let ours = Avcc::read(&by_kvssink(&launch(format)));
        assert_eq!(ours, theirs, "{format:?}");
    }
    let other = Avcc {
        chroma_and_depths: theirs.chroma_and_depths.clone(),
        ..Avcc::read(&gstreamer)
    };
    assert_eq!(other, theirs, "the two agree otherwise");
}

/// H.265: in every form what both write, to the byte.
#[test_case("I420", "main", ""; "main")]
#[test_case("I420_10LE", "main-10", ""; "ten bits")]
#[test_case("Y444", "main-444", ""; "all colours")]
#[test_case("I420", "main", ":aud=1:hrd=1:vbv-maxrate=500:vbv-bufsize=500:temporal-layers=1:wpp=1"; "with HRD and temporal layers")]
fn h265(raw: &str, profile: &str, options: &str) {
    let dir = tempfile::tempdir().unwrap();
    let source = format!(
        "videotestsrc num-buffers=12 ! video/x-raw,format={raw},width=160,height=120,framerate=25/1 \
         ! x265enc speed-preset=ultrafast key-int-max=6 option-string=info=0:pools=1{options} \
         ! video/x-h265,profile={profile}"
    );
    let launch = |format: Format| format!("{source} ! {}", format.parser());
    let gstreamer = by_gstreamer(&launch(Hvc1), dir.path());
    let ffmpeg = by_ffmpeg(&launch(H265ByteStream), dir.path());
    let bare = format!(
        "{} ! capssetter replace=true caps=video/x-h265,stream-format=hev1,alignment=au",
        launch(Hev1)
    );
    let forms = [launch(Hvc1), launch(Hev1), launch(H265ByteStream), bare];
    for form in &forms {
        assert_eq!(hvcc(&by_kvssink(form)), hvcc(&ffmpeg), "{form}");
    }
    assert_eq!(hvcc(&gstreamer), hvcc(&ffmpeg));
}

/// The fields of an hvcC (ISO/IEC 14496-15 §8.3.3.1.2), with their names.
fn hvcc(record: &[u8]) -> Vec<(String, Vec<u8>)> {
    let fixed = [
        ("version", 1),
        ("profile space, tier, profile", 1),
        ("profile compatibility", 4),
        ("constraints", 6),
        ("level", 1),
        ("spatial segmentation", 2),
        ("parallelism", 1),
        ("chroma format", 1),
        ("luma depth", 1),
        ("chroma depth", 1),
        ("frame rate", 2),
        (
            "constant frame rate, temporal layers, nested, length size",
            1,
        ),
        ("arrays", 1),
    ];
    let mut rest = record;
    let mut fields = Vec::new();
    for (name, length) in fixed {
        let (field, after) = rest.split_at(length);
        fields.push((name.to_owned(), field.to_vec()));
        rest = after;
    }
    while let [kind, high, low, after @ ..] = rest {
        rest = after;
        for _ in 0..u16::from_be_bytes([*high, *low]) {
            let length = u16::from_be_bytes([rest[0], rest[1]]);
            let (unit, after) = rest[2..].split_at(length.into());
            let field = (format!("array {kind:#x}"), without_zeros(unit));
            // ffmpeg lists a set twice that comes twice.
            if fields.last() != Some(&field) {
                fields.push(field);
            }
            rest = after;
        }
    }
    fields
}

/// AAC with codec data: what GStreamer writes. From ADTS headers: what both make of them.
#[test]
fn aac() {
    let dir = tempfile::tempdir().unwrap();
    let raw = Sound::AacRaw.launch(10);
    assert_eq!(by_kvssink(&raw), by_gstreamer(&raw, dir.path()));
    let adts = Sound::AacAdts.launch(10);
    let ours = by_kvssink(&adts);
    let parsed = format!("{adts} ! aacparse ! {AAC_RAW}");
    assert_eq!(ours, by_gstreamer(&parsed, dir.path()));
    assert_eq!(ours, by_ffmpeg(&adts, dir.path()));
}

/// G.711: what ffmpeg writes. GStreamer's muxer writes 0 bits per sample, and bytes per second to match.
#[test_case(Sound::Alaw, "alaw")]
#[test_case(Sound::Mulaw, "mulaw")]
fn g711(sound: Sound, name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let launch = sound.launch(10);
    let ours = by_kvssink(&launch);
    let raw = dir.path().join(name);
    let pipeline = Pipeline::new(&format!("{launch} ! filesink location={}", raw.display()));
    assert!(pipeline.run().eos);
    let input = [
        "-f",
        name,
        "-ar",
        "8000",
        "-ac",
        "1",
        "-i",
        raw.to_str().unwrap(),
    ];
    assert_eq!(ours, copy(&input, &dir.path().join("ffmpeg.mkv")));
    // Tag, channels, rate, block align; the last two bytes are the size of what follows: nothing.
    let gstreamer = by_gstreamer(&launch, dir.path());
    for field in [0..2, 2..4, 4..8, 12..14, 16..18] {
        assert_eq!(ours[field.clone()], gstreamer[field]);
    }
}
