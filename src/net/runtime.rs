//! [`Runtime`]: a tokio runtime on a thread of its own.
//!
//! The thread owns the runtime and drops it, so that nobody else ever blocks on tokio or drops a runtime: both panic on
//! a thread that already runs tokio tasks (an application may).

use std::thread::{self, ThreadId};

use tokio::sync::mpsc;

use super::driver::Driver;
use crate::definition::Invalid;

/// The thread's intake. The thread ends when this is dropped and its last stream has ended.
pub(crate) struct Runtime {
    drivers: mpsc::UnboundedSender<Driver>,
    thread: ThreadId,
}

impl Runtime {
    /// Starts the thread.
    pub(crate) fn start(name: &str) -> Result<Self, Invalid> {
        // One entry per stream that is made; each is taken at once.
        let (drivers, mut inbox) = mpsc::unbounded_channel::<Driver>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Invalid::new("thread", error.to_string()))?;
        // A nul cannot be in the name of a thread.
        let name: String = name.chars().filter(|c| *c != '\0').collect();
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || {
                runtime.block_on(async move {
                    let mut running = tokio::task::JoinSet::new();
                    loop {
                        tokio::select! {
                            driver = inbox.recv() => match driver {
                                Some(driver) => drop(running.spawn(driver.run())),
                                None => break,
                            },
                            Some(_) = running.join_next() => {}
                        }
                    }
                    while running.join_next().await.is_some() {}
                });
                // A look-up of a host name may still hang in a blocking thread: do not wait for it.
                runtime.shutdown_background();
            })
            .map_err(|error| Invalid::new("thread", error.to_string()))?;
        Ok(Self {
            drivers,
            thread: thread.thread().id(),
        })
    }

    /// The thread that the drivers run on.
    pub(crate) fn thread(&self) -> ThreadId {
        self.thread
    }

    /// Runs the driver on the thread.
    pub(crate) fn spawn(&self, driver: Driver) {
        // It fails only when the thread panicked; the driver then says so when it is dropped.
        let _ = self.drivers.send(driver);
    }
}
