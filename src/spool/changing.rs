//! The changes of the directory, each in the order that a power cut forgives.
//!
//! In: what is to stand at a name. Out: it stands there for good, or nothing of it does, as well as the disk can.
//! A file is written under another name, synced, renamed, and its folder synced: only then it has its name for good, and it
//! never had it with other bytes.
//! Does not belong here: which bytes those are ([`super::file`]).

use std::io::{self, ErrorKind};

use super::{
    Aside, Disk, Leftover, RESERVED, Spool, SpoolError,
    aside::Folder,
    names::{self, MAX_NUMBER, NEXT},
};

/// Most files that are remembered as left over. Others are found when the spool is opened again.
const MAX_LEFTOVERS: usize = 4096;

impl<D: Disk> Spool<D> {
    /// A number that no file of the directory ever had.
    pub(super) fn number(&mut self) -> Result<u64, SpoolError> {
        if self.next >= self.reserved {
            let reserved = self.next + RESERVED;
            self.replace(NEXT, &format!("{reserved}\n"))?;
            self.reserved = reserved;
        }
        let number = self.next;
        self.next += 1;
        Ok(number)
    }

    /// Lets `text` stand at `name`, or what stood there before.
    pub(super) fn replace(&mut self, name: &str, text: &str) -> Result<(), SpoolError> {
        let part = names::replacement(name);
        // Of a try before.
        match self.disk.remove(&part) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(self.failed("remove", &part, error));
            }
            _ => {}
        }
        self.fill(&part, 0, [text])?;
        self.publish(&part, name, 0)
    }

    /// Writes a new file for good, though not yet its name. A failure leaves none.
    pub(super) fn fill<'a, T: AsRef<[u8]> + ?Sized + 'a>(
        &mut self,
        part: &str,
        length: u64,
        bytes: impl IntoIterator<Item = &'a T>,
    ) -> Result<(), SpoolError> {
        let file = self.disk.create(part);
        let mut file = file.map_err(|error| self.failed("create", part, error))?;
        let mut written = Ok(());
        for bytes in bytes {
            written = written.and_then(|()| self.disk.append(&mut file, bytes.as_ref()));
        }
        let written = written.and_then(|()| self.disk.sync(&mut file));
        drop(file);
        written.map_err(|error| {
            self.discard(part.to_owned(), length);
            self.failed("write", part, error)
        })
    }

    /// Gives a file its name for good. After a failure it may have it, but not for good.
    pub(super) fn publish(
        &mut self,
        part: &str,
        name: &str,
        length: u64,
    ) -> Result<(), SpoolError> {
        if let Err(error) = self.disk.rename(part, name) {
            self.discard(part.to_owned(), length);
            return Err(self.failed("write", name, error));
        }
        let synced = self.disk.sync_folder("");
        synced.map_err(|error| self.failed("write", name, error))
    }

    /// Removes what a failure left, now or later.
    pub(super) fn discard(&mut self, name: String, length: u64) {
        self.bytes = self.bytes.saturating_add(length);
        // The failure is told, not this.
        let _ = self.part_with(Leftover {
            name,
            length,
            aside: None,
        });
    }

    /// Removes what could not be removed before, and moves what could not be moved. A disk that fails still is asked once only,
    /// for another file each time.
    ///
    /// # Errors
    /// The disk fails still.
    pub(crate) fn clear(&mut self) -> Result<(), SpoolError> {
        while let Some(leftover) = self.leftovers.pop_front() {
            self.part_with(leftover)?;
        }
        Ok(())
    }

    /// Removes a file, or sets it aside; or remembers that it is to be done.
    pub(super) fn part_with(&mut self, leftover: Leftover) -> Result<(), SpoolError> {
        let Leftover {
            name,
            length,
            aside,
        } = &leftover;
        let (doing, done) = match *aside {
            Some(why) => ("move", self.put_aside(name, *length, why)),
            None => ("remove", self.disk.remove(name)),
        };
        match done {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let failed = self.failed(doing, name, error);
                if self.leftovers.len() < MAX_LEFTOVERS {
                    self.leftovers.push_back(leftover);
                } else {
                    self.bytes = self.bytes.saturating_sub(*length);
                }
                Err(failed)
            }
            _ => {
                self.bytes = self.bytes.saturating_sub(*length);
                Ok(())
            }
        }
    }

    pub(super) fn folder(&mut self, why: Aside) -> &mut Folder {
        match why {
            Aside::Refused => &mut self.refused,
            Aside::Damaged => &mut self.damaged,
        }
    }

    /// Moves a file to a folder, and removes the oldest there while there are too many. One that is gone is no error.
    pub(super) fn put_aside(&mut self, name: &str, length: u64, why: Aside) -> io::Result<()> {
        let to = self.folder(why).name_of(name);
        match self.disk.rename(name, &to) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            moved => moved?,
        }
        self.folder(why).insert(name, length);
        while let Some(oldest) = self.folder(why).excess() {
            let path = self.folder(why).name_of(&oldest);
            match self.disk.remove(&path) {
                // It is the oldest the next time, too.
                Err(error) if error.kind() != ErrorKind::NotFound => break,
                _ => self.folder(why).forget(&oldest),
            }
        }
        Ok(())
    }
}

/// The number that a small file says; 0 if it says none.
pub(super) fn number_in(text: &str) -> u64 {
    let number = text.trim_end().parse();
    number
        .ok()
        .filter(|&number| number < MAX_NUMBER)
        .unwrap_or(0)
}
