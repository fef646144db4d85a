//! [`SpoolDirectory`]: what is in a spool, for those who look after it.
//!
//! In: a location. Out: its spools, their files, and whether each is what was written.
//! Belongs here: reading beside a stream that writes, which takes no notice of it; removing while no stream has it.
//! Does not belong here: sending ([`crate::producer::Producer`] does), words and tables for people (`kvs-spool`).

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{
    VERSION,
    file::{self, Found, Unknown},
    listed::{SpoolDirectoryError, SpooledFile, SpooledFragment, SpooledKind, failed},
    names::{LAYOUT, LOCK, Name},
};
use crate::definition::StreamName;

const REFUSED: &str = "refused";
const DAMAGED: &str = "damaged";
/// Who looks whether a spool is in use has its lock for an instant.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(50);

type Result<T> = std::result::Result<T, SpoolDirectoryError>;

/// The spool of one stream, as somebody sees it who is not that stream: it may be in use meanwhile. Only [`Self::purge`]
/// changes anything.
///
/// ```no_run
/// use gstkvssink::producer::{SpoolDirectory, SpooledKind};
///
/// # fn main() -> Result<(), gstkvssink::producer::SpoolDirectoryError> {
/// for spool in SpoolDirectory::all("/var/lib/kvssink")? {
///     for file in spool.files()? {
///         if let SpooledKind::Fragment(fragment) = &file.kind {
///             println!("{} {} {} frames", spool.stream(), file.name, fragment.frames);
///         }
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolDirectory {
    path: PathBuf,
    stream: StreamName,
}

impl SpoolDirectory {
    /// All that are at a location, by the name of their streams.
    ///
    /// # Errors
    /// The location cannot be read, or is not there.
    ///
    /// ```no_run
    /// use gstkvssink::producer::SpoolDirectory;
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::SpoolDirectoryError> {
    /// for spool in SpoolDirectory::all("/var/lib/kvssink")? {
    ///     println!("{} in {}", spool.stream(), spool.path().display());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn all(location: impl AsRef<Path>) -> Result<Vec<Self>> {
        let location = location.as_ref();
        let mut found = Vec::new();
        for name in list(location)? {
            match (name.strip_suffix('~'), name.strip_suffix(".spool")) {
                (_, Some(stream)) => found.extend(Self::named(location, stream.to_owned())),
                (Some(first), _) => {
                    for rest in list(&location.join(&name))? {
                        let stream = rest.strip_suffix(".spool");
                        let stream = stream.map(|rest| format!("{first}{rest}"));
                        found.extend(stream.and_then(|stream| Self::named(location, stream)));
                    }
                }
                _ => {}
            }
        }
        found.sort_by(|a, b| a.stream.as_str().cmp(b.stream.as_str()));
        found.dedup();
        Ok(found)
    }

    /// That of a stream.
    ///
    /// # Errors
    /// There is none.
    ///
    /// ```
    /// use gstkvssink::producer::{SpoolDirectory, SpoolDirectoryError, StreamName};
    ///
    /// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
    /// let spool = SpoolDirectory::of("/nonexistent", &StreamName::new("cam1")?);
    /// assert!(matches!(spool, Err(SpoolDirectoryError::Missing { .. })));
    /// # Ok(()) }
    /// ```
    pub fn of(location: impl AsRef<Path>, stream: &StreamName) -> Result<Self> {
        let location = location.as_ref();
        let found = Self::named(location, stream.as_str().to_owned());
        found.ok_or_else(|| SpoolDirectoryError::Missing {
            stream: stream.clone(),
            location: location.to_owned(),
        })
    }

    fn named(location: &Path, stream: String) -> Option<Self> {
        let stream = StreamName::new(stream).ok()?;
        let path = super::disk::directory(location, stream.as_str());
        path.is_dir().then_some(Self { path, stream })
    }

