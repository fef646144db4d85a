//! `kvs-spool`: looks after what streams have kept on disk: lists, verifies, uploads and purges it.
//!
//! Results are on stdout, progress and errors on stderr. Status 0: done, and all is well; 1: something is damaged, or left;
//! 2: it could not be done. All the rest is `gstkvssink::producer`.

mod list;
mod purge;
mod upload;
mod verify;

use std::{
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use gstkvssink::producer::{SpoolDirectory, SpooledFile, SpooledFragment, SpooledKind, StreamName};

/// Looks after what streams of kvssink have kept on disk, in LOCATION/NAME.spool/.
///
/// Ends with status 0 when all is well, 1 when something is damaged or left, and 2 when it could not be done.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says what is there, also of streams that are running; changes nothing
    ///
    /// One line for each stream: whole fragments, frames and bytes of their files; presentation times of the first and the
    /// last frame in UTC (none for timecodes that count from the start of a stream); whether a process has it; how many
    /// files were set aside, in refused/ (the service refused them) and in damaged/ (not what was written). Files that
    /// cannot be sent are told on stderr.
    List(List),
    /// Reads every file in full and checks its checksums; changes nothing
    ///
    /// Names each file that is not what was written, or cannot be read; then ends with status 1. What was set aside before
    /// is not looked at.
    Verify(Verify),
    /// Sends what is there, as the stream would, and removes what the service has PERSISTED
    ///
    /// A stream that does not exist is created, with a retention of 2 hours. Credentials come from the default chain of the
    /// AWS SDKs: environment, profiles, web identity, containers, instance roles. Progress is on stderr. It may be
    /// interrupted at any time: what was not PERSISTED stays. What the service refuses, or is damaged, is set aside. Ends
    /// with status 0 when nothing is left, else with 1.
    Upload(Upload),
    /// Removes files for good; without --yes it says which
    ///
    /// Not while a process has the spool.
    Purge(Purge),
}

#[derive(Args)]
struct List {
    /// The directory that has NAME.spool/ in it, as spool-location of the element
    location: PathBuf,
    /// JSON: an array with an object for each stream (or each file); times in UTC, sizes in bytes
    #[arg(long)]
    json: bool,
    /// Only this stream
    #[arg(long, value_name = "NAME")]
    stream: Option<StreamArgument>,
    /// One line for each file: its name, its timecode in UTC (or seconds since the start of its stream, with a +), frames,
    /// bytes
    #[arg(long, requires = "stream")]
    fragments: bool,
}

#[derive(Args)]
struct Verify {
    /// The directory that has NAME.spool/ in it, as spool-location of the element
    location: PathBuf,
    /// Only this stream
    #[arg(long, value_name = "NAME")]
    stream: Option<StreamArgument>,
}

#[derive(Args)]
struct Upload {
    /// The directory that has NAME.spool/ in it, as spool-location of the element
    location: PathBuf,
    /// The stream
    #[arg(long, value_name = "NAME")]
    stream: StreamArgument,
    /// AWS region; else by the environment, the profile or the instance
    #[arg(long)]
    region: Option<String>,
    /// URI of the control plane, when it is not the region's own
    #[arg(
        long,
        value_name = "URI",
        env = "CONTROL_PLANE_URI",
        hide_env_values = true
    )]
    endpoint: Option<String>,
    /// CAs instead of those of the platform: a PEM file, or a directory of such files
    #[arg(long, value_name = "PATH")]
    ca_file: Option<String>,
    /// Give up after so many seconds; else it takes as long as it takes
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
}

#[derive(Args)]
struct Purge {
    /// The directory that has NAME.spool/ in it, as spool-location of the element
    location: PathBuf,
    /// The stream
    #[arg(long, value_name = "NAME")]
    stream: StreamArgument,
    #[command(flatten)]
    what: What,
    /// Remove it; else it is only said
    #[arg(long)]
    yes: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// What was set aside: refused/ and damaged/
    #[arg(long)]
    set_aside: bool,
    /// Fragments whose last frame is older than this by the clock of this machine: a number and s, m, h or d, such as 36h. Those whose timecodes count
    /// from the start of a stream have no age
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    older_than: Option<Duration>,
    /// All: fragments that were not sent, and what was set aside
    #[arg(long)]
    all: bool,
}

/// Checked when it is read.
#[derive(Clone)]
struct StreamArgument(StreamName);

impl std::str::FromStr for StreamArgument {
    type Err = gstkvssink::producer::Invalid;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        StreamName::new(name).map(Self)
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let seconds = |unit| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(24 * 3600),
        _ => None,
    };
    let unit = text.chars().next_back().and_then(seconds);
    let number = |unit| {
        text[..text.len() - 1]
            .parse::<u64>()
            .ok()?
            .checked_mul(unit)
    };
    let seconds = unit.and_then(number);
    let seconds = seconds.ok_or("give a number and s, m, h or d, such as 36h")?;
    Ok(Duration::from_secs(seconds))
}

fn main() -> ExitCode {
    let mut out = Out { is_closed: false };
    let done = match Arguments::parse().command {
        Command::List(arguments) => list::list(&arguments, &mut out),
        Command::Verify(arguments) => verify::verify(&arguments, &mut out),
        Command::Upload(arguments) => upload::upload(arguments),
        Command::Purge(arguments) => purge::purge(&arguments, &mut out),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            say(format_args!("{error:#}"));
            ExitCode::from(FAILED)
        }
    }
}

/// The status. Errors are told, and are [`FAILED`].
type Done = anyhow::Result<u8>;
const WELL: u8 = 0;
/// Something is damaged, or left.
const NOT_WELL: u8 = 1;
const FAILED: u8 = 2;

/// The standard output. Whoever reads it may go at any time, as `head` does: the command goes on without it.
struct Out {
    is_closed: bool,
}

impl Out {
    fn line(&mut self, line: impl std::fmt::Display) -> anyhow::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        match writeln!(io::stdout(), "{line}") {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.is_closed = true,
            written => written.context("cannot write to the standard output")?,
        }
        Ok(())
    }
}

/// On stderr; nobody may be there to read it.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "kvs-spool: {line}");
}

fn chosen(location: &Path, stream: Option<&StreamArgument>) -> anyhow::Result<Vec<SpoolDirectory>> {
    Ok(match stream {
        Some(stream) => vec![SpoolDirectory::of(location, &stream.0)?],
        None => SpoolDirectory::all(location)?,
    })
}

fn fragment(file: &SpooledFile) -> Option<&SpooledFragment> {
    match &file.kind {
        SpooledKind::Fragment(fragment) => Some(fragment),
        _ => None,
    }
}

/// Why a file that is not set aside is not sent.
fn unusable(file: &SpooledFile, in_use: bool) -> Option<String> {
    match &file.kind {
        SpooledKind::Damaged(reason) => Some(format!("damaged: {reason}")),
        SpooledKind::Unread(reason) => Some(format!("cannot be read: {reason}")),
        SpooledKind::Unfinished if !in_use => Some(UNFINISHED.to_owned()),
        _ => None,
    }
}

const UNFINISHED: &str = "it was being written when the process or the machine stopped";
