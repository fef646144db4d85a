//! `kvs-spool purge`: what is to go, and that it goes only when it is told to.

use anyhow::bail;
use gstkvssink::producer::{SpoolDirectory, SpooledFile, SpooledKind, wall_now};

use super::{Done, Out, Purge, WELL};

pub(super) fn purge(arguments: &Purge, out: &mut Out) -> Done {
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
