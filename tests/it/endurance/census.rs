//! What the kernel says of this process.

use std::fs;

use crate::support::log::{eventually, threads};

/// Largest growth that counts as none, in KiB.
const FLAT: u64 = 2 << 10;
/// After so many rounds everything has been needed once, and what is kept for later is there.
const SETTLED: usize = 100;
/// After so many, the process says how it is: who waits for it takes a long silence for the end of it.
const SAID: usize = 20;

/// What a process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Census {
    pub(super) rss_kib: u64,
    pub(super) threads: usize,
    pub(super) files: usize,
}

impl Census {
    pub(super) fn now() -> Self {
        Self {
            rss_kib: status_kib("VmRSS:"),
            threads: threads().len(),
            files: fs::read_dir("/proc/self/fd").unwrap().count(),
        }
    }
}

/// The most memory that this process had since its start.
pub(super) fn peak_kib() -> u64 {
    status_kib("VmHWM:")
}

fn status_kib(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.unwrap().split_whitespace().next();
    number.unwrap().parse().unwrap()
}

/// A census after each of many rounds.
pub(super) struct Rounds {
    before: Census,
    after: Vec<Census>,
    count: usize,
}

impl Rounds {
    /// Before the first of so many.
    pub(super) fn begin(count: usize) -> Self {
        // The thread of what ran until now ends a moment after NULL, with all that it has.
        assert!(eventually(|| !threads().contains(&"sink".to_owned())));
        let before = Census::now();
        println!("before: {before:?}");
        Self {
            before,
            // It does not grow itself.
            after: Vec::with_capacity(count),
            count,
        }
    }

    /// How many there were.
    pub(super) fn done(&self) -> u64 {
        self.after.len() as u64
    }

    /// How many are to come.
    pub(super) fn left(&self) -> usize {
        self.count - self.after.len()
    }

    /// After one of them.
    pub(super) fn next(&mut self) {
        let now = Census::now();
        self.after.push(now);
        let round = self.after.len();
        if round == 1 || round.is_multiple_of(SAID) {
            println!("after {round}: {now:?}");
        }
    }

    /// Memory is flat once it has settled, and there are no more threads and files than before the first round.
    pub(super) fn assert_flat(&self) {
        let settled = &self.after[SETTLED - 1..];
        let first = settled[0].rss_kib;
        let most = settled.iter().map(|census| census.rss_kib).max().unwrap();
        println!("{first} KiB when settled, {most} KiB at most");
        assert!(most <= first + FLAT, "it grew: {:?}", self.after);
        // Fewer are right: GLib keeps threads of the past for a while.
        let mut now = self.before;
        let back = eventually(|| {
            now = Census::now();
            now.threads <= self.before.threads && now.files <= self.before.files
        });
        println!("at the end: {now:?}");
        assert!(back, "before: {:?}", self.before);
    }
}
