//! One fragment as a file that any reader of Matroska plays.
//!
//! In: what is known of a fragment, and its bytes. Out: the bytes around them; and back. A file is
//!
//! ```text
//! mkv::stream_header          EBML header, Segment of unknown size, Info, Tracks: `header` bytes
//! body                        cluster of unknown size and tags, as on the wire: `body` bytes
//! EC 01 ssssssssssssss        Void, which readers skip, and the size of all that follows
//!   "kvsspool" vvvvvvvv         magic, version
//!   {"relative":false,…}        About, in JSON
//!   llllllll                    length of the JSON
//!   wwwwwwww                    CRC-32 of all bytes of the file before it
//!   aaaaaaaa                    CRC-32 of the header and of the Void before it
//! ```
//!
//! Numbers have the most significant byte first. The end has a fixed size, so that a file is known from its last bytes and its
//! header alone: nobody reads gigabytes of bodies only to open a spool.
//! Belongs here: what the bytes mean, and whether they are what was written.
//! Does not belong here: the system ([`super::disk`]), what becomes of a damaged file ([`super::Spool`]).

use std::io;

use bytes::{BufMut, Bytes};

use super::about::About;
use crate::{fragment::Spooled, media::MAX_CODEC_PRIVATE, mkv};

/// Id of the element Void, RFC 8794 §11.3.2.
const VOID: u8 = 0xEC;
const MAGIC: &[u8] = b"kvsspool";
/// Another one when an older reader would misunderstand the file.
const VERSION: u32 = 1;
/// Id and size of the Void, magic, version.
const BEFORE_JSON: usize = 1 + 8 + MAGIC.len() + 4;
/// Length of the JSON, both checksums.
const AFTER_JSON: usize = 12;
/// The JSON of 3 tracks has 700 bytes.
const MAX_JSON: usize = 64 << 10;
/// More than that of any tracks the service takes.
const MAX_HEADER: u64 = 4 * MAX_CODEC_PRIVATE as u64;
/// Read at once from the end of a file: most often all that is behind the body.
const END: u64 = 1024;

/// What is to be written around a body.
pub(super) struct Around {
    pub(super) header: Bytes,
    pub(super) trailer: Vec<u8>,
    pub(super) known: Known,
}

/// What must be known of a file to read its body, and to see that it is undamaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Of the whole file.
    pub(super) length: u64,
    header: u64,
    body: u64,
    /// Of all before it in the file.
    checksum: u32,
}

/// What a file says of itself.
pub(super) struct Found {
    pub(super) about: Spooled,
    pub(super) relative: bool,
    pub(super) known: Known,
    /// Equal ones have equal tracks, and the same hint of a frame rate.
    pub(super) header: Bytes,
}

/// Why a file is not known.
#[derive(Debug)]
pub(super) enum Unknown {
    /// It is not what was written.
    Damaged(String),
    /// It may be: it could not be read.
    Unread(io::Error),
}

impl From<io::Error> for Unknown {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged("it is cut off".to_owned()),
            _ => Self::Unread(error),
        }
    }
}

fn damaged<T>(reason: impl Into<String>) -> Result<T, Unknown> {
    Err(Unknown::Damaged(reason.into()))
}

/// The bytes around this body.
pub(super) fn around(about: &Spooled, relative: bool, body: &[Bytes]) -> Around {
    let header = mkv::stream_header(&about.tracks);
    let body_length = body.iter().map(|bytes| bytes.len() as u64).sum();
    let text = About::of(about, relative, &header, body_length).json();
    let trailer_length = BEFORE_JSON + text.len() + AFTER_JSON;
    let mut trailer = Vec::with_capacity(trailer_length);
    trailer.push(VOID);
    // In its form of eight bytes; 9 of these bytes are no data.
    trailer.put_u64((trailer_length as u64 - 9) | 1 << 56);
    trailer.put(MAGIC);
    trailer.put_u32(VERSION);
    trailer.put(&*text);
    trailer.put_u32(text.len() as u32);
    let mut whole = crc32fast::Hasher::new();
    whole.update(&header);
    body.iter().for_each(|bytes| whole.update(bytes));
    whole.update(&trailer);
    let checksum = whole.finalize();
    trailer.put_u32(checksum);
    let about = checksum_of(&header, &trailer);
    trailer.put_u32(about);
    let known = Known {
        length: header.len() as u64 + body_length + trailer_length as u64,
        header: header.len() as u64,
        body: body_length,
        checksum,
    };
    Around {
        header,
        trailer,
        known,
    }
}

