//! Whose requests are taken: the static pair, and temporary credentials that this service has issued.
//!
//! In: what is to be issued, the access key of a request, `now`. Out: what a request must be signed with.
//! Belongs here: secrets, and how long they are good for. Does not belong here: who gets some (`sources`), what a
//! signature looks like (`sigv4`). No clock, no I/O.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use super::service::lock;

/// Issued credentials that are remembered; older ones are unknown again.
const MAX_ISSUED: usize = 10_000;
/// What the access keys of temporary credentials begin with, and how many characters follow.
const ACCESS_KEY: (&str, usize) = ("ASIA", 16);
/// Length of a secret key, as AWS's.
const SECRET_LEN: usize = 40;
/// Length of a session token: AWS's have some hundred characters, and say that no client may rely on a limit.
const TOKEN_LEN: usize = 380;
/// Of base32, as in AWS's access keys.
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Of base64, as in AWS's secrets and tokens: `+` and `/` find clients that forget to escape them.
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// How temporary credentials were got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// By [`Local::issue`](super::Local::issue), also for a credential file.
    Local,
    /// From the container endpoint.
    Container,
    /// From the instance metadata.
    Instance,
    /// By `AssumeRole`.
    AssumeRole,
    /// By `AssumeRoleWithWebIdentity`.
    WebIdentity,
    /// From SSO.
    Sso,
    /// From the IoT credentials provider.
    Iot,
}

/// Temporary credentials.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Issued {
    /// `ASIA…`
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// What requests must carry as `x-amz-security-token`.
    pub session_token: String,
    /// Milliseconds since 1970 by the service's clock.
    pub issued_ms: u64,
    /// From here on they are refused: a whole second, as AWS has it.
    pub expires_ms: u64,
    /// How they were got.
    pub source: Source,
    /// Who got them: a session's name, a thing's name, or the role.
    pub holder: String,
}

impl Issued {
    /// The time at which they expire, `2026-01-02T03:04:05Z`.
    #[must_use]
    pub fn expiration(&self) -> String {
        iso_8601(self.expires_ms)
    }

    /// The line of a credential file: `CREDENTIALS KEY EXPIRATION SECRET TOKEN` and its end.
    #[must_use]
    pub fn line(&self) -> String {
        let Self {
            access_key,
            secret_key,
            session_token,
            ..
        } = self;
        let expiration = self.expiration();
        format!("CREDENTIALS {access_key} {expiration} {secret_key} {session_token}\n")
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("access_key", &self.access_key)
            .field("expiration", &self.expiration())
            .field("source", &self.source)
            .field("holder", &self.holder)
            .finish_non_exhaustive()
    }
}

/// Whole seconds in UTC, `2026-01-02T03:04:05Z`.
pub(crate) fn iso_8601(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}

/// What a request of some access key must be signed with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) secret: String,
    /// What it must carry; without one it must not carry any.
    pub(crate) session_token: Option<String>,
    pub(crate) has_expired: bool,
}

/// All keys that are taken.
pub(crate) struct Keys {
    /// The static pair's.
    pub(crate) access_key: String,
    /// The static pair's.
    pub(crate) secret_key: String,
    /// The static pair's, if it has one.
    pub(crate) session_token: Option<String>,
    /// The only region taken; any, if there is none.
    pub(crate) region: Option<String>,
    /// The oldest first.
    pub(crate) issued: Mutex<VecDeque<Issued>>,
}

impl Keys {
    /// Issues credentials that are good for `life`, or up to a second longer: they end with a whole second.
    pub(crate) fn issue(
        &self,
        source: Source,
        holder: &str,
        life: Duration,
        now_ms: u64,
    ) -> Issued {
        let life_ms = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        let (prefix, len) = ACCESS_KEY;
        let issued = Issued {
            access_key: format!("{prefix}{}", random(BASE32, len)),
            secret_key: random(BASE64, SECRET_LEN),
            session_token: random_token(),
            issued_ms: now_ms,
            expires_ms: now_ms.saturating_add(life_ms).div_ceil(1000) * 1000,
            source,
            holder: holder.to_owned(),
        };
        let mut all = lock(&self.issued);
        if all.len() == MAX_ISSUED {
            all.pop_front();
        }
        all.push_back(issued.clone());
        issued
    }

