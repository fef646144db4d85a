//! [`ProducerMetrics`]: the numbers of several streams as one.
//!
//! Belongs here: sums. Does not belong here: what is counted (`session`), and how it is exported (`net::export`).

use std::borrow::Borrow;

use crate::session::Stats;

/// Sums over the streams of a producer, at one moment.
///
/// ```
/// let nothing = gstkvssink::producer::ProducerMetrics::default();
/// assert_eq!(nothing.frames_in, nothing.frames_persisted + nothing.frames_dropped + nothing.frames_pending);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ProducerMetrics {
    /// Streams that were summed up.
    pub streams: u64,
    /// The bound of what they keep, in bytes.
    pub storage: u64,
    /// Bytes that they keep, with their overhead; offline it may be more than the bound, by a fragment of each stream.
    pub storage_used: u64,
    /// Bytes that there is room for.
    pub storage_available: u64,
    /// Frames that came a second, over the last five to six seconds.
    pub frame_rate: f64,
    /// Bytes handed to connections a second, over the same time.
    pub transfer_rate: f64,
    /// Frames that came.
    pub frames_in: u64,
    /// Frames that the service has for good.
    pub frames_persisted: u64,
    /// Frames that were dropped, for whatever reason.
    pub frames_dropped: u64,
    /// Frames that are kept.
    pub frames_pending: u64,
    /// Frames that earlier runs have left on disk, and their streams found.
    pub frames_recovered: u64,
    /// Frames that are left on disk to the next runs.
    pub frames_left: u64,
    /// Files of fragments on disk.
    pub spool_bytes: u64,
    /// Payload bytes that came.
    pub bytes_in: u64,
    /// Bytes handed to connections, with headers and with what was sent again.
    pub bytes_sent: u64,
}

impl ProducerMetrics {
    /// The sum of these streams. `storage` is the bound of all that they keep, in bytes: what they share, or the sum of what
    /// each has.
    pub(crate) fn of(streams: impl IntoIterator<Item = impl Borrow<Stats>>, storage: u64) -> Self {
        let mut all = Self {
            storage,
            ..Self::default()
        };
        for stats in streams {
            let stats = stats.borrow();
            all.streams += 1;
            all.storage_used += stats.bytes_buffered;
            all.frame_rate += stats.frame_rate;
            all.transfer_rate += stats.transfer_rate;
            all.frames_in += stats.frames_in;
            all.frames_persisted += stats.frames_persisted;
            all.frames_dropped += stats.frames_dropped();
            all.frames_pending += stats.frames_pending;
            all.frames_recovered += stats.spool.frames_recovered;
            all.frames_left += stats.spool.frames_left;
            all.spool_bytes += stats.spool.bytes;
            all.bytes_in += stats.bytes_in;
            all.bytes_sent += stats.bytes_sent;
        }
        all.storage_available = storage.saturating_sub(all.storage_used);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fragment::DropReason;

    #[test]
    fn a_producer_has_the_sum_of_its_streams() {
        let one = Stats {
            frames_in: 10,
            frames_persisted: 5,
            frames_pending: 2,
            dropped: [(DropReason::Storage, 2), (DropReason::Age, 1)].into(),
            bytes_in: 1000,
            bytes_sent: 1100,
            bytes_buffered: 300,
            frame_rate: 25.0,
            transfer_rate: 1e6,
            spool: crate::session::SpoolStats {
                frames_recovered: 7,
                frames_left: 3,
                bytes: 2000,
                ..Default::default()
            },
            ..Stats::default()
        };
        let all = ProducerMetrics::of([&one, &one, &Stats::default()], 1000);
        let expected = ProducerMetrics {
            streams: 3,
            storage: 1000,
            storage_used: 600,
            storage_available: 400,
            frame_rate: 50.0,
            transfer_rate: 2e6,
            frames_in: 20,
            frames_persisted: 10,
            frames_dropped: 6,
            frames_pending: 4,
            frames_recovered: 14,
            frames_left: 6,
            spool_bytes: 4000,
            bytes_in: 2000,
            bytes_sent: 2200,
        };
        assert_eq!(all, expected);
        assert_eq!(ProducerMetrics::of([one], 100).storage_available, 0);
    }
}
