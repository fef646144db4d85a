//! [`Storage`]: the memory that the streams of a producer share.
//!
//! Each stream may use what the others leave, and at least its part, whoever else came first: a camera that cannot be
//! sent does not take the room of those that can.
//!
//! Belongs here: who holds how much, and how much each may hold. Does not belong here: what is dropped for it (`frames`).

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// A bound in bytes, shared by the streams of a producer. Clones share it.
///
/// For a moment more may be held, until those that hold more than their part have given it back; for longer only by
/// streams that are offline, which give back nothing that was not sent. Nobody's part is granted beyond twice the bound; and
/// a fragment of each stream always is ([`super::Session::has_room`]).
#[derive(Clone)]
pub(crate) struct Storage(Arc<Inner>);

struct Inner {
    limit: u64,
    held: AtomicU64,
    streams: AtomicU64,
    /// More than nine tenths are in use, and that was told.
    pressure: AtomicBool,
    /// More than the bound is held, and those that hold too much were woken.
    exceeded: AtomicBool,
    /// A stream waits until others hold less.
    waiting: AtomicBool,
    wakers: Mutex<Vec<(u64, Waker)>>,
    next: AtomicU64,
}

type Waker = Arc<dyn Fn() + Send + Sync>;

impl Storage {
    pub(crate) fn new(limit: u64) -> Self {
        Self(Arc::new(Inner {
            limit,
            held: AtomicU64::new(0),
            streams: AtomicU64::new(0),
            pressure: AtomicBool::new(false),
            exceeded: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            wakers: Mutex::default(),
            next: AtomicU64::new(0),
        }))
    }

    /// A part of it, for one more stream.
    pub(crate) fn share(&self) -> Share {
        self.0.streams.fetch_add(1, Ordering::Relaxed);
        Share {
            storage: Some(self.clone()),
            id: self.0.next.fetch_add(1, Ordering::Relaxed),
            held: 0,
        }
    }

    /// The bound, in bytes.
    pub(crate) fn limit(&self) -> u64 {
        self.0.limit
    }

    /// Bytes that are in use.
    pub(crate) fn held(&self) -> u64 {
        self.0.held.load(Ordering::Relaxed)
    }

    /// Has this stream look whether it holds more than its part, when others need it.
    pub(crate) fn on_need(&self, share: u64, wake: impl Fn() + Send + Sync + 'static) {
        self.wakers().push((share, Arc::new(wake)));
    }

    /// Nine tenths are in use. True once, until it is half of it again.
    pub(crate) fn pressure_begins(&self) -> bool {
        let (held, limit) = (u128::from(self.held()), u128::from(self.0.limit));
        if held * 10 >= limit * 9 {
            return !self.0.pressure.swap(true, Ordering::Relaxed);
        }
        if held * 2 <= limit {
            self.0.pressure.store(false, Ordering::Relaxed);
        }
        false
    }

    /// Has the others look what they may hold now.
    fn wake_others(&self, share: u64) {
        let wakers = self.wakers();
        let others = wakers.iter().filter(|(other, _)| *other != share);
        let others: Vec<_> = others.map(|(_, wake)| Arc::clone(wake)).collect();
        drop(wakers);
        for wake in others {
            wake();
        }
    }

    fn wakers(&self) -> MutexGuard<'_, Vec<(u64, Waker)>> {
        self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage({} of {})", self.held(), self.limit())
    }
}

/// What one stream holds of a [`Storage`]; given back when it is dropped. The default is of none: nothing is shared.
#[derive(Debug, Default)]
pub(crate) struct Share {
    storage: Option<Storage>,
    id: u64,
    held: u64,
}

impl Share {
    /// For [`Storage::on_need`].
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Most bytes that this stream may hold now, if `own` is its own bound.
    pub(crate) fn limit(&self, own: u64) -> u64 {
        let Some(storage) = &self.storage else {
            return own;
        };
        let others = storage.held().saturating_sub(self.held);
        let free = storage.0.limit.saturating_sub(others);
        let streams = storage.0.streams.load(Ordering::Relaxed).max(1);
        let part = match storage.held() < storage.0.limit.saturating_mul(2) {
            true => storage.0.limit / streams,
            false => 0,
        };
        own.min(free.max(part))
    }

