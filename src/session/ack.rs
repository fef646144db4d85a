//! Acks: the response of PutMedia, newline-separated JSON on the connection that the media goes out on.
//!
//! In: bytes of the response, in any pieces (proxies gather and split them). Out: [`Ack`]s in order.
//! Does not belong here: what an ack means for the store (`session`), and for the connection ([`super::policy`]).

use std::{fmt, time::Duration};

use bytes::{Buf, BytesMut};
use serde::Deserialize;

use crate::time::Timecode;

/// Longest ack that is read. One has some 150 bytes.
const MAX_ACK_BYTES: usize = 64 << 10;

/// What the service says of a fragment ("PutMedia", response).
///
/// ```
/// use gstkvssink::producer::{AckKind, Stats};
///
/// let mut stats = Stats::default();
/// stats.acks.insert(AckKind::Persisted, 7); // as Stream::metrics gives it
/// assert_eq!(stats.acks.get(&AckKind::Error), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AckKind {
    /// Its first bytes arrived.
    Buffering,
    /// It is complete in the service's memory.
    Received,
    /// It is written for good.
    Persisted,
    /// It is refused; the connection ends.
    Error,
    /// Nothing came lately.
    Idle,
    /// A word that this version does not know.
    Unknown,
}

impl AckKind {
    /// All of them, for tables.
    ///
    /// ```
    /// use gstkvssink::producer::AckKind;
    ///
    /// assert_eq!(AckKind::ALL[2].as_str(), "PERSISTED");
    /// ```
    pub const ALL: &'static [Self] = &[
        Self::Buffering,
        Self::Received,
        Self::Persisted,
        Self::Error,
        Self::Idle,
        Self::Unknown,
    ];
    /// Those whose latency is measured.
    ///
    /// ```
    /// use gstkvssink::producer::AckKind;
    ///
    /// assert!(!AckKind::MEASURED.contains(&AckKind::Idle));
    /// ```
    pub const MEASURED: &'static [Self] = &[Self::Buffering, Self::Received, Self::Persisted];

    /// The word on the wire.
    ///
    /// ```
    /// use gstkvssink::producer::AckKind;
    ///
    /// assert_eq!(AckKind::Received.as_str(), "RECEIVED");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Buffering => "BUFFERING",
            Self::Received => "RECEIVED",
            Self::Persisted => "PERSISTED",
            Self::Error => "ERROR",
            Self::Idle => "IDLE",
            Self::Unknown => "UNKNOWN",
        }
    }

    fn parse(word: &str) -> Self {
        let known = Self::ALL.iter().find(|kind| kind.as_str() == word);
        known.copied().unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for AckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One ack.
///
/// ```
/// use gstkvssink::producer::{Ack, AckKind, StreamCallbacks};
///
/// struct Log;
/// impl StreamCallbacks for Log {
///     fn ack(&self, ack: &Ack) {
///         if let (AckKind::Persisted, Some(number)) = (ack.kind, &ack.fragment_number) {
///             println!("fragment {number} is kept");
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ack {
    /// What it says.
    pub kind: AckKind,
    /// Of which fragment; an IDLE ack, and some ERROR acks, have none.
    pub timecode: Option<Timecode>,
    /// The service's name of the fragment: a decimal number that does not fit into 64 bits.
    pub fragment_number: Option<String>,
    /// 4000–5001, with ERROR (kvs-facts §5).
    pub error_id: Option<u32>,
    /// The word for it.
    pub error_code: Option<String>,
    /// How long it took, measured here ([`AckLatency`](super::AckLatency)), with a fragment that is kept.
    pub latency: Option<Duration>,
}

impl Ack {
    /// An ack of a fragment, without a fragment number and an error.
    ///
    /// ```
    /// use gstkvssink::producer::{Ack, AckKind, Timecode};
    ///
    /// let ack = Ack::of_fragment(AckKind::Persisted, Timecode::from_millis(1_700_000_000_000));
    /// assert_eq!(ack.error_id, None);
    /// ```
    pub fn of_fragment(kind: AckKind, timecode: Timecode) -> Self {
        Self {
            kind,
            timecode: Some(timecode),
            fragment_number: None,
            error_id: None,
            error_code: None,
            latency: None,
        }
    }

    /// A refusal of a fragment, with an error id of 4000 to 5001 ("PutMedia", error ids): what follows from it is in
    /// docs/errors.md.
    ///
    /// ```
    /// use gstkvssink::producer::{Ack, Timecode};
    ///
    /// let ack = Ack::refusal(Timecode::from_millis(1_700_000_000_000), 4006);
    /// assert_eq!(ack.error_id, Some(4006));
    /// ```
    pub fn refusal(timecode: Timecode, error_id: u32) -> Self {
        Self {
            error_id: Some(error_id),
            ..Self::of_fragment(AckKind::Error, timecode)
        }
    }

    /// Nothing came lately.
    ///
    /// ```
    /// use gstkvssink::producer::Ack;
    ///
    /// assert_eq!(Ack::idle().timecode, None);
    /// ```
    pub fn idle() -> Self {
        Self {
            timecode: None,
            ..Self::of_fragment(AckKind::Idle, Timecode::ZERO)
        }
    }
}

/// As on the wire. The documentation calls the first member `AckEventType`, the service sends `EventType`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire {
    #[serde(alias = "AckEventType")]
    event_type: String,
    fragment_timecode: Option<u64>,
    fragment_number: Option<String>,
    error_id: Option<u32>,
    error_code: Option<String>,
}

