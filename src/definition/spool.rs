//! [`SpoolDefinition`]: what is kept on disk when memory cannot, or must not, keep it alone.

use std::{path::PathBuf, time::Duration};

use super::Invalid;

/// Smallest `spool-max-bytes` that makes sense: one fragment of the largest size, in bytes.
///
/// ```
/// use gstkvssink::producer::MIN_SPOOL;
///
/// assert_eq!(MIN_SPOOL, 50 << 20);
/// ```
pub const MIN_SPOOL: u64 = 50 << 20;

/// What goes to disk.
///
/// ```
/// use gstkvssink::producer::SpoolMode;
///
/// assert_eq!(SpoolMode::default(), SpoolMode::Overflow);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpoolMode {
    /// What is more than half of `storage`, and at the end all that is not PERSISTED. What memory holds is lost when the
    /// process is killed or power is cut.
    #[default]
    Overflow,
    /// Each fragment, as soon as it is complete. Lost by a power cut is the one that is being recorded.
    Always,
}

/// What happens when `max_bytes` are on disk.
///
/// ```
/// use gstkvssink::producer::SpoolPolicy;
///
/// assert_eq!(SpoolPolicy::default(), SpoolPolicy::DropOldest);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpoolPolicy {
    /// The oldest fragment is dropped and told, for the newest. Offline sources wait all the same.
    #[default]
    DropOldest,
    /// Nothing on disk is dropped for it. Of a live stream, which does not wait, memory keeps the newest that it can.
    Block,
}

/// In which order a live stream is sent that is behind. Offline sources are sent oldest first in any case.
///
/// ```
/// use gstkvssink::producer::SpoolOrder;
///
/// assert_eq!(SpoolOrder::default(), SpoolOrder::OldestFirst);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpoolOrder {
    /// In the order of its frames: it is live again when all is sent.
    #[default]
    OldestFirst,
    /// A stream that is behind for more than 30 s goes on with its newest fragment, and the link sends the backlog in turns of 10 s
    /// between live fragments, oldest first. Then live media comes some 10 s late, each turn is a session (a PutMedia request) of
    /// its own, and the service gets media out of its order; it is stored by its timecodes.
    LiveFirst,
}

/// Where and how a stream keeps fragments on disk.
///
/// ```
/// use gstkvssink::producer::{SpoolDefinition, SpoolMode, StreamDefinition, StreamName};
///
/// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
/// let mut definition = StreamDefinition::new(StreamName::new("cam1")?);
/// let mut spool = SpoolDefinition::new("/var/lib/kvssink");
/// spool.mode = SpoolMode::Always;
/// spool.max_bytes = 16 << 30;
/// definition.spool = Some(spool);
/// definition.check()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolDefinition {
    /// A directory, which is created if need be. Each stream has its own in it, `<stream>.spool`, so that several streams may
    /// share a location.
    pub location: PathBuf,
    /// What goes to disk.
    pub mode: SpoolMode,
    /// Bound of the files of fragments, in bytes; at least 50 MiB.
    pub max_bytes: u64,
    /// Fragments that are older than this, by the newest frame, are dropped and told; zero: they are kept.
    pub max_age: Duration,
    /// What happens at `max_bytes`.
    pub policy: SpoolPolicy,
    /// What is sent first when the stream is behind.
    pub order: SpoolOrder,
}

impl SpoolDefinition {
    /// 4 GiB, a little more than an hour of 8 Mbit/s, at this location.
    ///
    /// ```
    /// use gstkvssink::producer::SpoolDefinition;
    ///
    /// assert_eq!(SpoolDefinition::new("/var/lib/kvssink").max_bytes, 4 << 30);
    /// ```
    pub fn new(location: impl Into<PathBuf>) -> Self {
        Self {
            location: location.into(),
            mode: SpoolMode::default(),
            max_bytes: 4 << 30,
            max_age: Duration::ZERO,
            policy: SpoolPolicy::default(),
            order: SpoolOrder::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        if self.location.as_os_str().is_empty() {
            return Err(Invalid::new("spool-location", "must not be empty"));
        }
        if self.max_bytes < MIN_SPOOL {
            let reason = format!(
                "is {} bytes: a spool needs {MIN_SPOOL} at least, the largest fragment",
                self.max_bytes
            );
            return Err(Invalid::new("spool-max-bytes", reason));
        }
        Ok(())
    }
}
