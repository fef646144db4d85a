//! A session between any source and a service that says anything: frames in, bytes of PutMedia out.
//!
//! The input is settings and what happens, in order ([`Step`]). What goes out is judged by the rules of `kvs-local`, and
//! the promises of `docs/semantics.md` hold whatever comes in: every frame is accounted for, what is PERSISTED is not sent
//! again, memory is bounded, and the end comes in time. Likelier worlds, with a link in between, are simulated in
//! `src/session/sim`.
#![no_main]

use std::{collections::BTreeSet, time::Duration};

use arbitrary::Arbitrary;
use gstkvssink::internals::{
    Disk,
    definition::{
        Fragmentation, SpoolDefinition, SpoolMode, SpoolOrder, SpoolPolicy, StreamDefinition,
        StreamName, StreamingType, TimecodeType,
    },
    described, failure,
    media::{Codec, Frame, Track, TrackNumber, alaw_private},
    session::{Call, Cause, Event, Input, Output, Refused, Session, StreamStatus},
    time::{Mono, Timestamp},
};
use libfuzzer_sys::fuzz_target;

use self::service::ingest::{Ingest, Step as Reading, Timecodes};

#[path = "../service.rs"]
mod service;

#[derive(Arbitrary, Debug)]
struct Story {
    settings: Settings,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
struct Settings {
    offline: bool,
    acks: bool,
    relative: bool,
    kib: u8,
    shortest: Option<u8>,
    restarts: bool,
    replay_seconds: Option<u8>,
    buffer_seconds: u8,
    tags: bool,
    spool: Option<Spool>,
}

#[derive(Arbitrary, Debug)]
struct Spool {
    always: bool,
    blocks: bool,
    live_first: bool,
    kib: u16,
    age_seconds: Option<u8>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    /// A frame, this far from the one before.
    Frame {
        millis: i16,
        key: bool,
        units: Vec<u8>,
        times: u8,
    },
    /// A time in hours that no source should have.
    Jump(u16),
    Wait {
        tenths: u8,
    },
    /// The wire takes so many chunks.
    Send(u8),
    /// What is under way succeeds.
    Succeed {
        /// Credentials end after so many seconds; 0: never.
        life: u8,
    },
    Describe {
        status: u8,
        keeps: bool,
    },
    Fail {
        status: u16,
        code: u8,
    },
    Lose,
    Ack {
        kind: u8,
        which: u8,
        error: u8,
    },
    Response(Vec<u8>),
    Close,
    EndFragment,
    /// A frame of audio, this far from the one before.
    Sound {
        millis: i16,
    },
    /// What else a source says of the audio.
    Audio(u8),
    RestartTime,
    Metadata {
        name: u8,
        value: u8,
        persistent: bool,
    },
    Tracks {
        width: u8,
    },
    End {
        tenths: u8,
        stop: bool,
    },
    Resume,
    Suspend {
        seconds: u16,
    },
    /// The disk does so many tasks, or fails at them.
    Disk {
        tasks: u8,
        fails: bool,
    },
}

/// Exceptions that the policy knows, and some that it does not.
const CODES: [&str; 10] = [
    "",
    "ResourceNotFoundException",
    "ResourceInUseException",
    "AccessDeniedException",
    "ClientLimitExceededException",
    "ConnectionLimitExceededException",
    "InvalidEndpointException",
    "InvalidArgumentException",
    "ExpiredTokenException",
    "Whatever",
];
const ERRORS: [u32; 12] = [
    0, 4000, 4001, 4002, 4003, 4004, 4006, 4007, 4009, 4010, 5000, 5001,
];
/// 178x98, Main (`src/media/fixtures.rs`).
const AVCC: &[u8] = &[
    0x01, 0x4D, 0x40, 0x0B, 0xFF, 0xE1, 0x00, 0x18, 0x67, 0x4D, 0x40, 0x0B, 0xEC, 0xA1, 0x87, 0xF1,
    0x11, 0x18, 0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1E, 0x07, 0x8A, 0x14, 0xCB,
    0x01, 0x00, 0x04, 0x68, 0xCE, 0x0F, 0xC8,
];
/// Wall-clock time of the first frame.
const EPOCH_MS: u64 = 1_700_000_000_000;

struct World {
    session: Session,
    disk: Disk,
    now: Mono,
    pts: u64,
    /// The time of the audio.
    sound: u64,
    under_way: Option<Call>,
    body: Option<Body>,
    /// Fragments whose PERSISTED ack the session was given after it had sent them whole.
    settled: BTreeSet<u64>,
    /// Time may have begun anew: fragments may have the timecodes of others.
    anew: bool,
    /// There were several tracks: what is flushed offline is a frame more for each of them.
    several: bool,
    /// What the open fragment costs, and the most that one ever did.
    fragment: u64,
    largest_fragment: u64,
    end_by: Option<Mono>,
    closed: bool,
}

/// The body of PutMedia at the service.
struct Body {
    ingest: Ingest,
    /// What began in it, and whether it is complete.
    fragments: Vec<(u64, bool)>,
}

impl World {
    fn new(settings: &Settings) -> Self {
        let mut definition = StreamDefinition::new(StreamName::new("cam1").unwrap());
        definition.streaming_type = match settings.offline {
            true => StreamingType::Offline,
            false => StreamingType::Realtime,
        };
        definition.fragment_acks = settings.acks;
        if settings.relative {
            definition.timecode_type = TimecodeType::Relative;
        }
        definition.storage = (u64::from(settings.kib) + 1) << 10;
        if let Some(tenths) = settings.shortest {
            let shortest = Duration::from_millis(u64::from(tenths) * 100);
            definition.fragmentation = Fragmentation::AfterDuration(shortest);
        }
        definition.restart_on_error = settings.restarts;
        if let Some(seconds) = settings.replay_seconds {
            definition.replay_duration = Duration::from_secs(seconds.into());
        }
        definition.buffer_duration = Duration::from_secs(u64::from(settings.buffer_seconds) + 1);
        definition.spool = settings.spool.as_ref().map(spool);
        if settings.tags {
            definition.tags.insert("site".into(), "yard".into());
        }
        let mut session = Session::new(definition, 1);
        session.set_tracks(&[track(64)]).unwrap();
        Self {
            session,
            disk: Disk::default(),
            now: Mono::from_secs(10),
            pts: EPOCH_MS,
            sound: EPOCH_MS,
            under_way: None,
            body: None,
            settled: BTreeSet::new(),
            anew: false,
            several: false,
            fragment: 0,
            largest_fragment: 0,
            end_by: None,
            closed: false,
        }
    }

