//! Fragments on disk, so that they survive a crash and a power cut.
//!
//! In: complete fragments, as [`Spooled`] and the bytes on the wire. Out: the same, also in another process, in the order in
//! which they were written. A directory is of one stream, and one [`Spool`] has it:
//!
//! ```text
//! <location>/<stream>.spool/
//!   layout                                   version of all this
//!   lock                                     held as long as the spool lives
//!   next                                     no number from this one on was ever given to a file
//!   00000000000000000007-1700000000000.mkv   a fragment: its number, its timecode; any reader of Matroska plays it
//!   00000000000000000008.part                one that is being written
//!   refused/                                 what the service refused, or what is of the other kind of timecodes
//!   damaged/                                 what is not what was written
//! ```
//!
//! There is no index on disk: it would be a second truth that a power cut lets differ from the first. Each file says of itself
//! what must be known ([`mod@file`]), and opening reads those few bytes of each.
//!
//! What holds after a power cut, when the disk does as it says:
//! - a fragment whose [`Spool::write`] returned is there, whole, unless it was removed or set aside;
//! - one that was removed may be there again, whole, until a later fragment was written: a removal alone is not worth waiting
//!   for the disk, and the service takes a fragment twice. The same holds for one that was set aside, and for one whose
//!   `write` failed when it stood there already. So: at least once;
//! - no half fragment is ever given back. What is left of one is moved to `damaged/` and told ([`Found`]).
//!
//! Belongs here: files, their names and order. Does not belong here: how many there may be and which go first, when they are
//! sent, on which thread the disk is waited for (the caller decides all of these), a clock.

mod about;
mod aside;
mod changing;
mod disk;
mod error;
mod file;
pub(crate) mod inspect;
pub(crate) mod listed;
mod names;
mod opening;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    io::{self, ErrorKind},
    path::Path,
};

use bytes::Bytes;

use self::{
    aside::Folder,
    changing::number_in,
    file::Known,
    names::{LAYOUT, NEXT},
};
pub(crate) use self::{
    disk::{Disk, Files},
    error::SpoolError,
};
use crate::fragment::Spooled;

/// What `layout` says.
const VERSION: &str = "kvssink-spool 1\n";
/// So many numbers are reserved at once, for one more small file each.
const RESERVED: u64 = 1024;

/// The number of a file: increasing, and never given twice in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SpoolId(pub(crate) u64);

impl fmt::Display for SpoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spooled #{}", self.0)
    }
}

/// What there was when the spool was opened.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Each with the bytes of its file; in the order in which they were written.
    pub(crate) fragments: Vec<(SpoolId, Spooled, u64)>,
    /// Files that are none.
    pub(crate) damaged: Vec<Damaged>,
}

/// A file that was not given back, and why. It says, too, what became of it.
#[derive(Debug)]
pub(crate) struct Damaged {
    pub(crate) file: String,
    pub(crate) reason: String,
}

/// Why a file is kept, though nobody will send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aside {
    /// The service refuses it.
    Refused,
    /// It is not what was written.
    Damaged,
}

/// The fragments of a stream on a disk.
///
/// All calls wait for the disk, [`Self::write`] for as long as it needs to have all for good.
pub(crate) struct Spool<D: Disk = Files> {
    disk: D,
    relative: bool,
    index: BTreeMap<SpoolId, Entry>,
    /// Sum of the files in `index`, and of those in `leftovers`.
    bytes: u64,
    /// Files that ought to be gone: tried again with each change.
    leftovers: VecDeque<Leftover>,
    /// `next <= reserved`; no file has a number from `next` on, and none ever had one from `reserved` on.
    next: u64,
    reserved: u64,
    refused: Folder,
    damaged: Folder,
}

struct Entry {
    name: String,
    known: Known,
}

/// A file that could not be removed, or set aside.
struct Leftover {
    name: String,
    length: u64,
    aside: Option<Aside>,
}

impl Spool<Files> {
    /// The spool of this stream at that location, and what is in it. Timecodes are of one kind, `relative` or not.
    ///
    /// # Errors
    /// Another one has it; another version wrote it; the disk fails.
    pub(crate) fn open(
        location: &Path,
        stream: &str,
        relative: bool,
    ) -> Result<(Self, Found), SpoolError> {
        Self::with(Files::of(location, stream)?, relative)
    }
}

impl<D: Disk> Spool<D> {
    /// The same on a given disk.
    ///
    /// # Errors
    /// Another version wrote it; the disk fails. One file that is damaged or cannot be read is no error.
    pub(crate) fn with(disk: D, relative: bool) -> Result<(Self, Found), SpoolError> {
        let mut spool = Self {
            disk,
            relative,
            index: BTreeMap::new(),
            bytes: 0,
            leftovers: VecDeque::new(),
            next: 0,
            reserved: 0,
            refused: Folder::new("refused"),
            damaged: Folder::new("damaged"),
        };
        // Before anything is touched: it may be another version's.
        let is_new = spool.is_new()?;
        for folder in [spool.refused.name, spool.damaged.name] {
            let made = spool.disk.make_folder(folder);
            made.map_err(|error| spool.failed("make", folder, error))?;
        }
        if is_new {
            spool.replace(LAYOUT, VERSION)?;
        }
        let numbers = [
            spool.look_aside(Aside::Refused)?,
            spool.look_aside(Aside::Damaged)?,
        ];
        let (found, number) = spool.look()?;
        let used = numbers.into_iter().chain([number]).max().unwrap_or(0);
        spool.next = spool
            .text(NEXT)?
            .map_or(0, |text| number_in(&text))
            .max(used);
        spool.reserved = spool.next;
        // A process that was killed may have left a name that would not survive.
        let synced = spool.disk.sync_folder("");
        synced.map_err(|error| spool.failed("write", "", error))?;
        Ok((spool, found))
    }

