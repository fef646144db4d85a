//! Streams live video to `kvs-local` on this machine and shows what arrives: `make demo`.
//!
//! It uses the plugin as an application does: by its file, its properties, its messages and its `stats`.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use gst::prelude::*;

const STREAM: &str = "demo";
const FRAMES_PER_SECOND: u64 = 25;
const SECONDS: u64 = 20;
/// How much longer than the video the whole upload may take.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(30);

/// Made up, and good for `kvs-local` only.
const ACCESS_KEY: &str = "demo-access-key";
const SECRET_KEY: &str = "demo-secret-key";

fn main() -> anyhow::Result<()> {
    let seconds: u64 = match std::env::args().nth(1) {
        Some(argument) => argument.parse().context("usage: demo [seconds]")?,
        None => SECONDS,
    };
    ensure!(seconds > 0, "usage: demo [seconds], at least one");
    let frames = seconds * FRAMES_PER_SECOND;

    let programs = release_folder()?;
    let folder = programs.parent().context("no target folder")?.join("demo");
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;

    gst::init()?;
    gst::Plugin::load_file(programs.join("libgstkvssink.so")).context("cannot load the plugin")?;
    let service = Service::start(&programs.join("kvs-local"), &folder)?;
    let launch = format!(
        "videotestsrc is-live=true horizontal-speed=4 num-buffers={frames} \
         ! video/x-raw,format=I420,width=1280,height=720,framerate={FRAMES_PER_SECOND}/1 \
         ! x264enc tune=zerolatency speed-preset=veryfast bitrate=2000 key-int-max={FRAMES_PER_SECOND} \
         option-string=scenecut=0 \
         ! h264parse ! kvssink name=sink stream-name={STREAM} stop-stream-timeout=20"
    );
    introduce(seconds, &launch, &service, &folder);

    let pipeline = gst::parse::launch(&launch)?
        .downcast::<gst::Pipeline>()
        .ok()
        .context("not a pipeline")?;
    let sink = pipeline
        .by_name("sink")
        .context("the pipeline has no sink")?;
    sink.set_property("endpoint", &service.endpoint);
    sink.set_property("access-key", ACCESS_KEY);
    sink.set_property("secret-key", SECRET_KEY);

    let outcome = stream(
        &pipeline,
        &sink,
        gst::ClockTime::from_seconds(seconds) + PATIENCE,
    );
    pipeline.set_state(gst::State::Null)?;
    let stats = outcome?;
    service.stop()?;

    println!("\n  frames in         {:>6}", stats.frames_in);
    println!("  frames persisted  {:>6}", stats.frames_persisted);
    println!("  frames dropped    {:>6}", stats.frames_dropped);
    ensure!(
        stats.frames_in == frames,
        "{frames} frames were made, {} came in",
        stats.frames_in
    );
    ensure!(
        stats.frames_persisted == frames,
        "not every frame was persisted"
    );
    ensure!(stats.frames_dropped == 0, "frames were dropped");

    let video = stored_video(&folder)?;
    println!("  stored as         {}", shown(&video));
    let picture = folder.join("frame.png");
    write_frame(&video, &picture, frames / 2)?;
    println!("  one frame of it   {}", shown(&picture));
    println!("\nEvery frame was acknowledged as persisted.");
    Ok(())
}

/// `target/release`: where Cargo put the plugin and `kvs-local`, beside `examples/demo`.
fn release_folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program
        .ancestors()
        .nth(2)
        .context("no folder above this program")?;
    Ok(folder.to_path_buf())
}

fn introduce(seconds: u64, launch: &str, service: &Service, folder: &Path) {
    println!(
        "\n{seconds} s of live video: made here, encoded as H.264, sent by kvssink to kvs-local on this machine.\n\
         kvs-local speaks the wire protocol of Kinesis Video Streams and checks each request as the service does.\n"
    );
    println!("  pipeline  {}", launch.replace(" ! ", "\n            ! "));
    println!(
        "  service   {}   log: {}\n",
        service.endpoint,
        shown(&Service::log(folder))
    );
    println!(
        "A fragment begins at each key frame, once a second here. kvssink keeps it until the service has\n\
         acknowledged it as PERSISTED; the latency runs from its last frame to that acknowledgement.\n"
    );
    println!("  time   frames in   persisted   fragments acknowledged       sent   latency");
}

/// Runs the pipeline to its end and prints a line a second. Returns what the sink counted.
fn stream(
    pipeline: &gst::Pipeline,
    sink: &gst::Element,
    limit: gst::ClockTime,
) -> anyhow::Result<Stats> {
    let bus = pipeline.bus().context("the pipeline has no bus")?;
    let clock = gst::SystemClock::obtain();
    let start = clock.time();
    if let Err(error) = pipeline.set_state(gst::State::Playing) {
        let message = bus.pop_filtered(&[gst::MessageType::Error]);
        return Err(message.map_or_else(|| error.into(), |message| describe(&message)));
    }

    let mut second = gst::ClockTime::SECOND;
    loop {
        let wait = (start + second).saturating_sub(clock.time());
        let Some(message) = bus.timed_pop(wait) else {
            Stats::read(sink)?.print(second);
            ensure!(second < limit, "not finished after {} s", limit.seconds());
            second += gst::ClockTime::SECOND;
            continue;
        };
        match message.view() {
            gst::MessageView::Eos(_) => {
                let stats = Stats::read(sink)?;
                stats.print(clock.time().saturating_sub(start));
                return Ok(stats);
            }
            gst::MessageView::Error(_) => return Err(describe(&message)),
            gst::MessageView::Warning(warning) => println!("         warning: {}", warning.error()),
            _ => {}
        }
    }
}

