//! A disk that outlives its world, slow and unreliable.
//!
//! Belongs here: files of fragments, and what may go wrong with them. Does not belong here: what a real disk does with bytes
//! that were not synced (`crate::spool`), what comes of it ([`stories`]).

mod outage;
mod stories;

use std::{cell::RefCell, rc::Rc};

use super::{
    reader::{Element, Reader},
    scenarios::secs,
    *,
};
use crate::{
    definition::{SpoolDefinition, SpoolMode, SpoolOrder, SpoolPolicy},
    fragment::{SpoolFile, Spooled},
    session::{AckKind, SpoolEvent, SpoolNews, Task},
};

/// How many ms a disk hangs, such as one of a server that is away.
const HANG: std::ops::Range<u64> = 20_000..200_000;

/// The disk of a camera.
#[derive(Clone, Default)]
pub(super) struct Disk {
    files: BTreeMap<u64, (Spooled, Vec<u8>)>,
    next: u64,
    pub(super) refused: BTreeMap<u64, Vec<u8>>,
    /// A task takes so long, at most.
    slowest_ms: u64,
    /// Parts of the tasks that fail.
    fails: f64,
    unreadable: f64,
    pub(super) unremovable: f64,
    /// They hang for minutes.
    hangs: f64,
    /// Files that ought to be gone; or to be set aside.
    left_over: BTreeMap<u64, bool>,
    /// It is full.
    unwritable: bool,
    /// Part of what cannot be read that never can.
    damaged: f64,
    /// It does what is asked for from then on.
    pub(super) free: Mono,
    writes: u64,
    pub(super) clears: u64,
    /// In place of all this: real files, which do not fail.
    real: Option<Rc<RefCell<outage::Files>>>,
}

impl Disk {
    /// Frames that are on it.
    pub(super) fn frames(&self) -> BTreeSet<u64> {
        let frames = self.files.values().flat_map(|(_, body)| frames(body));
        frames.collect()
    }

    pub(super) fn is_slow(&mut self, most_ms: u64) {
        self.slowest_ms = most_ms;
    }

    pub(super) fn files_left(&self) -> usize {
        self.files.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|(_, body)| body.len() as u64).sum()
    }
}

pub(super) fn frames(body: &[u8]) -> Vec<u64> {
    let elements = Reader::default().feed(body).expect("it is a fragment");
    let blocks = elements
        .into_iter()
        .filter_map(|(element, _)| match element {
            Element::Block { payload, .. } => Some(source::number(&payload)),
            _ => None,
        });
    blocks.collect()
}

impl World {
    pub(super) fn on_disk(&mut self, task: Task) {
        if let Some(files) = &self.disk.real {
            let (news, took) = files.borrow_mut().perform(task);
            return self.news(news, took);
        }
        let fails = self.chance(self.disk.fails);
        let reason = || "EIO".to_owned();
        let news = match task {
            Task::Open if fails => SpoolNews::NotOpened { reason: reason() },
            Task::Open => SpoolNews::Opened {
                fragments: (self.disk.files.iter())
                    .map(|(number, (about, body))| {
                        let bytes = body.len() as u64;
                        let number = *number;
                        (SpoolFile { number, bytes }, about.clone())
                    })
                    .collect(),
                damaged: Vec::new(),
            },
            Task::Write { id, .. } if fails || self.disk.unwritable => SpoolNews::NotWritten {
                id,
                reason: reason(),
            },
            Task::Write { id, about, body } => {
                let body: Vec<u8> = body.concat();
                assert_eq!(about.length, body.len() as u64);
                assert_eq!(about.frames, frames(&body).len() as u64);
                let number = self.disk.next;
                self.disk.next += 1;
                self.disk.writes += 1;
                let bytes = body.len() as u64;
                self.disk.files.insert(number, (about, body));
                let file = SpoolFile { number, bytes };
                SpoolNews::Written { id, file }
            }
            Task::Read { id, file } => {
                let body = self.disk.files[&file].1.clone();
                if self.chance(self.disk.unreadable) {
                    SpoolNews::NotRead {
                        id,
                        reason: reason(),
                        is_damaged: self.chance(self.disk.damaged),
                    }
                } else {
                    let body = body.into();
                    SpoolNews::Read { id, body }
                }
            }
            Task::Remove { file } => {
                assert!(self.disk.files.contains_key(&file), "once");
                self.disk.left_over.insert(file, false);
                self.clear()
            }
            Task::SetAside { file, .. } => {
                assert!(self.disk.files.contains_key(&file), "once");
                self.disk.left_over.insert(file, true);
                self.clear()
            }
            Task::Clear => {
                self.disk.clears += 1;
                self.clear()
            }
        };
        self.news(news, Duration::ZERO);
    }

