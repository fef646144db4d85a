//! What the spool asks of a file system, and the real one.
//!
//! In: names below the directory of the spool, `/` before those of a folder. Out: what the system says, unchanged.
//! Belongs here: one call of the system each, so that a test can let any of them fail; the directory itself and its lock.
//! Does not belong here: what is in the files, and in which order they are written ([`super::Spool`]).

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{SpoolError, names};

/// A small fragment is one write.
const BUFFER: usize = 64 << 10;
/// Longest part of a stream's name in a name on disk: file systems have 255 bytes, those that encrypt names 143, and the
/// name of a stream may have 256.
const MAX_PART: usize = 128;

/// A directory with files.
pub(crate) trait Disk {
    /// A file that is being written.
    type File;

    /// For messages.
    fn path(&self, name: &str) -> PathBuf;
    /// There may be one already.
    fn make_folder(&mut self, name: &str) -> io::Result<()>;
    /// The names in a folder, in any order; "" is the directory itself.
    fn list(&mut self, folder: &str) -> io::Result<Vec<String>>;
    fn length(&mut self, name: &str) -> io::Result<u64>;
    /// All of these bytes, or an error: [`ErrorKind::UnexpectedEof`] when the file ends before.
    fn read(&mut self, name: &str, from: u64, length: usize) -> io::Result<Vec<u8>>;
    /// There must not be one.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;
    /// After an error any part of it may be written.
    fn append(&mut self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;
    /// The bytes of the file survive a power cut; not its name.
    fn sync(&mut self, file: &mut Self::File) -> io::Result<()>;
    /// At once; what stands at `to` is replaced.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// The names in the folder survive a power cut.
    fn sync_folder(&mut self, folder: &str) -> io::Result<()>;
    fn remove(&mut self, name: &str) -> io::Result<()>;
}

/// A directory of the system, and its lock as long as this lives.
#[derive(Debug)]
pub(crate) struct Files {
    directory: PathBuf,
    /// The system gives it back even when the process is killed. The file stays: who removed it could let two others in.
    _lock: File,
}

impl Files {
    /// The directory of this stream at that location; made if there is none.
    ///
    /// # Errors
    /// Another one has it, or the system refuses it.
    pub(super) fn of(location: &Path, stream: &str) -> Result<Self, SpoolError> {
        let directory = directory(location, stream);
        let failed = |doing, path: &Path, error| SpoolError::of(doing, path.to_owned(), error);
        make(&directory).map_err(|error| failed("make", &directory, error))?;
        let path = directory.join(names::LOCK);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let lock = private(&mut options)
            .open(&path)
            .map_err(|error| failed("open", &path, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                directory,
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(SpoolError::InUse { path: directory }),
            Err(TryLockError::Error(error)) => Err(failed("lock", &path, error)),
        }
    }
}

/// No two streams have the same one: `/` and `~` are in no stream's name.
pub(super) fn directory(location: &Path, stream: &str) -> PathBuf {
    match stream.split_at_checked(MAX_PART) {
        Some((first, rest)) if !rest.is_empty() => location
            .join(format!("{first}~"))
            .join(rest.to_owned() + ".spool"),
        _ => location.join(stream.to_owned() + ".spool"),
    }
}

/// With those above it that are missing, and so that they survive a power cut.
fn make(directory: &Path) -> io::Result<()> {
    let missing: Vec<_> = directory
        .ancestors()
        .take_while(|path| !path.is_dir())
        .collect();
    let mut builder = fs::DirBuilder::new();
    // It is video of people.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    for path in missing
        .into_iter()
        .rev()
        .filter(|path| !path.as_os_str().is_empty())
    {
        match builder.create(path) {
            // Another element was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
            made => made?,
        }
        sync_directory(path.parent().unwrap_or(path))?;
    }
    Ok(())
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    // The parent of a relative path.
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    match File::open(path)?.sync_all() {
        // Some network file systems know no such call: there is nothing more to be done.
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

/// Only unix can.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

impl Disk for Files {
    type File = BufWriter<File>;

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn make_folder(&mut self, name: &str) -> io::Result<()> {
        make(&self.path(name))
    }

    fn list(&mut self, folder: &str) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.path(folder))? {
            // Own names are of ASCII.
            found.extend(entry?.file_name().into_string());
        }
        Ok(found)
    }

    fn length(&mut self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.path(name))?.len())
    }

    fn read(&mut self, name: &str, from: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path(name))?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::with_capacity(length);
        if file.take(length as u64).read_to_end(&mut bytes)? < length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }

    fn create(&mut self, name: &str) -> io::Result<Self::File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let file = private(&mut options).open(self.path(name))?;
        Ok(BufWriter::with_capacity(BUFFER, file))
    }

    fn append(&mut self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&mut self, file: &mut Self::File) -> io::Result<()> {
        file.flush()?;
        file.get_ref().sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn sync_folder(&mut self, folder: &str) -> io::Result<()> {
        sync_directory(&self.path(folder))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }
}
