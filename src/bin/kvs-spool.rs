//! `kvs-spool`: looks after what streams have kept on disk: lists, verifies, uploads and purges it.
//!
//! Results are on stdout, progress and errors on stderr. Status 0: done, and all is well; 1: something is damaged, or left;
//! 2: it could not be done. All the rest is `gstkvssink::producer`.

use std::{
    io::{self, ErrorKind, Write},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use gstkvssink::producer::{
    Ack, AckKind, Failure, Producer, Service, SpoolDefinition, SpoolDirectory, SpoolDirectoryError,
    SpoolEvent, SpoolPolicy, SpooledFile, SpooledFragment, SpooledKind, StreamCallbacks,
    StreamDefinition, StreamName, StreamingType, Timecode, TimecodeType, wall_now,
};
use serde_json::{Value, json};

/// Looks after what streams of kvssink have kept on disk, in LOCATION/<stream>.spool/.
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
    /// The directory that has <stream>.spool/ in it, as spool-location of the element
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
    /// The directory that has <stream>.spool/ in it, as spool-location of the element
    location: PathBuf,
    /// Only this stream
    #[arg(long, value_name = "NAME")]
    stream: Option<StreamArgument>,
}

#[derive(Args)]
struct Upload {
    /// The directory that has <stream>.spool/ in it, as spool-location of the element
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
    /// The directory that has <stream>.spool/ in it, as spool-location of the element
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
        Command::List(arguments) => list(&arguments, &mut out),
        Command::Verify(arguments) => verify(&arguments, &mut out),
        Command::Upload(arguments) => upload(arguments),
        Command::Purge(arguments) => purge(&arguments, &mut out),
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

fn chosen(
    location: &PathBuf,
    stream: Option<&StreamArgument>,
) -> anyhow::Result<Vec<SpoolDirectory>> {
    Ok(match stream {
        Some(stream) => vec![SpoolDirectory::of(location, &stream.0)?],
        None => SpoolDirectory::all(location)?,
    })
}

fn list(arguments: &List, out: &mut Out) -> Done {
    let spools = chosen(&arguments.location, arguments.stream.as_ref())?;
    if arguments.fragments {
        for spool in &spools {
            list_files(spool, arguments.json, out)?;
        }
        return Ok(WELL);
    }
    if spools.is_empty() && !arguments.json {
        say(format_args!(
            "there is no spool at {}: name the directory above <stream>.spool",
            arguments.location.display()
        ));
        return Ok(WELL);
    }
    let (mut all, mut status) = (Vec::new(), WELL);
    for spool in &spools {
        let found = spool
            .files()
            .and_then(|files| Ok((files, spool.is_in_use()?)));
        match found {
            Ok((files, in_use)) => all.push((spool, files, in_use)),
            // The others are listed.
            Err(error) => {
                say(error);
                status = FAILED;
            }
        }
    }
    if arguments.json {
        let all = all.iter().map(|(spool, files, in_use)| {
            let sums = Sums::of(files);
            json!({
                "stream": spool.stream().as_str(),
                "path": spool.path().display().to_string(),
                "fragments": sums.fragments,
                "frames": sums.frames,
                "bytes": sums.bytes,
                "from": sums.times.as_ref().map(|(from, _)| from),
                "to": sums.times.as_ref().map(|(_, to)| to),
                "in_use": in_use,
                "refused": count(files, |kind| matches!(kind, SpooledKind::Refused)),
                "damaged": count(files, |kind| matches!(kind, SpooledKind::SetAside)),
                "unusable": files.iter().filter_map(|file| {
                    let reason = unusable(file, *in_use)?;
                    Some(json!({"file": file.name, "reason": reason}))
                }).collect::<Value>(),
            })
        });
        out.line(all.collect::<Value>())?;
        return Ok(status);
    }
    let head = [
        "STREAM",
        "FRAGMENTS",
        "FRAMES",
        "BYTES",
        "FROM",
        "TO",
        "IN-USE",
        "REFUSED",
        "DAMAGED",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for (spool, files, in_use) in &all {
        let sums = Sums::of(files);
        let (from, to) = sums
            .times
            .unwrap_or_else(|| ("-".to_owned(), "-".to_owned()));
        rows.push([
            spool.stream().to_string(),
            sums.fragments.to_string(),
            sums.frames.to_string(),
            sums.bytes.to_string(),
            from,
            to,
            if *in_use { "yes" } else { "no" }.to_owned(),
            count(files, |kind| matches!(kind, SpooledKind::Refused)).to_string(),
            count(files, |kind| matches!(kind, SpooledKind::SetAside)).to_string(),
        ]);
    }
    table(&rows, out)?;
    for (spool, files, in_use) in &all {
        for file in files {
            if let Some(reason) = unusable(file, *in_use) {
                say(format_args!("{}: {}: {reason}", spool.stream(), file.name));
            }
        }
    }
    Ok(status)
}

fn list_files(spool: &SpoolDirectory, as_json: bool, out: &mut Out) -> anyhow::Result<()> {
    let (files, in_use) = (spool.files()?, spool.is_in_use()?);
    if as_json {
        let files = files.iter().map(|file| {
            let fragment = fragment(file);
            json!({
                "file": file.name,
                "time": fragment.map(time_of),
                "frames": fragment.map(|fragment| fragment.frames),
                "bytes": file.bytes,
                "unusable": unusable(file, in_use),
            })
        });
        return out.line(files.collect::<Value>());
    }
    let mut rows = vec![["FILE", "TIME", "FRAMES", "BYTES"].map(str::to_owned)];
    for file in &files {
        let none = || "-".to_owned();
        let fragment = fragment(file);
        rows.push([
            file.name.clone(),
            fragment.map_or_else(none, time_of),
            fragment.map_or_else(none, |fragment| fragment.frames.to_string()),
            file.bytes.to_string(),
        ]);
        if let Some(reason) = unusable(file, in_use) {
            say(format_args!("{}: {}: {reason}", spool.stream(), file.name));
        }
    }
    table(&rows, out)
}

/// Numbers to the right.
fn table<const N: usize>(rows: &[[String; N]], out: &mut Out) -> anyhow::Result<()> {
    let width = |at: usize| rows.iter().map(|row| row[at].len()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let cells = row.iter().zip(widths).enumerate();
        let cells = cells.map(|(at, (cell, width))| match at {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        out.line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Of all whole fragments.
#[derive(Default)]
struct Sums {
    fragments: u64,
    frames: u64,
    bytes: u64,
    times: Option<(String, String)>,
}

impl Sums {
    fn of(files: &[SpooledFile]) -> Self {
        let mut sums = Self::default();
        let mut times: Option<(Timecode, Timecode)> = None;
        for file in files {
            let Some(fragment) = fragment(file) else {
                continue;
            };
            sums.fragments += 1;
            sums.frames += fragment.frames;
            sums.bytes += file.bytes;
            if !fragment.relative {
                let (earliest, last) = (fragment.earliest.timecode(), fragment.last.timecode());
                let (from, to) = times.unwrap_or((earliest, last));
                times = Some((from.min(earliest), to.max(last)));
            }
        }
        sums.times = times.map(|(from, to)| (utc(from), utc(to)));
        sums
    }
}

fn fragment(file: &SpooledFile) -> Option<&SpooledFragment> {
    match &file.kind {
        SpooledKind::Fragment(fragment) => Some(fragment),
        _ => None,
    }
}

fn count(files: &[SpooledFile], is_counted: impl Fn(&SpooledKind) -> bool) -> usize {
    files.iter().filter(|file| is_counted(&file.kind)).count()
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

/// How long the thread of the files may take at the end.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

const UNFINISHED: &str = "it was being written when the process or the machine stopped";

fn time_of(fragment: &SpooledFragment) -> String {
    match fragment.relative {
        true => format!("+{}", fragment.timecode),
        false => utc(fragment.timecode),
    }
}

fn utc(time: Timecode) -> String {
    let millis = i64::try_from(time.as_millis()).ok();
    let time = millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| "-".to_owned(), |time| format!("{time:.3}"))
}

fn verify(arguments: &Verify, out: &mut Out) -> Done {
    let mut status = WELL;
    for spool in chosen(&arguments.location, arguments.stream.as_ref())? {
        match damaged(&spool) {
            Ok((whole, damaged)) => {
                for (file, reason) in &damaged {
                    status = status.max(NOT_WELL);
                    out.line(format_args!("{}: {file}: {reason}", spool.stream()))?;
                }
                out.line(format_args!(
                    "{}: {whole} fragments are whole, {} files are damaged",
                    spool.stream(),
                    damaged.len()
                ))?;
            }
            // The others are read.
            Err(error) => {
                say(error);
                status = FAILED;
            }
        }
    }
    Ok(status)
}

/// How many fragments are whole; the other files, and why they are not.
fn damaged(spool: &SpoolDirectory) -> Result<(usize, Vec<(String, String)>), SpoolDirectoryError> {
    // Before the files: what is written now is finished, or gone, when it is looked at.
    let in_use = spool.is_in_use()?;
    let (mut whole, mut damaged) = (0, Vec::new());
    for file in spool.files()? {
        let reason = match &file.kind {
            SpooledKind::Refused | SpooledKind::SetAside => continue,
            SpooledKind::Unfinished if in_use => continue,
            SpooledKind::Unfinished => Some(UNFINISHED.to_owned()),
            _ => spool.verify(&file),
        };
        match reason {
            None => whole += 1,
            Some(reason) => damaged.push((file.name, reason)),
        }
    }
    Ok((whole, damaged))
}

fn upload(arguments: Upload) -> Done {
    let Upload {
        location,
        stream: StreamArgument(name),
        region,
        endpoint,
        ca_file,
        timeout,
    } = arguments;
    let spool = SpoolDirectory::of(&location, &name)?;
    if spool.is_in_use()? {
        bail!(
            "{} is in use by another process, which sends it: nothing is to be done, or end its stream first",
            spool.path().display()
        );
    }
    let files = spool.files()?;
    if !files.iter().any(is_left) {
        say(format_args!(
            "{}: there is nothing to send",
            spool.path().display()
        ));
        return Ok(WELL);
    }
    let mut definition = StreamDefinition::new(name);
    definition.timecode_type = timecode_type(&spool, &files)?;
    // Nothing is dropped, whatever its age and size.
    definition.streaming_type = StreamingType::Offline;
    let mut kept = SpoolDefinition::new(location);
    kept.policy = SpoolPolicy::Block;
    kept.max_bytes = u64::MAX;
    definition.spool = Some(kept);
    definition.stop_timeout = Duration::from_secs(timeout.unwrap_or(u32::MAX).into());
    let service = Service {
        region,
        endpoint,
        ca_file,
        ..Service::default()
    };
    let producer = Producer::builder().name("kvs-spool").service(service);
    let producer = producer.build()?;
    let told = Arc::new(Progress::default());
    let stream = producer.create_stream_with(definition, told)?;
    if let Err(error) = stream.stop() {
        say(error);
    }
    // What is PERSISTED may be on its way to be removed.
    for _ in 0..TRIES {
        if !spool.is_in_use()? {
            break;
        }
        thread::sleep(PAUSE);
    }
    let left = spool.files()?;
    let left: Vec<_> = left.iter().filter(|file| is_left(file)).collect();
    if left.is_empty() {
        say("nothing is left");
        return Ok(WELL);
    }
    let frames = left.iter().filter_map(|file| fragment(file));
    say(format_args!(
        "{} fragments, {} frames, {} bytes are left in {}: upload it again",
        left.len(),
        frames.map(|fragment| fragment.frames).sum::<u64>(),
        left.iter().map(|file| file.bytes).sum::<u64>(),
        spool.path().display()
    ));
    Ok(NOT_WELL)
}

/// It is sent, or set aside, by a stream.
fn is_left(file: &SpooledFile) -> bool {
    !matches!(
        file.kind,
        SpooledKind::Refused | SpooledKind::SetAside | SpooledKind::Unfinished
    )
}

/// A stream sets those of the other kind aside, of which only a few are kept.
fn timecode_type(spool: &SpoolDirectory, files: &[SpooledFile]) -> anyhow::Result<TimecodeType> {
    let mut fragments = files.iter().filter_map(fragment);
    let relative = fragments.next().is_some_and(|first| first.relative);
    if fragments.any(|fragment| fragment.relative != relative) {
        bail!(
            "{} has absolute and relative timecodes, which cannot be sent together: move the files of one kind to another place",
            spool.path().display()
        );
    }
    Ok(match relative {
        true => TimecodeType::Relative,
        false => TimecodeType::Absolute,
    })
}

/// What the stream tells, for whoever waits.
#[derive(Default)]
struct Progress {
    /// Fragments that were found, and that are PERSISTED.
    counts: Mutex<(u64, u64)>,
}

impl StreamCallbacks for Progress {
    fn spool(&self, event: &SpoolEvent) {
        match event {
            SpoolEvent::Opened {
                fragments,
                frames,
                bytes,
                ..
            } => {
                self.counts.lock().unwrap_or_else(PoisonError::into_inner).0 = *fragments;
                say(format_args!(
                    "{fragments} fragments, {frames} frames, {bytes} bytes are to be sent"
                ));
            }
            SpoolEvent::SetAside { what, reason, .. } => {
                say(format_args!("{what} is not sent: {reason}"));
            }
            SpoolEvent::Failed { reason, .. } => say(reason),
            SpoolEvent::Progress(stats) => say(format_args!(
                "{} fragments, {} frames, {} bytes are to be sent still",
                stats.fragments, stats.frames, stats.bytes
            )),
            _ => {}
        }
    }

    /// At most a line for each percent.
    fn ack(&self, ack: &Ack) {
        if ack.kind != AckKind::Persisted {
            return;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, before) = *counts;
        if before >= all {
            return;
        }
        counts.1 += 1;
        let percent = |done: u64| done * 100 / all;
        if percent(before + 1) > percent(before) {
            say(format_args!(
                "{} of {all} fragments are PERSISTED",
                before + 1
            ));
        }
    }

    fn connection_lost(&self, cause: &Failure) {
        say(format_args!("trying again: {cause}"));
    }

    fn connection_restored(&self, _outage: Duration, _resending: u64) {
        say("the service is there again");
    }

    fn credentials(&self, source: &str) {
        say(format_args!("credentials: {source}"));
    }

    fn region(&self, name: &str, assumed: bool) {
        let why = if assumed {
            ", since nothing names one: --region does"
        } else {
            ""
        };
        say(format_args!("region: {name}{why}"));
    }

    fn clock_offset(&self, millis: i64) {
        say(format_args!(
            "the clock of this machine is wrong by {millis} ms"
        ));
    }
}

fn purge(arguments: &Purge, out: &mut Out) -> Done {
    let spool = SpoolDirectory::of(&arguments.location, &arguments.stream.0)?;
    let now = wall_now();
    let is_chosen = |file: &SpooledFile| match &file.kind {
        _ if arguments.what.all => true,
        SpooledKind::Refused | SpooledKind::SetAside => arguments.what.set_aside,
        SpooledKind::Fragment(fragment) if !fragment.relative => {
            let limit = arguments.what.older_than;
            limit.is_some_and(|limit| now.saturating_since(fragment.last) > limit)
        }
        _ => false,
    };
    let (files, word) = if arguments.yes {
        (spool.purge(is_chosen)?, "removed")
    } else {
        if spool.is_in_use()? {
            bail!(
                "{} is in use by another process: end its stream first",
                spool.path().display()
            );
        }
        let mut files = spool.files()?;
        files.retain(is_chosen);
        (files, "would be removed")
    };
    for file in &files {
        out.line(&file.name)?;
    }
    let more = match arguments.yes || files.is_empty() {
        true => "",
        false => ": add --yes to remove them",
    };
    out.line(format_args!(
        "{} files of {} bytes {word}{more}",
        files.len(),
        files.iter().map(|file| file.bytes).sum::<u64>()
    ))?;
    Ok(WELL)
}
