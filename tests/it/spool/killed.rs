//! `kill -9` at random moments: whatever was told to be on disk arrives, and nothing that is not whole.
//!
//! The process that is killed is this program again, with a producer; each run goes on with the spool that the one before
//! has left. A seed decides the moments.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Stdio},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use gstkvssink::{
    local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Local},
    producer::{
        Codec, Credentials, Frame, Producer, Secret, Service, SpoolDefinition, SpoolEvent,
        SpoolMode, StreamCallbacks, StreamDefinition, StreamName, Timestamp, Track, TrackNumber,
    },
};
use test_case::test_case;

use super::Site;
use crate::support::{alone, feed::Clip, port::Reserved, stored};

/// Kills of each kind: 200 in all.
const KILLS: u64 = 40;
/// Frames of a fragment, and ms between them.
const GOP: u64 = 10;
const PACE_MS: u64 = 40;
/// The first frame of the first run, and how much later the next run begins.
const START_MS: u64 = 1_600_000_000_000;
const RUN_MS: u64 = 10_000_000;

/// What goes on when the process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// The service takes what comes.
    Streaming,
    /// Nobody answers.
    Spooling,
    /// The service takes what earlier runs have left.
    Uploading,
    /// The connection is given up again and again.
    Rotating,
    /// The stream ends.
    Stopping,
}

impl Moment {
    fn has_service(self, run: u64) -> bool {
        match self {
            Self::Spooling => false,
            Self::Uploading | Self::Stopping => !run.is_multiple_of(3),
            Self::Streaming | Self::Rotating => true,
        }
    }
}

/// A fragment begins with the frame of this time.
fn begins(at_ms: u64) -> bool {
    ((at_ms - START_MS) / PACE_MS).is_multiple_of(GOP)
}

/// The frame of this time: what it is cannot be mistaken.
fn payload(at_ms: u64) -> Vec<u8> {
    let begins = begins(at_ms);
    let mut random = fastrand::Rng::with_seed(at_ms);
    let length = random.usize(50..if begins { 6000 } else { 900 });
    let mut unit = vec![if begins { 0x65 } else { 0x41 }];
    unit.extend(at_ms.to_be_bytes());
    unit.extend(std::iter::repeat_with(|| random.u8(..)).take(length));
    let length = u32::try_from(unit.len()).unwrap();
    [&length.to_be_bytes()[..], &unit].concat()
}

fn frame(at_ms: u64) -> Frame {
    Frame {
        track: TrackNumber::VIDEO,
        pts: Timestamp::from_millis(at_ms),
        dts: None,
        key: begins(at_ms),
        payload: Bytes::from(payload(at_ms)),
    }
}

fn definition(location: &Path) -> StreamDefinition {
    let mut spool = SpoolDefinition::new(location);
    spool.mode = SpoolMode::Always;
    let mut definition = StreamDefinition::new(StreamName::new("cam").unwrap());
    definition.stop_timeout = Duration::from_secs(60);
    definition.spool = Some(spool);
    definition
}

fn producer(endpoint: &str) -> Producer {
    let service = Service {
        endpoint: Some(endpoint.into()),
        credentials: Credentials::Static {
            access_key: DEFAULT_ACCESS_KEY.into(),
            secret_key: Secret::new(DEFAULT_SECRET_KEY),
            session_token: None,
        },
        ..Service::new("eu-central-1")
    };
    Producer::builder().service(service).build().unwrap()
}

/// Says on stdout what is kept.
struct Kept;

impl StreamCallbacks for Kept {
    fn spool(&self, event: &SpoolEvent) {
        if let SpoolEvent::Kept {
            timecode, frames, ..
        } = event
        {
            say(&format!("kept {} {frames}", timecode.as_millis()));
        }
    }
}

/// To whoever will kill this process, past what the test harness catches.
fn say(line: &str) {
    // Whoever reads it may be gone.
    let _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
}