impl From<Wire> for Ack {
    fn from(wire: Wire) -> Self {
        Self {
            kind: AckKind::parse(&wire.event_type),
            timecode: wire.fragment_timecode.map(Timecode::from_millis),
            fragment_number: wire.fragment_number,
            error_id: wire.error_id,
            error_code: wire.error_code,
            latency: None,
        }
    }
}

/// The response cannot be read as acks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the response is not a list of acks at byte {position}: {reason}")]
pub struct NotAnAck {
    /// Bytes of the response before the place.
    pub position: u64,
    /// What is wrong there.
    pub reason: String,
}

/// Takes the response apart.
#[derive(Default)]
pub(crate) struct AckReader {
    rest: BytesMut,
    /// Bytes of the response before `rest`.
    position: u64,
    outline: Outline,
}

impl AckReader {
    /// Bytes that wait for the rest of their ack.
    #[cfg(any(test, fuzzing, feature = "internals"))]
    pub(crate) fn kept(&self) -> usize {
        self.rest.len()
    }

    /// The acks that are whole with these bytes, up to the first place that cannot be read.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> (Vec<Ack>, Result<(), NotAnAck>) {
        self.rest.extend_from_slice(bytes);
        let mut acks = Vec::new();
        let end = loop {
            match self.next() {
                Ok(Some(ack)) => acks.push(ack),
                Ok(None) => break Ok(()),
                Err(reason) => {
                    let position = self.position;
                    break Err(NotAnAck { position, reason });
                }
            }
        };
        (acks, end)
    }

    fn next(&mut self) -> Result<Option<Ack>, String> {
        let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let blank = self.rest.iter().take_while(is_blank).count();
        self.skip(blank);
        if let Some(first) = self.rest.first().filter(|first| **first != b'{') {
            return Err(format!("{:?} begins no object", char::from(*first)));
        }
        let length = self.outline.length(&self.rest);
        if length.unwrap_or(self.rest.len()) > MAX_ACK_BYTES {
            return Err(format!("more than {MAX_ACK_BYTES} bytes without an end"));
        }
        let Some(length) = length else {
            return Ok(None);
        };
        let ack = serde_json::from_slice::<Wire>(&self.rest[..length]);
        let ack = ack.map_err(|error| error.to_string())?;
        self.skip(length);
        self.outline = Outline::default();
        Ok(Some(ack.into()))
    }

    fn skip(&mut self, bytes: usize) {
        self.rest.advance(bytes);
        self.position += bytes as u64;
    }
}

