//! Pressure: what is kept comes near its bounds. Told once an episode, before anything is dropped.
//!
//! Belongs here: thresholds, episodes, and what a reconnect does not send again. Does not belong here: room for a frame
//! (`frames`).

use std::time::Duration;

use super::{Event, Session};
use crate::{definition::StreamingType, fragment::DropReason, time::Mono};

/// Which episodes are under way.
#[derive(Default)]
pub(super) struct Pressure {
    storage: bool,
    duration: bool,
    latency: bool,
}

/// An episode begins at the bound and ends at half of it, so that one is not told for each frame.
fn begins(episode: &mut bool, value: u128, bound: u128) -> bool {
    let before = *episode;
    *episode = value >= bound || (before && value * 2 > bound);
    *episode && !before
}

impl Session {
    /// After a frame was kept, or fragments were settled.
    pub(super) fn feel_pressure(&mut self) {
        let (bytes, storage) = (self.bytes_kept(), self.storage_limit());
        // Nine tenths: what is told when it is full is told too late.
        if begins(
            &mut self.pressure.storage,
            u128::from(bytes) * 10,
            u128::from(storage) * 9,
        ) {
            self.tell(Event::StoragePressure { bytes, storage });
        }
        let latency = self.buffered_duration();
        let buffer_duration = self.definition.buffer_duration;
        if self.definition.streaming_type == StreamingType::Realtime
            && !self.spool_takes()
            && begins(
                &mut self.pressure.duration,
                latency.as_nanos() * 10,
                buffer_duration.as_nanos() * 9,
            )
        {
            self.tell(Event::DurationPressure {
                duration: latency,
                buffer_duration,
            });
        }
        let bound = self.definition.max_latency;
        if begins(
            &mut self.pressure.latency,
            latency.as_nanos(),
            bound.as_nanos(),
        ) {
            self.tell(Event::LatencyPressure { latency });
        }
    }

    /// From the first frame of the oldest fragment that is kept to the newest frame.
    pub(super) fn buffered_duration(&self) -> Duration {
        let mut pending = self.store.pending();
        let Some(oldest) = pending.next() else {
            return Duration::ZERO;
        };
        let newest = self.store.newest().unwrap_or(oldest.last);
        newest.saturating_since(oldest.first)
    }

    /// After a loss: drops what was sent longer than `replay_duration` before the newest that was sent.
    pub(super) fn forget_old(&mut self, now: Mono) {
        let bound = self.definition.replay_duration;
        // What is on disk, or will be, may be as old as `spool-max-age` says.
        if bound.is_zero() || !self.is_live() || self.spool_takes() {
            return;
        }
        let sent = || {
            let pending = self.store.pending();
            let sent = pending.filter(|fragment| fragment.sent > 0 && fragment.complete);
            sent.filter(|fragment| fragment.file.is_none())
        };
        let Some(newest) = sent().last() else {
            return;
        };
        let old = sent().filter(|sent| sent.is_older(bound, newest.last, newest.arrived));
        let old: Vec<_> = old.map(|fragment| fragment.id).collect();
        for id in old {
            self.evict(now, id, DropReason::Replay);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_is_told_once_and_ends_at_half() {
        let mut episode = false;
        let told = [50, 99, 100, 120, 99, 51, 100, 50, 99, 100]
            .map(|value| begins(&mut episode, value, 100));
        assert_eq!(
            told,
            [
                false, false, true, false, false, false, false, false, false, true
            ]
        );
    }
}
