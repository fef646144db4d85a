//! [`StreamDefinition`]: what a stream needs to run, checked once.
//!
//! In: values as an application or a property gives them. Out: a definition that the session can trust.
//! Belongs here: names, limits, units. Does not belong here: credentials and endpoints (`net`), GObject (`element`).

mod spool;

use std::{collections::BTreeMap, fmt, time::Duration};

pub use spool::{MIN_SPOOL, SpoolDefinition, SpoolMode, SpoolOrder, SpoolPolicy};

/// Longest media type list of a stream, in bytes (kvs-facts §2; producer SDK limits).
pub const MAX_CONTENT_TYPE: usize = 128;
/// Longest retention the service takes: ten years ("CreateStream", DataRetentionInHours).
pub const MAX_RETENTION: Duration = Duration::from_secs(87_600 * 3600);
/// Most tags of a stream ("TagStream").
pub const MAX_STREAM_TAGS: usize = 50;
/// Longest name and value of such a tag, in characters ("TagStream").
pub const MAX_STREAM_TAG: (usize, usize) = (128, 256);
/// Longest id of a KMS key ("CreateStream", KmsKeyId).
pub const MAX_KMS_KEY_ID: usize = 2048;
/// Smallest `storage` that makes sense: a few seconds of a small camera.
pub const MIN_STORAGE: u64 = 1 << 20;

/// Longest of all durations of a definition but the retention: 136 years, as many seconds as a property can say.
pub const MAX_DURATION: Duration = Duration::from_secs(u32::MAX as u64);
/// Least `bandwidth`, in bytes a second: an audio track of telephone quality. Less is a mistake of the unit.
pub const MIN_BANDWIDTH: u64 = 1000;

/// The name of a stream: 1–256 characters of `[a-zA-Z0-9_.-]` ("CreateStream", StreamName).
///
/// ```
/// use gstkvssink::producer::StreamName;
///
/// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
/// let name = StreamName::new("front-door")?;
/// assert_eq!(name.to_string(), "front-door");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamName(String);

impl StreamName {
    /// Checks the name.
    ///
    /// # Errors
    /// [`Invalid`] when it is empty, too long or has another character.
    ///
    /// ```
    /// use gstkvssink::producer::StreamName;
    ///
    /// assert!(StreamName::new("yard_2.left").is_ok());
    /// assert!(StreamName::new("front door").is_err());
    /// ```
    pub fn new(name: impl Into<String>) -> Result<Self, Invalid> {
        let name = name.into();
        if name.is_empty() {
            return Err(Invalid::new("stream-name", "must not be empty"));
        }
        if name.len() > 256 {
            return Err(Invalid::new(
                "stream-name",
                format!("has {} characters, at most 256 are allowed", name.len()),
            ));
        }
        if let Some(c) = name
            .chars()
            .find(|c| !(c.is_ascii_alphanumeric() || "_.-".contains(*c)))
        {
            return Err(Invalid::new(
                "stream-name",
                format!("{name:?} has {c:?}: use only a-z, A-Z, 0-9, '_', '.' and '-'"),
            ));
        }
        Ok(Self(name))
    }

