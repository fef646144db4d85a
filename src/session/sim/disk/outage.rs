//! A long outage over real files, and what comes of it: all media, most of the link, and memory that does not grow.
//!
//! The clock is virtual; the files, their bytes and the memory are not. `KVSSINK_FULL_SIZE=1`, which `make soak` sets, has two
//! hours of 8 Mbit/s, and shows the figures.
//! Belongs here: the real disk of a [`World`], and that nothing here grows with the media. Does not belong here: the disk that
//! fails ([`super`]).

#![allow(clippy::print_stdout, reason = "the figures")]

use std::{
    cell::{Cell, RefCell},
    path::Path,
    rc::Rc,
    time::Instant,
};

use tempfile::TempDir;

use super::*;
use crate::{
    mkv,
    session::sim::link::Tap,
    spool::{Spool, SpoolId},
};

const FPS: u64 = 10;
/// A fragment each two seconds.
const GOP: u64 = 20;
/// Bytes of a key frame and of the others: 8 Mbit/s in all.
const SIZES: (usize, usize) = (290_000, 90_000);
/// Bytes a second of the link: five times as many.
const LINK: u64 = 5_000_000;
/// Bytes of media in memory. Half of them are there before anything goes to disk.
const STORAGE: u64 = 64_000_000;
/// By default it is 4 GiB, which is 70 minutes.
const DISK: u64 = 10_000_000_000;
/// The world's own books of 90,000 frames, and what the allocator keeps.
const BOOKS_KIB: u64 = 24 << 10;

/// An outage of so many seconds.
struct Size {
    seconds: u64,
    /// All bytes are divided by that.
    part: u64,
    is_full: bool,
}

impl Size {
    fn asked_for() -> Self {
        let is_full = std::env::var_os("KVSSINK_FULL_SIZE").is_some();
        let (seconds, part) = if is_full { (7200, 1) } else { (600, 100) };
        Self {
            seconds,
            part,
            is_full,
        }
    }

    /// Its service goes away after five seconds.
    fn world(&self, files: Files) -> World {
        let mut world = World::with(7, |definition| {
            definition.storage = STORAGE / self.part;
            let mut spool = SpoolDefinition::new(files.dir.path());
            spool.max_bytes = DISK;
            definition.spool = Some(spool);
        })
        .away(5, 5 + self.seconds);
        let part = self.part as usize;
        world.source.sizes = (SIZES.0 / part, SIZES.1 / part);
        (world.source.fps, world.source.gop) = (FPS, GOP);
        world.bytes_per_second = LINK / self.part;
        world.disk.slowest_ms = 50;
        world.disk.real = Some(Rc::new(RefCell::new(files)));
        world
    }
}

/// The files of a world.
pub(super) struct Files {
    dir: TempDir,
    spool: Option<Spool>,
    /// A task takes its real time of the virtual one.
    in_real_time: bool,
    /// Of all tasks.
    took: Duration,
    written: u64,
    read: u64,
}

impl Files {
    /// Not in a directory that is in memory.
    fn new(in_real_time: bool) -> Self {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        std::fs::create_dir_all(&target).unwrap();
        Self {
            dir: TempDir::with_prefix_in("outage", target).unwrap(),
            spool: None,
            in_real_time,
            took: Duration::ZERO,
            written: 0,
            read: 0,
        }
    }

    /// As `net::disk` does it, but that this disk does not fail.
    pub(super) fn perform(&mut self, task: Task) -> (SpoolNews, Duration) {
        #[expect(clippy::disallowed_methods, reason = "how long a real disk takes")]
        let began = Instant::now();
        let news = self.news(task);
        let took = began.elapsed();
        self.took += took;
        (news, took * u32::from(self.in_real_time))
    }

    fn open(&mut self) -> SpoolNews {
        let (spool, found) = Spool::open(self.dir.path(), "cam1", false).unwrap();
        assert!(found.fragments.is_empty() && found.damaged.is_empty());
        self.spool = Some(spool);
        SpoolNews::Opened {
            fragments: Vec::new(),
            damaged: Vec::new(),
        }
    }

    fn news(&mut self, task: Task) -> SpoolNews {
        let Some(spool) = &mut self.spool else {
            assert!(matches!(task, Task::Open), "the first of all");
            return self.open();
        };
        match task {
            Task::Open => panic!("it is open"),
            Task::Write { id, about, body } => {
                let written = spool.write(&about, &body).unwrap();
                let bytes = spool.length(written).unwrap();
                self.written += bytes;
                let number = written.0;
                let file = SpoolFile { number, bytes };
                SpoolNews::Written { id, file }
            }
            Task::Read { id, file } => {
                let body = spool.read(SpoolId(file)).unwrap();
                self.read += body.len() as u64;
                SpoolNews::Read { id, body }
            }
            Task::Remove { file } => {
                spool.remove(SpoolId(file)).unwrap();
                SpoolNews::Cleared { left_over: 0 }
            }
            Task::SetAside { .. } | Task::Clear => panic!("this service refuses nothing"),
        }
    }

    /// Files of fragments.
    fn count(&self) -> usize {
        let names = std::fs::read_dir(self.dir.path().join("cam1.spool")).unwrap();
        let names = names.map(|entry| entry.unwrap().path());
        names
            .filter(|path| path.extension().is_some_and(|it| it == "mkv"))
            .count()
    }
}

/// Compares what comes to the service with what the camera gave, byte for byte.
struct Arrivals {
    camera: Source,
    /// What was looked at last in the agenda.
    last: Option<(Mono, u64)>,
    /// Whose media the reader has.
    connection: u64,
    reader: Reader,
    frames: u64,
}