/// The process that will be killed.
fn child(task: &str) {
    let parts: Vec<&str> = task.split('|').collect();
    let [moment, endpoint, location, start_ms] = parts[..] else {
        panic!("{task}");
    };
    let start_ms: u64 = start_ms.parse().unwrap();
    let producer = producer(endpoint);
    let definition = definition(Path::new(location));
    let stream = producer
        .create_stream_with(definition, Arc::new(Kept))
        .unwrap();
    let avcc = std::fs::read(Path::new(location).with_extension("avcc")).unwrap();
    let track = Track::video(Codec::H264, avcc.into(), 320, 240).unwrap();
    stream.set_tracks(&[track]).unwrap();
    say("ready");
    for n in 0.. {
        stream.put_frame(frame(start_ms + n * PACE_MS)).unwrap();
        // A camera has its pace, too; this one is quick.
        std::thread::sleep(Duration::from_micros(300));
        match moment {
            "Rotating" if n % 97 == 96 => stream.reset_connection(),
            "Stopping" if n == 150 => {
                // With a service that is away it does not end in time.
                let _ = stream.stop();
                say("stopped");
                // The kill comes; if its sender has gone, the end of the test's time does.
                std::thread::park();
            }
            _ => {}
        }
    }
}

/// Kills the process at a random moment. What it has said.
fn kill(mut child: Child, random: &mut fastrand::Rng) -> Vec<(u64, u64)> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.by_ref().map_while(Result::ok);
    let ready = ready.take_while(|line| !line.ends_with("ready")).count();
    assert!(ready < 20, "the process is not there");
    std::thread::sleep(Duration::from_micros(random.u64(0..300_000)));
    child.kill().unwrap();
    child.wait().unwrap();
    lines
        .map_while(Result::ok)
        .filter_map(|line| {
            let mut parts = line.strip_prefix("kept ")?.split(' ');
            let [timecode, frames] = [parts.next()?, parts.next()?];
            Some((timecode.parse().ok()?, frames.parse().ok()?))
        })
        .collect()
}

/// What was told to be on disk outlives the process: it is stored in the end, with all its frames, each to the byte, though every
/// run was killed, while it streams, spools, uploads, rotates, stops.
#[test_case(Moment::Streaming)]
#[test_case(Moment::Spooling)]
#[test_case(Moment::Uploading)]
#[test_case(Moment::Rotating)]
#[test_case(Moment::Stopping)]
fn what_is_told_to_be_kept_outlives_a_kill(moment: Moment) {
    if let Some(task) = alone::task() {
        return child(&task);
    }
    let site = Site::new();
    let avcc = Clip::test(1, 1).codec_data();
    std::fs::write(site.location().with_extension("avcc"), avcc).unwrap();
    let (local, nobody) = (site.serve(), Reserved::new());
    let mut random = fastrand::Rng::with_seed(moment as u64);
    let mut kept = BTreeMap::new();
    for run in 0..KILLS {
        let endpoint = match moment.has_service(run) {
            true => local.endpoint().to_owned(),
            false => nobody.endpoint(),
        };
        let start_ms = START_MS + run * RUN_MS;
        let task = format!(
            "{moment:?}|{endpoint}|{}|{start_ms}",
            site.location().display()
        );
        let mut command = alone::command(task);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        kept.extend(kill(command.spawn().unwrap(), &mut random));
    }
    assert!(kept.len() as u64 > KILLS, "{} fragments", kept.len());

    let producer = producer(local.endpoint());
    let stream = producer
        .create_stream(definition(&site.location()))
        .unwrap();
    stream.stop().unwrap();
    assert_eq!(site.files().len(), 0);
    judge(&local, &kept);
}

fn judge(local: &Local, kept: &BTreeMap<u64, u64>) {
    let mut frames = BTreeMap::new();
    for file in local.session_files("cam") {
        for frame in stored::whole_frames(&file) {
            assert_eq!(frame.data, payload(frame.at_ms), "frame at {}", frame.at_ms);
            frames.insert(frame.at_ms, frame.key);
        }
    }
    for (timecode, count) in kept {
        for n in 0..*count {
            let at_ms = timecode + n * PACE_MS;
            assert!(frames.contains_key(&at_ms), "{at_ms} of {timecode} is lost");
        }
    }
}