    /// The name as text.
    ///
    /// ```
    /// use gstkvssink::producer::StreamName;
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
    /// assert_eq!(StreamName::new("cam1")?.as_str(), "cam1");
    /// # Ok(()) }
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What happens when media arrives faster than it leaves.
///
/// ```
/// use gstkvssink::producer::{StreamDefinition, StreamName, StreamingType};
///
/// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
/// let mut definition = StreamDefinition::new(StreamName::new("archive")?);
/// assert_eq!(definition.streaming_type, StreamingType::Realtime);
/// definition.streaming_type = StreamingType::Offline; // of a file, which can wait
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamingType {
    /// `put_frame` never waits; what does not fit drops the oldest fragments.
    #[default]
    Realtime,
    /// As realtime, but media is dropped only for want of room, not for its age.
    NearRealtime,
    /// `put_frame` waits for room, and while more than 2 MiB (a quarter of `storage`, if that is less) were not sent yet;
    /// nothing is dropped.
    Offline,
}

/// The base of the timecodes on the wire ("PutMedia", x-amzn-fragment-timecode-type).
///
/// ```
/// use gstkvssink::producer::{StreamDefinition, StreamName, TimecodeType};
///
/// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
/// let mut definition = StreamDefinition::new(StreamName::new("cam1")?);
/// assert_eq!(definition.timecode_type, TimecodeType::Absolute);
/// definition.timecode_type = TimecodeType::Relative; // the device has no clock
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimecodeType {
    /// Milliseconds since the UNIX epoch.
    #[default]
    Absolute,
    /// Milliseconds since the first frame of the stream.
    Relative,
}

/// Where fragments are cut.
///
/// ```
/// use std::time::Duration;
/// use gstkvssink::producer::{Fragmentation, StreamDefinition, StreamName};
///
/// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
/// let mut definition = StreamDefinition::new(StreamName::new("cam1")?);
/// // The encoder makes a key frame each half second: fewer fragments are fewer acks.
/// definition.fragmentation = Fragmentation::AfterDuration(Duration::from_secs(2));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragmentation {
    /// Each key frame begins a fragment.
    EachKeyFrame,
    /// The first key frame after this much media begins a fragment. A key frame within 20 s is needed: no fragment is longer.
    AfterDuration(Duration),
}

/// A stream and its limits. Build it with [`StreamDefinition::new`], change the fields, then hand it to the producer,
/// which calls [`StreamDefinition::check`].
///
/// Times are more than 0, but for `retention`, `stop_timeout` and `replay_duration`, which may be 0.
///
/// ```
/// use std::time::Duration;
/// use gstkvssink::producer::{StreamDefinition, StreamName};
///
/// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
/// let mut definition = StreamDefinition::new(StreamName::new("cam1")?);
/// definition.retention = Duration::from_secs(24 * 3600);
/// definition.storage = 64 << 20;
/// definition.tags.insert("site".into(), "yard".into());
/// definition.check()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDefinition {
    /// The destination.
    pub name: StreamName,
    /// Media type list of a stream that is created, such as `video/h264`, at most 128 bytes; `None`: derived from the
    /// tracks.
    pub content_type: Option<String>,
    /// Retention of a stream that is created; whole hours, 0 (nothing is kept) to ten years.
    pub retention: Duration,
    /// Give a stream that exists this retention, too. Less than before deletes what is older.
    pub update_retention: bool,
    /// Tags of a stream that is created; at most 50, of names of 1–128 characters and values of up to 256.
    pub tags: BTreeMap<String, String>,
    /// KMS key of a stream that is created: its id, ARN or alias, 1–2048 bytes; `None`: that of the service.
    pub kms_key_id: Option<String>,
    /// Create the stream when it does not exist.
    pub allow_create: bool,
    /// Describe the stream before anything else. Otherwise its data endpoint is asked for at once, and the retention that
    /// it has is taken to be this one.
    pub describe_before_put: bool,
    /// Realtime, near-realtime or offline.
    pub streaming_type: StreamingType,
    /// Base of the timecodes.
    pub timecode_type: TimecodeType,
    /// Ask the service for acks. Without them the end of the response counts as their RECEIVED.
    pub fragment_acks: bool,
    /// Where fragments are cut.
    pub fragmentation: Fragmentation,
    /// Length of fragments where no video says where to cut: of audio alone, whatever `fragmentation` is.
    pub fragment_duration: Duration,
    /// How long the other tracks wait for one that gives nothing. Then they go on without it, and it is left out of the
    /// header until it is back.
    pub track_timeout: Duration,
    /// Most bytes a second that are sent, with headers and with what is sent again, at least 1000; `None`: what the
    /// network takes.
    pub bandwidth: Option<u64>,
    /// Bound of the media held in memory, in bytes; at least 1 MiB.
    pub storage: u64,
    /// Oldest media kept (realtime only: near-realtime keeps what `storage` holds, offline everything).
    pub buffer_duration: Duration,
    /// Longest wait for the last acks at the end of the stream.
    pub stop_timeout: Duration,
    /// Longest time to connect to the service.
    pub connection_timeout: Duration,
    /// Longest time for a call to be answered; for PutMedia: for the head of the response.
    pub completion_timeout: Duration,
    /// Longest silence of acks while some are due, before a reconnect.
    pub connection_staleness: Duration,
    /// Reconnect after a failure; otherwise it ends the stream with an error.
    pub restart_on_error: bool,
    /// After a loss, what was sent longer than this before the newest that was sent is not sent again, but dropped and
    /// told. Zero: everything that is kept is sent again.
    pub replay_duration: Duration,
    /// Media that waits longer than this to be PERSISTED is told as latency pressure.
    pub max_latency: Duration,
    /// What is kept on disk, too; `None`: nothing.
    pub spool: Option<SpoolDefinition>,
}

