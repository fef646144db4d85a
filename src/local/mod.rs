//! A local service that speaks the wire protocol of Kinesis Video Streams, strictly.
//!
//! For development, the demo and tests: control plane, `PutMedia` and `GetMedia` on one port, with signatures
//! verified, media checked by the service's rules while they arrive, and everything kept as playable files.
//!
//! ```text
//! listen ─▶ server ─▶ sigv4 ─▶ control ─▶ rules, account              (control plane)
//!                        └───▶ put_media ─▶ session ─▶ ingest          (PutMedia)
//!                        │                     └────▶ archive, outbox, ledger
//!                        └───▶ get_media ─▶ archive                    (GetMedia)
//! sigv4 ─▶ keys                                                        (whose calls are taken)
//! listen ─▶ server ─▶ sources ─▶ keys                                  (where clients get credentials)
//! ingest ─▶ ebml, tracks, tags                  skim, frame_log        (a sink, for those who measure: instead of ingest)
//! fault ─▶ faults ─▶ listen, server, session, outbox                   (what goes wrong on demand)
//! ```
//!
//! Belongs here: the service's side of the protocol. Does not belong here: anything of the producer; this
//! module shares no code of ours with it, so that they can prove each other wrong. (The crate `aws-sigv4` serves both;
//! `net::sign` has a test of its own against another implementation.)
//!
//! What is kept: `<dir>/<stream>/session-NNNN.mkv`, one file per `PutMedia` call, valid after every fragment, and
//! `<dir>/<stream>/index.jsonl`, a line for each fragment. Streams themselves live in memory only.

mod account;
mod ack;
mod api;
mod archive;
mod clock;
mod codecs;
mod connection;
mod control;
mod ebml;
mod fault;
mod fault_control;
mod fault_forms;
mod fault_text;
mod faults;
mod frame_log;
mod get_media;
mod ingest;
mod issue;
mod keys;
mod ledger;
mod line;
mod listen;
mod mkv;
mod options;
mod outbox;
mod put_media;
mod reading;
mod record;
mod refused;
mod reply;
mod rules;
#[cfg(test)]
mod sample;
mod server;
mod service;
mod session;
mod sigv4;
mod skim;
mod sources;
mod tags;
mod tls;
mod tracks;
mod visit;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;

pub use account::{StreamDescription, StreamStatus};
pub use ack::ErrorId;
pub use api::Api;
pub use fault::{Fault, FaultForm, FaultKind};
pub use fault_text::FaultError;
pub use keys::{Issued, Source};
pub use ledger::{AckKind, Attempt, LedgerEntry, Reception};
pub use options::{CredentialSources, DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Log, Options};
pub use record::{FragmentRecord, RequestRecord};
pub use sources::Sources;

use account::Account;
use clock::Clock;
use frame_log::FrameLog;
use keys::Keys;
use service::{Patience, Service};
use sources::{Issuer, iot};

/// A running service. It has its own thread and stops when dropped.
pub struct Local {
    service: Arc<Service>,
    ca_file: Option<PathBuf>,
    temporary: Option<PathBuf>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Local {
    /// Starts a service; it takes connections when this returns.
    ///
    /// # Errors
    /// If the directory cannot be made or the address cannot be listened on.
    pub fn start(mut options: Options) -> anyhow::Result<Self> {
        let temporary = match &options.dir {
            None => Some(temporary_dir()),
            Some(_) => None,
        };
        let dir = options
            .dir
            .clone()
            .or_else(|| temporary.clone())
            .unwrap_or_default();
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let (tls, ca_file) = if options.tls {
            Some(tls::generate(&dir)?)
        } else {
            None
        }
        .unzip();

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = std::net::TcpListener::bind(options.listen)
            .with_context(|| format!("cannot listen on {}", options.listen))?;
        listener.set_nonblocking(true)?;
        let endpoint = endpoint(listener.local_addr()?, options.tls);
        let iot = issuer(&mut options, &endpoint)?;
        let (sink, frame_log) = (options.sink, options.frame_log.take());
        let mut service = service(options, endpoint, dir);
        service.sink = sink;
        service.frame_log = frame_log.as_deref().map(FrameLog::create).transpose()?;
        service.issuer = iot.as_ref().map(|(issuer, _)| Arc::clone(issuer));
        let service = Arc::new(service);
        let (stop, stopped) = watch::channel(false);
        let thread = {
            let service = Arc::clone(&service);
            std::thread::Builder::new()
                .name("kvs-local".to_owned())
                .spawn(move || {
                    runtime.block_on(async {
                        match tokio::net::TcpListener::from_std(listener) {
                            Ok(listener) => {
                                if let Some((issuer, door)) = iot {
                                    let service = Arc::clone(&service);
                                    tokio::spawn(iot::serve(
                                        door,
                                        issuer,
                                        service,
                                        stopped.clone(),
                                    ));
                                }
                                listen::serve(listener, tls, service, stopped).await;
                            }
                            Err(e) => service.say(&format!("cannot listen: {e}")),
                        }
                    });
                    // Sessions end here, at whatever they wait for; their files are valid at any such point.
                })?
        };
        Ok(Self {
            service,
            ca_file,
            temporary,
            stop,
            thread: Some(thread),
        })
    }

    /// The URI of the control plane, `http://127.0.0.1:43211`; the data endpoint is the same.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.service.endpoint
    }

