//! The least that an upload costs: the HTTP client alone, a chunk for each frame, from memory.
//!
//! Each upload has a thread and a runtime, as each element has. What it sends is a body that the service takes: the
//! frames of the clip with their headers, made before the time is taken. Acks are read.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures_core::Stream;
use gstkvssink::internals::media::{Codec, TrackNumber};
use gstkvssink::internals::{media, mkv, time::Timecode};

use super::clock;
use super::media::Track;
use super::process;
use super::service::stream_name;
use super::sign::{client, signed};
use super::task::{FPS, Figures, Moment, Peer, Task, seconds};

/// Of the first fragment, in milliseconds since 1970.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// What all uploads send.
struct Media {
    header: Bytes,
    /// Header and payload of each frame, and the length of the payload; whether a fragment begins with it.
    frames: Vec<(Bytes, u64, bool)>,
}

#[derive(Default)]
struct Sent {
    frames: AtomicU64,
    bytes: AtomicU64,
}

impl Sent {
    fn now(&self) -> Moment {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Moment::now(count(&self.frames), count(&self.bytes))
    }
}

/// Runs it.
pub(crate) fn run(task: &Task) -> anyhow::Result<Figures> {
    let peer = task.peer.as_ref().context("an upload goes somewhere")?;
    let ca = peer.ca_file.as_ref().map(std::fs::read).transpose()?;
    let media = Arc::new(Media::read(task)?);
    let sent = Arc::new(Sent::default());
    let (began_ns, cpu_ns) = (clock::monotonic_ns(), clock::cpu_ns());
    let window = std::thread::scope(|scope| {
        let uploads: Vec<_> = (0..task.sinks)
            .map(|n| {
                let (media, sent, ca) = (&media, &sent, ca.as_deref());
                scope.spawn(move || upload(task, n, peer, ca, media, sent))
            })
            .collect();
        let window = task.window_s().map(|[from_s, to_s]| {
            let sleep_to = |s: f64| {
                let now_s = seconds(clock::monotonic_ns() - began_ns);
                std::thread::sleep(Duration::from_secs_f64((s - now_s).max(0.0)));
                sent.now()
            };
            sleep_to(from_s).until(sleep_to(to_s))
        });
        for upload in uploads {
            let ended = upload.join();
            ended.map_err(|_| anyhow::anyhow!("an upload panicked"))??;
        }
        anyhow::Ok(window)
    })?;
    Ok(Figures {
        frames: sent.frames.load(Ordering::Relaxed),
        bytes: sent.bytes.load(Ordering::Relaxed),
        wall_s: seconds(clock::monotonic_ns() - began_ns),
        cpu_s: seconds(clock::cpu_ns() - cpu_ns),
        peak_kib: process::peak_kib(),
        window,
        ..Figures::default()
    })
}

impl Media {
    /// The clip as often as the file has it.
    fn read(task: &Task) -> anyhow::Result<Self> {
        let clip = Track::read(&super::media::clip()?)?;
        let track = media::Track::video(Codec::H264, clip.codec_data.into(), 1920, 1080)?;
        let made: Vec<_> = clip
            .frames
            .iter()
            .map(|(payload, key)| {
                let mut frame = Vec::with_capacity(payload.len() + 16);
                let length = payload.len();
                mkv::push_simple_block_header(&mut frame, TrackNumber::VIDEO, 0, *key, length);
                frame.extend(payload);
                (Bytes::from(frame), payload.len() as u64, *key)
            })
            .collect();
        Ok(Self {
            header: mkv::stream_header(&[track]),
            frames: made.iter().cycle().take(task.frames).cloned().collect(),
        })
    }
}

fn upload(
    task: &Task,
    n: usize,
    peer: &Peer,
    ca: Option<&[u8]>,
    media: &Arc<Media>,
    sent: &Arc<Sent>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let body = Body {
        media: Arc::clone(media),
        sent: Arc::clone(sent),
        next: 0,
        waiting: VecDeque::from([media.header.clone()]),
        pace: task
            .realtime_s
            .map(|_| Duration::from_secs_f64(task.phase_s(n))),
        due: None,
    };
    let url = format!("{}/putMedia", peer.endpoint);
    let name = stream_name(n);
    let headers = [
        ("transfer-encoding", "chunked"),
        ("user-agent", "bench"),
        ("x-amzn-stream-name", name.as_str()),
        ("x-amzn-producer-start-timestamp", "1700000000.000"),
        ("x-amzn-fragment-timecode-type", "ABSOLUTE"),
        ("x-amzn-fragment-acknowledgment-required", "1"),
    ];
    let client = client(ca)?;
    let headers = signed(&url, &headers, b"")?;
    runtime.block_on(async {
        let request = client.post(&url).headers(headers);
        let mut response = request
            .body(reqwest::Body::wrap_stream(body))
            .send()
            .await?;
        ensure!(response.status() == 200, "{}", response.status());
        let mut acks = String::new();
        while let Some(chunk) = response.chunk().await? {
            acks.push_str(std::str::from_utf8(&chunk)?);
        }
        let fragments = media.frames.iter().filter(|(_, _, key)| *key).count();
        let persisted = acks.matches("PERSISTED").count();
        ensure!(persisted == fragments, "{persisted} of {fragments}: {acks}");
        Ok(())
    })
}

/// The body: as fast as it is taken, or as a camera gives it.
struct Body {
    media: Arc<Media>,
    sent: Arc<Sent>,
    next: usize,
    waiting: VecDeque<Bytes>,
    /// Of a camera: when its first frame is due.
    pace: Option<Duration>,
    /// Of a camera: when the first frame was due, and the timer of the next.
    due: Option<(tokio::time::Instant, Pin<Box<tokio::time::Sleep>>)>,
}

impl Stream for Body {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(chunk) = self.waiting.pop_front() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        let Some((frame, payload, key)) = self.media.frames.get(self.next).cloned() else {
            return Poll::Ready(None);
        };
        if let Some(phase) = self.pace {
            let frame_time = Duration::from_millis(1000 / FPS);
            let after = frame_time * u32::try_from(self.next).unwrap_or(u32::MAX);
            let (start, timer) = self.due.get_or_insert_with(|| {
                let start = clock::tokio_now() + phase;
                (start, Box::pin(tokio::time::sleep_until(start)))
            });
            let at = *start + after;
            if timer.deadline() != at {
                timer.as_mut().reset(at);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        self.sent.frames.fetch_add(1, Ordering::Relaxed);
        self.sent.bytes.fetch_add(payload, Ordering::Relaxed);
        let at_ms = EPOCH_MS + self.next as u64 * 1000 / FPS;
        self.next += 1;
        if !key {
            return Poll::Ready(Some(Ok(frame)));
        }
        self.waiting.push_back(frame);
        let mut cluster = Vec::new();
        mkv::push_cluster_header(&mut cluster, Timecode::from_millis(at_ms));
        Poll::Ready(Some(Ok(cluster.into())))
    }
}