impl StreamDefinition {
    /// A definition with the defaults of the C++ producer (drop-in.md).
    ///
    /// ```
    /// use gstkvssink::producer::{StreamDefinition, StreamName};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
    /// let definition = StreamDefinition::new(StreamName::new("cam1")?);
    /// assert_eq!(definition.storage, 128 << 20);
    /// assert_eq!(definition.buffer_duration.as_secs(), 120);
    /// assert!(definition.allow_create);
    /// # Ok(()) }
    /// ```
    pub fn new(name: StreamName) -> Self {
        Self {
            name,
            content_type: None,
            retention: Duration::from_secs(2 * 3600),
            update_retention: false,
            tags: BTreeMap::new(),
            kms_key_id: None,
            allow_create: true,
            describe_before_put: true,
            streaming_type: StreamingType::Realtime,
            timecode_type: TimecodeType::Absolute,
            fragment_acks: true,
            fragmentation: Fragmentation::EachKeyFrame,
            fragment_duration: Duration::from_secs(2),
            track_timeout: Duration::from_secs(5),
            bandwidth: None,
            storage: 128 << 20,
            buffer_duration: Duration::from_secs(120),
            stop_timeout: Duration::from_secs(120),
            connection_timeout: Duration::from_secs(5),
            completion_timeout: Duration::from_secs(10),
            connection_staleness: Duration::from_secs(60),
            restart_on_error: true,
            replay_duration: Duration::ZERO,
            max_latency: Duration::from_secs(60),
            spool: None,
        }
    }

