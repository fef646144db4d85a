//! `kvs-spool list`: what there is, as a table or as JSON.

use gstkvssink::producer::{SpoolDirectory, SpooledFile, SpooledFragment, SpooledKind, Timecode};
use serde_json::{Value, json};

use super::{Done, FAILED, List, Out, WELL, chosen, fragment, say, unusable};

pub(super) fn list(arguments: &List, out: &mut Out) -> Done {
    let spools = chosen(&arguments.location, arguments.stream.as_ref())?;
    if arguments.fragments {
        for spool in &spools {
            list_files(spool, arguments.json, out)?;
        }
        return Ok(WELL);
    }
    if spools.is_empty() && !arguments.json {
        say(format_args!(
            "there is no spool at {}: name the directory above NAME.spool",
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

fn count(files: &[SpooledFile], is_counted: impl Fn(&SpooledKind) -> bool) -> usize {
    files.iter().filter(|file| is_counted(&file.kind)).count()
}

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
