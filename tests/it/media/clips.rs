//! Clips of every format, made when a test wants them: small ones, so that it takes a moment. They are made by GStreamer's
//! elements, and whatever is expected of them is, too.

use gstkvssink::local::Local;

use crate::support::{
    feed::{Clip, Fed, probe, record_as, record_each},
    stored::{self, Stored},
};

/// How video comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Avc,
    Avc3,
    H264ByteStream,
    Hvc1,
    Hev1,
    H265ByteStream,
}

impl Format {
    pub(super) fn is_h265(self) -> bool {
        matches!(self, Self::Hvc1 | Self::Hev1 | Self::H265ByteStream)
    }

    pub(super) fn is_byte_stream(self) -> bool {
        matches!(self, Self::H264ByteStream | Self::H265ByteStream)
    }

    pub(super) fn codec_id(self) -> &'static str {
        match self.is_h265() {
            true => "V_MPEGH/ISO/HEVC",
            false => "V_MPEG4/ISO/AVC",
        }
    }

    /// A parser, and what it is told to give.
    pub(super) fn parser(self) -> String {
        let (parser, name, format) = match self {
            Self::Avc => ("h264parse", "h264", "avc"),
            Self::Avc3 => ("h264parse", "h264", "avc3"),
            Self::H264ByteStream => ("h264parse", "h264", "byte-stream"),
            Self::Hvc1 => ("h265parse", "h265", "hvc1"),
            Self::Hev1 => ("h265parse", "h265", "hev1"),
            Self::H265ByteStream => ("h265parse", "h265", "byte-stream"),
        };
        format!("{parser} ! video/x-{name},stream-format={format},alignment=au")
    }

    /// The same stream with lengths, and with the parameter sets where they were.
    fn in_place(self) -> Self {
        match self.is_h265() {
            true => Self::Hev1,
            false => Self::Avc3,
        }
    }
}

/// What an encoder is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    pub(super) frames: u32,
    pub(super) width: u32,
    pub(super) fps: u32,
    pub(super) gop: u32,
    pub(super) bframes: u32,
    pub(super) open_gop: bool,
}

impl Default for Picture {
    fn default() -> Self {
        Self {
            frames: 24,
            width: 160,
            fps: 25,
            gop: 8,
            bframes: 0,
            open_gop: false,
        }
    }
}

impl Picture {
    /// It moves, so that encoders have a use for B-frames.
    pub(super) fn source(self) -> String {
        let Self {
            frames, width, fps, ..
        } = self;
        format!(
            "videotestsrc pattern=ball num-buffers={frames} ! video/x-raw,format=I420,width={width},height=120,framerate={fps}/1"
        )
    }

    /// Key frames each `gop` frames and nowhere else; parameter sets before each.
    pub(super) fn encoded(self, h265: bool) -> String {
        let Self {
            gop,
            bframes,
            open_gop,
            ..
        } = self;
        let open_gop = u8::from(open_gop);
        let source = self.source();
        match h265 {
            false => format!(
                "{source} ! x264enc speed-preset=ultrafast bframes={bframes} b-adapt=false key-int-max={gop} \
                 option-string=scenecut=0:open-gop={open_gop} ! video/x-h264,stream-format=byte-stream,profile=main"
            ),
            true => format!(
                "{source} ! x265enc speed-preset=ultrafast key-int-max={gop} \
                 option-string=bframes={bframes}:b-adapt=0:scenecut=0:open-gop={open_gop}:repeat-headers=1:pools=1:frame-threads=1"
            ),
        }
    }

    /// A clip of this format, and the NAL units of each of its frames.
    pub(super) fn clip(self, format: Format) -> (Clip, Vec<Vec<Vec<u8>>>) {
        let [clip, in_place] = record_each(&format!(
            "{} ! tee name=t  t. ! queue ! {} ! {}  t. ! queue ! {} ! {}",
            self.encoded(format.is_h265()),
            format.parser(),
            probe(0),
            format.in_place().parser(),
            probe(1)
        ));
        assert_eq!(clip.buffers.len(), self.frames as usize);
        let units = in_place.buffers.iter().map(|buffer| {
            let bytes = buffer.map_readable().unwrap();
            units(&bytes, format.is_h265())
        });
        let units = units.collect();
        (clip, units)
    }
}

