//! [`Dispatch`]: callbacks of an application, called where they delay nobody.
//!
//! In: what is to be told, in order. Out: one call at a time, in that order, without a lock, panics contained.
//!
//! Belongs here: the queue, its bound, who runs it. Does not belong here: what the calls are ([`super::callbacks`]).

use std::{
    cell::Cell,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Most calls that wait for a slow callback. Acks of a busy stream come some twenty times a second.
pub(crate) const MAX_WAITING: usize = 1024;

thread_local! {
    /// Whose callback runs on this thread; 0: none.
    static RUNNING: Cell<u64> = const { Cell::new(0) };
}

/// What is told.
pub(crate) trait Told: Send + 'static {
    /// So many were left out, since the queue was full.
    fn left_out(calls: u64) -> Self;
    /// How important it is.
    fn weight(&self) -> Weight;
}

/// Which of them are left out first when callbacks are too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// One of many: not when the queue is full.
    Light,
    /// Not when the queue is full twice over.
    Heavy,
    /// Never: there is one of it.
    Last,
}

/// The callbacks of one stream, or of a producer. Clones share the queue.
pub(crate) struct Dispatch<T>(Arc<Inner<T>>);

impl<T> Clone for Dispatch<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<T> {
    /// Whose callbacks they are, for [`is_called_back`].
    id: u64,
    call: Box<dyn Fn(&T) + Send + Sync>,
    /// `None`: they are called where they are told.
    queue: Option<Mutex<Queue<T>>>,
    /// Nothing waits any more.
    idle: Box<dyn Fn() + Send + Sync>,
    left_out: AtomicU64,
    panicked: AtomicU64,
}

struct Queue<T> {
    waiting: VecDeque<T>,
    /// Left out since the last call.
    left_out: u64,
    /// Somebody calls.
    runs: bool,
}

impl<T: Told> Dispatch<T> {
    /// Calls where it is told: for callbacks of our own, which do not wait.
    #[cfg(any(test, feature = "plugin"))]
    pub(crate) fn inline(id: u64, call: impl Fn(&T) + Send + Sync + 'static) -> Self {
        Self::of(id, call, None, || ())
    }

    /// Calls on a thread of the runtime that is there for what waits; one at a time. `idle` is called when nothing waits any
    /// more.
    pub(crate) fn queued(
        id: u64,
        call: impl Fn(&T) + Send + Sync + 'static,
        idle: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let queue = Queue {
            waiting: VecDeque::new(),
            left_out: 0,
            runs: false,
        };
        Self::of(id, call, Some(Mutex::new(queue)), idle)
    }

    fn of(
        id: u64,
        call: impl Fn(&T) + Send + Sync + 'static,
        queue: Option<Mutex<Queue<T>>>,
        idle: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            id,
            call: Box::new(call),
            queue,
            idle: Box::new(idle),
            left_out: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
        }))
    }

    /// Tells. Never waits, unless it is inline.
    pub(crate) fn tell(&self, told: T) {
        let Some(mut queue) = self.0.queue() else {
            return self.0.call(&told);
        };
        let full = match told.weight() {
            Weight::Light => MAX_WAITING,
            Weight::Heavy => 2 * MAX_WAITING,
            Weight::Last => usize::MAX,
        };
        if queue.waiting.len() >= full {
            queue.left_out += 1;
            self.0.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.waiting.push_back(told);
        if std::mem::replace(&mut queue.runs, true) {
            return;
        }
        drop(queue);
        let inner = Arc::clone(&self.0);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || inner.run())),
            // The runtime is gone: whoever tells now is its last.
            Err(_) => inner.run(),
        }
    }

    /// Everything that was told was called.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.queue().is_none_or(|queue| !queue.runs)
    }

    /// Calls that were left out since callbacks were too slow, and those that panicked.
    pub(crate) fn troubles(&self) -> (u64, u64) {
        let Inner {
            left_out, panicked, ..
        } = &*self.0;
        (
            left_out.load(Ordering::Relaxed),
            panicked.load(Ordering::Relaxed),
        )
    }
}

impl<T: Told> Inner<T> {
    fn run(&self) {
        while let Some(told) = self.next() {
            self.call(&told);
        }
        (self.idle)();
    }

    fn next(&self) -> Option<T> {
        let mut queue = self.queue()?;
        if queue.left_out > 0 && queue.waiting.len() < MAX_WAITING {
            return Some(T::left_out(std::mem::take(&mut queue.left_out)));
        }
        let next = queue.waiting.pop_front();
        queue.runs = next.is_some();
        next
    }