    /// The CA's certificate in PEM, if the service speaks TLS.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// Where media are kept.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.service.dir
    }

    /// The fragments of a stream, oldest first; the last 20,000 of them.
    #[must_use]
    pub fn fragments(&self, stream: &str) -> Vec<FragmentRecord> {
        self.service.look(|account| {
            account
                .get(stream)
                .map(|stream| stream.fragments.iter().cloned().collect())
                .unwrap_or_default()
        })
    }

    /// The files of a stream's sessions, oldest first.
    #[must_use]
    pub fn session_files(&self, stream: &str) -> Vec<PathBuf> {
        archive::session_files(self.dir(), stream)
    }

    /// The calls so far, oldest first; the last 10,000 of them.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.service.requests()
    }

    /// A stream as it is now.
    #[must_use]
    pub fn describe(&self, stream: &str) -> Option<StreamDescription> {
        self.service
            .look(|account| account.get(stream).map(|stream| stream.description.clone()))
    }

    /// From now on this goes wrong, as often as the fault says; see [`Fault::FORMS`].
    pub fn inject(&self, fault: Fault) {
        self.service.inject(fault);
    }

    /// Forgets all faults, and ends those that last.
    pub fn clear_faults(&self) {
        self.service.clear_faults();
    }

    /// What was injected since the last [`Self::clear_faults`], and how often each has struck.
    #[must_use]
    pub fn faults(&self) -> Vec<(Fault, u64)> {
        self.service.faults.list()
    }

    /// The calls of `PutMedia` for a stream, let in or not, oldest first; of the last 10,000 of all streams.
    #[must_use]
    pub fn attempts(&self, stream: &str) -> Vec<Attempt> {
        self.service
            .look_into_ledger(|ledger| ledger.attempts(stream))
    }

    /// What came of each fragment of a stream, by producer timestamp; the last 20,000.
    #[must_use]
    pub fn ledger(&self, stream: &str) -> Vec<LedgerEntry> {
        self.service
            .look_into_ledger(|ledger| ledger.entries(stream))
    }

    /// Since the start, by the clock of [`Self::attempts`] and [`Self::ledger`].
    #[must_use]
    pub fn uptime(&self) -> Duration {
        Duration::from_millis(self.service.clock.uptime_ms())
    }

    /// Waits until `condition` holds, looking again at every change; false if `limit` passes before.
    #[must_use]
    pub fn wait_for(&self, limit: Duration, mut condition: impl FnMut(&Self) -> bool) -> bool {
        let start = clock::start();
        loop {
            let seen = self.service.seen();
            if condition(self) {
                return true;
            }
            let Some(left) = clock::left(start, limit) else {
                return false;
            };
            self.service.wait_for_change(seen, left);
        }
    }

    /// Stops the service. Connections are closed; what has been acknowledged is in the files.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by its thread.
            let _ = thread.join();
        }
        if let Some(dir) = &self.temporary {
            // What cannot be removed is left to the system's temporary directory.
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local")
            .field("endpoint", &self.endpoint())
            .field("dir", &self.dir())
            .finish_non_exhaustive()
    }
}

fn service(options: Options, endpoint: String, dir: PathBuf) -> Service {
    let keys = Keys {
        access_key: options.access_key,
        secret_key: options.secret_key,
        session_token: options.session_token,
        region: options.region,
        issued: Mutex::default(),
    };
    let patience = Patience {
        connection: options.max_connection,
        idle: options.idle,
        silence: options.silence,
    };
    let delay_ms = u64::try_from(options.activation_delay.as_millis()).unwrap_or(u64::MAX);
    let clock = Clock::shifted_by(options.clock_offset_ms);
    Service::new(
        keys,
        endpoint,
        dir,
        clock,
        patience,
        Account::new(delay_ms),
        options.log,
    )
}

fn issuer(
    options: &mut Options,
    endpoint: &str,
) -> anyhow::Result<Option<(Arc<Issuer>, iot::Door)>> {
    let Some(wanted) = options.credential_sources.take() else {
        return Ok(None);
    };
    let ip = options.listen.ip();
    let (life, region) = (options.credential_life, options.region.as_deref());
    let (issuer, door) = Issuer::new(wanted, endpoint, ip, life, region)?;
    Ok(Some((Arc::new(issuer), door)))
}

/// How the service is reached: an address that stands for all of them is reached by loopback.
fn endpoint(address: std::net::SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let port = address.port();
    match address.ip() {
        ip if ip.is_unspecified() => format!("{scheme}://127.0.0.1:{port}"),
        std::net::IpAddr::V4(ip) => format!("{scheme}://{ip}:{port}"),
        std::net::IpAddr::V6(ip) => format!("{scheme}://[{ip}]:{port}"),
    }
}

fn temporary_dir() -> PathBuf {
    std::env::temp_dir().join(format!(
        "kvs-local-{}-{:016x}",
        std::process::id(),
        fastrand::u64(..)
    ))
}