    /// The key that belongs to an access key.
    pub(crate) fn find(&self, access_key: &str, now_ms: u64) -> Option<Key> {
        if access_key == self.access_key {
            return Some(Key {
                secret: self.secret_key.clone(),
                session_token: self.session_token.clone(),
                has_expired: false,
            });
        }
        let all = lock(&self.issued);
        let issued = all.iter().rev().find(|one| one.access_key == access_key)?;
        Some(Key {
            secret: issued.secret_key.clone(),
            session_token: Some(issued.session_token.clone()),
            has_expired: now_ms >= issued.expires_ms,
        })
    }

    /// Whether this is the access key of credentials that have expired.
    pub(crate) fn has_expired(&self, access_key: &str, now_ms: u64) -> bool {
        self.find(access_key, now_ms)
            .is_some_and(|key| key.has_expired)
    }

    /// When credentials expire next.
    pub(crate) fn next_expiry_ms(&self, now_ms: u64) -> Option<u64> {
        let all = lock(&self.issued);
        let later = all.iter().map(|one| one.expires_ms);
        later.filter(|at_ms| *at_ms > now_ms).min()
    }

    /// What has been issued, the oldest first.
    pub(crate) fn list(&self) -> Vec<Issued> {
        lock(&self.issued).iter().cloned().collect()
    }
}

/// A session token, or another that a client only has to show.
pub(crate) fn random_token() -> String {
    format!("{}==", random(BASE64, TOKEN_LEN - 2))
}

/// Good enough for a service whose default key everybody knows.
fn random(alphabet: &[u8], len: usize) -> String {
    let character = |_| fastrand::choice(alphabet).map_or('A', |byte| char::from(*byte));
    (0..len).map(character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-02T03:04:05.678Z.
    const NOW: u64 = 1_767_323_045_678;

    fn keys() -> Keys {
        Keys {
            access_key: "AKIDLOCAL".into(),
            secret_key: "local-secret".into(),
            session_token: None,
            region: None,
            issued: Mutex::default(),
        }
    }

    fn issue(keys: &Keys, seconds: u64) -> Issued {
        keys.issue(Source::Local, "test", Duration::from_secs(seconds), NOW)
    }

    #[test]
    fn credentials_end_with_a_whole_second_and_not_before_their_life() {
        let keys = keys();
        let issued = issue(&keys, 3);
        assert_eq!(issued.expiration(), "2026-01-02T03:04:09Z");
        let expires_ms = 1_767_323_049_000;
        assert_eq!(issued.expires_ms, expires_ms);
        assert!(!keys.has_expired(&issued.access_key, expires_ms - 1));
        assert!(keys.has_expired(&issued.access_key, expires_ms));
        assert_eq!(keys.next_expiry_ms(NOW), Some(expires_ms));
        assert_eq!(keys.next_expiry_ms(expires_ms), None);
    }

    #[test]
    fn no_two_are_the_same_and_the_oldest_are_forgotten() {
        let keys = keys();
        let first = issue(&keys, 3);
        for _ in 0..MAX_ISSUED {
            issue(&keys, 3);
        }
        assert!(keys.find(&first.access_key, NOW).is_none());
        let all = keys.list();
        assert_eq!(all.len(), MAX_ISSUED);
        let distinct: std::collections::BTreeSet<_> =
            all.iter().map(|one| &one.access_key).collect();
        assert_eq!(distinct.len(), MAX_ISSUED);
    }

    #[test]
    fn the_static_pair_never_expires() {
        let keys = keys();
        assert!(!keys.has_expired("AKIDLOCAL", u64::MAX));
        assert!(keys.find("AKIDOTHER", NOW).is_none());
    }

    #[test]
    fn a_line_of_a_credential_file_has_all_five_words() {
        let issued = issue(&keys(), 3);
        let line = issued.line();
        assert!(line.ends_with('\n'));
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(
            words,
            [
                "CREDENTIALS",
                &issued.access_key,
                "2026-01-02T03:04:09Z",
                &issued.secret_key,
                &issued.session_token
            ]
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let issued = issue(&keys(), 3);
        let shown = format!("{issued:?}");
        assert!(shown.contains(&issued.access_key), "{shown}");
        for secret in [&issued.secret_key, &issued.session_token] {
            assert!(!shown.contains(secret.as_str()), "{shown}");
        }
    }
}
