//! The credential file, and every other small file that somebody may be writing just now.
//!
//! In: a path. Out: credentials, or one line that names property and file. The file is read whenever it is asked for
//! credentials, so that a change is never missed: requests are rare, and it is small.
//! Does not belong here: what stands in it ([`super::super::credential_file`]).

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use aws_credential_types::{
    Credentials as Keys,
    provider::{self, error::CredentialsError},
};

use zeroize::Zeroizing;

use super::NoKeys;
use crate::net::{
    clock::system_now,
    credential_file::{self, FileCredentials},
};

/// Most that is read of a file: credentials and certificates are a few KiB.
const MAX_BYTES: usize = 64 << 10;
/// How often a file that is missing or not whole is looked at again, and how far apart: 4 s, longer than a rewrite takes,
/// and below `completion-timeout`.
const LOOKS: u32 = if cfg!(test) { 15 } else { 40 };
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// For how many looks a file without the end of its line is to stay the same, or how old it is to be in looks: 1 s, longer
/// than a writer stops within a line.
const SETTLES: u32 = 10;

/// A file that somebody rewrites before its credentials end.
#[derive(Clone, Debug)]
pub(super) struct CredentialFile(pub(super) PathBuf);

impl CredentialFile {
    pub(super) fn exists(&self) -> bool {
        self.0.exists()
    }

    pub(super) async fn keys(&self) -> provider::Result {
        let (mut looks, mut same) = (0, 0);
        let mut before = None;
        let found = loop {
            let (found, is_whole) = match self.read().await {
                Ok((found, is_whole)) => (Ok(found), is_whole),
                Err(why) => (Err(why), false),
            };
            looks += 1;
            same = if before.as_ref() == Some(&found) {
                same + 1
            } else {
                0
            };
            let stays = found.is_ok() && same >= SETTLES;
            if (found.is_ok() && is_whole) || stays || looks == LOOKS {
                break found;
            }
            before = Some(found);
            tokio::time::sleep(LOOK_AGAIN).await;
        };
        let found = found.map_err(|why| {
            let text = format!("credential-path: {why}");
            CredentialsError::not_loaded(NoKeys(text))
        })?;
        Ok(Keys::new(
            found.access_key,
            found.secret_key.expose(),
            found.session_token.map(|token| token.expose().to_owned()),
            found.expiration,
            "kvssink",
        ))
    }

    /// With true if nobody is writing it: its line has an end, or it was written a while ago. Without either, the last word
    /// may not be whole.
    async fn read(&self) -> Result<(FileCredentials, bool), String> {
        let bytes = read(&self.0).await?;
        let path = self.0.display();
        let text = std::str::from_utf8(&bytes).map_err(|_| format!("{path} is not text"))?;
        let found = credential_file::parse(text).map_err(|why| {
            format!("{path} {why}; have it written whole, then renamed to its name")
        })?;
        Ok((found, text.ends_with('\n') || self.is_old()))
    }

    fn is_old(&self) -> bool {
        let written = std::fs::metadata(&self.0).and_then(|metadata| metadata.modified());
        let age = written.map(|written| system_now().duration_since(written).unwrap_or_default());
        age.is_ok_and(|age| age >= LOOK_AGAIN * SETTLES)
    }
}

/// A whole small file, on a thread that may block. What is in it is wiped when it is dropped.
pub(super) async fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_now(&owned)).await;
    let path = path.display();
    match read {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Err(format!(
            "there is no file {path}; put it there, or name another"
        )),
        Ok(Err(error)) => Err(format!("cannot read {path}: {error}")),
        Err(error) => Err(format!("cannot read {path}: {error}")),
    }
}

