//! [`Trust`]: whose word is enough that a server is the right one.
//!
//! In: `ca-file`, or what the environment names. Out: the CAs in PEM, each one usable, or the platform's.
//! A CA that is given replaces the platform's: who names his own does not want the word of all the others.
//! Does not belong here: TLS itself (rustls), the clients ([`super::http`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsString,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::SystemTime,
};

use reqwest::{Certificate, Client};

use crate::definition::Invalid;

/// The property.
pub(super) const CA_FILE: &str = "ca-file";
/// Where the C++ producer takes its CA from (drop-in.md).
const KVSSINK_CA_CERT_PATH: &str = "KVSSINK_CA_CERT_PATH";
/// The variables of OpenSSL; the second is a list of directories.
const SSL_CERT_FILE: &str = "SSL_CERT_FILE";
const SSL_CERT_DIR: &str = "SSL_CERT_DIR";

/// Most that is read of all files together: a hundred times the bundle of a distribution would fit twice.
const MAX_BYTES: u64 = 64 << 20;

/// What the platform trusts, once it was read: it takes tens of milliseconds. The AWS SDK does the same for its clients.
static PLATFORM: OnceLock<Vec<Certificate>> = OnceLock::new();

/// Who is trusted.
#[derive(Clone, Debug)]
pub(super) enum Trust {
    /// What the platform trusts.
    Platform,
    /// These CAs only.
    Given(Roots),
}

/// CAs that were given, and at least one of them usable. All are read when they are asked for first: that may take tens of
/// milliseconds.
#[derive(Clone)]
pub(super) struct Roots {
    paths: Vec<PathBuf>,
    /// What names them, and their paths in words.
    setting: &'static str,
    shown: String,
    pems: Arc<Pems>,
}

/// One certificate each.
type Pems = OnceLock<Vec<String>>;

/// What elements of this process were given, as long as one of them has it.
static GIVEN: Mutex<BTreeMap<Vec<Version>, Weak<Pems>>> = Mutex::new(BTreeMap::new());

/// A file or directory, when it was changed, and its length: another version is read again.
type Version = (PathBuf, Option<SystemTime>, u64);