    /// The retention in hours, as the service has it: up, so that less than an hour does not become 0, nothing kept.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gstkvssink::producer::{StreamDefinition, StreamName};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
    /// let mut definition = StreamDefinition::new(StreamName::new("cam1")?);
    /// definition.retention = Duration::from_secs(90 * 60);
    /// assert_eq!(definition.retention_hours(), 2);
    /// # Ok(()) }
    /// ```
    pub fn retention_hours(&self) -> u64 {
        self.retention.as_secs().div_ceil(3600)
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`Invalid`] with the name of the setting, the rule and the value.
    ///
    /// ```
    /// use gstkvssink::producer::{StreamDefinition, StreamName};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
    /// let mut definition = StreamDefinition::new(StreamName::new("cam1")?);
    /// assert_eq!(definition.check(), Ok(()));
    /// definition.storage = 128; // bytes, not MiB
    /// assert_eq!(definition.check().unwrap_err().setting, "storage-size");
    /// # Ok(()) }
    /// ```
    pub fn check(&self) -> Result<(), Invalid> {
        self.spool.as_ref().map_or(Ok(()), SpoolDefinition::check)?;
        if let Some(content_type) = &self.content_type {
            let parts = content_type.split(',').all(|part| {
                part.split_once('/')
                    .is_some_and(|(a, b)| !a.is_empty() && !b.is_empty() && !b.contains('/'))
            });
            if !parts || content_type.len() > MAX_CONTENT_TYPE {
                return Err(Invalid::new(
                    "content-type",
                    format!(
                        "{content_type:?} is not a list of media types such as video/h264,audio/aac of at most {MAX_CONTENT_TYPE} bytes"
                    ),
                ));
            }
        }
        if self.retention > MAX_RETENTION {
            return Err(Invalid::new(
                "retention-period",
                format!("{} h is more than 87600 h", self.retention.as_secs() / 3600),
            ));
        }
        if self.update_retention && !self.describe_before_put {
            let reason =
                "needs describe-before-put: a stream that is not described has no known retention";
            return Err(Invalid::new("update-retention", reason));
        }
        if self.tags.len() > MAX_STREAM_TAGS {
            return Err(Invalid::new(
                "stream-tags",
                format!(
                    "has {} tags, at most {MAX_STREAM_TAGS} are allowed",
                    self.tags.len()
                ),
            ));
        }
        for (name, value) in &self.tags {
            check_tag(name, value)?;
        }
        if let Some(key) = &self.kms_key_id
            && (key.is_empty() || key.len() > MAX_KMS_KEY_ID)
        {
            let reason = format!("has {} bytes, 1 to {MAX_KMS_KEY_ID} are allowed", key.len());
            return Err(Invalid::new("kms-key-id", reason));
        }
        if self.storage < MIN_STORAGE {
            return Err(Invalid::new(
                "storage-size",
                format!("{} bytes is less than 1 MiB", self.storage),
            ));
        }
        if let Some(bytes) = self.bandwidth.filter(|bytes| *bytes < MIN_BANDWIDTH) {
            let reason = format!("{bytes} bytes a second is less than {MIN_BANDWIDTH}");
            return Err(Invalid::new("bandwidth", reason));
        }
        let positive = [
            ("buffer-duration", self.buffer_duration),
            ("connection-timeout", self.connection_timeout),
            ("completion-timeout", self.completion_timeout),
            ("connection-staleness", self.connection_staleness),
            ("max-latency", self.max_latency),
            ("fragment-duration", self.fragment_duration),
            ("track-timeout", self.track_timeout),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| value.is_zero()) {
            return Err(Invalid::new(*name, "must be more than 0"));
        }
        let shortest = match self.fragmentation {
            Fragmentation::EachKeyFrame => Duration::ZERO,
            Fragmentation::AfterDuration(shortest) => shortest,
        };
        let others = [
            ("stop-stream-timeout", self.stop_timeout),
            ("replay-duration", self.replay_duration),
            ("fragment-duration", shortest),
        ];
        let mut all = positive.into_iter().chain(others);
        match all.find(|(_, value)| *value > MAX_DURATION) {
            Some((name, _)) => Err(Invalid::new(name, "must be less than 136 years")),
            None => Ok(()),
        }
    }
}

/// A tag of a stream ("TagStream", Tags).
pub(crate) fn check_tag(name: &str, value: &str) -> Result<(), Invalid> {
    let wrong = |reason: String| Err(Invalid::new("stream-tags", reason));
    let (max_name, max_value) = MAX_STREAM_TAG;
    let (name_len, value_len) = (name.chars().count(), value.chars().count());
    if name_len == 0 || name_len > max_name {
        return wrong(format!(
            "{name:?} has {name_len} characters, 1 to {max_name} are allowed"
        ));
    }
    if value_len > max_value {
        return wrong(format!(
            "the value of {name} has {value_len} characters, at most {max_value} are allowed"
        ));
    }
    if name.to_ascii_lowercase().starts_with("aws:") {
        return wrong(format!("{name:?} begins with aws:, which only AWS may use"));
    }
    let is_allowed = |c: &char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(*c);
    match name.chars().chain(value.chars()).find(|c| !is_allowed(c)) {
        Some(c) => wrong(format!(
            "{name:?} has {c:?}: use only letters, digits, spaces and _ . : / = + - @"
        )),
        None => Ok(()),
    }
}