/// The NAL units of a frame whose lengths have four bytes, without delimiters, which say nothing.
pub(super) fn units(mut frame: &[u8], h265: bool) -> Vec<Vec<u8>> {
    let mut units = Vec::new();
    while let Some((length, rest)) = frame.split_first_chunk() {
        let (unit, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        let is_delimiter = match h265 {
            true => unit[0] >> 1 & 0x3F == 35,
            false => unit[0] & 0x1F == 9,
        };
        if !is_delimiter {
            units.push(unit.to_vec());
        }
        frame = rest;
    }
    units
}

/// How sound comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sound {
    AacRaw,
    AacAdts,
    Alaw,
    Mulaw,
}

impl Sound {
    /// So many buffers of 20 ms (G.711) or 1024 samples (AAC), in this form.
    pub(super) fn launch(self, buffers: u32) -> String {
        let aac = format!(
            "audiotestsrc wave=ticks num-buffers={buffers} samplesperbuffer=1024 \
             ! audio/x-raw,rate=48000,channels=2 ! audioconvert ! avenc_aac"
        );
        let g711 = |encoder| {
            format!(
                "audiotestsrc wave=ticks num-buffers={buffers} samplesperbuffer=160 ! audio/x-raw,rate=8000,channels=1 ! {encoder}"
            )
        };
        match self {
            Self::AacRaw => format!("{aac} ! aacparse ! {AAC_RAW}"),
            Self::AacAdts => format!("{aac} ! aacparse ! {AAC_ADTS}"),
            Self::Alaw => g711("alawenc"),
            Self::Mulaw => g711("mulawenc"),
        }
    }

    /// A clip, and the frames in it.
    pub(super) fn clip(self, buffers: u32) -> (Clip, Vec<Vec<u8>>) {
        let launch = self.launch(buffers);
        let (clip, frames) = match self {
            // Its headers are taken off by somebody else.
            Self::AacAdts => {
                let [clip, raw] = record_each(&format!(
                    "{launch} ! tee name=t  t. ! queue ! {}  t. ! queue ! aacparse ! {AAC_RAW} ! {}",
                    probe(0),
                    probe(1)
                ));
                (clip, raw)
            }
            _ => {
                let clip = record_as(&launch, "capsfilter");
                (clip.clone(), clip)
            }
        };
        let frames = frames
            .buffers
            .iter()
            .map(|buffer| buffer.map_readable().unwrap().to_vec());
        let frames: Vec<_> = frames.collect();
        assert!(frames.len() >= buffers as usize, "{self:?}");
        (clip, frames)
    }
}

pub(super) const AAC_RAW: &str = "audio/mpeg,mpegversion=4,stream-format=raw";
pub(super) const AAC_ADTS: &str = "audio/mpeg,mpegversion=4,stream-format=adts";

/// Presentation times (else decode times) of the buffers, in ms after the first one's.
pub(super) fn distances(clip: &Clip) -> Vec<u64> {
    let times = clip.buffers.iter().map(|buffer| {
        let at = buffer.pts().or_else(|| buffer.dts()).unwrap();
        clip.running_time(at)
    });
    let times: Vec<_> = times.collect();
    let from_first = |time: &i64| u64::try_from((time - times[0] + 500_000) / 1_000_000).unwrap();
    times.iter().map(from_first).collect()
}

/// All frames that are stored in `cam`, session by session.
pub(super) fn stored_frames(local: &Local) -> Vec<Stored> {
    let files = local.session_files("cam");
    files
        .iter()
        .flat_map(|file| stored::whole_frames(file))
        .collect()
}

/// Those of one track.
pub(super) fn of_track(frames: &[Stored], track: u64) -> Vec<Stored> {
    let of_track = frames.iter().filter(|frame| frame.track == track);
    of_track.cloned().collect()
}

/// The service never had a reason to refuse anything.
pub(super) fn assert_never_refused(local: &Local, told: &[&gst::StructureRef]) {
    let errors = told
        .iter()
        .filter(|ack| ack.get::<&str>("type") == Ok("ERROR"));
    assert_eq!(errors.count(), 0, "{told:?}");
    for attempt in local.requests() {
        assert!(
            attempt.status == 200 || attempt.api != "PutMedia",
            "{attempt:?}"
        );
    }
}

/// All of `clip` is put and persisted.
pub(super) fn send(local: &Local, properties: &str, clip: &Clip) -> Fed {
    let mut fed = Fed::playing(
        &format!(
            "stream-name=cam {properties} {}",
            crate::support::properties(local)
        ),
        clip,
    );
    fed.put_all(&clip.buffers);
    fed.finish();
    fed
}
