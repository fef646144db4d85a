//! The other side: `kvs-local --sink`, in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};

use super::clock;
use super::media::FOLDER;
use super::sign::{client, signed};
use super::task::Peer;

/// The stream of the n-th sink.
pub(crate) fn stream_name(n: usize) -> String {
    format!("cam{n}")
}

/// A line of its log, and when it was read.
type Line = (u64, String);

/// A service that takes media; it ends when dropped.
pub(crate) struct Service {
    process: Child,
    pub(crate) peer: Peer,
    frame_log: Option<PathBuf>,
    lines: Arc<Mutex<Vec<Line>>>,
}

/// A line of the log of frames.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) stream: String,
    pub(crate) session: u64,
    /// Its last byte; else it is the beginning of a fragment.
    pub(crate) is_frame: bool,
    pub(crate) at_ns: u64,
}

impl Service {
    /// Starts one, with streams for so many sinks; `log` says when frames come.
    pub(crate) fn start(tls: bool, log: bool, sinks: usize) -> anyhow::Result<Self> {
        let name = format!("service-{}-{log}", if tls { "https" } else { "http" });
        let dir = PathBuf::from(FOLDER).join(&name);
        let frame_log = log.then(|| dir.with_extension("csv"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvs-local"));
        command.args(["--sink", "--activation-delay-ms", "0", "--dir"]);
        command.arg(std::path::absolute(&dir)?);
        if tls {
            command.arg("--tls");
        }
        if let Some(log) = &frame_log {
            command.arg("--frame-log").arg(log);
        }
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().context("it is piped")?;
        let stderr = process.stderr.take().context("it is piped")?;
        let lines = Arc::<Mutex<Vec<Line>>>::default();
        let heard = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut lines = heard.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push((clock::monotonic_ns(), line));
            }
        });
        let mut ready = String::new();
        BufReader::new(stdout).read_line(&mut ready)?;
        let ready: serde_json::Value = serde_json::from_str(&ready).context("kvs-local")?;
        let text = |name: &str| ready[name].as_str().map(str::to_owned);
        let service = Self {
            process,
            peer: Peer {
                endpoint: text("endpoint").context("it has an endpoint")?,
                ca_file: text("ca").map(PathBuf::from),
            },
            frame_log,
            lines,
        };
        service.make_streams(sinks)?;
        Ok(service)
    }

    fn make_streams(&self, count: usize) -> anyhow::Result<()> {
        let ca = self.peer.ca_file.as_ref().map(fs::read).transpose()?;
        let client = client(ca.as_deref())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            for n in 0..count {
                let url = format!("{}/createStream", self.peer.endpoint);
                let stream = serde_json::json!({
                    "StreamName": stream_name(n), "DataRetentionInHours": 2, "MediaType": "video/h264",
                });
                let body = stream.to_string();
                let headers = signed(&url, &[], body.as_bytes())?;
                let answer = client.post(&url).headers(headers).body(body).send().await?;
                ensure!(answer.status() == 200, "{}", answer.text().await?);
            }
            Ok(())
        })
    }

    /// Its CPU time so far, in seconds.
    pub(crate) fn cpu_s(&self) -> f64 {
        super::process::cpu_s(self.process.id())
    }

    /// The end of the log of frames, for [`Self::arrived`].
    pub(crate) fn log_end(&self) -> anyhow::Result<u64> {
        let log = self.frame_log.as_ref().context("it has a log")?;
        Ok(fs::metadata(log)?.len())
    }

    /// What the log of frames has from there on.
    pub(crate) fn arrived(&self, from: u64) -> anyhow::Result<Vec<Arrived>> {
        let log = self.frame_log.as_ref().context("it has a log")?;
        let mut file = fs::File::open(log)?;
        file.seek(SeekFrom::Start(from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        text.lines()
            .filter(|line| !line.starts_with("stream,"))
            .map(|line| {
                let parts: Vec<&str> = line.split(',').collect();
                let [stream, session, what, _, at_ns] = parts[..] else {
                    anyhow::bail!("{line:?}")
                };
                Ok(Arrived {
                    stream: stream.to_owned(),
                    session: session.parse()?,
                    is_frame: what == "frame",
                    at_ns: at_ns.parse()?,
                })
            })
            .collect()
    }

    /// Injects a fault; by http only.
    pub(crate) fn inject(&self, fault: &str) -> anyhow::Result<()> {
        let address = self.peer.endpoint.strip_prefix("http://");
        let address = address.context("faults are injected by http")?;
        let mut socket = TcpStream::connect(address)?;
        write!(
            socket,
            "POST /kvs-local/faults HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{fault}",
            fault.len()
        )?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Ok(())
    }

    /// When the first line came after that time that has these words.
    pub(crate) fn said(&self, words: &str, after_ns: u64) -> Option<u64> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .find(|(at_ns, line)| *at_ns > after_ns && line.contains(words))
            .map(|(at_ns, _)| *at_ns)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It has nothing that is worth keeping; it may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
