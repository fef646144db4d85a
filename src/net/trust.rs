//! [`Trust`]: whose word is enough that a server is the right one.
//!
//! In: `ca-file`, or what the environment names. Out: the CAs in PEM, each one usable, or the platform's.
//! A CA that is given replaces the platform's: who names his own does not want the word of all the others.
//! Does not belong here: TLS itself (rustls), the clients ([`super::http`]).

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
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

/// Who is trusted.
#[derive(Clone, Debug)]
pub(super) enum Trust {
    /// What the platform trusts.
    Platform,
    /// These CAs only.
    Given(Roots),
}

/// CAs that were given: one or more, all usable.
#[derive(Clone)]
pub(super) struct Roots {
    /// One certificate each.
    pems: Vec<String>,
    /// What names them, in words.
    source: String,
}

impl Trust {
    /// The property beats the environment; both may be a file or a directory.
    pub(super) fn of(
        ca_file: Option<&str>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Invalid> {
        let set = |name| environment(name).filter(|value| !value.is_empty());
        if let Some(path) = ca_file {
            return Ok(Self::Given(Roots::read(CA_FILE, &[path.into()])?));
        }
        if let Some(path) = set(KVSSINK_CA_CERT_PATH) {
            return Ok(Self::Given(Roots::read(
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
        Ok(Self::Given(Roots::read(setting, &paths)?))
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
    fn read(setting: &str, paths: &[PathBuf]) -> Result<Self, Invalid> {
        let mut found = BTreeSet::new();
        let mut left = MAX_BYTES;
        for path in paths {
            found.extend(read(path, &mut left).map_err(|error| {
                let path = path.display();
                Invalid::new(
                    setting,
                    format!(
                        "cannot read {path}: {error}; name a PEM file, or a directory of such files"
                    ),
                )
            })?);
        }
        let found: Vec<_> = found.into_iter().collect();
        let pems = if are_usable(&found) {
            found
        } else {
            let usable = |pem: &String| are_usable(std::slice::from_ref(pem));
            found.into_iter().filter(usable).collect()
        };
        let shown: Vec<_> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let shown = shown.join(", ");
        if pems.is_empty() {
            let reason = format!(
                "no certificate in {shown}: name a file that has the CA as -----BEGIN CERTIFICATE-----, or a directory of such files"
            );
            return Err(Invalid::new(setting, reason));
        }
        let source = format!("{setting} ({shown})");
        Ok(Self { pems, source })
    }

    /// One certificate each.
    pub(super) fn pems(&self) -> &[String] {
        &self.pems
    }

    pub(super) fn certificates(&self) -> Vec<Certificate> {
        certificates(&self.pems)
    }
}

/// Names them: they are long.
impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} CAs of {}", self.pems.len(), self.source)
    }
}

/// The certificates of a file, or of the files of a directory; a file of a directory that cannot be read has none.
fn read(path: &Path, left: &mut u64) -> io::Result<Vec<String>> {
    if !path.is_dir() {
        return Ok(blocks(&text(path, left)?));
    }
    let mut found = Vec::new();
    // A directory of OpenSSL has each file under two names.
    let mut seen = BTreeSet::new();
    for entry in path.read_dir()? {
        let Ok(file) = entry?.path().canonicalize() else {
            continue;
        };
        if !file.is_dir() && seen.insert(file.clone()) {
            found.extend(
                text(&file, left)
                    .map(|text| blocks(&text))
                    .unwrap_or_default(),
            );
        }
    }
    Ok(found)
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
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The certificates in a text, which may have comments and keys between them.
fn blocks(text: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    text.split(BEGIN)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(END)?.0.trim()))
        .map(|body| format!("{BEGIN}\n{body}\n{END}\n"))
        .collect()
}

fn certificates(pems: &[String]) -> Vec<Certificate> {
    let parsed = pems.iter().map(|pem| Certificate::from_pem(pem.as_bytes()));
    parsed.filter_map(Result::ok).collect()
}

/// A client takes them. The SDK's would panic if it did not.
fn are_usable(pems: &[String]) -> bool {
    let certificates = certificates(pems);
    certificates.len() == pems.len()
        && Client::builder()
            .no_proxy()
            .tls_certs_only(certificates)
            .build()
            .is_ok()
}
