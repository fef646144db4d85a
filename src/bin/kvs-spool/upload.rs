//! `kvs-spool upload`: a stream that has no frames but those of its spool.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::bail;
use gstkvssink::producer::{
    Ack, AckKind, Failure, Producer, Service, SpoolDefinition, SpoolDirectory, SpoolEvent,
    SpoolPolicy, SpooledFile, SpooledKind, StreamCallbacks, StreamDefinition, StreamingType,
    TimecodeType,
};

use super::{Done, NOT_WELL, StreamArgument, Upload, WELL, fragment, say};

/// How long the thread of the files may take at the end.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

pub(super) fn upload(arguments: Upload) -> Done {
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
