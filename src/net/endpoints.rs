//! Where the service is: the control plane as it is given, and the data endpoints as it names them.
//!
//! In: URIs. Out: checked ones; and those of streams that were asked for lately, for all streams of this process.
//! Does not belong here: the hosts of regions (the SDK knows them), who asks ([`super::control`]).

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::Url;

use super::{Clock, Service, signing_clock::is_authentic};
use crate::{
    definition::{Invalid, StreamName},
    time::Mono,
};

/// How long an endpoint is known: as long as the service's own clients know one (kvs-facts §2).
const AGE: Duration = Duration::from_secs(45 * 60);
/// Most endpoints that are known: more streams than one process sends.
const MAX_KNOWN: usize = 1000;

/// Where PutMedia of a stream goes: the answer of GetDataEndpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataEndpoint(Url);

impl DataEndpoint {
    /// Checks the URI that the service named. `plain` allows `http`.
    pub(super) fn parse(text: &str, plain: bool) -> Result<Self, String> {
        let url = parse_uri(text)?;
        if url.scheme() == "http" && !plain {
            return Err(format!(
                "the data endpoint {text} is http, which is allowed only if the control plane's is: use https"
            ));
        }
        Ok(Self(url))
    }

    /// The URI as it was named.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Else it is `http`.
    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Its answers are its own.
    pub(crate) fn is_authentic(&self) -> bool {
        is_authentic(&self.0)
    }

    /// The URI of an API.
    pub(crate) fn url(&self, api: &str) -> String {
        format!("{}/{api}", self.as_str())
    }

    /// The `Host` of its requests: with the port only if that is not the default one.
    pub(crate) fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

/// A region is letters, digits and hyphens.
pub(super) fn check_region(region: &str) -> Result<(), Invalid> {
    let is_region = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if region.is_empty() || !region.chars().all(is_region) {
        let reason = format!("{region:?} is not a region such as us-west-2");
        return Err(Invalid::new("aws-region", reason));
    }
    Ok(())
}

/// The URI of the control plane.
pub(super) fn parse_endpoint(text: &str) -> Result<Url, Invalid> {
    parse_uri(text).map_err(|reason| Invalid::new("endpoint", reason))
}

/// An `http` or `https` URI with a host, and with nothing but a path behind it.
fn parse_uri(text: &str) -> Result<Url, String> {
    // Not repeated: what is before the `@` may be a password.
    if text.contains('@') {
        return Err("must not have a user or password in it".into());
    }
    let wrong = |why: &str| format!("{text:?} is not an http or https URI: {why}");
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("begin it with https://"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("it has no host"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("nothing may follow the path"));
    }
    Ok(url)
}

/// What is known of one stream's data endpoint in this process, so that a restart of a pipeline does not ask again. Whose
/// credentials it was asked with does not matter.
#[derive(Debug)]
pub(super) struct Known(Key);

/// What an endpoint depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    region: Option<String>,
    /// A region that is not set depends on these.
    profile: Option<String>,
    /// Who asks, without secrets: another account has streams of the same names.
    identity: String,
    endpoint: Option<String>,
    use_fips: bool,
    use_dual_stack: bool,
    stream: StreamName,
}

/// The endpoints that are known, and when each was learnt. One clock for all: those of two could not be compared exactly.
struct Entries {
    clock: Clock,
    by_key: HashMap<Key, (DataEndpoint, Mono)>,
}

static KNOWN: LazyLock<Mutex<Entries>> = LazyLock::new(|| {
    Mutex::new(Entries {
        clock: Clock::start(),
        by_key: HashMap::new(),
    })
});

fn known() -> MutexGuard<'static, Entries> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    pub(super) fn of(service: &Service, stream: &StreamName) -> Self {
        Self(Key {
            region: service.region.clone(),
            profile: service.profile.clone(),
            identity: format!("{:?} {:?}", service.credentials, service.role),
            endpoint: service.endpoint.clone(),
            use_fips: service.use_fips,
            use_dual_stack: service.use_dual_stack,
            stream: stream.clone(),
        })
    }

    pub(super) fn endpoint(&self) -> Option<DataEndpoint> {
        let known = known();
        let (endpoint, learnt) = known.by_key.get(&self.0)?;
        is_young(known.clock.now().saturating_since(*learnt)).then(|| endpoint.clone())
    }

    pub(super) fn learn(&self, endpoint: DataEndpoint) {
        let mut known = known();
        let now = known.clock.now();
        insert(&mut known.by_key, self.0.clone(), endpoint, now);
    }

    pub(super) fn forget(&self) {
        known().by_key.remove(&self.0);
    }
}

fn is_young(age: Duration) -> bool {
    age < AGE
}

/// For a new one the oldest has to go when there is no room.
fn insert(
    known: &mut HashMap<Key, (DataEndpoint, Mono)>,
    key: Key,
    endpoint: DataEndpoint,
    now: Mono,
) {
    if known.len() >= MAX_KNOWN && !known.contains_key(&key) {
        let oldest = known.iter().min_by_key(|(_, (_, learnt))| *learnt);
        if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
            known.remove(&oldest);
        }
    }
    known.insert(key, (endpoint, now));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(region: &str, stream: &str) -> Known {
        let stream = StreamName::new(stream).unwrap();
        Known::of(&Service::new(region), &stream)
    }

    fn endpoint(uri: &str) -> DataEndpoint {
        DataEndpoint::parse(uri, false).unwrap()
    }

    #[test]
    fn an_endpoint_is_known_until_it_fails() {
        let (one, same) = (of("test-1", "known"), of("test-1", "known"));
        assert_eq!(one.endpoint(), None);
        one.learn(endpoint("https://a.invalid"));
        assert_eq!(same.endpoint(), Some(endpoint("https://a.invalid")));
        assert_eq!(of("test-1", "another").endpoint(), None);
        assert_eq!(of("test-2", "known").endpoint(), None);
        same.forget();
        assert_eq!(one.endpoint(), None);
    }

    #[test]
    fn an_endpoint_is_known_for_45_minutes() {
        assert!(is_young(Duration::ZERO));
        assert!(is_young(Duration::from_secs(45 * 60 - 1)));
        assert!(!is_young(Duration::from_secs(45 * 60)));
    }

    #[test]
    fn the_oldest_is_forgotten_for_a_new_one() {
        let mut known = HashMap::new();
        let learn = |known: &mut HashMap<_, _>, stream: usize, seconds| {
            let Known(key) = of("test-1", &format!("cam{stream}"));
            let now = Mono::from_secs(seconds);
            insert(known, key, endpoint("https://a.invalid"), now);
        };
        for n in 0..MAX_KNOWN {
            learn(&mut known, n, n as u64);
        }
        // What is learnt again is the youngest.
        learn(&mut known, 0, 2000);
        learn(&mut known, MAX_KNOWN, 2001);
        assert_eq!(known.len(), MAX_KNOWN);
        for (stream, is_there) in [(0, true), (1, false), (2, true), (MAX_KNOWN, true)] {
            let Known(key) = of("test-1", &format!("cam{stream}"));
            assert_eq!(known.contains_key(&key), is_there, "cam{stream}");
        }
    }
}