    /// Keeps a fragment. It survives a power cut from the moment when this returns.
    ///
    /// # Errors
    /// The disk fails. The fragment is not kept, and nothing of it is left, unless the disk fails to remove that, too: it may
    /// then be found whole when the spool is opened again.
    pub(crate) fn write(&mut self, about: &Spooled, body: &[Bytes]) -> Result<SpoolId, SpoolError> {
        let _ = self.clear();
        let number = self.number()?;
        let around = file::around(about, self.relative, body);
        debug_assert_eq!(
            about.length,
            body.iter().map(|bytes| bytes.len() as u64).sum::<u64>(),
            "the length of the fragment is that of its bytes"
        );
        let (part, name) = (names::part(number), names::fragment(number, about.timecode));
        let before = [around.header];
        let after = [Bytes::from(around.trailer)];
        let bytes = before.iter().chain(body).chain(&after);
        let known = around.known;
        self.fill(&part, known.length, bytes)?;
        if let Err(error) = self.publish(&part, &name, known.length) {
            // Its name may not survive, and the caller has it still.
            self.discard(name, known.length);
            return Err(error);
        }
        self.bytes = self.bytes.saturating_add(known.length);
        let id = SpoolId(number);
        self.index.insert(id, Entry { name, known });
        Ok(id)
    }

    /// The body of a fragment: cluster and tags as on the wire, each byte as it was written.
    ///
    /// # Errors
    /// [`SpoolError::Damaged`]: it is not, or it is gone. Others: the disk fails, perhaps only now.
    pub(crate) fn read(&mut self, id: SpoolId) -> Result<Bytes, SpoolError> {
        let Some(Entry { name, known }) = self.index.get(&id) else {
            let reason = format!("there is no file of {id} in it");
            return Err(self.damaged("", reason));
        };
        let (name, known) = (name.clone(), *known);
        let bytes = self.disk.length(&name).and_then(|length| {
            // Not more than was written, whatever became of it.
            let length = length.min(known.length.saturating_add(1));
            self.disk.read(&name, 0, length as usize)
        });
        match bytes.map(|bytes| known.body(bytes)) {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(reason)) => Err(self.damaged(&name, reason)),
            Err(error) => Err(match error.kind() {
                ErrorKind::NotFound => {
                    self.damaged(&name, "it is gone: somebody removed it".into())
                }
                ErrorKind::UnexpectedEof => self.damaged(&name, "it is cut off".into()),
                _ => self.failed("read", &name, error),
            }),
        }
    }

    /// Forgets a fragment. One that is not known is forgotten already.
    ///
    /// # Errors
    /// The disk fails. It is forgotten nevertheless, and its file is tried to be removed again with the next changes; until
    /// then it counts in [`Self::left_over`], and who opens the spool again finds it.
    pub(crate) fn remove(&mut self, id: SpoolId) -> Result<(), SpoolError> {
        self.let_go(id, None)
    }

    /// Forgets a fragment, but keeps its file apart for a while: each folder has 16 files and 256 MiB at most, and the oldest
    /// go.
    ///
    /// # Errors
    /// As of [`Self::remove`].
    pub(crate) fn set_aside(&mut self, id: SpoolId, why: Aside) -> Result<(), SpoolError> {
        self.let_go(id, Some(why))
    }

    fn let_go(&mut self, id: SpoolId, aside: Option<Aside>) -> Result<(), SpoolError> {
        // What is known of them already is no news.
        let _ = self.clear();
        let Some(Entry { name, known }) = self.index.remove(&id) else {
            return Ok(());
        };
        self.part_with(Leftover {
            name,
            length: known.length,
            aside,
        })
    }

    /// Bytes of the file of this fragment.
    pub(crate) fn length(&self, id: SpoolId) -> Option<u64> {
        self.index.get(&id).map(|entry| entry.known.length)
    }

    /// Bytes of the files that ought to be gone.
    pub(crate) fn left_over(&self) -> u64 {
        let lengths = self.leftovers.iter().map(|leftover| leftover.length);
        lengths.fold(0, u64::saturating_add)
    }

    /// Bytes of the files of fragments, without those that were set aside.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn failed(&self, doing: &'static str, name: &str, error: io::Error) -> SpoolError {
        SpoolError::of(doing, self.disk.path(name), error)
    }

    fn damaged(&self, name: &str, reason: String) -> SpoolError {
        let path = self.disk.path(name);
        SpoolError::Damaged { path, reason }
    }
}
