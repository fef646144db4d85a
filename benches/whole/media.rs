//! The media: a film of 1080p at 8 Mbit/s, encoded once, and repeated.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use gst::prelude::*;

/// Where it is kept, from one run to the next.
pub(crate) const FOLDER: &str = "target/bench";
/// From `scripts/media`.
const FILM: &str = "target/media/bigbuckbunny.mp4";
/// Seconds of the clip that is repeated.
pub(crate) const CLIP_S: u32 = 5;
/// What it is, for the report.
pub(crate) const WHAT: &str = "5 s of Big Buck Bunny, scaled to 1920 × 1080, 25 frames a second, H.264 of x264 \
    (ultrafast, zerolatency, no B-frames) at 8 Mbit/s with a key frame every 2 s, in an MP4 file, repeated";

/// The clip.
pub(crate) fn clip() -> anyhow::Result<PathBuf> {
    let clip = PathBuf::from(FOLDER).join("clip.mp4");
    make(&clip, |command| {
        command.args(["-i", FILM, "-an", "-t", &CLIP_S.to_string()]);
        command.args(["-vf", "scale=1920:1080,fps=25", "-pix_fmt", "yuv420p"]);
        command.args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
        ]);
        command.args([
            "-b:v", "8M", "-minrate", "8M", "-maxrate", "8M", "-bufsize", "4M",
        ]);
        command.args(["-g", "50", "-keyint_min", "50", "-sc_threshold", "0"]);
    })?;
    Ok(clip)
}

/// So many seconds of it.
pub(crate) fn seconds(length: u32) -> anyhow::Result<PathBuf> {
    let file = PathBuf::from(FOLDER).join(format!("{length}s.mp4"));
    let clip = clip()?;
    make(&file, |command| {
        let times = length.div_ceil(CLIP_S) - 1;
        command.args(["-stream_loop", &times.to_string()]);
        command.arg("-i").arg(&clip);
        command.args(["-c", "copy", "-t", &length.to_string()]);
    })?;
    Ok(file)
}

/// Asks ffmpeg for a file, unless it is there.
fn make(file: &Path, how: impl FnOnce(&mut Command)) -> anyhow::Result<()> {
    if file.is_file() {
        return Ok(());
    }
    fs::create_dir_all(FOLDER)?;
    let part = file.with_extension("part.mp4");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-loglevel", "error", "-y"]);
    how(&mut command);
    command.arg(&part);
    let status = command
        .status()
        .context("ffmpeg is missing: scripts/setup test")?;
    ensure!(
        status.success(),
        "ffmpeg: {status}; is {FILM} there (scripts/media)?"
    );
    fs::rename(&part, file)?;
    Ok(())
}

/// The track of a file, in memory.
pub(crate) struct Track {
    pub(crate) codec_data: Vec<u8>,
    /// Payload, and whether decoding may start there.
    pub(crate) frames: Vec<(Vec<u8>, bool)>,
}

impl Track {
    /// Reads it.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        gst::init()?;
        let line = format!(
            "filesrc location={} ! qtdemux ! fakesink name=sink sync=false signal-handoffs=true",
            file.display()
        );
        let pipeline = gst::parse::launch(&line)?;
        let pipeline = pipeline
            .downcast::<gst::Pipeline>()
            .map_err(|_| anyhow::anyhow!("it is a pipeline"))?;
        let sink = pipeline.by_name("sink").context("there is a sink")?;
        let (sender, frames) = std::sync::mpsc::channel();
        sink.connect("handoff", false, move |values| {
            let buffer = values[1].get::<gst::Buffer>().ok()?;
            let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            let payload = buffer.map_readable().ok()?.to_vec();
            // Whoever reads is there until EOS.
            let _ = sender.send((payload, key));
            None
        });
        pipeline.set_state(gst::State::Playing)?;
        let bus = pipeline.bus().context("a pipeline has a bus")?;
        let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
        let last = bus.timed_pop_filtered(gst::ClockTime::NONE, &kinds);
        ensure!(last.is_some_and(|message| message.type_() == gst::MessageType::Eos));
        let pad = sink.static_pad("sink").context("a sink has a pad")?;
        let caps = pad.current_caps().context("it had caps")?;
        let codec_data = caps.structure(0).context("caps have one")?;
        let codec_data = codec_data.get::<gst::Buffer>("codec_data")?;
        let codec_data = codec_data.map_readable()?.to_vec();
        pipeline.set_state(gst::State::Null)?;
        Ok(Self {
            codec_data,
            frames: frames.try_iter().collect(),
        })
    }
}
