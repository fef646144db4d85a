//! What the service has of a stream, compared with what was sent.

use std::collections::HashSet;

use gstkvssink::local::Local;

use super::course::Sent;
use crate::support::{feed::hashes, stored};

/// What the service has.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// Frames that it stored once.
    pub(crate) once: u64,
    /// Frames that it stored more than once.
    pub(crate) twice: u64,
}

/// Looks at what came of `stream`. `told` are the numbers of the fragments whose PERSISTED was read.
pub(crate) fn of(local: &Local, stream: &str, told: &[String]) -> Verdict {
    let mut verdict = Verdict { once: 0, twice: 0 };
    let told: HashSet<_> = told.iter().collect();
    for entry in local.ledger(stream) {
        assert!(
            entry.is_always_the_same(),
            "other bytes than before: {entry:#?}"
        );
        // Sessions follow each other: what comes after a reception whose PERSISTED was read, comes after it was read.
        // (`was_resent_after_persisted` goes by when an ack left; one that was lost on its way may cause this.)
        let again = entry
            .receptions
            .iter()
            .position(|reception| told.contains(&reception.fragment_number))
            .is_some_and(|known| known + 1 < entry.receptions.len());
        assert!(!again, "sent although it was PERSISTED: {entry:#?}");
        let kept = entry.receptions.iter().find(|kept| kept.persisted);
        let frames = kept.map_or(0, |kept| u64::from(kept.frames));
        match entry.times_persisted() {
            0 => {}
            1 => verdict.once += frames,
            _ => verdict.twice += frames,
        }
    }
    verdict
}

/// Which of the frames that were sent the service does not have. What it has is in order, and nothing else.
pub(crate) fn missing(local: &Local, stream: &str, sent: &[Sent]) -> Vec<usize> {
    let files = local.session_files(stream);
    let stored = once(files.iter().flat_map(|file| hashes(&stored::frames(file))));
    let has: HashSet<_> = stored.iter().collect();
    let sent = once(sent.iter().map(|sent| sent.hash.clone()));
    let expected: Vec<_> = sent.iter().filter(|hash| has.contains(hash)).collect();
    assert!(
        stored.iter().eq(expected.iter().copied()),
        "other frames, or in another order: {} are stored, {} of {} were sent",
        stored.len(),
        expected.len(),
        sent.len()
    );
    (0..sent.len())
        .filter(|index| !has.contains(&sent[*index]))
        .collect()
}

/// Each as it first comes.
fn once(hashes: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = HashSet::new();
    hashes.filter(|hash| seen.insert(hash.clone())).collect()
}

/// What was told of a loss: frames, and the times of the first and the last in ns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loss {
    pub(crate) frames: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// The times that were told are those of the frames that are missing: of each message, and of all of them.
pub(crate) fn assert_times(
    local: &Local,
    stream: &str,
    sent: &[Sent],
    missing: &[usize],
    told: &[Loss],
) {
    // A frame that is stored has both times. They are rounded to whole milliseconds, the fragment's and the frame's in it.
    const ROUNDED_MS: u64 = 2;
    let files = local.session_files(stream);
    let stored = stored::frames(&files[0]);
    let first = sent.iter().find(|sent| sent.hash == stored[0].sha256);
    let later = stored[0].pts_ms - first.unwrap().pts_ms;
    let mut times: Vec<_> = missing
        .iter()
        .map(|index| sent[*index].pts_ms + later)
        .collect();
    times.sort_unstable();
    let is_near = |told: u64, ms: u64| (told / 1_000_000).abs_diff(ms) <= ROUNDED_MS;
    for loss in told {
        let (from, to) = (loss.from / 1_000_000, loss.to / 1_000_000);
        let span = from.saturating_sub(ROUNDED_MS)..=to + ROUNDED_MS;
        let within: Vec<_> = times.iter().filter(|ms| span.contains(*ms)).collect();
        let [first, .., last] = within[..] else {
            panic!("{loss:?} of {times:?}")
        };
        assert!(
            within.len() as u64 == loss.frames
                && is_near(loss.from, *first)
                && is_near(loss.to, *last),
            "{loss:?} of {times:?}"
        );
    }
    let frames: u64 = told.iter().map(|loss| loss.frames).sum();
    assert_eq!(frames, times.len() as u64, "{told:?}");
}