    fn step(&mut self, step: Step) {
        if self.session.interleaves() {
            // A track that was missing and is back may begin time anew, too.
            (self.anew, self.several) = (true, true);
        }
        if self.anew {
            self.settled.clear();
        }
        match step {
            Step::Frame {
                millis,
                key,
                units,
                times,
            } => {
                self.pts = self.pts.saturating_add_signed(millis.into());
                self.frame(key, &units, usize::from(times) + 1);
            }
            Step::Jump(hours) => self.pts = u64::from(hours) * 3_600_000 * 40,
            Step::Wait { tenths } => {
                let until = self.now + Duration::from_millis(u64::from(tenths) * 100);
                self.wait(until);
            }
            Step::Send(chunks) => self.send(chunks),
            Step::Succeed { life } => self.succeed(life),
            Step::Describe { status, keeps } => {
                let status = match status % 3 {
                    0 => StreamStatus::Active,
                    1 => StreamStatus::Creating,
                    _ => StreamStatus::Deleting,
                };
                self.describe(status, keeps);
            }
            Step::Fail { status, code } => self.fail(Cause::Answer {
                status,
                code: CODES[usize::from(code) % CODES.len()].into(),
                request_id: None,
            }),
            Step::Lose => self.fail(Cause::Transport),
            Step::Ack { kind, which, error } => self.ack(kind, which, error),
            Step::Response(bytes) => self.respond(&bytes),
            Step::Close => {
                if self.body.is_some() {
                    (self.under_way, self.body) = (None, None);
                    self.session.handle(self.now, Input::Closed);
                }
            }
            Step::EndFragment => self.session.end_fragment(),
            Step::Sound { millis } => self.sound(millis),
            Step::Audio(what) => {
                let (audio, until) = (TrackNumber::AUDIO, Timestamp::from_millis(self.sound));
                match what % 6 {
                    0 => self.session.expect_track(audio).unwrap(),
                    1 => self.session.set_track(sound(u32::from(what))).unwrap(),
                    2 => self.session.end_track(self.now, audio),
                    3 => self.session.remove_track(audio),
                    4 => self.session.track_gap(self.now, audio, until),
                    _ => self.session.end_fragment_of(audio),
                }
            }
            Step::RestartTime => {
                self.anew = true;
                self.session.restart_time();
            }
            Step::Metadata {
                name,
                value,
                persistent,
            } => {
                let (name, value) = ("n".repeat(name.into()), "v".repeat(value.into()));
                let _ = self.session.put_metadata(&name, &value, persistent);
            }
            Step::Tracks { width } => {
                let track = track(u32::from(width % 4) + 64);
                match width < 128 {
                    true => self.session.set_tracks(&[track]).unwrap(),
                    false => self.session.set_track(track).unwrap(),
                }
            }
            Step::End { tenths, stop } => {
                let limit = Duration::from_millis(u64::from(tenths) * 100 + 1);
                self.session.end(self.now, self.now + limit, stop);
                self.end_by = Some(self.now + limit + self.leave());
            }
            Step::Resume => {
                self.session.resume();
                self.end_by = None;
            }
            Step::Suspend { seconds } => {
                let time = Duration::from_secs(seconds.into());
                self.now = self.now + time;
                self.end_by = self.end_by.map(|by| by + time);
                self.session.handle(self.now, Input::Suspended(time));
            }
            Step::Disk { tasks, fails } => {
                for _ in 0..tasks {
                    self.disk.answer(&mut self.session, self.now, fails);
                    self.turn();
                }
            }
        }
    }