impl Trust {
    /// The property beats the environment; both may be a file or a directory.
    pub(super) fn of(
        ca_file: Option<&str>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Invalid> {
        let set = |name| environment(name).filter(|value| !value.is_empty());
        if let Some(path) = ca_file {
            return Ok(Self::Given(Roots::of(CA_FILE, &[path.into()])?));
        }
        if let Some(path) = set(KVSSINK_CA_CERT_PATH) {
            return Ok(Self::Given(Roots::of(
                KVSSINK_CA_CERT_PATH,
                &[path.into()],
            )?));
        }
        // As OpenSSL and the AWS SDKs: both count.
        let file = set(SSL_CERT_FILE).map(PathBuf::from);
        let dirs: Vec<_> = set(SSL_CERT_DIR)
            .map(|dirs| env::split_paths(&dirs).collect())
            .unwrap_or_default();
        let setting = match (&file, &dirs[..]) {
            (None, []) => return Ok(Self::Platform),
            (Some(_), []) => SSL_CERT_FILE,
            (None, _) => SSL_CERT_DIR,
            (Some(_), _) => "SSL_CERT_FILE and SSL_CERT_DIR",
        };
        let paths: Vec<_> = file.into_iter().chain(dirs).collect();
        Ok(Self::Given(Roots::of(setting, &paths)?))
    }

    /// Those of the platform are read when they are asked for first, and kept.
    ///
    /// # Errors
    /// There are none.
    pub(super) fn certificates(&self) -> Result<Vec<Certificate>, Invalid> {
        match self {
            Self::Platform => of_platform(),
            Self::Given(roots) => Ok(roots.pems()?.iter().filter_map(certificate).collect()),
        }
    }

    /// What a failure to trust says besides.
    pub(super) fn remedy(&self) -> String {
        let known = match self {
            Self::Platform => "that this machine trusts",
            Self::Given(roots) => &format!("of {} ({})", roots.setting, roots.shown),
        };
        format!("its CA is not one {known}; {CA_FILE}, or SSL_CERT_FILE, can name it")
    }
}

fn of_platform() -> Result<Vec<Certificate>, Invalid> {
    if let Some(known) = PLATFORM.get() {
        return Ok(known.clone());
    }
    let found = rustls_native_certs::load_native_certs().certs;
    let parsed = found.iter().map(|der| Certificate::from_der(der));
    let parsed = parsed.filter_map(Result::ok).collect();
    let found = usable(parsed, |certificate| Some(certificate.clone()));
    if found.is_empty() {
        let reason =
            "this machine trusts no CA: install its ca-certificates, or name a file with the CA";
        return Err(Invalid::new(CA_FILE, reason));
    }
    Ok(PLATFORM.get_or_init(|| found).clone())
}

impl Roots {
    /// Looks whether there is one; reads no more than that.
    fn of(setting: &'static str, paths: &[PathBuf]) -> Result<Self, Invalid> {
        let shown = paths.iter().map(|path| path.display().to_string());
        let mut roots = Self {
            paths: paths.to_vec(),
            setting,
            shown: shown.collect::<Vec<_>>().join(", "),
            pems: Arc::default(),
        };
        let is_usable = |pem: String| !usable(vec![pem], certificate).is_empty();
        let (mut is_one, mut left) = (false, MAX_BYTES);
        for path in paths {
            let mut texts = texts(path, &mut left).map_err(|error| {
                let reason = format!(
                    "cannot read {}: {error}; name a PEM file, or a directory of such files",
                    path.display()
                );
                Invalid::new(setting, reason)
            })?;
            is_one = is_one || texts.any(|text| blocks(&text).any(is_usable));
        }
        if !is_one {
            return Err(roots.none());
        }
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        given.retain(|_, pems| pems.strong_count() > 0);
        let versions: Vec<_> = paths.iter().flat_map(|path| versions(path)).collect();
        roots.pems = given
            .get(&versions)
            .and_then(Weak::upgrade)
            .unwrap_or_default();
        given.insert(versions, Arc::downgrade(&roots.pems));
        Ok(roots)
    }

    fn none(&self) -> Invalid {
        let reason = format!(
            "no certificate in {}: name a file that has the CA as -----BEGIN CERTIFICATE-----, or a directory of such files",
            self.shown
        );
        Invalid::new(self.setting, reason)
    }

    /// One certificate each.
    ///
    /// # Errors
    /// There is none any more.
    pub(super) fn pems(&self) -> Result<&[String], Invalid> {
        if let Some(known) = self.pems.get() {
            return Ok(known);
        }
        let (mut found, mut left) = (BTreeSet::new(), MAX_BYTES);
        for path in &self.paths {
            // What cannot be read any more has none.
            for text in texts(path, &mut left).into_iter().flatten() {
                found.extend(blocks(&text));
            }
        }
        let found = usable(found.into_iter().collect(), certificate);
        if found.is_empty() {
            return Err(self.none());
        }
        Ok(self.pems.get_or_init(|| found))
    }
}

/// What there is of a file, or of the files of a directory.
fn versions(path: &Path) -> Vec<Version> {
    let version = |path: PathBuf| {
        let metadata = path.metadata().ok();
        let changed = metadata.as_ref().and_then(|file| file.modified().ok());
        (path, changed, metadata.map_or(0, |file| file.len()))
    };
    let entries = path.read_dir().into_iter().flatten().flatten();
    let mut versions: Vec<_> = entries.map(|entry| version(entry.path())).collect();
    versions.push(version(path.to_owned()));
    versions.sort();
    versions
}

/// Names them: they are long.
impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CAs of {} ({})", self.setting, self.shown)
    }
}

