//! One run of a pipeline, in a process of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context, bail, ensure};
use gst::prelude::*;
use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY};

use super::clock;
use super::process;
use super::service::stream_name;
use super::task::{Figures, Moment, Shape, Task, seconds};

/// Bytes of a queue before a bare socket: as much as `kvssink` lets frames be ahead of what was sent.
const QUEUE: u32 = 2 << 20;

/// On the disk of the working directory.
const SPOOL: &str = "target/bench/spool";

/// What came to the sinks so far.
#[derive(Default)]
struct Seen {
    frames: AtomicU64,
    bytes: AtomicU64,
    /// When the first BUFFERING ack came.
    buffering_ns: OnceLock<u64>,
}

impl Seen {
    fn now(&self) -> Moment {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Moment::now(count(&self.frames), count(&self.bytes))
    }
}

/// Runs it.
pub(crate) fn run(task: &Task) -> anyhow::Result<Figures> {
    gst::init()?;
    gstkvssink::plugin_register_static()?;
    let branches: Vec<String> = (0..task.sinks).map(|n| branch(task, n)).collect();
    let pipeline = gst::parse::launch(&branches.join(" "))?;
    let pipeline = pipeline
        .downcast::<gst::Pipeline>()
        .map_err(|_| anyhow::anyhow!("it is a pipeline"))?;
    let bus = pipeline.bus().context("a pipeline has a bus")?;
    let seen = Arc::new(Seen::default());
    let rendered: Vec<_> = (0..task.sinks)
        .map(|n| watch(&pipeline, n, task, &seen))
        .collect::<Result<_, _>>()?;

    let (began_ns, cpu_ns) = (clock::monotonic_ns(), clock::cpu_ns());
    pipeline.set_state(gst::State::Playing)?;
    let (change, state, _) = pipeline.state(gst::ClockTime::from_seconds(60));
    change?;
    ensure!(state == gst::State::Playing, "it is in {state:?}");
    let playing_ns = clock::monotonic_ns();
    let window = match task.window_s() {
        None => None,
        Some([from_s, to_s]) => {
            let [from, to] = [from_s, to_s].map(|s| playing_ns + (s * 1e9) as u64);
            ensure!(!ends(&bus, &seen, Some(from))?, "it ended too early");
            let begin = seen.now();
            ensure!(!ends(&bus, &seen, Some(to))?, "it ended too early");
            Some(begin.until(seen.now()))
        }
    };
    ends(&bus, &seen, None)?;
    let ended_ns = clock::monotonic_ns();
    if task.shape.is_kvssink() {
        (0..task.sinks).try_for_each(|n| check(&pipeline, n))?;
    }
    let stopping_ns = clock::monotonic_ns();
    pipeline.set_state(gst::State::Null)?;
    let (stopped_ns, cpu_end_ns) = (clock::monotonic_ns(), clock::cpu_ns());
    Ok(Figures {
        frames: seen.frames.load(Ordering::Relaxed),
        bytes: seen.bytes.load(Ordering::Relaxed),
        wall_s: seconds(ended_ns - began_ns + stopped_ns - stopping_ns),
        cpu_s: seconds(cpu_end_ns - cpu_ns),
        start_s: seconds(playing_ns - began_ns),
        stop_s: seconds(stopped_ns - stopping_ns),
        peak_kib: process::peak_kib(),
        window,
        rendered_ns: rendered
            .iter()
            .map(|times| times.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect(),
        buffering_ns: seen.buffering_ns.get().copied(),
    })
}

/// A source and its sink.
fn branch(task: &Task, n: usize) -> String {
    let pace = task.realtime_s.map_or(String::new(), |_| {
        let phase_ns = (task.phase_s(n) * 1e9) as u64;
        format!("! clocksync ts-offset={phase_ns} ")
    });
    let sink = match (task.shape, &task.peer) {
        (Shape::Kvssink | Shape::Spool, Some(peer)) => {
            let kind = task.realtime_s.map_or("offline", |_| "realtime");
            let ca = peer.ca_file.as_ref();
            let ca = ca.map_or(String::new(), |ca| format!("ca-file={}", ca.display()));
            let spool = match task.shape {
                Shape::Spool => format!("spool-mode=always spool-location={SPOOL}"),
                _ => String::new(),
            };
            let proxy = task.proxy.as_ref();
            let proxy = proxy.map_or(String::new(), |proxy| format!("proxy={proxy}"));
            format!(
                "kvssink name=sink{n} stream-name={} streaming-type={kind} endpoint={} access-key={DEFAULT_ACCESS_KEY} \
                 secret-key={DEFAULT_SECRET_KEY} {ca} {proxy} {spool}",
                stream_name(n),
                peer.endpoint
            )
        }
        (Shape::Tcp, Some(peer)) => format!(
            "queue max-size-bytes={QUEUE} max-size-buffers=0 max-size-time=0 ! \
             tcpclientsink name=sink{n} {} sync=false async=false",
            peer.endpoint
        ),
        (Shape::Matroskamux, _) => format!(
            "matroskamux streamable=true ! filesink name=sink{n} location=/dev/null async=false"
        ),
        _ => format!("fakesink name=sink{n} sync=false async=false"),
    };
    format!(
        "filesrc location={} ! qtdemux {pace}! {sink}",
        task.file.display()
    )
}

type Times = Arc<Mutex<Vec<u64>>>;

/// Counts what comes to a sink; of a realtime run, also notes when.
fn watch(
    pipeline: &gst::Pipeline,
    n: usize,
    task: &Task,
    seen: &Arc<Seen>,
) -> anyhow::Result<Times> {
    let times = Times::default();
    let sink = pipeline.by_name(&format!("sink{n}")).context("a sink")?;
    let pad = sink.static_pad("sink").context("a sink has a pad")?;
    let (seen, noted, realtime) = (
        Arc::clone(seen),
        Arc::clone(&times),
        task.realtime_s.is_some(),
    );
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data {
            seen.frames.fetch_add(1, Ordering::Relaxed);
            seen.bytes
                .fetch_add(buffer.size() as u64, Ordering::Relaxed);
            if realtime {
                let mut times = noted.lock().unwrap_or_else(PoisonError::into_inner);
                times.push(clock::monotonic_ns());
            }
        }
        gst::PadProbeReturn::Ok
    });
    Ok(times)
}

