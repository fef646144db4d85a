//! `kvs-local`: the wire protocol of Kinesis Video Streams on this machine.
//!
//! Prints one line of JSON on stdout when it is ready, log lines on stderr, and stops with status 0 on SIGINT or
//! SIGTERM. All the rest is `gstkvssink::local`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use gstkvssink::local::{
    CredentialSources, DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Fault, Local, Options,
};
use tokio::signal::unix::{SignalKind, signal};

/// Serves the wire protocol of Amazon Kinesis Video Streams on this machine, strictly.
///
/// Control plane, PutMedia and GetMedia are on one port. Signatures are verified; what is stored stands below the
/// directory as one playable .mkv file per session and an index of fragments. The default keys are for local use:
/// AKIDLOCAL / local-secret.
///
/// When it is ready, one line of JSON comes on stdout: {"ready":true,"endpoint":…,"dir":…,"ca":…,"sources":…}.
#[derive(Parser)]
#[command(version, about, after_long_help = faults())]
struct Arguments {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env = "KVS_LOCAL_LISTEN", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Speak TLS, with a CA made at the start (its certificate is DIR/ca.pem)
    #[arg(long, env = "KVS_LOCAL_TLS")]
    tls: bool,
    /// Where to keep media; without it a temporary directory, removed at the end
    #[arg(long, env = "KVS_LOCAL_DIR")]
    dir: Option<PathBuf>,
    /// The access key that is taken
    #[arg(long, env = "KVS_LOCAL_ACCESS_KEY", default_value = DEFAULT_ACCESS_KEY, hide_env_values = true)]
    access_key: String,
    /// Its secret key
    #[arg(long, env = "KVS_LOCAL_SECRET_KEY", default_value = DEFAULT_SECRET_KEY, hide_env_values = true)]
    secret_key: String,
    /// The session token that requests must carry; without it they must not carry any
    #[arg(long, env = "KVS_LOCAL_SESSION_TOKEN", hide_env_values = true)]
    session_token: Option<String>,
    /// The only region taken; without it any
    #[arg(long, env = "KVS_LOCAL_REGION")]
    region: Option<String>,
    /// How long issued credentials are good, in seconds
    #[arg(long, env = "KVS_LOCAL_CREDENTIAL_LIFE_S", default_value_t = 3600)]
    credential_life_s: u64,
    /// Also give such credentials, as containers, instances, STS and IoT get them; DIR is where the files of a device and of
    /// a web identity are written
    #[arg(long, env = "KVS_LOCAL_CREDENTIAL_SOURCES", value_name = "DIR")]
    credential_sources: Option<PathBuf>,
    /// The Authorization that the container endpoint wants
    #[arg(
        long,
        env = "KVS_LOCAL_CONTAINER_TOKEN",
        hide_env_values = true,
        requires = "credential_sources"
    )]
    container_token: Option<String>,
    /// The external id that AssumeRole wants
    #[arg(long, env = "KVS_LOCAL_EXTERNAL_ID", requires = "credential_sources")]
    external_id: Option<String>,
    /// Milliseconds that a stream is CREATING, and DELETING
    #[arg(long, env = "KVS_LOCAL_ACTIVATION_DELAY_MS", default_value_t = 300)]
    activation_delay_ms: u64,
    /// Longest life of a PutMedia connection, in seconds
    #[arg(long, env = "KVS_LOCAL_MAX_CONNECTION_S", default_value_t = 2700)]
    max_connection_s: u64,
    /// Silence on a PutMedia connection after which IDLE is sent, in milliseconds
    #[arg(long, env = "KVS_LOCAL_IDLE_MS", default_value_t = 10_000)]
    idle_ms: u64,
    /// Silence on a PutMedia connection after which it is closed, in milliseconds
    #[arg(long, env = "KVS_LOCAL_SILENCE_MS", default_value_t = 30_000)]
    silence_ms: u64,
    /// How far the service's clock is ahead of the machine's, in milliseconds; negative if it is behind
    #[arg(
        long,
        env = "KVS_LOCAL_CLOCK_OFFSET_MS",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    clock_offset_ms: i64,
    /// Only take media, for those who measure: PutMedia is read as fast as possible and acknowledged with the timecodes of
    /// its fragments, but nothing is stored, and nothing in a fragment is checked
    #[arg(long, env = "KVS_LOCAL_SINK")]
    sink: bool,
    /// With --sink: write here when each frame had come, as CSV: stream,session,what,timecode_ms,arrived_ns. WHAT is frame
    /// (its last byte was read) or fragment (its timecode was); the time is CLOCK_MONOTONIC. What a session wrote is there
    /// when it has ended
    #[arg(
        long,
        env = "KVS_LOCAL_FRAME_LOG",
        value_name = "FILE",
        requires = "sink"
    )]
    frame_log: Option<PathBuf>,
    /// A fault from the start, as http:PutMedia:503:3; may be given more than once, see the end of --help
    #[arg(
        long = "fault",
        env = "KVS_LOCAL_FAULTS",
        value_delimiter = ',',
        value_name = "FAULT"
    )]
    faults: Vec<Fault>,
}

/// The end of `--help`.
fn faults() -> String {
    let mut text = "Faults, on the command line or at any time by\n  \
                    curl -d FAULT http://ADDRESS/kvs-local/faults\n\
                    (also GET to list and DELETE to clear them; one on a line; from this machine, unsigned).\n\
                    TIMES is a number or 'always', 1 if not given; TIME is in milliseconds, or seconds as in 2s.\n\n"
        .to_owned();
    for form in Fault::FORMS {
        text.push_str(&format!("  {}\n      {}\n", form.form, form.what));
    }
    text
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Signals first: one that comes while the service starts must stop it as well.
    let (mut interrupt, mut terminate) = runtime.block_on(async {
        anyhow::Ok((
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ))
    })?;
    let local = Local::start(Options {
        listen: arguments.listen,
        tls: arguments.tls,
        dir: arguments.dir,
        access_key: arguments.access_key,
        secret_key: arguments.secret_key,
        session_token: arguments.session_token,
        region: arguments.region,
        credential_life: Duration::from_secs(arguments.credential_life_s),
        credential_sources: arguments.credential_sources.map(|dir| CredentialSources {
            container_token: arguments.container_token,
            external_id: arguments.external_id,
            ..CredentialSources::below(dir)
        }),
        activation_delay: Duration::from_millis(arguments.activation_delay_ms),
        max_connection: Duration::from_secs(arguments.max_connection_s),
        idle: Duration::from_millis(arguments.idle_ms),
        silence: Duration::from_millis(arguments.silence_ms),
        clock_offset_ms: arguments.clock_offset_ms,
        sink: arguments.sink,
        frame_log: arguments.frame_log,
        log: Some(Box::new(log)),
    })?;
    for fault in arguments.faults {
        local.inject(fault);
    }
    let ready = serde_json::json!({
        "ready": true,
        "endpoint": local.endpoint(),
        "dir": local.dir(),
        "ca": local.ca_file(),
        "sources": local.sources(),
    });
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{ready}")
        .and_then(|()| stdout.flush())
        .context("cannot say that it is ready")?;
    runtime.block_on(async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    });
    local.stop();
    Ok(())
}

/// A log line; nobody may be there to read it.
fn log(line: &str) {
    let _ = writeln!(std::io::stderr(), "kvs-local: {line}");
}
