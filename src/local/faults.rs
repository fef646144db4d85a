//! The faults that were injected: which is due, how often each has struck.
//!
//! In: faults, and the occasions at which one may strike. Out: whether one does. No I/O, no clock.
//! Does not belong here: what a fault is (`fault`), doing it (`server`, `listen`, `session`, `outbox`).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ack::ErrorId;
use super::fault::{Fault, FaultKind};

/// Faults that are kept, so that the control call cannot fill the memory.
const MAX_FAULTS: usize = 1000;

/// Who meets a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occasion<'a> {
    /// The stream, if it is known.
    pub(crate) stream: Option<&'a str>,
    /// The session; a fault strikes it once and stays with it.
    pub(crate) session: Option<u64>,
}

/// A fault that strikes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Strike<T> {
    /// What was asked for.
    pub(crate) value: T,
    /// The fault, unless it has struck this session before.
    pub(crate) news: Option<Fault>,
}

/// All that were injected, in order.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    injected: Mutex<Vec<Injected>>,
    /// Whether there is any: nobody pays for what is not used.
    any: AtomicBool,
}

#[derive(Debug)]
struct Injected {
    fault: Fault,
    struck: u64,
    sessions: BTreeSet<u64>,
    /// The producer timestamp of the fragment that is poison.
    poison_ms: Option<u64>,
}

impl Injected {
    fn has_any_left(&self) -> bool {
        self.fault.times.is_none_or(|times| self.struck < times)
    }

    fn concerns(&self, stream: Option<&str>) -> bool {
        self.fault
            .stream
            .as_deref()
            .is_none_or(|only| Some(only) == stream)
    }

    /// Counts a strike, unless this session has had it; nothing if none is left.
    fn strike(&mut self, session: Option<u64>) -> Option<bool> {
        if session.is_some_and(|session| self.sessions.contains(&session)) {
            return Some(false);
        }
        if !self.has_any_left() {
            return None;
        }
        self.struck += 1;
        self.sessions.extend(session);
        Some(true)
    }
}

impl Faults {
    /// Adds a fault behind the others.
    pub(crate) fn inject(&self, fault: Fault) {
        let mut injected = self.lock();
        if injected.len() == MAX_FAULTS {
            injected.remove(0);
        }
        injected.push(Injected {
            fault,
            struck: 0,
            sessions: BTreeSet::new(),
            poison_ms: None,
        });
        self.any.store(true, Ordering::Release);
    }

    /// Forgets all of them; what lasts until it is cleared ends.
    pub(crate) fn clear(&self) {
        self.lock().clear();
        self.any.store(false, Ordering::Release);
    }

    /// All of them, also those that are used up, and how often each has struck.
    pub(crate) fn list(&self) -> Vec<(Fault, u64)> {
        self.lock()
            .iter()
            .map(|injected| (injected.fault.clone(), injected.struck))
            .collect()
    }