    fn call(&self, told: &T) {
        let before = RUNNING.replace(self.id);
        // What a callback leaves behind when it panics is its own; the queue goes on.
        let called = catch_unwind(AssertUnwindSafe(|| (self.call)(told)));
        RUNNING.set(before);
        if called.is_err() {
            self.panicked.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn queue(&self) -> Option<MutexGuard<'_, Queue<T>>> {
        let queue = self.queue.as_ref()?;
        Some(queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// This thread runs a callback of that id: were it to wait for what is told, it would wait for itself.
pub(crate) fn is_called_back(id: u64) -> bool {
    RUNNING.get() == id
}

/// An id that nobody else has.
pub(crate) fn new_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[derive(Debug, PartialEq)]
    enum Word {
        Ack(u64),
        Loss(u64),
        End,
        LeftOut(u64),
    }

    impl Told for Word {
        fn left_out(calls: u64) -> Self {
            Self::LeftOut(calls)
        }

        fn weight(&self) -> Weight {
            match self {
                Self::Ack(_) => Weight::Light,
                Self::End => Weight::Last,
                _ => Weight::Heavy,
            }
        }
    }

    /// Callbacks that begin when they are told to, and what they were called with.
    fn slow(id: u64) -> (Dispatch<Word>, mpsc::Sender<()>, mpsc::Receiver<String>) {
        let (begin, may_begin) = mpsc::channel();
        let (called, calls) = mpsc::channel();
        let (may_begin, called) = (Mutex::new(Some(may_begin)), Mutex::new(called));
        let dispatch = Dispatch::queued(
            id,
            move |word| {
                if let Some(may_begin) = may_begin.lock().unwrap().take() {
                    may_begin.recv().unwrap();
                }
                called.lock().unwrap().send(format!("{word:?}")).unwrap();
            },
            || (),
        );
        (dispatch, begin, calls)
    }

    #[tokio::test]
    async fn a_slow_callback_delays_nobody_and_what_it_misses_is_counted() {
        let (dispatch, begin, calls) = slow(1);
        let many = MAX_WAITING as u64 + 10;
        for n in 0..=many {
            dispatch.tell(Word::Ack(n));
        }
        dispatch.tell(Word::Loss(7));
        dispatch.tell(Word::End);
        assert!(!dispatch.is_idle());
        let (left_out, panicked) = dispatch.troubles();
        // The first one may have been taken out before the queue was full, or not.
        assert!((10..=11).contains(&left_out), "{left_out}");
        assert_eq!(panicked, 0);
        begin.send(()).unwrap();
        let called = tokio::task::spawn_blocking(move || {
            let mut called = Vec::new();
            while called.last().is_none_or(|last| last != "End") {
                called.push(calls.recv().unwrap());
            }
            called
        });
        let called = called.await.unwrap();
        let acks: Vec<_> = called
            .iter()
            .filter(|call| call.starts_with("Ack"))
            .collect();
        assert_eq!(acks.len() as u64, many + 1 - left_out);
        assert_eq!(acks[..2], ["Ack(0)", "Ack(1)"]);
        assert!(called.contains(&"Loss(7)".to_owned()));
        assert!(
            called.contains(&format!("LeftOut({left_out})")),
            "{called:?}"
        );
    }

    #[tokio::test]
    async fn a_panic_is_counted_and_the_next_call_made() {
        for queued in [true, false] {
            let (called, calls) = mpsc::channel();
            let called = Mutex::new(called);
            let call = move |word: &Word| {
                called.lock().unwrap().send(()).unwrap();
                assert_ne!(*word, Word::Ack(1), "this one is meant to panic");
            };
            let (idle, is_idle) = mpsc::channel();
            let dispatch = match queued {
                true => Dispatch::queued(1, call, move || idle.send(()).unwrap()),
                false => Dispatch::inline(1, call),
            };
            for n in 0..3 {
                dispatch.tell(Word::Ack(n));
            }
            let all = tokio::task::spawn_blocking(move || {
                for _ in 0..3 {
                    calls.recv().unwrap();
                }
                // It may be so after each of them.
                let _ = queued.then(|| is_idle.recv().unwrap());
            });
            all.await.unwrap();
            while !dispatch.is_idle() {
                tokio::task::yield_now().await;
            }
            assert_eq!(dispatch.troubles(), (0, 1));
        }
    }

    #[test]
    fn a_callback_knows_whose_it_is() {
        let (called, calls) = mpsc::channel();
        let called = Mutex::new(called);
        let dispatch = Dispatch::inline(5, move |_: &Word| {
            let known = (is_called_back(5), is_called_back(6));
            called.lock().unwrap().send(known).unwrap();
        });
        dispatch.tell(Word::End);
        assert_eq!(calls.recv().unwrap(), (true, false));
        assert!(!is_called_back(5));
    }
}