    /// What is not PERSISTED by then is written to disk.
    fn leave(&self) -> Duration {
        let spool = self.session.definition().spool.as_ref();
        spool.map_or(Duration::ZERO, |_| Duration::from_millis(801))
    }

    fn frame(&mut self, key: bool, units: &[u8], times: usize) {
        let mut payload = Vec::new();
        // Each byte is a NAL unit of that length. None is empty: the sink lets such units pass, `kvs-local` does not.
        for unit in units.repeat(times).into_iter().take(300) {
            let length = unit.max(1);
            payload.extend(u32::from(length).to_be_bytes());
            payload.resize(payload.len() + usize::from(length), unit);
        }
        let frame = Frame {
            track: TrackNumber::VIDEO,
            pts: Timestamp::from_millis(self.pts),
            dts: None,
            key,
            payload: payload.into(),
        };
        self.put(frame);
    }

    fn sound(&mut self, millis: i16) {
        self.sound = self.sound.saturating_add_signed(millis.into());
        self.put(Frame {
            track: TrackNumber::AUDIO,
            pts: Timestamp::from_millis(self.sound),
            dts: None,
            key: false,
            payload: vec![0; 40].into(),
        });
    }

    fn put(&mut self, frame: Frame) {
        let before = self.session.stats(self.now);
        match self.session.put_frame(self.now, frame) {
            Ok(()) => {
                let after = self.session.stats(self.now);
                assert_eq!(after.frames_in, before.frames_in + 1);
                if after.fragments_pending > before.fragments_pending {
                    self.fragment = 0;
                }
                self.fragment += after.bytes_buffered.saturating_sub(before.bytes_buffered);
                self.largest_fragment = self.largest_fragment.max(self.fragment);
            }
            Err(Refused::Full(_)) => {
                assert_eq!(
                    self.session.definition().streaming_type,
                    StreamingType::Offline
                );
            }
            Err(Refused::Stopped) => {}
        }
    }