fn describe(message: &gst::Message) -> anyhow::Error {
    match message.view() {
        gst::MessageView::Error(error) => {
            let source = error
                .src()
                .map(|source| source.name().to_string())
                .unwrap_or_default();
            anyhow::anyhow!(
                "{source}: {}\n{}",
                error.error(),
                error.debug().unwrap_or_default()
            )
        }
        _ => anyhow::anyhow!("{message:?}"),
    }
}

/// The fields of the sink's `stats` property that are shown here.
struct Stats {
    frames_in: u64,
    frames_persisted: u64,
    frames_dropped: u64,
    fragments_persisted: u64,
    bytes_sent: u64,
    persisted_latency: u64,
}

impl Stats {
    fn read(sink: &gst::Element) -> anyhow::Result<Self> {
        let stats = sink.property::<gst::Structure>("stats");
        Ok(Self {
            frames_in: stats.get("frames-in")?,
            frames_persisted: stats.get("frames-persisted")?,
            frames_dropped: stats.get("frames-dropped")?,
            fragments_persisted: stats.get("fragments-persisted")?,
            bytes_sent: stats.get("bytes-sent")?,
            persisted_latency: stats.get("persisted-latency")?,
        })
    }

    fn print(&self, time: gst::ClockTime) {
        let latency = match self.fragments_persisted {
            0 => "-".to_owned(),
            _ => format!("{} ms", self.persisted_latency),
        };
        println!(
            "{:>4} s {:>11} {:>11} {:>24} {:>7}.{} MB {:>9}",
            time.seconds(),
            self.frames_in,
            self.frames_persisted,
            self.fragments_persisted,
            self.bytes_sent / 1_000_000,
            self.bytes_sent / 100_000 % 10,
            latency
        );
    }
}

/// A path as short as it can be said from here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// `kvs-local`, running as long as this lives.
struct Service {
    process: Child,
    endpoint: String,
    /// Kept open: the process would fail to write if it were closed.
    output: BufReader<ChildStdout>,
}

impl Service {
    fn log(folder: &Path) -> PathBuf {
        folder.join("kvs-local.log")
    }

    fn start(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        let log = Self::log(folder);
        let mut process = Command::new(program)
            .args([
                "--listen",
                "127.0.0.1:0",
                "--access-key",
                ACCESS_KEY,
                "--secret-key",
                SECRET_KEY,
                "--dir",
            ])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = process.stdout.take().context("kvs-local has no output")?;
        let mut service = Self {
            process,
            endpoint: String::new(),
            output: BufReader::new(output),
        };

        let mut line = String::new();
        service.output.read_line(&mut line)?;
        let ready: serde_json::Value = serde_json::from_str(&line)
            .with_context(|| format!("kvs-local did not start, see {}", log.display()))?;
        match ready["endpoint"].as_str() {
            Some(endpoint) => service.endpoint = endpoint.to_owned(),
            None => bail!("kvs-local did not say where it listens: {line}"),
        }
        Ok(service)
    }

    /// Ends the process as a terminal would, and waits a little for it to finish its files.
    fn stop(mut self) -> anyhow::Result<()> {
        let id = self.process.id().to_string();
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .context("cannot run kill")?;
        for _ in 0..100 {
            if let Some(status) = self.process.try_wait()? {
                ensure!(status.success(), "kvs-local ended with {status}");
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("kvs-local did not end")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The one session that `kvs-local` stored.
fn stored_video(folder: &Path) -> anyhow::Result<PathBuf> {
    let stream = folder.join(STREAM);
    let mut videos = Vec::new();
    for entry in
        fs::read_dir(&stream).with_context(|| format!("nothing in {}", stream.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "mkv") {
            videos.push(path);
        }
    }
    videos
        .into_iter()
        .max()
        .with_context(|| format!("no video in {}", stream.display()))
}

/// Decodes the stored video up to frame `number` and writes that one as a PNG.
fn write_frame(video: &Path, picture: &Path, number: u64) -> anyhow::Result<()> {
    let pipeline = gst::parse::launch(
        "filesrc name=video ! matroskademux ! h264parse ! avdec_h264 name=decoder ! videoconvert \
         ! pngenc snapshot=true ! filesink name=picture",
    )?
    .downcast::<gst::Pipeline>()
    .ok()
    .context("not a pipeline")?;
    let element = |name| {
        pipeline
            .by_name(name)
            .with_context(|| format!("the pipeline has no {name}"))
    };
    element("video")?.set_property(
        "location",
        video.to_str().context("a path that is no UTF-8")?,
    );
    element("picture")?.set_property(
        "location",
        picture.to_str().context("a path that is no UTF-8")?,
    );

    let seen = AtomicU64::new(0);
    let frames = element("decoder")?
        .static_pad("src")
        .context("the decoder has no output")?;
    frames.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        match seen.fetch_add(1, Ordering::Relaxed) {
            before if before < number => gst::PadProbeReturn::Drop,
            _ => gst::PadProbeReturn::Ok,
        }
    });

    pipeline.set_state(gst::State::Playing)?;
    let bus = pipeline.bus().context("the pipeline has no bus")?;
    let end = bus.timed_pop_filtered(PATIENCE, &[gst::MessageType::Eos, gst::MessageType::Error]);
    pipeline.set_state(gst::State::Null)?;
    match end {
        Some(message) if message.type_() == gst::MessageType::Eos => {}
        Some(message) => return Err(describe(&message)),
        None => bail!(
            "the stored video could not be decoded in {} s",
            PATIENCE.seconds()
        ),
    }
    ensure!(
        fs::metadata(picture).is_ok_and(|file| file.len() > 0),
        "the stored video holds no frame {number}"
    );
    Ok(())
}
