//! [`Keyring`]: who asks. The one place that both clients have their keys from, so that they agree and what expires is
//! fetched once.
//!
//! In: [`Credentials`], a [`Role`], a region or none. Out: keys that hold, the region, and where both are from.
//! Belongs here: which source is asked, how long keys are kept, when they are fetched anew. Does not belong here: the
//! sources themselves (the modules below), signatures ([`super::sign`]), what follows from a refusal (`session`).

mod chain;
mod file;
mod instance;
mod iot;
mod keys;
mod link;
mod refusal;
mod region;
mod role;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials as SdkKeys,
    provider::{
        self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
    },
};
use aws_smithy_async::time::TimeSource;
use tokio::sync::OnceCell;

pub use iot::IotCertificate;
pub use region::DEFAULT_REGION;
pub(crate) use region::Region;
pub use role::Role;

use super::{Credentials, Service, http::Http, signing_clock::SigningClock};
use crate::{
    definition::StreamDefinition,
    producer::ServiceCallbacks,
    session::{Cause, Failure},
};
use chain::Chain;
use file::CredentialFile;
pub use keys::{Configured, Keys};
use keys::{Given, refused};
use link::Link;
use refusal::{is_about_keys, is_of_signature, is_of_time, is_unknown_or_expired};
use region::{Unsettled, no_region};

/// Keys are fetched anew in the last third of their life, at most this long before they end: as the AWS SDKs do for
/// roles, and long enough for several attempts.
const LONGEST_LEAD: Duration = Duration::from_secs(300);
/// The lead is shortened by up to this part of it, so that many devices that were started together do not ask together.
const JITTER: f64 = 0.25;

/// Why there are no keys, in one line that names the setting and the remedy; never with a secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoKeys(pub(super) String);

/// The keys of one stream. Clones share them.
#[derive(Clone)]
pub(crate) struct Keyring(Arc<Inner>);

struct Inner {
    source: Source,
    role: Option<Role>,
    chain: Chain,
    named_region: Option<String>,
    region: OnceCell<Region>,
    held: tokio::sync::Mutex<Option<Held>>,
    /// Where the newest keys are from, in words.
    from: Mutex<Option<String>>,
    clock: SigningClock,
    http: Http,
    patience: Duration,
    callbacks: Arc<dyn ServiceCallbacks>,
}

enum Source {
    Given(SdkKeys),
    File(CredentialFile),
    /// The file, once it was there; else the chain.
    FileElseChain(CredentialFile, AtomicBool),
    Iot(IotCertificate, String),
    Chain,
}

struct Held {
    keys: SdkKeys,
    /// From then on others are asked for; `None`: each time, which costs nothing where keys have no end.
    renew_at: Option<SystemTime>,
}

impl Held {
    /// `jitter` is from 0 to 1.
    fn new(keys: SdkKeys, now: SystemTime, jitter: f64) -> Self {
        let renew_at = keys.expiry().and_then(|end| {
            let left = end.duration_since(now).ok()?;
            let lead = (left / 3).min(LONGEST_LEAD);
            end.checked_sub(lead.mul_f64(1.0 - JITTER * jitter))
        });
        Self { keys, renew_at }
    }

    fn is_fresh(&self, now: SystemTime) -> bool {
        self.renew_at.is_some_and(|at| now < at)
    }

    fn holds(&self, now: SystemTime) -> bool {
        self.keys.expiry().is_some_and(|end| now < end)
    }
}

impl Keyring {
    /// Touches neither network nor files; needs no runtime. What expires is measured by `clock`: the service does so by
    /// its own.
    pub(crate) fn new(
        service: &Service,
        definition: &StreamDefinition,
        clock: &SigningClock,
        http: &Http,
        callbacks: Arc<dyn ServiceCallbacks>,
    ) -> Self {
        let source = match &service.credentials {
            Credentials::Static {
                access_key,
                secret_key,
                session_token,
            } => Source::Given(SdkKeys::new(
                access_key.as_str(),
                secret_key.expose(),
                session_token
                    .as_ref()
                    .map(|token| token.expose().to_owned()),
                None,
                "kvssink",
            )),
            Credentials::File(path) => Source::File(CredentialFile(path.clone())),
            Credentials::FileElseChain(path) => {
                Source::FileElseChain(CredentialFile(path.clone()), AtomicBool::new(false))
            }
            Credentials::Iot(iot) => {
                let thing = iot.thing_name.as_deref();
                let thing = thing.unwrap_or(definition.name.as_str());
                Source::Iot(iot.clone(), thing.to_owned())
            }
            Credentials::DefaultChain => Source::Chain,
        };
        Self(Arc::new(Inner {
            source,
            role: service.role.clone(),
            chain: Chain {
                profile: service.profile.clone(),
                clock: clock.clone(),
                http: http.clone(),
                use_fips: service.use_fips,
                use_dual_stack: service.use_dual_stack,
            },
            named_region: service.region.clone(),
            region: OnceCell::new(),
            held: tokio::sync::Mutex::new(None),
            from: Mutex::new(None),
            clock: clock.clone(),
            http: http.clone(),
            patience: definition.completion_timeout,
            callbacks,
        }))
    }

