//! What [`SpoolDirectory`](super::inspect::SpoolDirectory) tells of a spool: its files, or why it cannot be looked at.
//!
//! In: nothing. Out: types.
//! Belongs here: what a file is, and what to do about a spool that cannot be read.
//! Does not belong here: finding that out ([`super::inspect`] does).

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use crate::{
    definition::StreamName,
    time::{Timecode, Timestamp},
};

/// Why a spool cannot be looked at, or changed.
///
/// ```
/// use gstkvssink::producer::{SpoolDirectory, SpoolDirectoryError};
///
/// let error = SpoolDirectory::all("/nonexistent").unwrap_err();
/// assert!(matches!(error, SpoolDirectoryError::Io { .. }));
/// assert!(error.to_string().contains("/nonexistent"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolDirectoryError {
    /// There is none of this stream.
    #[error("there is no spool of stream {stream} at {location}: name the directory above {stream}.spool", location = location.display())]
    Missing {
        /// The stream.
        stream: StreamName,
        /// Where it was looked for.
        location: PathBuf,
    },
    /// A stream has it.
    #[error("{path} is in use by another process: end its stream first", path = path.display())]
    InUse {
        /// Its directory.
        path: PathBuf,
    },
    /// Another version wrote it.
    #[error("{path} says {found:?}, which this version does not know: take the version that wrote it", path = path.display())]
    Layout {
        /// The file that says so.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// The system refuses it.
    #[error("cannot {doing} {path}: {source}; {remedy}", path = path.display())]
    Io {
        /// What was tried, in a word.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What helps.
        remedy: &'static str,
    },
}

/// A file of a spool.
///
/// ```no_run
/// # fn f(spool: gstkvssink::producer::SpoolDirectory) -> Result<(), gstkvssink::producer::SpoolDirectoryError> {
/// let bytes: u64 = spool.files()?.iter().map(|file| file.bytes).sum();
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpooledFile {
    /// Its name below the directory, with `refused/` or `damaged/` before it where it is there.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// What it is.
    pub kind: SpooledKind,
}

/// What a file of a spool is, as far as its first and last bytes say.
///
/// ```no_run
/// use gstkvssink::producer::{SpooledFile, SpooledKind};
///
/// fn is_lost(file: &SpooledFile) -> bool {
///     matches!(file.kind, SpooledKind::Damaged(_))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpooledKind {
    /// A fragment that is to be sent.
    Fragment(SpooledFragment),
    /// It is being written; or, while no stream has the spool, it was when the process or the machine stopped.
    Unfinished,
    /// It is not what was written, and why. The next stream sets it aside.
    Damaged(String),
    /// It cannot be read now, and why.
    Unread(String),
    /// Set aside: the service refused it, or its timecode is not of the kind that the stream has.
    Refused,
    /// Set aside: it is not what was written.
    SetAside,
}

/// What a file says of its fragment.
///
/// ```no_run
/// use gstkvssink::producer::SpooledFragment;
///
/// fn seconds(fragment: &SpooledFragment) -> u64 {
///     fragment.last.saturating_since(fragment.earliest).as_secs()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpooledFragment {
    /// As on the wire.
    pub timecode: Timecode,
    /// The timecode counts from the first frame of the stream ([`TimecodeType::Relative`](crate::definition::TimecodeType::Relative)), not from 1970.
    pub relative: bool,
    /// Presentation time of the earliest frame.
    pub earliest: Timestamp,
    /// Presentation time of the latest one.
    pub last: Timestamp,
    /// How many there are.
    pub frames: u64,
}

pub(super) fn failed(doing: &'static str, path: &Path, source: io::Error) -> SpoolDirectoryError {
    let remedy = match source.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            "name the directory that the stream has as its location"
        }
        ErrorKind::PermissionDenied => "run it as the user whose process has the stream",
        ErrorKind::ReadOnlyFilesystem => "look for errors of the disk, and mount it writable",
        _ => "try again, and look for errors of the disk",
    };
    let path = path.to_owned();
    SpoolDirectoryError::Io {
        doing,
        path,
        source,
        remedy,
    }
}