    /// Whose it is.
    ///
    /// ```
    /// # fn f(spool: gstkvssink::producer::SpoolDirectory) {
    /// println!("{}", spool.stream());
    /// # }
    /// ```
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// The directory.
    ///
    /// ```
    /// # fn f(spool: gstkvssink::producer::SpoolDirectory) {
    /// println!("{}", spool.path().display());
    /// # }
    /// ```
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A stream has it now, of this process or another one. The system tells so only to who tries the lock: it is had for an
    /// instant, shared, and a stream that begins just then tries again a moment later.
    ///
    /// # Errors
    /// The lock cannot be read.
    ///
    /// ```no_run
    /// # fn f(spool: gstkvssink::producer::SpoolDirectory) -> Result<(), gstkvssink::producer::SpoolDirectoryError> {
    /// if spool.is_in_use()? {
    ///     println!("{} is running", spool.stream());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn is_in_use(&self) -> Result<bool> {
        let path = self.path.join(LOCK);
        let lock = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            lock => lock.map_err(|error| failed("open", &path, error))?,
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(failed("lock", &path, error)),
        }
    }

    /// Its files, those set aside behind the others, else in the order in which they were written. Reads the first and the
    /// last bytes of each fragment. Files of others are left out.
    ///
    /// # Errors
    /// The directory cannot be read; another version wrote it. A file that cannot be read is no error.
    ///
    /// ```no_run
    /// # fn f(spool: gstkvssink::producer::SpoolDirectory) -> Result<(), gstkvssink::producer::SpoolDirectoryError> {
    /// for file in spool.files()? {
    ///     println!("{}: {} bytes", file.name, file.bytes);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn files(&self) -> Result<Vec<SpooledFile>> {
        self.check_layout()?;
        let mut files = Vec::new();
        for (folder, aside) in [
            ("", None),
            (REFUSED, Some(SpooledKind::Refused)),
            (DAMAGED, Some(SpooledKind::SetAside)),
        ] {
            let names = match list(&self.path.join(folder)) {
                Err(SpoolDirectoryError::Io { source, .. })
                    if aside.is_some() && source.kind() == ErrorKind::NotFound =>
                {
                    continue;
                }
                names => names?,
            };
            for name in names {
                let kind = Name::of(&name);
                if kind.number().is_none() {
                    continue;
                }
                let name = match &aside {
                    Some(_) => format!("{folder}/{name}"),
                    None => name,
                };
                // One that is gone meanwhile is none.
                let Ok(bytes) = fs::metadata(self.path.join(&name)).map(|about| about.len()) else {
                    continue;
                };
                let kind = match (&aside, kind) {
                    (Some(aside), _) => Some(aside.clone()),
                    (None, Name::Fragment(_)) => self.kind(&name),
                    (None, _) => Some(SpooledKind::Unfinished),
                };
                files.extend(kind.map(|kind| SpooledFile { name, bytes, kind }));
            }
        }
        Ok(files)
    }

    /// None: it is gone.
    fn kind(&self, name: &str) -> Option<SpooledKind> {
        match self.find(name) {
            Ok((
                _,
                Found {
                    about, relative, ..
                },
            )) => Some(SpooledKind::Fragment(SpooledFragment {
                timecode: about.timecode,
                relative,
                earliest: about.earliest,
                last: about.last,
                frames: about.frames,
            })),
            Err(Unknown::Damaged(reason)) => Some(SpooledKind::Damaged(reason)),
            Err(Unknown::Unread(error)) => {
                let is_gone = error.kind() == ErrorKind::NotFound;
                (!is_gone).then(|| SpooledKind::Unread(error.to_string()))
            }
        }
    }

    fn find(&self, name: &str) -> std::result::Result<(File, Found), Unknown> {
        let mut file = File::open(self.path.join(name))?;
        let length = file.metadata()?.len();
        let found = file::find(length, |from, length| read(&mut file, from, length))?;
        Ok((file, found))
    }

    /// Reads a file in full. Why it is not what was written, or cannot be read; none: each byte is as it was written, or the
    /// file is gone meanwhile.
    ///
    /// ```no_run
    /// # fn f(spool: gstkvssink::producer::SpoolDirectory) -> Result<(), gstkvssink::producer::SpoolDirectoryError> {
    /// for file in spool.files()? {
    ///     if let Some(reason) = spool.verify(&file) {
    ///         println!("{}: {reason}", file.name);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn verify(&self, file: &SpooledFile) -> Option<String> {
        let whole = self.find(&file.name).and_then(|(mut file, found)| {
            let bytes = read(&mut file, 0, found.known.length as usize)?;
            found.known.body(bytes).map_err(Unknown::Damaged)
        });
        match whole {
            Ok(_) => None,
            Err(Unknown::Damaged(reason)) => Some(reason),
            Err(Unknown::Unread(error)) => {
                let is_gone = error.kind() == ErrorKind::NotFound;
                (!is_gone).then(|| format!("it cannot be read: {error}"))
            }
        }
    }

    /// Removes the files that are chosen, for good, while no stream has the spool: which ones that were.
    ///
    /// # Errors
    /// A stream has it; or the system refuses it, with those before the one that is named removed.
    ///
    /// ```no_run
    /// use gstkvssink::producer::SpooledKind;
    ///
    /// # fn f(spool: gstkvssink::producer::SpoolDirectory) -> Result<(), gstkvssink::producer::SpoolDirectoryError> {
    /// let removed = spool.purge(|file| file.kind == SpooledKind::Refused)?;
    /// println!("{} files removed", removed.len());
    /// # Ok(()) }
    /// ```
    pub fn purge(&self, is_chosen: impl Fn(&SpooledFile) -> bool) -> Result<Vec<SpooledFile>> {
        self.check_layout()?;
        let _lock = self.lock()?;
        let mut chosen = self.files()?;
        chosen.retain(is_chosen);
        for file in &chosen {
            let path = self.path.join(&file.name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                removed => removed.map_err(|error| failed("remove", &path, error))?,
            }
        }
        #[cfg(unix)]
        for folder in ["", REFUSED, DAMAGED] {
            // A file system that cannot has done what it can; so has a folder that is not there.
            let _ = File::open(self.path.join(folder)).and_then(|folder| folder.sync_all());
        }
        Ok(chosen)
    }

    /// Had as long as the file is open.
    fn lock(&self) -> Result<File> {
        let path = self.path.join(LOCK);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let lock = options.open(&path);
        let lock = lock.map_err(|error| failed("open", &path, error))?;
        for tried in 1.. {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tried < TRIES => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let path = self.path.clone();
                    return Err(SpoolDirectoryError::InUse { path });
                }
                Err(TryLockError::Error(error)) => return Err(failed("lock", &path, error)),
            }
        }
        Ok(lock)
    }

    fn check_layout(&self) -> Result<()> {
        let path = self.path.join(LAYOUT);
        let mut found = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(64).read_to_end(&mut found));
        match read {
            // It was never opened to the end: nothing is in it.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("read", &path, error)),
            Ok(_) if found == VERSION.as_bytes() => Ok(()),
            Ok(_) => {
                let found = String::from_utf8_lossy(&found).trim_end().to_owned();
                Err(SpoolDirectoryError::Layout { path, found })
            }
        }
    }
}

/// The names in a folder, sorted.
fn list(path: &Path) -> Result<Vec<String>> {
    let names = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            // Own names are of ASCII.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    };
    let mut names = names().map_err(|error| failed("list", path, error))?;
    names.sort_unstable();
    Ok(names)
}

/// So many bytes from there on.
fn read(file: &mut File, from: u64, length: usize) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    if file.take(length as u64).read_to_end(&mut bytes)? < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}