fn read_now(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // A pipe would hang, a device may have no end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    // Room for all that is read, whatever the file becomes meanwhile: it never grows, so that nothing is left behind where
    // it was.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    let most = bytes.capacity() as u64;
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES {
        let text = format!("it has more than {} KiB", MAX_BYTES >> 10);
        return Err(io::Error::other(text));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::net::failure;

    async fn error_of(file: &CredentialFile) -> String {
        let error = file.keys().await.unwrap_err();
        failure::credentials(crate::session::Call::Describe, &error).message
    }

    /// Nothing is left behind where it was before it grew.
    #[test]
    fn what_is_read_stays_in_one_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        for len in [0, 1, 100, MAX_BYTES] {
            fs::write(&path, vec![b'x'; len]).unwrap();
            let read = read_now(&path).unwrap();
            assert_eq!((read.len(), read.capacity()), (len, MAX_BYTES + 1));
        }
        fs::write(&path, vec![b'x'; MAX_BYTES + 1]).unwrap();
        assert!(read_now(&path).is_err());
    }

    #[tokio::test]
    async fn a_file_is_read_anew_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let file = CredentialFile(dir.path().join("credential"));
        fs::write(&file.0, "CREDENTIALS AKID1 s3cr3t\n").unwrap();
        assert_eq!(file.keys().await.unwrap().access_key_id(), "AKID1");
        // The same size, perhaps within the resolution of the file's time.
        fs::write(&file.0, "CREDENTIALS AKID2 s3cr3t\n").unwrap();
        assert_eq!(file.keys().await.unwrap().access_key_id(), "AKID2");
    }

    #[tokio::test]
    async fn a_file_that_is_being_written_is_read_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = CredentialFile(dir.path().join("credential"));
        fs::write(&file.0, "CREDENTIALS AKID1 2030-01-02T03:04:05Z s3cr").unwrap();
        let (keys, ()) = tokio::join!(file.keys(), async {
            tokio::time::sleep(LOOK_AGAIN).await;
            let whole = "CREDENTIALS AKID1 2030-01-02T03:04:05Z s3cr3t t0k3n\n";
            fs::write(&file.0, whole).unwrap();
        });
        let keys = keys.unwrap();
        assert_eq!(keys.session_token(), Some("t0k3n"));
        assert!(keys.expiry().is_some());
    }

    /// All words are there, but the last one is not whole, for several looks.
    #[tokio::test]
    async fn a_token_that_is_being_written_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let file = CredentialFile(dir.path().join("credential"));
        let whole = "CREDENTIALS AKID1 2030-01-02T03:04:05Z s3cr3t t0k3n";
        fs::write(&file.0, &whole[..whole.len() - 2]).unwrap();
        let (keys, ()) = tokio::join!(file.keys(), async {
            tokio::time::sleep(LOOK_AGAIN * 5).await;
            fs::write(&file.0, whole).unwrap();
        });
        assert_eq!(keys.unwrap().session_token(), Some("t0k3n"));
    }

    /// Some write no end of the line.
    #[tokio::test]
    async fn a_file_that_stays_as_it_is_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = CredentialFile(dir.path().join("credential"));
        fs::write(&file.0, "CREDENTIALS AKID1 s3cr3t").unwrap();
        assert!(!file.is_old());
        assert_eq!(file.keys().await.unwrap().access_key_id(), "AKID1");
        assert!(file.is_old(), "the next time it is not waited for");
        assert!(file.read().await.unwrap().1);
    }

    #[tokio::test]
    async fn an_error_names_the_property_the_file_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = CredentialFile(dir.path().join("credential"));
        let path = file.0.display().to_string();
        let cases = [
            (None, "there is no file"),
            (
                Some("CREDENTIALS AKID s3cr3t-half 2030".as_bytes()),
                "has 4 words",
            ),
            (Some(b"\xff\xfe"), "is not text"),
            (Some(&[b' '; (64 << 10) + 1]), "more than 64 KiB"),
        ];
        for (content, expected) in cases {
            if let Some(content) = content {
                fs::write(&file.0, content).unwrap();
            }
            let error = error_of(&file).await;
            assert!(error.starts_with("credential-path: "), "{error}");
            assert!(error.contains(&path) && error.contains(expected), "{error}");
            assert!(
                !error.contains("s3cr3t") && !error.contains('\n'),
                "{error}"
            );
        }
        let directory = CredentialFile(dir.path().into());
        let error = error_of(&directory).await;
        assert!(error.contains("it is not a file"), "{error}");
    }
}