/// Reads the bus until the end, or this time; whether it is the end. A connection that is lost on purpose is a warning.
fn ends(bus: &gst::Bus, seen: &Seen, until_ns: Option<u64>) -> anyhow::Result<bool> {
    loop {
        let left = until_ns.map(|until| until.saturating_sub(clock::monotonic_ns()));
        let Some(message) = bus.timed_pop(left.map(gst::ClockTime::from_nseconds)) else {
            return Ok(false);
        };
        match message.view() {
            gst::MessageView::Eos(_) => return Ok(true),
            gst::MessageView::Element(element)
                if seen.buffering_ns.get().is_none() && is_buffering(element.structure()) =>
            {
                // Only this thread sets it.
                let _ = seen.buffering_ns.set(clock::monotonic_ns());
            }
            gst::MessageView::Error(error) => bail!("{} ({:?})", error.error(), error.debug()),
            _ => {}
        }
    }
}

fn is_buffering(message: Option<&gst::StructureRef>) -> bool {
    message.is_some_and(|message| {
        message.name() == "kvs-fragment-ack" && message.get("type") == Ok("BUFFERING")
    })
}

/// Nothing was lost, or the figures would be of something else.
fn check(pipeline: &gst::Pipeline, n: usize) -> anyhow::Result<()> {
    let sink = pipeline.by_name(&format!("sink{n}")).context("a sink")?;
    let stats: gst::Structure = sink.property("stats");
    let count = |name: &str| stats.get::<u64>(name);
    ensure!(
        count("frames-in")? == count("frames-persisted")?,
        "not everything is PERSISTED: {stats}"
    );
    Ok(())
}