/// The text of a file, or one after the other those of a directory, of which there may be so much; a file of a directory that
/// cannot be read has none.
fn texts<'a>(path: &Path, left: &'a mut u64) -> io::Result<impl Iterator<Item = String> + use<'a>> {
    let (mut file, mut dir) = (None, None);
    if path.is_dir() {
        dir = Some(path.read_dir()?);
    } else {
        file = Some(text(path, left)?);
    }
    // A directory of OpenSSL has each file under two names.
    let mut seen = BTreeSet::new();
    let in_dir = dir.into_iter().flatten().filter_map(move |entry| {
        let file = entry.ok()?.path().canonicalize().ok()?;
        let is_new = !file.is_dir() && seen.insert(file.clone());
        is_new.then(|| text(&file, left).ok()).flatten()
    });
    Ok(file.into_iter().chain(in_dir))
}

fn text(path: &Path, left: &mut u64) -> io::Result<String> {
    // A pipe would hang, and with it the change of state.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(*left + 1).read_to_end(&mut bytes)?;
    *left = left
        .checked_sub(read as u64)
        .ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, "it is too large"))?;
    let text = String::from_utf8(bytes);
    Ok(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// The certificates in a text, which may have comments and keys between them; one after the other, since often the first
/// says enough.
fn blocks(text: &str) -> impl Iterator<Item = String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    text.split(BEGIN)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(END)?.0.trim()))
        .map(|body| format!("{BEGIN}\n{body}\n{END}\n"))
}

fn certificate(pem: &String) -> Option<Certificate> {
    Certificate::from_pem(pem.as_bytes()).ok()
}

/// Those that a client takes. The SDK's would panic if it did not.
fn usable<T>(found: Vec<T>, certificate: impl Fn(&T) -> Option<Certificate>) -> Vec<T> {
    let are_usable = |some: &[T]| {
        let certificates: Option<Vec<_>> = some.iter().map(&certificate).collect();
        certificates.is_some_and(|certificates| {
            let client = Client::builder().no_proxy();
            client.tls_certs_only(certificates).build().is_ok()
        })
    };
    if are_usable(&found) {
        return found;
    }
    let each = found.into_iter();
    each.filter(|one| are_usable(std::slice::from_ref(one)))
        .collect()
}

// Where certificates can be made.
#[cfg(feature = "local")]
#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn ca() -> String {
        let made = rcgen::generate_simple_self_signed(["a.invalid".to_owned()]);
        made.unwrap().cert.pem()
    }

    fn given(path: &Path) -> Roots {
        match Trust::of(path.to_str(), |_| None) {
            Ok(Trust::Given(roots)) => roots,
            other => panic!("{other:?}"),
        }
    }

    /// How many CAs there are.
    fn count(roots: &Roots) -> usize {
        roots.pems().map_or(0, <[String]>::len)
    }

    #[test]
    fn elements_share_what_they_were_given_until_it_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let in_dir = dir.path().join("ca.pem");
        for path in [in_dir.as_path(), dir.path()] {
            fs::write(&in_dir, ca()).unwrap();
            let (one, same) = (given(path), given(path));
            assert!(Arc::ptr_eq(&one.pems, &same.pems));
            assert_eq!(count(&one), 1);
            fs::write(&in_dir, ca() + &ca()).unwrap();
            let rotated = given(path);
            assert!(!Arc::ptr_eq(&one.pems, &rotated.pems));
            assert_eq!((count(&one), count(&rotated)), (1, 2));
        }
    }

    #[test]
    fn a_file_that_is_away_for_a_moment_is_an_error_for_that_moment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        fs::write(&path, ca()).unwrap();
        let roots = given(&path);
        let text = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let error = roots.pems().unwrap_err().to_string();
        assert!(error.contains("no certificate in"), "{error}");
        fs::write(&path, text).unwrap();
        assert_eq!(count(&roots), 1);
    }
}
