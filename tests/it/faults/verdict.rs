//! What the service has of a stream, compared with what was sent.

use std::collections::HashSet;

use gstkvssink::local::Local;

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
pub(crate) fn missing(local: &Local, stream: &str, sent: &[String]) -> Vec<usize> {
    let files = local.session_files(stream);
    let stored = once(files.iter().flat_map(|file| hashes(&stored::frames(file))));
    let has: HashSet<_> = stored.iter().collect();
    let sent = once(sent.iter().cloned());
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