/// How far the end of an object was looked for. The parser gets only what is whole: it takes some beginnings, such as
/// `{"New":1.`, for mistakes.
#[derive(Default)]
struct Outline {
    looked_at: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Outline {
    /// The length of the object that begins `bytes`, which are those of the last time and more. `None`: it is not whole.
    fn length(&mut self, bytes: &[u8]) -> Option<usize> {
        for &byte in &bytes[self.looked_at..] {
            self.looked_at += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth <= 1 => return Some(self.looked_at),
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WIRE: &[u8] = br#"{"EventType":"BUFFERING","FragmentTimecode":1700000000000,"FragmentNumber":"91343852333181432392682062622220590765191907586"}
{"EventType":"RECEIVED","FragmentTimecode":1700000000000,"FragmentNumber":"91343852333181432392682062622220590765191907586"}
{"AckEventType":"PERSISTED","FragmentTimecode":1700000000000,"FragmentNumber":"91343852333181432392682062622220590765191907586","New":{"a":[1.5e3,"}\"{"]}}

{"EventType":"IDLE"}{"EventType":"SOMETHING_NEW"}
{"EventType":"ERROR","FragmentTimecode":1700000002000,"ErrorId":4004,"ErrorCode":"FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS"}
"#;

    fn read(pieces: &[&[u8]]) -> Vec<Ack> {
        let mut reader = AckReader::default();
        let mut acks = Vec::new();
        for piece in pieces {
            let (some, end) = reader.feed(piece);
            end.unwrap();
            acks.extend(some);
        }
        acks
    }

    #[test]
    fn every_kind_is_read() {
        let acks = read(&[WIRE]);
        let kinds: Vec<_> = acks.iter().map(|ack| ack.kind).collect();
        use AckKind::*;
        assert_eq!(
            kinds,
            [Buffering, Received, Persisted, Idle, Unknown, Error]
        );
        assert_eq!(
            acks[2].timecode,
            Some(Timecode::from_millis(1_700_000_000_000))
        );
        assert_eq!(
            acks[2].fragment_number.as_deref(),
            Some("91343852333181432392682062622220590765191907586")
        );
        assert_eq!(
            (acks[5].error_id, acks[5].error_code.as_deref()),
            (Some(4004), Some("FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS"))
        );
    }

    #[test]
    fn chunking_never_changes_the_acks() {
        let whole = read(&[WIRE]);
        for cut in 0..=WIRE.len() {
            let (head, tail) = WIRE.split_at(cut);
            assert_eq!(read(&[head, tail]), whole, "split at byte {cut}");
        }
        let bytes: Vec<_> = WIRE.chunks(1).collect();
        assert_eq!(read(&bytes), whole, "byte by byte");
    }

    #[test]
    fn acks_before_a_bad_place_are_kept_and_the_place_is_named() {
        let (acks, end) = AckReader::default().feed(b"{\"EventType\":\"IDLE\"}\n<html>502</html>");
        assert_eq!(acks.len(), 1);
        let error = end.unwrap_err();
        assert_eq!(error.position, 21, "{error}");
        for bad in ["[]", "{\"EventType\":7}", "{}", "nonsense"] {
            assert!(
                AckReader::default().feed(bad.as_bytes()).1.is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_endless_ack_is_refused() {
        let mut reader = AckReader::default();
        assert!(reader.feed(b"{\"EventType\":\"").1.is_ok());
        assert!(reader.feed(&vec![b'A'; MAX_ACK_BYTES]).1.is_err());
    }

    #[test]
    fn empty_lines_are_not_kept() {
        let mut reader = AckReader::default();
        let lines = vec![b'\n'; MAX_ACK_BYTES];
        for _ in 0..3 {
            assert_eq!(reader.feed(&lines), (Vec::new(), Ok(())));
            assert_eq!(reader.kept(), 0);
        }
    }

    /// The parser itself refuses `{"New":1.` and waits for more of `{"New":1`.
    #[test]
    fn a_number_may_be_cut_anywhere() {
        for wire in [
            r#"{"EventType":"IDLE","New":-1.5e-7}"#,
            r#"{"New":[0.5],"EventType":"IDLE"}"#,
        ] {
            for cut in 0..wire.len() {
                let (head, tail) = wire.as_bytes().split_at(cut);
                assert_eq!(read(&[head, tail]).len(), 1, "{wire} cut at {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_panics(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..8)) {
            let mut reader = AckReader::default();
            for piece in pieces {
                if reader.feed(&piece).1.is_err() {
                    break;
                }
            }
        }
    }
}