    /// Time passes, as for the driver: what is due is polled when it is.
    fn wait(&mut self, until: Mono) {
        for _ in 0..10_000 {
            match self.turn().filter(|at| *at < until) {
                Some(at) => self.now = self.now.max(at),
                None => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("the driver would spin at {}", self.now);
    }

    fn send(&mut self, chunks: u8) {
        for _ in 0..chunks {
            let Some(body) = &mut self.body else {
                return;
            };
            let Some(chunk) = self.session.transmit(self.now) else {
                assert!(!self.session.wants_transmit(), "it has nothing");
                return;
            };
            body.ingest.feed(&chunk);
            self.read();
            self.turn();
        }
    }

    fn read(&mut self) {
        let body = self.body.as_mut().unwrap();
        while let Some(step) = body
            .ingest
            .next(u64::MAX / 2)
            .expect("the service reads it")
        {
            body.reads(step, &self.settled);
        }
    }

    fn succeed(&mut self, life: u8) {
        match self.under_way {
            Some(Call::PutMedia) => {
                let until = (life > 0).then(|| self.now + Duration::from_secs(life.into()));
                self.session.handle(self.now, Input::Opened { until });
            }
            Some(Call::Describe) => self.describe(StreamStatus::Active, true),
            None => {}
            Some(call) => {
                self.under_way = None;
                self.session.handle(self.now, Input::Done(call));
            }
        }
    }

    fn describe(&mut self, status: StreamStatus, keeps: bool) {
        if self.under_way == Some(Call::Describe) {
            self.under_way = None;
            let retention = Duration::from_secs(if keeps { 3600 } else { 0 });
            let answer = described(status, retention);
            self.session.handle(self.now, Input::Described(answer));
        }
    }

    fn fail(&mut self, cause: Cause) {
        if let Some(call) = self.under_way.take() {
            self.body = None;
            let lost = failure(call, cause, "so it is".into());
            self.session.handle(self.now, Input::Failed(&lost));
        }
    }

    fn ack(&mut self, kind: u8, which: u8, error: u8) {
        let Some(body) = &self.body else { return };
        let kind = ["BUFFERING", "RECEIVED", "PERSISTED", "ERROR", "IDLE"][usize::from(kind) % 5];
        let fragment = body.fragments.iter().rev().nth(which.into()).copied();
        // Also of fragments that are not complete, and of such as never were.
        let timecode = fragment.map_or(u64::from(which), |(timecode, _)| timecode);
        if let ("PERSISTED", Some((timecode, true))) = (kind, fragment)
            && !self.anew
        {
            self.settled.insert(timecode);
        }
        let error = ERRORS[usize::from(error) % ERRORS.len()];
        let error = match kind {
            "ERROR" => format!(r#","ErrorId":{error},"ErrorCode":"X""#),
            _ => String::new(),
        };
        let ack = format!(r#"{{"EventType":"{kind}","FragmentTimecode":{timecode}{error}}}"#);
        self.respond(ack.as_bytes());
    }

    fn respond(&mut self, bytes: &[u8]) {
        if self.body.is_some() {
            self.session.handle(self.now, Input::Response(bytes));
        }
    }

    /// Polls until it waits. When it is to be polled again.
    fn turn(&mut self) -> Option<Mono> {
        for _ in 0..1_000 {
            match self.session.poll(self.now) {
                Output::Wait { at, .. } => {
                    self.check();
                    return at;
                }
                output => self.perform(output),
            }
        }
        panic!("the driver would spin");
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Call(call) => {
                assert_eq!(self.under_way, None, "{call} while something is under way");
                self.under_way = Some(call);
            }
            Output::Open { start } => {
                assert_eq!(
                    self.under_way, None,
                    "PutMedia while something is under way"
                );
                self.under_way = Some(Call::PutMedia);
                let timecodes = match self.session.definition().timecode_type {
                    TimecodeType::Absolute => Timecodes::Absolute,
                    TimecodeType::Relative => Timecodes::Relative {
                        start_ms: start.as_millis_rounded(),
                    },
                };
                self.body = Some(Body {
                    ingest: Ingest::new(timecodes),
                    fragments: Vec::new(),
                });
            }
            Output::CloseBody => {
                let body = self.body.as_mut().expect("a body to close");
                if let Some(step) = body.ingest.finish().expect("the body may end here") {
                    body.reads(step, &self.settled);
                }
            }
            Output::Abort => (self.under_way, self.body) = (None, None),
            Output::Tell(event) => {
                assert!(!self.closed, "{event:?} after Closed");
                self.closed = matches!(event, Event::Closed(_));
            }
            Output::Spool(task) => self.disk.ask(task),
            Output::Wait { .. } => {}
        }
    }

    /// What holds whenever the session waits.
    fn check(&mut self) {
        let stats = self.session.stats(self.now);
        assert_eq!(
            stats.frames_in,
            stats.frames_persisted
                + stats.frames_dropped()
                + stats.frames_pending
                + stats.spool.frames_left,
            "{stats}"
        );
        let definition = self.session.definition();
        let bound = match definition.streaming_type {
            StreamingType::Offline => {
                definition.storage.max(self.largest_fragment) + self.largest_fragment
            }
            _ if definition.spool.is_some() => definition.storage.max(self.largest_fragment),
            _ => definition.storage,
        };
        // What is read again to be sent is whole.
        let bound = match definition.spool {
            Some(_) => bound + self.largest_fragment,
            None => bound,
        };
        let bytes = stats.bytes_buffered;
        let flushed = self.several && definition.streaming_type == StreamingType::Offline;
        assert!(bytes <= bound || flushed, "{bytes} > {bound} bytes");
        if self.session.ended().is_some() {
            self.end_by = None;
        }
        assert!(
            self.end_by.is_none_or(|by| self.now < by),
            "the end is overdue"
        );
        assert_eq!(self.closed, self.session.is_stopped());
    }
}

impl Body {
    fn reads(&mut self, step: Reading, settled: &BTreeSet<u64>) {
        match step {
            Reading::Begun { timecode_ms } => {
                assert!(!settled.contains(&timecode_ms), "{timecode_ms} came again");
                self.fragments.push((timecode_ms, false));
            }
            Reading::Complete(_) => self.fragments.last_mut().unwrap().1 = true,
        }
    }
}

fn spool(settings: &Spool) -> SpoolDefinition {
    let mut spool = SpoolDefinition::new("/spool");
    if settings.always {
        spool.mode = SpoolMode::Always;
    }
    if settings.blocks {
        spool.policy = SpoolPolicy::Block;
    }
    if settings.live_first {
        spool.order = SpoolOrder::LiveFirst;
    }
    spool.max_bytes = (u64::from(settings.kib) + 1) << 10;
    spool.max_age = Duration::from_secs(settings.age_seconds.unwrap_or(0).into());
    spool
}

fn sound(rate: u32) -> Track {
    let rate = 8000 + rate;
    Track::audio(Codec::Alaw, alaw_private(rate, 1), rate, 1).unwrap()
}

fn track(width: u32) -> Track {
    Track::video(Codec::H264, AVCC.into(), width, 98).unwrap()
}

fuzz_target!(|story: Story| {
    let mut world = World::new(&story.settings);
    world.turn();
    for step in story.steps {
        world.step(step);
        world.turn();
    }
    let limit = Duration::from_secs(1);
    world.session.end(world.now, world.now + limit, true);
    world.wait(world.now + limit + world.leave());
    world.turn();
    assert!(world.session.is_stopped(), "the end comes in time");
    assert_eq!(world.session.stats(world.now).frames_pending, 0);
});
