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
    sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak},
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

/// Most that is read of a file, or of all files of a directory: a hundred times the bundle of a distribution would fit twice.
const MAX_BYTES: u64 = 64 << 20;

/// What the platform trusts, read once for all elements of the process: it takes tens of milliseconds. The AWS SDK does the
/// same for its clients.
static PLATFORM: LazyLock<Vec<Certificate>> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs().certs;
    let parsed = found.iter().map(|der| Certificate::from_der(der));
    let parsed = parsed.filter_map(Result::ok).collect();
    usable(parsed, |certificate| Some(certificate.clone()))
});

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
    /// What names them, in words.
    source: String,
    pems: Arc<Pems>,
}

/// One certificate each.
type Pems = OnceLock<Vec<String>>;

/// What elements of this process were given, by paths, as long as one of them has it.
static GIVEN: Mutex<BTreeMap<Vec<PathBuf>, Weak<Pems>>> = Mutex::new(BTreeMap::new());

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
    pub(super) fn certificates(&self) -> Vec<Certificate> {
        match self {
            Self::Platform => PLATFORM.clone(),
            Self::Given(roots) => roots.pems().iter().filter_map(certificate).collect(),
        }
    }

    /// What a failure to trust says besides.
    pub(super) fn remedy(&self) -> String {
        let known = match self {
            Self::Platform => "that this machine trusts",
            Self::Given(roots) => &format!("of {}", roots.source),
        };
        format!("its CA is not one {known}; {CA_FILE}, or SSL_CERT_FILE, can name it")
    }
}

impl Roots {
    /// Looks whether there is one; reads no more than that.
    fn of(setting: &str, paths: &[PathBuf]) -> Result<Self, Invalid> {
        let shown = paths.iter().map(|path| path.display().to_string());
        let shown = shown.collect::<Vec<_>>().join(", ");
        let is_usable = |pem: String| !usable(vec![pem], certificate).is_empty();
        let mut is_one = false;
        for path in paths {
            let mut texts = texts(path).map_err(|error| {
                let reason = format!(
                    "cannot read {}: {error}; name a PEM file, or a directory of such files",
                    path.display()
                );
                Invalid::new(setting, reason)
            })?;
            is_one = is_one || texts.any(|text| blocks(&text).any(is_usable));
        }
        if !is_one {
            let reason = format!(
                "no certificate in {shown}: name a file that has the CA as -----BEGIN CERTIFICATE-----, or a directory of such files"
            );
            return Err(Invalid::new(setting, reason));
        }
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        given.retain(|_, pems| pems.strong_count() > 0);
        let pems = given.get(paths).and_then(Weak::upgrade).unwrap_or_default();
        given.insert(paths.to_vec(), Arc::downgrade(&pems));
        Ok(Self {
            paths: paths.to_vec(),
            source: format!("{setting} ({shown})"),
            pems,
        })
    }

    /// One certificate each.
    pub(super) fn pems(&self) -> &[String] {
        self.pems.get_or_init(|| {
            // What cannot be read any more has none.
            let texts = self.paths.iter().filter_map(|path| texts(path).ok());
            let mut found = BTreeSet::new();
            for text in texts.flatten() {
                found.extend(blocks(&text));
            }
            usable(found.into_iter().collect(), certificate)
        })
    }
}

/// Names them: they are long.
impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CAs of {}", self.source)
    }
}

/// The text of a file, or one after the other those of a directory; a file of a directory that cannot be read has none.
fn texts(path: &Path) -> io::Result<impl Iterator<Item = String>> {
    let (mut file, mut dir) = (None, None);
    if path.is_dir() {
        dir = Some(path.read_dir()?);
    } else {
        file = Some(text(path)?);
    }
    // A directory of OpenSSL has each file under two names.
    let mut seen = BTreeSet::new();
    let mut left = MAX_BYTES;
    let in_dir = dir.into_iter().flatten().filter_map(move |entry| {
        let file = entry.ok()?.path().canonicalize().ok()?;
        if file.is_dir() || !seen.insert(file.clone()) {
            return None;
        }
        let text = text(&file).ok()?;
        left = left.checked_sub(text.len() as u64)?;
        Some(text)
    });
    Ok(file.into_iter().chain(in_dir))
}

fn text(path: &Path) -> io::Result<String> {
    // A pipe would hang, and with it the change of state.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    let read = File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if read as u64 > MAX_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is too large",
        ));
    }
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
