//! What the session asks of the spool, what it is told, and what it tells.
//!
//! Belongs here: words and facts. Does not belong here: when (`spool`).

use std::time::Duration;

use bytes::Bytes;

use crate::{
    fragment::{FragmentId, SpoolFile, Spooled},
    time::Timecode,
};

/// Something to do with files. They are done in order, and each is answered by [`SpoolNews`].
#[derive(Clone, Debug, PartialEq)]
pub struct SpoolTask(pub(crate) Task);

/// What.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Task {
    /// Open the directory, and look what is there.
    Open,
    /// Write a fragment, so that it outlives a power cut.
    Write {
        id: FragmentId,
        about: Spooled,
        body: Vec<Bytes>,
    },
    /// Read a fragment.
    Read { id: FragmentId, file: u64 },
    /// It is PERSISTED, or dropped.
    Remove { file: u64 },
    /// The service refused it, or it is damaged: it is kept for somebody to look at.
    SetAside { file: u64, refused: bool },
    /// Try again what could not be removed or set aside.
    Clear,
}

/// What became of a task.
#[derive(Clone, Debug)]
pub(crate) enum SpoolNews {
    /// The directory is open, with what was found, and what of it is damaged: file and reason.
    Opened {
        fragments: Vec<(SpoolFile, Spooled)>,
        damaged: Vec<(String, String)>,
    },
    /// It cannot be opened.
    NotOpened { reason: String },
    /// It is in this file.
    Written { id: FragmentId, file: SpoolFile },
    /// It is not on disk.
    NotWritten { id: FragmentId, reason: String },
    /// Its bytes.
    Read { id: FragmentId, body: Bytes },
    /// Its file is damaged, or could not be read.
    NotRead {
        id: FragmentId,
        reason: String,
        is_damaged: bool,
    },
    /// A file was removed or set aside, or all were that could not be before; so many bytes of others still could not.
    Cleared { left_over: u64 },
    /// It could not be, and is one of the others now.
    NotCleared { left_over: u64, reason: String },
    /// Nobody does what is asked for, nor will; this answers all of it.
    Gone { reason: String },
}

impl SpoolNews {
    /// The disk could not do it.
    pub(super) fn is_failure(&self) -> bool {
        match self {
            Self::NotOpened { .. }
            | Self::NotWritten { .. }
            | Self::NotCleared { .. }
            | Self::Gone { .. } => true,
            Self::NotRead { is_damaged, .. } => !is_damaged,
            Self::Opened { .. }
            | Self::Written { .. }
            | Self::Read { .. }
            | Self::Cleared { .. } => false,
        }
    }
}

/// What happened with the spool.
///
/// ```
/// use gstkvssink::producer::{SpoolEvent, StreamCallbacks};
///
/// struct Log;
/// impl StreamCallbacks for Log {
///     fn spool(&self, event: &SpoolEvent) {
///         if let SpoolEvent::Failed { reason } = event {
///             eprintln!("only memory is left: {reason}");
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SpoolEvent {
    /// The directory is open. Fragments of an earlier run are in it, which are sent first; or none.
    Opened {
        /// How many.
        fragments: u64,
        /// Frames in them.
        frames: u64,
        /// Their files.
        bytes: u64,
    },
    /// A fragment is on disk: it outlives a power cut.
    Kept {
        /// Which.
        timecode: Timecode,
        /// Frames in it.
        frames: u64,
        /// Its file.
        bytes: u64,
    },
    /// A file is not sent: it is kept apart, below the spool's directory, for somebody to look at.
    SetAside {
        /// Its name, or the timecode of its fragment.
        what: String,
        /// Why.
        reason: String,
    },
    /// The disk does not take, give or remove what it should, or does not answer: memory goes on alone with what it does not take.
    /// Once, until it works again.
    Failed {
        /// What, where, and what to do.
        reason: String,
    },
    /// The disk works again.
    Restored,
    /// How far the upload of what is on disk is; every ten seconds while there is something.
    Progress(SpoolStats),
    /// An end was reached though so much is only on disk: if the stream does not go on, the next one of this name and location
    /// sends it.
    Left {
        /// How many.
        fragments: u64,
        /// Frames in them.
        frames: u64,
        /// Their files.
        bytes: u64,
    },
}

/// Counters and gauges of the spool of a stream; all are 0 without one.
///
/// ```
/// use gstkvssink::producer::Stats;
///
/// let stats = Stats::default(); // or Stream::metrics
/// assert_eq!(stats.spool.fragments, 0);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SpoolStats {
    /// `opening`, `open`, `failing`; empty without a spool.
    pub state: &'static str,
    /// Fragments that are on disk now.
    pub fragments: u64,
    /// Frames in them.
    pub frames: u64,
    /// Their files.
    pub bytes: u64,
    /// From the oldest frame on disk to the newest frame of the stream.
    pub age: Duration,
    /// Bytes that were written a second, over the last five to six seconds.
    pub write_rate: f64,
    /// Fragments that were written.
    pub fragments_written: u64,
    /// Frames that an earlier run has left, and this one found.
    pub frames_recovered: u64,
    /// Frames that are left on disk to the next run: after the end, or since the service refuses them in this one.
    pub frames_left: u64,
    /// Files that were set aside.
    pub set_aside: u64,
    /// Times that the disk failed.
    pub failures: u64,
}
