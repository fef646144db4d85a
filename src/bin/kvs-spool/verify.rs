//! `kvs-spool verify`: whether each file is what was written.

use gstkvssink::producer::{SpoolDirectory, SpoolDirectoryError, SpooledKind};

use super::{Done, FAILED, NOT_WELL, Out, UNFINISHED, Verify, WELL, chosen, say};

pub(super) fn verify(arguments: &Verify, out: &mut Out) -> Done {
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
