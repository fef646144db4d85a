//! [`Runtime`]: a tokio runtime on a thread of its own.
//!
//! The thread owns the runtime and drops it, so that nobody else ever blocks on tokio or drops a runtime: both panic on
//! a thread that already runs tokio tasks (an application may).

use std::{
    future::Future,
    pin::Pin,
    thread::{self, ThreadId},
};

use tokio::sync::mpsc;

use crate::definition::Invalid;

/// What runs on the thread.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The thread's intake. The thread ends when this is dropped and its last stream has ended.
pub(crate) struct Runtime {
    tasks: mpsc::UnboundedSender<Task>,
    thread: ThreadId,
}

impl Runtime {
    /// Starts the thread.
    pub(crate) fn start(name: &str) -> Result<Self, Invalid> {
        // One entry per stream that is made; each is taken at once.
        let (tasks, mut inbox) = mpsc::unbounded_channel::<Task>();
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
                            task = inbox.recv() => match task {
                                Some(task) => drop(running.spawn(task)),
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
            tasks,
            thread: thread.thread().id(),
        })
    }

    /// The thread that they run on.
    pub(crate) fn thread(&self) -> ThreadId {
        self.thread
    }

    /// Runs it on the thread.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // It fails only when the thread panicked; a driver then says so when it is dropped.
        let _ = self.tasks.send(Box::pin(task));
    }
}