impl Arrivals {
    fn new(camera: Source) -> Self {
        Self {
            camera,
            last: None,
            connection: 0,
            reader: Reader::default(),
            frames: 0,
        }
    }

    /// What is to happen next may be media.
    fn look(&mut self, world: &World) {
        let Some((at, Happening::Up(id, bytes))) = world.agenda.first_key_value() else {
            return;
        };
        if self.last.replace(*at) == Some(*at) {
            return;
        }
        if std::mem::replace(&mut self.connection, *id) != *id {
            self.reader = Reader::default();
        }
        for (element, _) in self.reader.feed(bytes).unwrap() {
            if let Element::Block { payload, .. } = element {
                let number = source::number(&payload);
                (self.camera.next, self.frames) = (number, self.frames + 1);
                assert!(
                    payload == self.camera.frame().payload,
                    "frame {number} is not what the camera gave"
                );
            }
        }
    }
}

impl World {
    /// As [`World::run_while`], and forgets the media that has arrived.
    fn run_lean(
        &mut self,
        arrivals: &RefCell<Arrivals>,
        until: Mono,
        holds: impl Fn(&Self) -> bool,
    ) {
        let known = Cell::new(self.ledger.settled.len());
        let over = Cell::new(false);
        while !over.get() && self.now < until {
            self.run_while(until, |world| {
                arrivals.borrow_mut().look(world);
                over.set(!holds(world));
                let settled = world.ledger.settled.len() - known.get();
                !over.get() && (settled < 4 || !world.session.store.at_boundary())
            });
            self.forget();
            known.set(self.ledger.settled.len());
        }
    }

    /// Between two fragments: what was sent is not compared with what will be, so its bytes can go.
    fn forget(&mut self) {
        if !self.session.store.at_boundary() {
            return;
        }
        let before = std::mem::take(&mut self.ledger);
        self.ledger.frames = before.frames;
        self.ledger.settled = before.settled;
        self.ledger.widths = before.widths;
        if let Some(link) = self.body.and_then(|id| self.connections.get_mut(&id)) {
            let mut tap = Tap::default();
            tap.see(&mkv::stream_header(&tracks(640)), &mut self.ledger);
            link.tap = tap;
        }
    }
}

/// The most memory that this process ever had; Linux says it.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.map_or(0, |number| number.parse().unwrap())
}

/// All of an outage goes to real files and comes back from them, each frame to the byte; memory does not grow with it, and the
/// link has at least 80 % of what it can carry while the camera goes on.
#[test]
fn an_outage_on_real_files_is_caught_up_with_most_of_the_link() {
    let size = Size::asked_for();
    let mut world = size.world(Files::new(size.is_full));
    let arrivals = RefCell::new(Arrivals::new(world.source.clone()));
    let (start, outage) = (world.now, secs(size.seconds));
    // By then memory has what it may have.
    world.run_lean(&arrivals, start + secs(120), |_| true);
    let mut peaks = vec![peak_kib()];
    world.run_lean(&arrivals, start + outage, |_| true);
    peaks.push(peak_kib());
    let stats = world.stats();
    assert!(stats.bytes_buffered <= STORAGE / size.part, "{stats}");
    let files = world.disk.real.clone().unwrap();
    assert_eq!(files.borrow().count() as u64, stats.spool.fragments);
    let (on_disk, rate) = (stats.spool.bytes, 8_000_000 / 8 / size.part);
    assert!(on_disk > (size.seconds - 120) * rate, "{on_disk}");

    let until = world.now + outage;
    world.run_lean(&arrivals, until, |world| world.stats().sessions < 2);
    let (began, before) = (world.now, world.stats());
    world.run_lean(&arrivals, began + secs(60), |_| true);
    peaks.push(peak_kib());
    world.run_lean(&arrivals, until, |world| world.stats().spool.fragments > 2);
    let took = world.now.saturating_since(began).as_secs_f64();
    let after = world.stats();
    let sent = (after.bytes_sent - before.bytes_sent) as f64 / took;
    let live = (after.frames_in - before.frames_in) as f64 / took;
    let part = sent / world.bytes_per_second as f64;
    assert!(world.now < until && part >= 0.8, "{part} of the link");
    assert!(live > 0.99 * FPS as f64, "the camera goes on: {live}");
    (world.frames_left, world.off) = (0, true);
    let until = world.now + secs(60);
    world.run_lean(&arrivals, until, |world| world.stats().frames_pending > 0);
    assert_eq!(world.drain(), Ok(()));
    peaks.push(peak_kib());

    let stats = world.stats();
    assert_eq!(world.missing(), Vec::<u64>::new());
    assert_eq!(stats.frames_dropped(), 0);
    assert_eq!(stats.frames_persisted, world.taken.len() as u64);
    let compared = arrivals.borrow().frames;
    assert!(compared >= stats.frames_in, "each is compared: {compared}");
    let files = files.borrow();
    assert_eq!(files.count(), 0);
    if size.is_full {
        let [written, read] = [files.written, files.read].map(|bytes| bytes / 1_000_000);
        println!(
            "{outage:?} of outage: {} MB on disk at its end; {written} MB written and {read} MB read in {:.0?}",
            on_disk / 1_000_000,
            files.took,
        );
        println!(
            "caught up in {took:.0} s with {:.1} % of a link of {} bytes/s, live at {live:.2} frames/s: {} frames, none lost",
            100.0 * part,
            world.bytes_per_second,
            stats.frames_in,
        );
        println!(
            "most memory in KiB, after two minutes, at the end of the outage, a minute into catching up, in the end: {peaks:?}"
        );
        // Elsewhere other tests share the process.
        let grew = |from: usize| peaks[from + 1] - peaks[from];
        assert!(grew(0) < BOOKS_KIB && grew(2) < BOOKS_KIB, "{peaks:?}");
    }
}