/// A setting that cannot work: which one, and why.
///
/// ```
/// use gstkvssink::producer::StreamName;
///
/// let invalid = StreamName::new("").unwrap_err();
/// assert_eq!(invalid.setting, "stream-name");
/// assert_eq!(invalid.to_string(), "stream-name: must not be empty");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct Invalid {
    /// The name of the setting, as the property is called.
    pub setting: String,
    /// The rule and the value.
    pub reason: String,
}

impl Invalid {
    /// Names the setting and the reason.
    pub(crate) fn new(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            setting: setting.into(),
            reason: reason.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_checked_against_the_rule_of_create_stream() {
        for good in ["a", "cam-1_front.door", &"x".repeat(256)] {
            assert_eq!(StreamName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "cam 1", "kamera/1", "ü", &"x".repeat(257)] {
            assert_eq!(StreamName::new(bad).unwrap_err().setting, "stream-name");
        }
    }

    #[test]
    fn tags_and_keys_may_be_as_long_as_the_service_takes_them() {
        let mut definition = StreamDefinition::new(StreamName::new("cam1").unwrap());
        definition.tags = [("ä".repeat(128), "x".repeat(256))].into();
        definition.kms_key_id = Some("x".repeat(2048));
        assert_eq!(definition.check(), Ok(()));
    }

    #[test]
    fn retention_is_in_whole_hours() {
        let mut definition = StreamDefinition::new(StreamName::new("cam1").unwrap());
        for (secs, hours) in [(0, 0), (1, 1), (3600, 1), (3601, 2)] {
            definition.retention = Duration::from_secs(secs);
            assert_eq!(definition.retention_hours(), hours);
        }
    }

    #[test]
    fn the_defaults_are_valid() {
        let definition = StreamDefinition::new(StreamName::new("cam1").unwrap());
        assert_eq!(definition.check(), Ok(()));
    }

    #[test]
    fn each_wrong_setting_is_named() {
        let base = StreamDefinition::new(StreamName::new("cam1").unwrap());
        let wrong = |change: fn(&mut StreamDefinition)| {
            let mut definition = base.clone();
            change(&mut definition);
            definition.check().unwrap_err().setting
        };
        assert_eq!(
            wrong(|d| d.content_type = Some("h264".into())),
            "content-type"
        );
        assert_eq!(
            wrong(|d| d.content_type = Some("video/h264,".into())),
            "content-type"
        );
        assert_eq!(
            wrong(|d| d.retention = MAX_RETENTION + Duration::from_secs(3600)),
            "retention-period"
        );
        for (name, value) in [
            (String::new(), String::new()),
            ("x".repeat(129), String::new()),
            ("site".into(), "x".repeat(257)),
            ("aws:site".into(), String::new()),
            ("site".into(), "a*b".into()),
        ] {
            let mut definition = base.clone();
            definition.tags = [(name, value)].into();
            let invalid = definition.check().unwrap_err();
            assert_eq!(invalid.setting, "stream-tags");
        }
        assert_eq!(wrong(|d| d.kms_key_id = Some(String::new())), "kms-key-id");
        assert_eq!(
            wrong(|d| d.kms_key_id = Some("x".repeat(2049))),
            "kms-key-id"
        );
        assert_eq!(wrong(|d| d.storage = 1000), "storage-size");
        assert_eq!(wrong(|d| d.bandwidth = Some(999)), "bandwidth");
        assert_eq!(wrong(|d| d.track_timeout = Duration::ZERO), "track-timeout");
        assert_eq!(
            wrong(|d| d.buffer_duration = Duration::ZERO),
            "buffer-duration"
        );
        assert_eq!(
            wrong(|d| d.tags = (0..51).map(|n| (n.to_string(), String::new())).collect()),
            "stream-tags"
        );
    }
}
