//! A part of a test in a process of its own: this program again, with that one test and a task.

use std::{ffi::OsStr, process::Command};

use super::scripts::{Ended, Process};

/// Says what the process of its own has to do. Without it, the test is the one that starts such a process.
const TASK: &str = "KVSSINK_TEST_TASK";

/// What this process has to do, if it is one that [`run`] has started.
pub(crate) fn task() -> Option<String> {
    std::env::var(TASK).ok()
}

/// Runs the test that calls this in another process, where [`task`] is `task`.
pub(crate) fn run(task: impl AsRef<OsStr>) -> Ended {
    end(command(task))
}

/// What [`run`] runs, for another environment.
pub(crate) fn command(task: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let thread = std::thread::current();
    // A test's thread has its name.
    let test = thread.name().unwrap();
    command
        .args(["--exact", test, "--nocapture"])
        .env(TASK, task);
    command
}

/// Runs it to its end.
pub(crate) fn end(command: Command) -> Ended {
    Process::start(command).end()
}
