//! [`Pace`]: no more bytes a second than are allowed.
//!
//! Belongs here: how much may be sent when. Does not belong here: what is sent (`link`).

use std::time::Duration;

use crate::time::Mono;

/// Pieces of a second: what is sent at once is so much of a second's bytes, so that the network sees a stream and no bursts.
const PIECES: u64 = 20;
/// Smallest piece that is worth its overhead: a segment of TCP.
const SMALLEST_PIECE: u64 = 1400;

/// How fast it goes.
pub(super) struct Pace {
    bytes_per_second: Option<u64>,
    /// When more may be sent.
    due: Option<Mono>,
}

impl Pace {
    pub(super) fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            bytes_per_second,
            due: None,
        }
    }

    /// Until when nothing may be sent.
    pub(super) fn due(&self) -> Option<Mono> {
        self.due
    }

    /// The time that had to be waited for has come.
    pub(super) fn expire(&mut self, now: Mono) {
        self.due = self.due.filter(|due| *due > now);
    }

    /// Something may be sent now.
    pub(super) fn allows(&self, now: Mono) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// So many bytes are to be sent now: so many of them may, if not all.
    pub(super) fn send(&mut self, now: Mono, bytes: usize) -> Option<usize> {
        let rate = self.bytes_per_second?;
        let most = (rate / PIECES).max(SMALLEST_PIECE);
        let sent = most.min(bytes as u64);
        let nanos = u128::from(sent) * 1_000_000_000 / u128::from(rate.max(1));
        let took = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.due = Some(self.due.unwrap_or(now).max(now) + took);
        usize::try_from(sent).ok().filter(|sent| *sent < bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_bytes_go_out_as_a_second_may_have() {
        let mut pace = Pace::new(Some(100_000));
        let (mut now, mut sent, mut largest) = (Mono::from_secs(5), 0, 0);
        while now < Mono::from_secs(15) {
            if pace.allows(now) {
                let piece = pace.send(now, 1 << 20).unwrap_or(1 << 20);
                (sent, largest) = (sent + piece, largest.max(piece));
            } else {
                now = pace.due().unwrap();
                pace.expire(now);
                assert_eq!(pace.due(), None);
            }
        }
        assert!((1_000_000..=1_005_000).contains(&sent), "{sent}");
        assert_eq!(largest, 5000);
    }

    #[test]
    fn without_a_limit_all_goes_at_once() {
        let mut pace = Pace::new(None);
        assert_eq!(pace.send(Mono::ZERO, 1 << 30), None);
        assert!(pace.allows(Mono::ZERO));
    }

    #[test]
    fn what_was_not_sent_is_not_saved_up() {
        let mut pace = Pace::new(Some(10_000));
        pace.send(Mono::ZERO, 1000);
        pace.send(Mono::from_secs(60), 1000);
        assert!(!pace.allows(Mono::from_secs(60)));
    }
}
