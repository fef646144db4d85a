//! The files: one playable Matroska file per session, one index per stream.
//!
//! In: complete fragments. Out: `<dir>/<stream>/session-NNNN.mkv`, a valid file after each of them (the
//! sizes of Segment and Clusters are filled in), and a line of `<dir>/<stream>/index.jsonl`.
//! Does not belong here: what a fragment must be (`ingest`), acks (`session`).

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::ingest::{Fragment, Header};
use super::mkv::{self, LIVE_SEGMENT};
use super::record::FragmentRecord;

/// The index of a stream's fragments, one JSON object per line.
const INDEX: &str = "index.jsonl";
/// Longest part of a directory's name that is taken from the stream's.
const MAX_NAME: usize = 200;

/// The directory of a stream. Names that a file system would take amiss are altered with a `%`, which no
/// stream's name has.
pub(crate) fn stream_dir(dir: &Path, stream: &str) -> PathBuf {
    if stream.chars().all(|c| c == '.') {
        return dir.join(stream.replace('.', "%2E"));
    }
    if stream.len() > MAX_NAME {
        let mut hasher = DefaultHasher::new();
        stream.hash(&mut hasher);
        let start: String = stream.chars().take(MAX_NAME).collect();
        return dir.join(format!("{start}%{:016x}", hasher.finish()));
    }
    dir.join(stream)
}

/// The session files of a stream, oldest first.
pub(crate) fn session_files(dir: &Path, stream: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(stream_dir(dir, stream)) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| session_number(path).is_some())
        .collect();
    files.sort_by_key(|path| session_number(path));
    files
}

fn session_number(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("session-")?
        .strip_suffix(".mkv")?
        .parse()
        .ok()
}

/// The file of one session.
#[derive(Debug)]
pub(crate) struct SessionFile {
    file: File,
    path: PathBuf,
    index: PathBuf,
    session: u32,
    /// Where the Segment's payload begins; its size stands in the eight bytes before.
    segment: u64,
    end: u64,
}

impl SessionFile {
    /// Begins the next file of the stream: nothing in it yet but the session's header.
    pub(crate) fn create(dir: &Path, stream: &str, header: &Header) -> io::Result<Self> {
        let folder = stream_dir(dir, stream);
        fs::create_dir_all(&folder)?;
        let last = session_files(dir, stream)
            .last()
            .and_then(|path| session_number(path));
        let session = last.unwrap_or(0) + 1;
        let path = folder.join(format!("session-{session:04}.mkv"));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        let mut head = header.ebml.to_vec();
        head.extend_from_slice(&LIVE_SEGMENT);
        let segment = head.len() as u64;
        head.extend_from_slice(&header.info);
        head.extend_from_slice(&header.tracks);
        file.write_all(&head)?;
        let mut created = Self {
            file,
            path,
            index: folder.join(INDEX),
            session,
            segment,
            end: head.len() as u64,
        };
        created.write_size()?;
        Ok(created)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its number.
    pub(crate) fn session(&self) -> u32 {
        self.session
    }

    /// Appends a fragment; gives the place of its Cluster. If that fails, the file is as it was.
    pub(crate) fn append(&mut self, fragment: &Fragment) -> io::Result<u64> {
        let start = self.end;
        self.write(fragment).inspect_err(|_| {
            // Best effort: the disk has refused one write already.
            self.end = start;
            let _ = self.file.set_len(start);
            let _ = self.write_size();
        })?;
        Ok(start)
    }

    fn write(&mut self, fragment: &Fragment) -> io::Result<()> {
        let mut tags = Vec::new();
        if !fragment.tags.is_empty() {
            tags = mkv::tags(
                fragment
                    .tags
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            );
        }
        self.file.seek(SeekFrom::Start(self.end))?;
        for part in [
            &mkv::cluster_head(fragment.cluster.len() as u64),
            &fragment.cluster,
            &tags,
        ] {
            self.file.write_all(part)?;
            self.end += part.len() as u64;
        }
        self.write_size()
    }

    fn write_size(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.segment - 8))?;
        self.file
            .write_all(&mkv::wide_size(self.end - self.segment))
    }

    /// Adds a fragment to the stream's index.
    pub(crate) fn index(&self, record: &FragmentRecord) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.index)?
            .write_all(&line)
    }
}

/// A stored fragment, as `GetMedia` sends it: the session's header up to its tracks with a Segment of
/// unknown size, and the Cluster.
pub(crate) fn read(record: &FragmentRecord) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut file = File::open(&record.file)?;
    let mut head = Vec::new();
    // The header ends where the first Cluster begins; header elements are read one by one.
    let mut at = 0;
    loop {
        let (id, head_len, size) = read_head(&mut file, at)?;
        match id {
            mkv::id::SEGMENT => {
                head.extend_from_slice(&LIVE_SEGMENT);
                at += head_len;
            }
            mkv::id::CLUSTER => break,
            _ => {
                let whole = read_at(&mut file, at, head_len + size)?;
                head.extend_from_slice(&whole);
                at += head_len + size;
            }
        }
    }
    let (_, head_len, size) = read_head(&mut file, record.offset)?;
    Ok((head, read_at(&mut file, record.offset, head_len + size)?))
}

fn read_head(file: &mut File, at: u64) -> io::Result<(u32, u64, u64)> {
    let bytes = read_at(file, at, 12)?;
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let head = super::ebml::Head::parse(&bytes)
        .ok()
        .flatten()
        .ok_or_else(broken)?;
    Ok((head.id, head.len as u64, head.size.ok_or_else(broken)?))
}

/// Up to `len` bytes; fewer only at the end of the file.
fn read_at(file: &mut File, at: u64, len: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