    /// For the clients.
    pub(crate) fn provider(&self) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(self.clone())
    }

    /// SdkKeys that hold as far as anybody knows; those at hand, while they are good for long enough.
    pub(crate) async fn keys(&self) -> provider::Result {
        let inner = &*self.0;
        let mut held = inner.held.lock().await;
        let now = inner.clock.now();
        // A file is asked each time: it costs nothing, and it may have changed.
        if let Some(held) = held.as_ref().filter(|held| held.is_fresh(now))
            && !inner.is_at_hand()
        {
            return Ok(held.keys.clone());
        }
        match inner.fetch_in_time().await {
            Ok(keys) => {
                *held = Some(Held::new(keys.clone(), now, fastrand::f64()));
                Ok(keys)
            }
            // Whoever issues them is away: the old ones are good until their end.
            // That took its time.
            Err(error) => match held.as_ref().filter(|held| held.holds(inner.clock.now())) {
                Some(held) => Ok(held.keys.clone()),
                None => Err(error),
            },
        }
    }

    /// After a refusal: true if it was for the keys, and there are others now.
    pub(crate) async fn renewed(&self, failure: &Failure) -> bool {
        if !is_about_keys(failure) {
            return false;
        }
        let inner = &*self.0;
        let mut held = inner.held.lock().await;
        let Ok(keys) = inner.fetch_in_time().await else {
            return false;
        };
        let same = |held: &Held| {
            held.keys.access_key_id() == keys.access_key_id()
                && held.keys.secret_access_key() == keys.secret_access_key()
                && held.keys.session_token() == keys.session_token()
        };
        let renewed = !held.as_ref().is_some_and(same);
        *held = Some(Held::new(keys, inner.clock.now(), fastrand::f64()));
        renewed
    }

    /// A refusal of keys, with the words that say whose they are and what to do.
    pub(crate) fn explained(&self, mut failure: Failure) -> Failure {
        if let Cause::Answer { code, .. } = &failure.cause
            && is_of_signature(code)
            && let Some(region) = self.0.region.get()
        {
            let Region { name, .. } = region;
            failure.message += &if is_of_time(&failure.message) {
                " (the device's clock is wrong: set it, by NTP)".to_owned()
            } else {
                format!(
                    " (signed for region {name}: set aws-region if the stream is in another; otherwise the secret key is wrong)"
                )
            };
        }
        if let Cause::Answer { code, .. } = &failure.cause
            && is_unknown_or_expired(code)
            && let Some(from) = self.from()
        {
            let remedy = match &self.0.source {
                Source::Given(_) => "; set others, with session-token if they are temporary",
                Source::File(_) => "; whoever writes the file has to renew them",
                _ => "",
            };
            failure.message += &format!(" (credentials of {from}{remedy})");
        }
        failure
    }

    /// Where the newest keys are from, in words; never what they are.
    pub(crate) fn from(&self) -> Option<String> {
        self.0.from().clone()
    }
}

impl Inner {
    async fn fetch_in_time(&self) -> provider::Result {
        let fetched = tokio::time::timeout(self.patience, self.ask()).await;
        fetched.unwrap_or_else(|_| {
            let text = format!(
                "no credentials within {} s, which is completion-timeout",
                self.patience.as_secs()
            );
            Err(CredentialsError::provider_error(NoKeys(text)))
        })
    }

    async fn fetch(&self) -> provider::Result {
        let (mut from, mut keys) = match &self.source {
            Source::Given(keys) => ("access-key and secret-key".to_owned(), keys.clone()),
            Source::File(file) => of_file(file).await?,
            Source::FileElseChain(file, seen) => {
                // A file that is renamed away for a moment is still the source.
                if seen.load(Ordering::Relaxed) || file.exists() {
                    seen.store(true, Ordering::Relaxed);
                    of_file(file).await?
                } else {
                    self.of_chain().await?
                }
            }
            Source::Iot(iot, thing) => {
                let keys = iot.keys(thing, &self.http).await?;
                let from = format!("iot-certificate ({} as {thing})", iot.role_alias);
                (from, keys)
            }
            Source::Chain => self.of_chain().await?,
        };
        if let Some(role) = &self.role {
            let region = self.region().await.map_err(|Unsettled| no_region())?;
            keys = role.assume(keys, &region.name, &self.chain).await?;
            from = format!("role-arn {} on top of {from}", role.arn);
        }
        *self.from() = Some(from);
        Ok(keys)
    }

    /// By way of the application, which may give others.
    async fn ask(&self) -> provider::Result {
        let given = self.callbacks.credentials(Configured(self)).await;
        match given.map_err(refused)?.into_given() {
            Given::Configured(keys) => Ok(keys),
            Given::Others(keys) => {
                *self.from() = Some("the application".to_owned());
                Ok(keys)
            }
        }
    }

    /// Nobody far away is asked.
    fn is_at_hand(&self) -> bool {
        let is_file = match &self.source {
            Source::Given(_) | Source::File(_) => true,
            Source::FileElseChain(_, seen) => seen.load(Ordering::Relaxed),
            Source::Iot(..) | Source::Chain => false,
        };
        is_file && self.role.is_none()
    }

    async fn of_chain(&self) -> Result<(String, SdkKeys), CredentialsError> {
        let region = self.region().await;
        let name = region.map_or(DEFAULT_REGION, |region| &region.name);
        let (link, keys) = self.chain.keys(name).await?;
        if region.is_err() {
            // What it creates must not be in another region than it is itself.
            if link == Link::Instance {
                return Err(no_region());
            }
            // Somebody else may have settled it meanwhile.
            let _ = self.region.set(Region::assumed());
        }
        Ok((link.to_string(), keys))
    }

    fn from(&self) -> MutexGuard<'_, Option<String>> {
        self.from.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn of_file(file: &CredentialFile) -> Result<(String, SdkKeys), CredentialsError> {
    let keys = file.keys().await?;
    Ok((format!("credential-path {}", file.0.display()), keys))
}

impl ProvideCredentials for Keyring {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(Box::pin(self.keys()))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("from", &self.from())
            .field("role", &self.0.role)
            .field("region", &self.0.region)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