    /// It comes when the disk has done what was before; it takes so long, at least.
    fn news(&mut self, news: SpoolNews, took: Duration) {
        let is_free = self.disk.free <= self.now;
        let hangs = is_free && self.disk.hangs > 0.0 && self.chance(self.disk.hangs);
        let takes = match (hangs, self.disk.slowest_ms) {
            (true, _) => self.millis(HANG),
            (false, 0) => took,
            (false, slowest) => self.millis(0..slowest + 1).max(took),
        };
        self.disk.free = self.disk.free.max(self.now) + takes;
        let at = self.disk.free;
        self.plan_at(at, Happening::Disk(news));
    }

    /// What is not needed goes, and what could not go before.
    fn clear(&mut self) -> SpoolNews {
        let mut failed = false;
        for (file, is_kept) in std::mem::take(&mut self.disk.left_over) {
            if self.disk.unremovable > 0.0 && self.chance(self.disk.unremovable) {
                failed = true;
                self.disk.left_over.insert(file, is_kept);
            } else if let Some((_, body)) = self.disk.files.remove(&file)
                && is_kept
            {
                self.disk.refused.insert(file, body);
            }
        }
        let left = self.disk.left_over.keys();
        let left_over = left.map(|file| self.disk.files[file].1.len() as u64).sum();
        match failed {
            true => SpoolNews::NotCleared {
                left_over,
                reason: "EROFS".to_owned(),
            },
            false => SpoolNews::Cleared { left_over },
        }
    }

    /// Another world with this disk and this service, after the process of this one was killed: nothing else is left. Its
    /// camera gives nothing.
    pub(super) fn rises_again(&mut self) -> Self {
        let definition = self.session.definition.clone();
        let mut next = Self::with(self.seed, |new| *new = definition);
        next.session.definition.restart_on_error = true;
        next.disk = Disk {
            fails: 0.0,
            unreadable: 0.0,
            unremovable: 0.0,
            hangs: 0.0,
            left_over: BTreeMap::new(),
            unwritable: false,
            free: Mono::ZERO,
            ..self.disk.clone()
        };
        next.service = std::mem::replace(&mut self.service, Service::new());
        next.service.stream = Stream::Active;
        next.service.future = u64::MAX;
        next.ledger.widths = self.ledger.widths.clone();
        (next.frames_left, next.off) = (0, true);
        next.bytes_per_second = 3_000_000;
        next
    }
}

/// A spool that is written to by chance, for a wild world.
pub(super) fn wild(world_seed: u64, definition: &mut StreamDefinition) -> Disk {
    let mut dice = fastrand::Rng::with_seed(world_seed ^ 0xD15C);
    if dice.u32(0..3) > 0 {
        return Disk::default();
    }
    let mut spool = SpoolDefinition::new("/spool");
    if dice.bool() {
        spool.mode = SpoolMode::Always;
    }
    if dice.bool() {
        spool.policy = SpoolPolicy::Block;
    }
    if dice.bool() {
        spool.order = SpoolOrder::LiveFirst;
    }
    spool.max_bytes = *dice.choice(&[64 << 10, 1 << 20, 1 << 30]).unwrap();
    if dice.u32(0..4) == 0 {
        spool.max_age = secs(dice.u64(5..60));
    }
    definition.spool = Some(spool);
    let mut rate = |most: f64| if dice.bool() { 0.0 } else { dice.f64() * most };
    Disk {
        fails: rate(0.3),
        unreadable: rate(0.1),
        damaged: rate(1.0),
        unremovable: rate(0.3),
        hangs: rate(0.05),
        slowest_ms: dice.u64(0..1000),
        ..Disk::default()
    }
}

/// When a wild world with a disk is away long enough for its backlog to be sent in turns, if it is to be.
pub(super) fn long_outage(world_seed: u64, world: &World) -> Option<(Mono, Mono)> {
    let spool = world.session.definition.spool.as_ref()?;
    let mut dice = fastrand::Rng::with_seed(world_seed ^ 0x0DE5);
    let from = Mono::from_secs(10) + Duration::from_millis(dice.u64(0..20_000));
    let takes_turns = spool.order == SpoolOrder::LiveFirst && world.session.is_live();
    (takes_turns && dice.bool()).then(|| {
        (
            from,
            from + Duration::from_millis(dice.u64(30_000..150_000)),
        )
    })
}

/// A camera of 10 frames a second and some 10 kB/s with little memory.
pub(super) fn camera(mode: SpoolMode) -> World {
    World::with(7, |definition| {
        definition.storage = 100_000;
        let mut spool = SpoolDefinition::new("/spool");
        spool.mode = mode;
        definition.spool = Some(spool);
    })
}

pub(super) fn told(world: &World, which: impl Fn(&SpoolEvent) -> bool) -> usize {
    world.told_times(|event| matches!(event, Event::Spool(spool) if which(spool)))
}