fn checksum_of(header: &[u8], trailer: &[u8]) -> u32 {
    let mut about = crc32fast::Hasher::new();
    about.update(header);
    about.update(trailer);
    about.finalize()
}

/// What a file of this length says of itself; `read` gives so many of its bytes from one on. Its body is not read.
///
/// # Errors
/// It is damaged, or cannot be read.
pub(super) fn find(
    length: u64,
    mut read: impl FnMut(u64, usize) -> io::Result<Vec<u8>>,
) -> Result<Found, Unknown> {
    if length == 0 {
        return damaged("it is empty");
    }
    let mut end = read(length - length.min(END), length.min(END) as usize)?;
    let numbers = end.len().checked_sub(AFTER_JSON);
    let Some((_, numbers)) = numbers.and_then(|at| end.split_at_checked(at)) else {
        return damaged("it is cut off");
    };
    let text_length = number(&numbers[..4]) as usize;
    let trailer_length = BEFORE_JSON + text_length.min(MAX_JSON) + AFTER_JSON;
    if text_length > MAX_JSON || length < trailer_length as u64 {
        return damaged("it has no end: it is cut off, or bytes were changed");
    }
    if end.len() < trailer_length {
        end = read(length - trailer_length as u64, trailer_length)?;
    }
    let trailer = &end[end.len() - trailer_length..];
    let (before, rest) = trailer.split_at(BEFORE_JSON);
    let mut void = [0; 8];
    void.copy_from_slice(&before[1..9]);
    let is_void =
        before[0] == VOID && u64::from_be_bytes(void) == (trailer_length as u64 - 9) | 1 << 56;
    if !is_void || before[9..][..MAGIC.len()] != *MAGIC {
        return damaged("it has no end: it is cut off, or bytes were changed");
    }
    let version = number(&before[9 + MAGIC.len()..]);
    if version != VERSION {
        return damaged(format!("it is of version {version}, not {VERSION}"));
    }
    let about: About = serde_json::from_slice(&rest[..text_length])
        .map_err(|error| Unknown::Damaged(format!("what it says of itself is no JSON: {error}")))?;
    let expected = about.header.checked_add(about.body);
    let expected = expected.and_then(|sum| sum.checked_add(trailer_length as u64));
    if expected != Some(length) || about.header > MAX_HEADER {
        return damaged(format!(
            "it has {length} bytes, not {} of header, {} of body and {trailer_length} of end",
            about.header, about.body
        ));
    }
    let header = Bytes::from(read(0, about.header as usize)?);
    let (checked, checksum) = trailer.split_at(trailer_length - 4);
    if checksum_of(&header, checked) != number(checksum) {
        return damaged("the checksum of its header and its end is another");
    }
    Ok(Found {
        relative: about.relative,
        known: Known {
            length,
            header: about.header,
            body: about.body,
            checksum: number(&checked[checked.len() - 4..]),
        },
        about: about.spooled(&header).map_err(Unknown::Damaged)?,
        header,
    })
}

/// Of the first four bytes; there are as many.
fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take(4)
        .fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}

impl Known {
    /// The body of a file with these bytes.
    ///
    /// # Errors
    /// Why they are not those that were written.
    pub(super) fn body(&self, file: Vec<u8>) -> Result<Bytes, String> {
        if file.len() as u64 != self.length {
            return Err(format!("it has {} bytes, not {}", file.len(), self.length));
        }
        let checked = file.len() - 8;
        if crc32fast::hash(&file[..checked]) != self.checksum {
            return Err("its checksum is another: bytes were changed".to_owned());
        }
        let (from, to) = (self.header as usize, (self.header + self.body) as usize);
        Ok(Bytes::from(file).slice(from..to))
    }
}