    /// So many bytes are held now.
    pub(crate) fn hold(&mut self, bytes: u64) {
        let before = std::mem::replace(&mut self.held, bytes);
        let Some(storage) = &self.storage else {
            return;
        };
        let Inner {
            limit,
            held,
            exceeded,
            waiting,
            ..
        } = &*storage.0;
        let held = match bytes.checked_sub(before) {
            Some(more) => held.fetch_add(more, Ordering::Relaxed) + more,
            None => held.fetch_sub(before - bytes, Ordering::Relaxed) - (before - bytes),
        };
        // Once, until there is room again: those that give nothing back would be woken with each frame.
        let needs = held > *limit && !exceeded.swap(true, Ordering::Relaxed);
        let gives = bytes < before && waiting.swap(false, Ordering::Relaxed);
        if held <= *limit {
            exceeded.store(false, Ordering::Relaxed);
        }
        if needs || gives {
            storage.wake_others(self.id);
        }
    }

    /// This stream waits until others hold less.
    pub(crate) fn wait(&self) {
        if let Some(storage) = &self.storage {
            storage.0.waiting.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.hold(0);
        if let Some(storage) = &self.storage {
            storage.0.streams.fetch_sub(1, Ordering::Relaxed);
            storage.wakers().retain(|(share, _)| *share != self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_alone_has_all_of_it_but_not_more_than_its_own_bound() {
        let storage = Storage::new(1000);
        let share = storage.share();
        assert_eq!(share.limit(u64::MAX), 1000);
        assert_eq!(share.limit(700), 700);
        assert_eq!(Share::default().limit(700), 700);
    }

    #[test]
    fn a_stream_has_what_the_others_leave_and_at_least_its_part() {
        let storage = Storage::new(1000);
        let (mut one, other) = (storage.share(), storage.share());
        one.hold(300);
        assert_eq!(other.limit(u64::MAX), 700);
        one.hold(900);
        assert_eq!((one.limit(u64::MAX), other.limit(u64::MAX)), (1000, 500));
        drop(other);
        assert_eq!((storage.held(), one.limit(u64::MAX)), (900, 1000));
        drop(one);
        assert_eq!(storage.held(), 0);
    }

    #[test]
    fn who_holds_too_much_is_woken_when_another_needs_it() {
        let storage = Storage::new(1000);
        let (mut one, mut other) = (storage.share(), storage.share());
        let woken = Arc::new(AtomicU64::new(0));
        for share in [&one, &other] {
            let (woken, id) = (Arc::clone(&woken), share.id());
            storage.on_need(id, move || {
                woken.fetch_add(id + 1, Ordering::Relaxed);
            });
        }
        one.hold(900);
        other.hold(100);
        assert_eq!(woken.load(Ordering::Relaxed), 0, "it fits");
        other.hold(200);
        assert_eq!(woken.load(Ordering::Relaxed), 1, "the first one only");
        assert_eq!(one.limit(u64::MAX), 800);
        other.hold(300);
        assert_eq!(woken.load(Ordering::Relaxed), 1, "once");
        one.wait();
        other.hold(250);
        assert_eq!(woken.load(Ordering::Relaxed), 2, "there is more room");
        other.hold(200);
        assert_eq!(woken.load(Ordering::Relaxed), 2, "nobody waits");
    }

    #[test]
    fn nobody_has_a_part_of_what_is_held_twice() {
        let storage = Storage::new(1000);
        let mut shares: Vec<_> = (0..4).map(|_| storage.share()).collect();
        for share in &mut shares {
            let limit = share.limit(u64::MAX);
            share.hold(limit);
        }
        assert!(storage.held() <= 2000, "{storage:?}");
    }

    #[test]
    fn pressure_is_told_once_until_half_of_it_is_free() {
        let storage = Storage::new(1000);
        let mut share = storage.share();
        let told = [800, 900, 950, 600, 900, 500, 900].map(|bytes| {
            share.hold(bytes);
            storage.pressure_begins()
        });
        assert_eq!(told, [false, true, false, false, false, false, true]);
    }
}
