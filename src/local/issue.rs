//! Credentials that a test asks for directly, also as a file that a rotating agent would write.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::Local;
use super::keys::{Issued, Source};
use super::sources::Sources;

impl Local {
    /// Where clients get credentials, if [`Options::credential_sources`](super::Options::credential_sources) says that they do.
    #[must_use]
    pub fn sources(&self) -> Option<&Sources> {
        self.service.issuer.as_ref().map(|issuer| &issuer.sources)
    }

    /// Issues temporary credentials that are good for `life`, or up to a second longer.
    #[must_use]
    pub fn issue(&self, life: Duration) -> Issued {
        let now_ms = self.service.wall_ms();
        self.service.issue(Source::Local, "", life, now_ms)
    }

    /// All credentials issued so far, the oldest first; the last 10,000 of them.
    #[must_use]
    pub fn issued(&self) -> Vec<Issued> {
        self.service.keys.list()
    }

    /// Whether this is the access key of issued credentials that have expired.
    #[must_use]
    pub fn has_expired(&self, access_key: &str) -> bool {
        let now_ms = self.service.wall_ms();
        self.service.keys.has_expired(access_key, now_ms)
    }

    /// Issues credentials and writes them as a credential file, at once: a reader sees the old file or the new one.
    ///
    /// # Errors
    /// If the file, or one beside it, cannot be written.
    pub fn write_credential_file(&self, path: &Path, life: Duration) -> io::Result<Issued> {
        let issued = self.issue(life);
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        fs::write(&new, issued.line())?;
        fs::rename(&new, path)?;
        Ok(issued)
    }

    /// Writes half of such a file into its place, as an agent does that is caught in the middle of writing. The cut is
    /// within the session token: all words are there, the last one is too short, and there is no end of the line.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_half_a_credential_file(&self, path: &Path, life: Duration) -> io::Result<Issued> {
        let issued = self.issue(life);
        let line = issued.line();
        fs::write(path, &line[..line.len() / 2])?;
        Ok(issued)
    }
}
