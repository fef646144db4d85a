//! What came and what was said about it: for tests that prove what a producer sent how often, and why.
//!
//! All times are milliseconds of a monotonic clock since the service was started. Each list is bounded; the oldest
//! entries go first. No clock, no I/O: `now` is a parameter.

use std::collections::{BTreeMap, VecDeque};

/// Fragments that are kept for each stream.
const MAX_ENTRIES: usize = 20_000;
/// Receptions of one fragment that are kept.
const MAX_RECEPTIONS: usize = 100;
/// Attempts that are kept.
const MAX_ATTEMPTS: usize = 10_000;

/// A call of `PutMedia`, let in or not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// When its head was there.
    pub at_ms: u64,
    /// The stream that it named.
    pub stream: Option<String>,
    /// The answer's status; none while it is not answered.
    pub status: Option<u16>,
    /// The exception's name, if it was refused.
    pub error: Option<String>,
    /// The session that it began, as in [`Reception::session`].
    pub session: Option<u64>,
    /// The access key that it named.
    pub access_key: Option<String>,
    /// Whether the credentials of that key had expired when it came.
    pub expired: bool,
}

/// All that is known of one fragment, which is one producer timestamp of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerEntry {
    /// The Cluster's timecode as it was when it first came.
    pub timecode_ms: u64,
    /// Milliseconds since 1970 by the producer's clock.
    pub producer_timestamp_ms: u64,
    /// Each time that it came, in order; the last 100.
    pub receptions: Vec<Reception>,
}

/// A fragment that came, perhaps not to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reception {
    /// The `PutMedia` call, from 1 on.
    pub session: u64,
    /// The number in its acks.
    pub fragment_number: String,
    /// When its first bytes were there.
    pub begun_ms: u64,
    /// When all of it was there.
    pub complete_ms: Option<u64>,
    /// Frames of all tracks, when it is complete.
    pub frames: u32,
    /// SHA-256 in hex of the Cluster's payload (timecode and blocks as they came), when it is complete.
    pub sha256: Option<String>,
    /// Whether it was stored for the stream's retention.
    pub persisted: bool,
    /// Acks about it that the socket has taken, and when. They have left; whether they have arrived only the
    /// producer knows.
    pub acks: Vec<(AckKind, u64)>,
}

/// The kind of an ack about a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckKind {
    /// Its first bytes have come.
    Buffering,
    /// It is complete.
    Received,
    /// It is durable.
    Persisted,
    /// It is refused.
    Error,
}

impl LedgerEntry {
    /// How often all of it came.
    #[must_use]
    pub fn times_received(&self) -> usize {
        let complete = |reception: &&Reception| reception.complete_ms.is_some();
        self.receptions.iter().filter(complete).count()
    }

    /// How often it was stored.
    #[must_use]
    pub fn times_persisted(&self) -> usize {
        let persisted = |reception: &&Reception| reception.persisted;
        self.receptions.iter().filter(persisted).count()
    }

    /// When a PERSISTED first left for the producer.
    #[must_use]
    pub fn persisted_ack_ms(&self) -> Option<u64> {
        self.receptions
            .iter()
            .filter_map(Reception::persisted_ack_ms)
            .min()
    }

    /// Whether it came again after its PERSISTED had left.
    #[must_use]
    pub fn was_resent_after_persisted(&self) -> bool {
        self.persisted_ack_ms().is_some_and(|acked_ms| {
            let acked = |reception: &Reception| reception.persisted_ack_ms() == Some(acked_ms);
            let Some(first) = self.receptions.iter().position(acked) else {
                return false;
            };
            self.receptions[first + 1..]
                .iter()
                .any(|reception| reception.begun_ms >= acked_ms)
        })
    }

    /// Whether it came with the same bytes each time.
    #[must_use]
    pub fn is_always_the_same(&self) -> bool {
        let mut digests = self.receptions.iter().filter_map(|r| r.sha256.as_ref());
        let first = digests.next();
        digests.all(|digest| Some(digest) == first)
    }
}

impl Reception {
    /// When its PERSISTED left for the producer.
    #[must_use]
    pub fn persisted_ack_ms(&self) -> Option<u64> {
        self.acks
            .iter()
            .find(|(kind, _)| *kind == AckKind::Persisted)
            .map(|(_, at_ms)| *at_ms)
    }
}

/// Which reception is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) stream: String,
    pub(crate) producer_timestamp_ms: u64,
    pub(crate) fragment_number: String,
}

/// The book.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    streams: BTreeMap<String, BTreeMap<u64, LedgerEntry>>,
    attempts: VecDeque<Attempt>,
    /// Attempts that are not kept any more: the first kept has this number.
    forgotten: usize,
}

