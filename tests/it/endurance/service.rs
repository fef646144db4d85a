//! The service in a process of its own, so that nothing of it is counted.

use std::process::Command;

use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY};

use crate::support::scripts::{Process, Signal};

/// `kvs-local`, as a program.
pub(super) struct Service {
    process: Process,
    endpoint: String,
}

impl Service {
    pub(super) fn start(fault: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvs-local"));
        command.args(["--activation-delay-ms", "50"]);
        if let Some(fault) = fault {
            command.args(["--fault", fault]);
        }
        let mut process = Process::start(command);
        let ready: serde_json::Value = serde_json::from_str(&process.line()).unwrap();
        let endpoint = ready["endpoint"].as_str().unwrap().to_owned();
        Self { process, endpoint }
    }

    /// The properties that make kvssink talk to it.
    pub(super) fn properties(&self) -> String {
        format!(
            "endpoint={} access-key={DEFAULT_ACCESS_KEY} secret-key={DEFAULT_SECRET_KEY}",
            self.endpoint
        )
    }

    /// It removes its files.
    pub(super) fn stop(self) {
        self.process.signal(Signal::Terminate);
        self.process.end().assert_success();
    }
}
