//! A disk that forgets at a power cut what was not synced, and fails when it is told to.
//!
//! In: the calls of a [`Disk`], and faults. Out: what a file system may do at worst: bytes that were not synced survive
//! wholly, as a prefix, as zeros, or not; so does each change of a name, no matter in which order they were made. Only what is one
//! change to a folder stays one: a rename in it.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    path::PathBuf,
};

use super::Disk;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// EIO, and nothing was done.
    Io,
    /// EIO, although it was done.
    IoDone,
    /// ENOSPC, and nothing was done.
    Full,
    /// ENOSPC, and half of it was written.
    FullInTheMiddle,
    /// EROFS.
    ReadOnly,
    /// The process ends: what was under way may be done or not, and no call after it.
    Death,
}

/// When calls fail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) failure: Failure,
    /// The first call that may: 0 is the next one.
    pub(super) after: u64,
    /// So do all that follow.
    pub(super) lasting: bool,
}

#[derive(Default)]
pub(super) struct Simulated {
    files: Vec<Content>,
    /// As the process sees them.
    names: BTreeMap<String, usize>,
    /// As they are after a power cut, if nothing else survives.
    synced: BTreeMap<String, usize>,
    /// Changes since, in order; what belongs to one folder is one change.
    changes: Vec<Change>,
    fault: Option<Fault>,
    pub(super) calls: u64,
    random: fastrand::Rng,
}

#[derive(Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: usize,
}

struct Change {
    folder: String,
    names: Vec<(String, Option<usize>)>,
}

impl Simulated {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            ..Self::default()
        }
    }

    /// From now on.
    pub(super) fn set_fault(&mut self, fault: Option<Fault>) {
        self.fault = fault;
    }

    /// A power cut.
    pub(super) fn cut_power(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            if self.random.bool() {
                apply(&mut self.synced, change.names);
            }
        }
        self.names = self.synced.clone();
        for file in &mut self.files {
            let left = match self.random.u8(0..4) {
                0 => file.synced,
                1 => file.bytes.len(),
                _ => self.random.usize(file.synced..=file.bytes.len()),
            };
            file.bytes.truncate(left);
            if self.random.bool() {
                let zeros = self.random.usize(file.synced..=left);
                file.bytes[zeros..].fill(0);
            }
            file.synced = left;
        }
    }

    /// All files, also those of folders.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    pub(super) fn content(&self, name: &str) -> &[u8] {
        &self.files[self.names[name]].bytes
    }

    /// Somebody else does it.
    pub(super) fn put(&mut self, name: &str, bytes: Vec<u8>) {
        let synced = bytes.len();
        self.files.push(Content { bytes, synced });
        self.names.insert(name.to_owned(), self.files.len() - 1);
        self.synced.insert(name.to_owned(), self.files.len() - 1);
    }

    /// How this call fails, if it does. Reading fails with EIO only.
    fn failure(&mut self, reads: bool) -> Option<Failure> {
        self.calls += 1;
        let fault = self.fault.as_mut()?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        let failure = fault.failure;
        if reads && !matches!(failure, Failure::Io | Failure::Death) {
            return None;
        }
        if !fault.lasting {
            self.fault = None;
        }
        Some(failure)
    }

    fn reading(&mut self) -> io::Result<()> {
        self.failure(true)
            .map_or(Ok(()), |failure| Err(error(failure)))
    }

    fn changing(&mut self, change: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        let Some(failure) = self.failure(false) else {
            return change(self);
        };
        let is_done = match failure {
            Failure::IoDone => true,
            // The first call of a process that ends; those after it are nobody's.
            Failure::Death => self.fault.is_some_and(|fault| !fault.lasting) || self.dies(),
            _ => false,
        };
        if is_done {
            change(self)?;
        }
        Err(error(failure))
    }

    /// Whether the call in which the process ends is done; all others are not.
    fn dies(&mut self) -> bool {
        if let Some(fault) = &mut self.fault {
            let is_first = fault.lasting;
            fault.lasting = true;
            return is_first && self.random.bool();
        }
        false
    }

    fn rename_all(&mut self, names: Vec<(String, Option<usize>)>) {
        apply(&mut self.names, names.clone());
        for (name, file) in names {
            let folder = folder_of(&name).to_owned();
            match self.changes.last_mut() {
                Some(last) if last.folder == folder && file.is_none() => {
                    last.names.push((name, file));
                }
                _ => self.changes.push(Change {
                    folder,
                    names: vec![(name, file)],
                }),
            }
        }
    }
}
