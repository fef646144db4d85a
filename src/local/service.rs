//! What all connections share: the account, the records, and the news that something changed.
//!
//! Does not belong here: HTTP (`server`), the protocol of a session (`session`).

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::account::Account;
use super::clock::Clock;
use super::fault::{Fault, FaultKind};
use super::faults::{Faults, Occasion, Strike};
use super::frame_log::FrameLog;
use super::keys::{Issued, Keys, Source};
use super::ledger::Ledger;
use super::options::Log;
use super::record::RequestRecord;
use super::sources::Issuer;

/// Calls that are remembered.
const MAX_REQUESTS: usize = 10_000;

/// Limits of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Longest life of a `PutMedia` connection.
    pub(crate) connection: Duration,
    /// Silence after which IDLE is said.
    pub(crate) idle: Duration,
    /// Silence after which the connection is closed.
    pub(crate) silence: Duration,
}

/// The service.
pub(crate) struct Service {
    pub(crate) keys: Keys,
    /// Where clients get credentials, if they do.
    pub(crate) issuer: Option<Arc<Issuer>>,
    pub(crate) endpoint: String,
    pub(crate) dir: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) patience: Patience,
    /// Media is taken and not kept.
    pub(crate) sink: bool,
    /// Where it is written when which frame has come.
    pub(crate) frame_log: Option<FrameLog>,
    pub(crate) faults: Faults,
    /// Changes when all connections are to be dropped.
    pub(crate) away: watch::Sender<()>,
    sessions: AtomicU64,
    log: Option<Log>,
    state: Mutex<State>,
    changes: Mutex<u64>,
    changed: Condvar,
    news: watch::Sender<()>,
}

struct State {
    account: Account,
    requests: VecDeque<RequestRecord>,
    ledger: Ledger,
}

impl Service {
    pub(crate) fn new(
        keys: Keys,
        endpoint: String,
        dir: PathBuf,
        clock: Clock,
        patience: Patience,
        account: Account,
        log: Option<Log>,
    ) -> Self {
        Self {
            keys,
            issuer: None,
            endpoint,
            dir,
            clock,
            patience,
            sink: false,
            frame_log: None,
            faults: Faults::default(),
            away: watch::Sender::new(()),
            sessions: AtomicU64::new(0),
            log,
            state: Mutex::new(State {
                account,
                requests: VecDeque::new(),
                ledger: Ledger::default(),
            }),
            changes: Mutex::new(0),
            changed: Condvar::new(),
            news: watch::Sender::new(()),
        }
    }

    /// Works on the account as it is now, and tells those who wait.
    pub(crate) fn with_account<T>(&self, work: impl FnOnce(&mut Account, u64) -> T) -> T {
        let now_ms = self.clock.now_ms();
        let mut state = lock(&self.state);
        state.account.settle(now_ms);
        let result = work(&mut state.account, now_ms);
        drop(state);
        self.tell();
        result
    }

    /// Looks at the account as it is now.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Account) -> T) -> T {
        let mut state = lock(&self.state);
        state.account.settle(self.clock.now_ms());
        look(&state.account)
    }

    /// Remembers a call that was answered.
    pub(crate) fn record(&self, request: RequestRecord) {
        let mut line = format!("{} {}", request.status, request.api);
        for part in [&request.stream, &request.error].into_iter().flatten() {
            line.push(' ');
            line.push_str(part);
        }
        self.say(&line);
        let mut state = lock(&self.state);
        if state.requests.len() == MAX_REQUESTS {
            state.requests.pop_front();
        }
        state.requests.push_back(request);
        drop(state);
        self.tell();
    }

    /// The calls so far.
    pub(crate) fn requests(&self) -> Vec<RequestRecord> {
        lock(&self.state).requests.iter().cloned().collect()
    }

    /// Writes into the ledger at this time of the monotonic clock, and tells those who wait.
    pub(crate) fn with_ledger<T>(&self, work: impl FnOnce(&mut Ledger, u64) -> T) -> T {
        let result = work(&mut lock(&self.state).ledger, self.clock.uptime_ms());
        self.tell();
        result
    }

    /// Looks into the ledger.
    pub(crate) fn look_into_ledger<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&lock(&self.state).ledger)
    }

    /// Issues credentials, and tells those who wait.
    pub(crate) fn issue(
        &self,
        source: Source,
        holder: &str,
        life: Duration,
        now_ms: u64,
    ) -> Issued {
        let issued = self.keys.issue(source, holder, life, now_ms);
        self.tell();
        issued
    }

    /// The time outside of a call: wrong as that of calls is, but it is no occasion for a fault.
    pub(crate) fn wall_ms(&self) -> u64 {
        let nobody = Occasion {
            stream: None,
            session: None,
        };
        let offset_ms = self.faults.look(nobody, FaultKind::clock_offset_ms);
        self.clock
            .now_ms()
            .saturating_add_signed(offset_ms.unwrap_or(0))
    }

    /// When credentials expire next, by the clock as it is without faults.
    fn next_expiry_ms(&self) -> Option<u64> {
        let wall_ms = self.wall_ms();
        let left_ms = self.keys.next_expiry_ms(wall_ms)? - wall_ms;
        Some(self.clock.now_ms().saturating_add(left_ms))
    }

    /// The number of the next session.
    pub(crate) fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Adds a fault.
    pub(crate) fn inject(&self, fault: Fault) {
        self.say(&format!("fault {fault} injected"));
        self.faults.inject(fault);
        self.tell();
    }

    /// Forgets all faults; those that last end.
    pub(crate) fn clear_faults(&self) {
        self.say("faults cleared");
        self.faults.clear();
        self.tell();
    }

    /// What `pick` wants of a fault that strikes here, if one does.
    pub(crate) fn strike<T>(
        &self,
        occasion: Occasion<'_>,
        pick: impl Fn(FaultKind) -> Option<T>,
    ) -> Option<T> {
        self.faults
            .strike(occasion, pick)
            .map(|strike| self.struck(strike))
    }

    /// Tells of a fault that has struck.
    pub(crate) fn struck<T>(&self, strike: Strike<T>) -> T {
        if let Some(fault) = strike.news {
            self.say(&format!("fault {fault} strikes"));
            self.tell();
        }
        strike.value
    }

    /// Writes a line of the log.
    pub(crate) fn say(&self, line: &str) {
        if let Some(log) = &self.log {
            log(line);
        }
    }

    /// For a task that waits for changes.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    fn tell(&self) {
        *lock(&self.changes) += 1;
        self.changed.notify_all();
        self.news.send_replace(());
    }

    /// What has changed up to now.
    pub(crate) fn seen(&self) -> Seen {
        Seen {
            changes: *lock(&self.changes),
            next_change_ms: [self.look(Account::next_change_ms), self.next_expiry_ms()]
                .into_iter()
                .flatten()
                .min(),
        }
    }

    /// Waits on a plain thread for a change after `seen`, at most `limit`.
    pub(crate) fn wait_for_change(&self, seen: Seen, limit: Duration) {
        let limit = seen.next_change_ms.map_or(limit, |at_ms| {
            limit.min(Duration::from_millis(
                at_ms.saturating_sub(self.clock.now_ms()) + 1,
            ))
        });
        let changes = lock(&self.changes);
        drop(
            self.changed
                .wait_timeout_while(changes, limit, |changes| *changes == seen.changes),
        );
    }
}

/// A point in the history of changes. To be taken before one looks, or a change between is missed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    changes: u64,
    /// A stream becomes ACTIVE, and credentials expire, by the clock alone.
    next_change_ms: Option<u64>,
}

/// A lock that survives a panic elsewhere: what it guards is consistent between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
