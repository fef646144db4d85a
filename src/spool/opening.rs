//! What is in the directory when a spool is opened.
//!
//! In: the files. Out: the fragments, and the files that are none, which are moved out of the way.
//! A file is judged by what was read of it, never by an error: what cannot be read now is left where it is.
//! Does not belong here: what is in a file ([`super::file`]).

use std::io::{self, ErrorKind};

use bytes::Bytes;

use super::{
    Aside, Damaged, Disk, Entry, Found, Spool, SpoolError, SpoolId, VERSION,
    file::{self, Unknown},
    names::{LAYOUT, Name},
};
use crate::fragment::Tracks;

/// Longest text that is read of a small file.
const MAX_TEXT: u64 = 64;

impl<D: Disk> Spool<D> {
    /// Nobody had one here before.
    ///
    /// # Errors
    /// Another version had; the disk fails.
    pub(super) fn is_new(&mut self) -> Result<bool, SpoolError> {
        let Some(found) = self.text(LAYOUT)? else {
            return Ok(true);
        };
        if found == VERSION {
            return Ok(false);
        }
        let path = self.disk.path(LAYOUT);
        Err(SpoolError::Layout {
            path,
            found: found.trim_end().to_owned(),
        })
    }

    /// What a small file says; none if there is no such file.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, SpoolError> {
        let bytes = self.disk.length(name).and_then(|length| {
            let length = length.min(MAX_TEXT);
            self.disk.read(name, 0, length as usize)
        });
        match bytes {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", name, error)),
        }
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, SpoolError> {
        let list = self.disk.list(folder);
        let mut names = list.map_err(|error| self.failed("list", folder, error))?;
        names.sort_unstable();
        Ok(names)
    }

    /// Learns what was set aside before. The number behind the greatest one there.
    pub(super) fn look_aside(&mut self, why: Aside) -> Result<u64, SpoolError> {
        let folder = self.folder(why).name;
        let mut next = 0;
        for file in self.list(folder)? {
            let Some(number) = Name::of(&file).number() else {
                continue;
            };
            next = next.max(number + 1);
            let name = self.folder(why).name_of(&file);
            // One of unknown length counts as a file.
            let length = self.disk.length(&name).unwrap_or(0);
            self.folder(why).insert(&file, length);
        }
        Ok(next)
    }

    /// Looks at all files. Also the number behind the greatest one.
    pub(super) fn look(&mut self) -> Result<(Found, u64), SpoolError> {
        let (mut found, mut next) = (Found::default(), 0);
        // The header of the fragment before and its tracks: most often those of the next one, too.
        let mut before: Option<(Bytes, Tracks)> = None;
        for name in self.list("")? {
            let kind = Name::of(&name);
            next = kind.number().map_or(next, |number| next.max(number + 1));
            let number = match kind {
                Name::Fragment(number) => number,
                Name::Part(_) => {
                    found.damaged.push(self.clear_part(name));
                    continue;
                }
                // What it was to replace is there still, or is written again.
                Name::Replacement => {
                    let _ = self.disk.remove(&name);
                    continue;
                }
                Name::Other => continue,
            };
            match self.judge(SpoolId(number), &name) {
                Ok(file::Found {
                    mut about,
                    known,
                    header,
                    ..
                }) => {
                    match before {
                        Some((same, tracks)) if same == header && tracks == about.tracks => {
                            about.tracks = tracks;
                        }
                        _ => {}
                    }
                    before = Some((header, about.tracks.clone()));
                    let id = SpoolId(number);
                    self.bytes = self.bytes.saturating_add(known.length);
                    self.index.insert(id, Entry { name, known });
                    found.fragments.push((id, about, known.length));
                }
                Err(Verdict::Gone) => {}
                Err(Verdict::Unread(error)) => found.damaged.push(Damaged {
                    file: name,
                    reason: format!("it cannot be read: {error}; it was left where it is"),
                }),
                Err(Verdict::Aside(why, reason)) => {
                    found.damaged.push(self.clear_away(name, why, reason));
                }
            }
        }
        Ok((found, next))
    }

    fn judge(&mut self, id: SpoolId, name: &str) -> Result<file::Found, Verdict> {
        let length = self.disk.length(name).map_err(Verdict::of)?;
        let disk = &mut self.disk;
        let found = file::find(length, |from, length| disk.read(name, from, length));
        let found = found.map_err(|unknown| match unknown {
            Unknown::Damaged(reason) => Verdict::Aside(Aside::Damaged, reason),
            Unknown::Unread(error) => Verdict::of(error),
        })?;
        if found.relative != self.relative {
            let [is, asked] = [found.relative, self.relative].map(|relative| match relative {
                true => "relative",
                false => "absolute",
            });
            let reason = format!("its timecode is {is}, and those of the stream are {asked} now");
            return Err(Verdict::Aside(Aside::Refused, reason));
        }
        // Only a person can have made the second one.
        if self.index.contains_key(&id) {
            let reason = format!("another file is {id}, too");
            return Err(Verdict::Aside(Aside::Damaged, reason));
        }
        Ok(found)
    }

    fn clear_part(&mut self, name: String) -> Damaged {
        let half = "it was being written when the process or the machine stopped";
        if !matches!(self.disk.length(&name), Ok(0)) {
            return self.clear_away(name, Aside::Damaged, half.to_owned());
        }
        let done = match self.disk.remove(&name) {
            Ok(()) => "it was empty, and removed".to_owned(),
            Err(error) => format!("it is empty, and could not be removed: {error}"),
        };
        Damaged {
            file: name,
            reason: format!("{half}; {done}"),
        }
    }

    fn clear_away(&mut self, name: String, why: Aside, reason: String) -> Damaged {
        let length = self.disk.length(&name).unwrap_or(0);
        let folder = self.folder(why).name;
        let done = match self.put_aside(&name, length, why) {
            Ok(()) => format!("it was moved to {folder}/"),
            Err(error) => format!("it could not be moved to {folder}/: {error}"),
        };
        Damaged {
            file: name,
            reason: format!("{reason}; {done}"),
        }
    }
}

/// Why a file is not taken.
enum Verdict {
    /// Somebody removed it meanwhile.
    Gone,
    Unread(io::Error),
    Aside(Aside, String),
}

impl Verdict {
    fn of(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::Gone,
            _ => Self::Unread(error),
        }
    }
}
