//! What the service remembers of fragments and of calls, for tests and for the index file.

use std::path::PathBuf;

use serde::Serialize;

/// A fragment that has been stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FragmentRecord {
    /// The number in its acks.
    pub fragment_number: String,
    /// The number of the session's file: the `PutMedia` calls that stored anything are counted from 1.
    pub session: u32,
    /// The Cluster's timecode as on the wire, in milliseconds.
    pub timecode_ms: u64,
    /// Milliseconds since 1970 by the producer's clock.
    pub producer_timestamp_ms: u64,
    /// Milliseconds since 1970 by the service's clock, when the fragment was complete.
    pub server_timestamp_ms: u64,
    /// From the Cluster's timecode to its greatest frame.
    pub duration_ms: u64,
    /// Bytes of the Cluster's payload (timecode and blocks).
    pub bytes: u64,
    /// Frames of all tracks.
    pub frames: u32,
    /// Its tags, in order, without the one that ends a fragment.
    pub tags: Vec<(String, String)>,
    /// Whether a PERSISTED ack belongs to it: not if the stream's retention is 0.
    pub persisted: bool,
    /// The session's file.
    pub file: PathBuf,
    /// Where the Cluster (with its head) begins in the file.
    pub offset: u64,
}

/// A call that the service has answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RequestRecord {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// The API's name as in AWS's documentation, `PutMedia`; or the path if there is no such API.
    pub api: String,
    /// The stream's name (or its ARN, if it was asked for by an unknown one).
    pub stream: Option<String>,
    /// The HTTP status.
    pub status: u16,
    /// The exception's name, if the call was refused.
    pub error: Option<String>,
    /// As in the answer's header.
    pub request_id: String,
    /// The caller's `User-Agent`.
    pub user_agent: Option<String>,
    /// The access key that it named.
    pub access_key: Option<String>,
    /// Whether the credentials of that key had expired when it came.
    pub expired: bool,
}
