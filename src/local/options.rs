//! How a local service is started.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The access key of [`Options::default`].
pub const DEFAULT_ACCESS_KEY: &str = "AKIDLOCAL";
/// The secret key of [`Options::default`].
pub const DEFAULT_SECRET_KEY: &str = "local-secret";

/// Takes the lines of the log.
pub type Log = Box<dyn Fn(&str) + Send + Sync>;

/// How a local service is started; see the fields.
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether to speak TLS, with a CA made at the start.
    pub tls: bool,
    /// Where to keep media; without it a temporary directory, removed when the service stops.
    pub dir: Option<PathBuf>,
    /// The access key of the static pair; besides it only keys are taken that the service has issued.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// The session token that requests must carry; without it they must not carry any.
    pub session_token: Option<String>,
    /// The only region taken; without it any.
    pub region: Option<String>,
    /// How long credentials are good that are issued, see [`Local::issued`](super::Local::issued).
    pub credential_life: Duration,
    /// Where clients get such credentials; without it nowhere but by [`Local::issue`](super::Local::issue).
    pub credential_sources: Option<CredentialSources>,
    /// How long a stream is CREATING, and DELETING.
    pub activation_delay: Duration,
    /// Longest life of a `PutMedia` connection.
    pub max_connection: Duration,
    /// Silence on a `PutMedia` connection after which IDLE is sent, again and again.
    pub idle: Duration,
    /// Silence on a `PutMedia` connection after which it is closed.
    pub silence: Duration,
    /// How far the service's clock is ahead of the machine's (behind, if negative).
    pub clock_offset_ms: i64,
    /// Whether media is only taken, for those who measure: bodies are read as fast as possible, fragments are found in them
    /// and acknowledged with their own timecodes, but nothing is stored, and nothing in a fragment is checked. Faults strike
    /// as ever, but for those in the middle of a frame.
    pub sink: bool,
    /// Of a [`Self::sink`]: where to write when each frame had come, a line of CSV for each:
    /// `stream,session,what,timecode_ms,arrived_ns`. `what` is `frame`, when its last byte was read, or `fragment`, when its
    /// timecode was; `arrived_ns` is nanoseconds of CLOCK_MONOTONIC. What a session wrote is in the file when it has ended.
    /// Linux only: elsewhere the service does not start with it.
    pub frame_log: Option<PathBuf>,
    /// Where log lines go: one for each call and each session's end, never a secret.
    pub log: Option<Log>,
}

/// Where clients get temporary credentials from the service itself; see [`Sources`](super::Sources).
#[derive(Clone)]
pub struct CredentialSources {
    /// Where certificates and keys for IoT and a token for web identity are written.
    pub dir: PathBuf,
    /// The `Authorization` that the container endpoint wants; without it, it wants none.
    pub container_token: Option<String>,
    /// The `ExternalId` that `AssumeRole` wants; without it, it wants none.
    pub external_id: Option<String>,
}

impl CredentialSources {
    /// Sources that want no token and no external id.
    #[must_use]
    pub fn below(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            container_token: None,
            external_id: None,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: false,
            dir: None,
            access_key: DEFAULT_ACCESS_KEY.to_owned(),
            secret_key: DEFAULT_SECRET_KEY.to_owned(),
            session_token: None,
            region: None,
            // As of roles and role aliases, if nothing is said.
            credential_life: Duration::from_secs(60 * 60),
            credential_sources: None,
            activation_delay: Duration::from_millis(300),
            max_connection: Duration::from_secs(45 * 60),
            idle: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            clock_offset_ms: 0,
            sink: false,
            frame_log: None,
            log: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("tls", &self.tls)
            .field("dir", &self.dir)
            .field("region", &self.region)
            .field("credential_life", &self.credential_life)
            .field("activation_delay", &self.activation_delay)
            .field("max_connection", &self.max_connection)
            .field("idle", &self.idle)
            .field("silence", &self.silence)
            .field("clock_offset_ms", &self.clock_offset_ms)
            .field("sink", &self.sink)
            .field("frame_log", &self.frame_log)
            .finish_non_exhaustive()
    }
}