impl Ledger {
    /// Notes that a call of `PutMedia` has come; gives its number.
    pub(crate) fn attempt(&mut self, stream: Option<String>, at_ms: u64) -> usize {
        if self.attempts.len() == MAX_ATTEMPTS {
            self.attempts.pop_front();
            self.forgotten += 1;
        }
        self.attempts.push_back(Attempt {
            at_ms,
            stream,
            status: None,
            error: None,
            session: None,
            access_key: None,
            expired: false,
        });
        self.forgotten + self.attempts.len() - 1
    }

    /// Changes what is known of an attempt.
    pub(crate) fn amend(&mut self, attempt: usize, change: impl FnOnce(&mut Attempt)) {
        let index = attempt.checked_sub(self.forgotten);
        if let Some(attempt) = index.and_then(|index| self.attempts.get_mut(index)) {
            change(attempt);
        }
    }

    /// The attempts that named this stream.
    pub(crate) fn attempts(&self, stream: &str) -> Vec<Attempt> {
        self.attempts
            .iter()
            .filter(|attempt| attempt.stream.as_deref() == Some(stream))
            .cloned()
            .collect()
    }

    /// The fragments of a stream, by producer timestamp.
    pub(crate) fn entries(&self, stream: &str) -> Vec<LedgerEntry> {
        self.streams
            .get(stream)
            .map(|entries| entries.values().cloned().collect())
            .unwrap_or_default()
    }

    /// A fragment has begun.
    pub(crate) fn begin(&mut self, receipt: &Receipt, timecode_ms: u64, session: u64, now_ms: u64) {
        let entries = self.streams.entry(receipt.stream.clone()).or_default();
        let entry = entries
            .entry(receipt.producer_timestamp_ms)
            .or_insert_with(|| LedgerEntry {
                timecode_ms,
                producer_timestamp_ms: receipt.producer_timestamp_ms,
                receptions: Vec::new(),
            });
        if entry.receptions.len() == MAX_RECEPTIONS {
            entry.receptions.remove(0);
        }
        entry.receptions.push(Reception {
            session,
            fragment_number: receipt.fragment_number.clone(),
            begun_ms: now_ms,
            complete_ms: None,
            frames: 0,
            sha256: None,
            persisted: false,
            acks: Vec::new(),
        });
        if entries.len() > MAX_ENTRIES {
            entries.pop_first();
        }
    }

    /// Something happened to a fragment.
    pub(crate) fn note(&mut self, receipt: &Receipt, change: impl FnOnce(&mut Reception)) {
        let reception = self
            .streams
            .get_mut(&receipt.stream)
            .and_then(|entries| entries.get_mut(&receipt.producer_timestamp_ms))
            .and_then(|entry| {
                let this = |r: &&mut Reception| r.fragment_number == receipt.fragment_number;
                entry.receptions.iter_mut().rev().find(this)
            });
        if let Some(reception) = reception {
            change(reception);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(number: &str) -> Receipt {
        Receipt {
            stream: "cam1".into(),
            producer_timestamp_ms: 5_000,
            fragment_number: number.into(),
        }
    }

    fn twice(acked_ms: u64, again_ms: u64) -> LedgerEntry {
        let mut ledger = Ledger::default();
        ledger.begin(&receipt("1"), 5_000, 1, 10);
        ledger.note(&receipt("1"), |reception| {
            reception.complete_ms = Some(20);
            reception.sha256 = Some("a".into());
            reception.persisted = true;
            reception.acks.push((AckKind::Persisted, acked_ms));
        });
        ledger.begin(&receipt("2"), 5_000, 2, again_ms);
        ledger.note(&receipt("2"), |reception| {
            reception.sha256 = Some("b".into())
        });
        ledger.entries("cam1").remove(0)
    }

    #[test]
    fn a_fragment_that_comes_again_is_the_same_entry() {
        let entry = twice(30, 40);
        assert_eq!((entry.times_received(), entry.times_persisted()), (1, 1));
        assert_eq!(entry.receptions.len(), 2);
        assert!(!entry.is_always_the_same());
    }

    #[test]
    fn resent_after_its_ack_has_left_or_before() {
        assert!(twice(30, 40).was_resent_after_persisted());
        assert!(!twice(50, 40).was_resent_after_persisted());
    }

    #[test]
    fn attempts_are_kept_up_to_a_bound() {
        let mut ledger = Ledger::default();
        for at_ms in 0..=10_000 {
            let attempt = ledger.attempt(Some("cam1".into()), at_ms);
            ledger.amend(attempt, |attempt| attempt.status = Some(200));
        }
        let attempts = ledger.attempts("cam1");
        assert_eq!((attempts.len(), attempts[0].at_ms), (10_000, 1));
        assert!(attempts.iter().all(|attempt| attempt.status == Some(200)));
    }
}