    /// The first fault of which `pick` wants something, if it has any strikes left.
    pub(crate) fn strike<T>(
        &self,
        occasion: Occasion<'_>,
        pick: impl Fn(FaultKind) -> Option<T>,
    ) -> Option<Strike<T>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.lock()
            .iter_mut()
            .filter(|injected| injected.concerns(occasion.stream))
            .find_map(|injected| {
                let value = pick(injected.fault.kind)?;
                let new = injected.strike(occasion.session)?;
                Some(Strike {
                    value,
                    news: new.then(|| injected.fault.clone()),
                })
            })
    }

    /// What [`Self::strike`] would give, without striking.
    pub(crate) fn look<T>(
        &self,
        occasion: Occasion<'_>,
        pick: impl Fn(FaultKind) -> Option<T>,
    ) -> Option<T> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let due = |injected: &Injected| {
            let had = |session| injected.sessions.contains(&session);
            injected.has_any_left() || occasion.session.is_some_and(had)
        };
        self.lock()
            .iter()
            .filter(|injected| injected.concerns(occasion.stream) && due(injected))
            .find_map(|injected| pick(injected.fault.kind))
    }

    /// Whether a complete fragment is poison: the `index`-th of its session becomes so, and stays so.
    pub(crate) fn poison(
        &self,
        occasion: Occasion<'_>,
        index: u64,
        producer_ms: u64,
    ) -> Option<Strike<ErrorId>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.lock()
            .iter_mut()
            .filter(|injected| injected.concerns(occasion.stream))
            .find_map(|injected| {
                let FaultKind::Poison { id, fragment } = injected.fault.kind else {
                    return None;
                };
                let poison = match injected.poison_ms {
                    None => index >= fragment,
                    Some(poison_ms) => poison_ms == producer_ms,
                };
                if !poison || !injected.strike(None)? {
                    return None;
                }
                injected.poison_ms = Some(producer_ms);
                Some(Strike {
                    value: id,
                    news: Some(injected.fault.clone()),
                })
            })
    }

    /// Whether there is such a fault, used up or not: what lasts until it is cleared lasts so long.
    pub(crate) fn has(&self, wanted: impl Fn(FaultKind) -> bool) -> bool {
        self.any.load(Ordering::Acquire)
            && self
                .lock()
                .iter()
                .any(|injected| wanted(injected.fault.kind))
    }

    /// The session is over.
    pub(crate) fn forget(&self, session: u64) {
        if self.any.load(Ordering::Acquire) {
            for injected in self.lock().iter_mut() {
                injected.sessions.remove(&session);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Injected>> {
        self.injected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(texts: &[&str]) -> Faults {
        let faults = Faults::default();
        for text in texts {
            faults.inject(text.parse().unwrap());
        }
        faults
    }

    fn call(faults: &Faults, stream: &str) -> bool {
        let occasion = Occasion {
            stream: Some(stream),
            session: None,
        };
        faults.strike(occasion, Some).is_some()
    }

    fn struck(faults: &Faults) -> Vec<u64> {
        faults
            .list()
            .into_iter()
            .map(|(_, struck)| struck)
            .collect()
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_says() {
        let faults = faults(&["never-ack:2"]);
        assert!(call(&faults, "cam1") && call(&faults, "cam1"));
        assert!(!call(&faults, "cam1"));
        assert_eq!(struck(&faults), [2]);
    }

    #[test]
    fn one_after_the_other() {
        let faults = faults(&["never-ack", "idle-ack:always"]);
        for _ in 0..5 {
            assert!(call(&faults, "cam1"));
        }
        assert_eq!(struck(&faults), [1, 4]);
        faults.clear();
        assert!(!call(&faults, "cam1"));
    }

    #[test]
    fn a_fault_of_a_stream_leaves_others_alone() {
        let faults = faults(&["never-ack@cam1"]);
        assert!(!call(&faults, "cam2"));
        assert!(call(&faults, "cam1"));
    }

    #[test]
    fn a_session_is_struck_once_and_stays_so() {
        let faults = faults(&["never-ack"]);
        let meet = |session| {
            let occasion = Occasion {
                stream: Some("cam1"),
                session: Some(session),
            };
            faults
                .strike(occasion, Some)
                .map(|strike| strike.news.is_some())
        };
        assert_eq!([meet(1), meet(1), meet(2)], [Some(true), Some(false), None]);
        faults.forget(1);
        assert_eq!(meet(1), None);
        assert_eq!(struck(&faults), [1]);
    }

    #[test]
    fn poison_is_the_same_fragment_each_time() {
        let faults = faults(&["poison:4006:2:always"]);
        let occasion = Occasion {
            stream: Some("cam1"),
            session: Some(1),
        };
        let meet = |index, ms| faults.poison(occasion, index, ms).is_some();
        assert_eq!(
            [meet(1, 1000), meet(2, 2000), meet(1, 2000), meet(2, 3000)],
            [false, true, true, false]
        );
    }
}
