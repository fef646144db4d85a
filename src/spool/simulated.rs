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
    /// Changes since, in order.
    changes: Vec<Change>,
    fault: Option<Fault>,
    dead: bool,
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
        self.dead = false;
    }

    /// A power cut.
    pub(super) fn cut_power(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            if self.random.bool() {
                apply(&mut self.synced, &change.names);
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

    /// The process ended, or its disk fails for good.
    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    /// How this call fails, if it does. Reading fails with EIO only.
    fn failure(&mut self, reads: bool) -> Option<Failure> {
        if self.dead {
            return Some(Failure::Io);
        }
        self.calls += 1;
        let fault = self.fault.as_mut()?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        let Fault {
            failure, lasting, ..
        } = *fault;
        if reads && !matches!(failure, Failure::Io | Failure::Death) {
            return None;
        }
        if !lasting {
            self.fault = None;
        }
        if failure != Failure::Death {
            return Some(failure);
        }
        self.dead = true;
        let is_done = self.random.bool();
        Some(if is_done {
            Failure::IoDone
        } else {
            Failure::Io
        })
    }

    fn reading(&mut self) -> io::Result<()> {
        let failure = self.failure(true);
        failure.map_or(Ok(()), |failure| Err(error(failure)))
    }

    fn changing(&mut self, change: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        match self.failure(false) {
            None => change(self),
            Some(failure @ Failure::IoDone) => change(self).and_then(|()| Err(error(failure))),
            Some(failure) => Err(error(failure)),
        }
    }

    /// One change, of names in one folder.
    fn change(&mut self, folder: &str, names: Vec<(String, Option<usize>)>) {
        apply(&mut self.names, &names);
        let folder = folder.to_owned();
        self.changes.push(Change { folder, names });
    }

    fn file(&self, name: &str) -> io::Result<usize> {
        let file = self.names.get(name).copied();
        file.ok_or_else(|| ErrorKind::NotFound.into())
    }
}

fn error(failure: Failure) -> io::Error {
    match failure {
        // What Linux calls EIO has no name of its own in Rust.
        Failure::Io | Failure::IoDone | Failure::Death => io::Error::other("Input/output error"),
        Failure::Full | Failure::FullInTheMiddle => ErrorKind::StorageFull.into(),
        Failure::ReadOnly => ErrorKind::ReadOnlyFilesystem.into(),
    }
}

fn folder_of(name: &str) -> &str {
    name.split_once('/').map_or("", |(folder, _)| folder)
}

fn apply(to: &mut BTreeMap<String, usize>, names: &[(String, Option<usize>)]) {
    for (name, file) in names {
        match file {
            Some(file) => to.insert(name.clone(), *file),
            None => to.remove(name),
        };
    }
}

impl Disk for &mut Simulated {
    type File = usize;

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/simulated").join(name)
    }

    fn make_folder(&mut self, _: &str) -> io::Result<()> {
        self.changing(|_| Ok(()))
    }

    fn list(&mut self, folder: &str) -> io::Result<Vec<String>> {
        self.reading()?;
        let names = self.names.keys().filter(|name| folder_of(name) == folder);
        let names = names.map(|name| name.rsplit('/').next().unwrap_or(name).to_owned());
        Ok(names.collect())
    }

    fn length(&mut self, name: &str) -> io::Result<u64> {
        self.reading()?;
        Ok(self.files[self.file(name)?].bytes.len() as u64)
    }

    fn read(&mut self, name: &str, from: u64, length: usize) -> io::Result<Vec<u8>> {
        self.reading()?;
        let bytes = &self.files[self.file(name)?].bytes;
        let bytes = bytes
            .get(from as usize..)
            .and_then(|bytes| bytes.get(..length));
        Ok(bytes.ok_or(ErrorKind::UnexpectedEof)?.to_vec())
    }

    fn create(&mut self, name: &str) -> io::Result<usize> {
        self.changing(|disk| {
            if disk.names.contains_key(name) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            disk.files.push(Content::default());
            let file = Some(disk.files.len() - 1);
            disk.change(folder_of(name), vec![(name.to_owned(), file)]);
            Ok(())
        })?;
        self.file(name)
    }

    fn append(&mut self, file: &mut usize, bytes: &[u8]) -> io::Result<()> {
        let failure = self.failure(false);
        let done = match failure {
            None | Some(Failure::IoDone) => bytes.len(),
            Some(Failure::FullInTheMiddle) => bytes.len() / 2,
            Some(_) => 0,
        };
        self.files[*file].bytes.extend(&bytes[..done]);
        failure.map_or(Ok(()), |failure| Err(error(failure)))
    }

    fn sync(&mut self, file: &mut usize) -> io::Result<()> {
        let file = *file;
        self.changing(|disk| {
            disk.files[file].synced = disk.files[file].bytes.len();
            Ok(())
        })
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.changing(|disk| {
            let file = disk.file(from)?;
            let (from_folder, to_folder) = (folder_of(from), folder_of(to));
            let (from, to) = ((from.to_owned(), None), (to.to_owned(), Some(file)));
            if from_folder == to_folder {
                disk.change(to_folder, vec![to, from]);
            } else {
                disk.change(to_folder, vec![to]);
                disk.change(from_folder, vec![from]);
            }
            Ok(())
        })
    }

    fn sync_folder(&mut self, folder: &str) -> io::Result<()> {
        self.changing(|disk| {
            let changes = std::mem::take(&mut disk.changes);
            let (now, later) = changes
                .into_iter()
                .partition(|change| change.folder == folder);
            disk.changes = later;
            let now: Vec<Change> = now;
            for change in now {
                apply(&mut disk.synced, &change.names);
            }
            Ok(())
        })
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.changing(|disk| {
            disk.file(name)?;
            disk.change(folder_of(name), vec![(name.to_owned(), None)]);
            Ok(())
        })
    }
}
