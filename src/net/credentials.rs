//! Who asks: static credentials, or the default chain of the AWS SDKs.
//!
//! In: [`Credentials`]. Out: a provider that both clients share, so that they agree and what expires is fetched once.
//! Belongs here: where credentials come from and how long they are kept. Does not belong here: signatures ([`super::sign`]).

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_config::{Region, default_provider::credentials::DefaultCredentialsChain};
use aws_credential_types::{
    Credentials as Keys,
    provider::{self, ProvideCredentials, SharedCredentialsProvider, future},
};
use aws_smithy_async::time::TimeSource;
use tokio::sync::{Mutex, OnceCell};

use super::{Credentials, signing_clock::SigningClock};

/// Credentials that end within this time are fetched anew: longer than any call takes.
const EXPIRY_MARGIN: Duration = Duration::from_secs(60);

/// The provider of these credentials. Touches neither network nor files; needs no runtime.
/// What expires is measured by `clock`: the service does so by its own.
pub(crate) fn provider(
    credentials: &Credentials,
    region: &str,
    clock: &SigningClock,
) -> SharedCredentialsProvider {
    match credentials {
        Credentials::Static {
            access_key,
            secret_key,
            session_token,
        } => SharedCredentialsProvider::new(Keys::new(
            access_key.as_str(),
            secret_key.expose(),
            session_token
                .as_ref()
                .map(|token| token.expose().to_owned()),
            None,
            "kvssink",
        )),
        Credentials::DefaultChain => SharedCredentialsProvider::new(LazyChain {
            region: Region::new(region.to_owned()),
            chain: OnceCell::new(),
            kept: Mutex::new(None),
            clock: clock.clone(),
        }),
    }
}

/// The default chain, made when it is asked for the first time.
struct LazyChain {
    region: Region,
    chain: OnceCell<DefaultCredentialsChain>,
    /// What expires is kept until then. What does not is asked for each time: it costs nothing, and a file may change.
    kept: Mutex<Option<Keys>>,
    clock: SigningClock,
}

impl LazyChain {
    async fn keys(&self) -> provider::Result {
        let mut kept = self.kept.lock().await;
        if let Some(keys) = kept
            .as_ref()
            .filter(|keys| is_fresh(keys, self.clock.now()))
        {
            return Ok(keys.clone());
        }
        let chain = self
            .chain
            .get_or_init(|| {
                DefaultCredentialsChain::builder()
                    .region(self.region.clone())
                    .build()
            })
            .await;
        let keys = chain.provide_credentials().await?;
        *kept = Some(keys.clone());
        Ok(keys)
    }
}

fn is_fresh(keys: &Keys, now: SystemTime) -> bool {
    keys.expiry().is_some_and(|end| end > now + EXPIRY_MARGIN)
}

impl ProvideCredentials for LazyChain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.keys())
    }
}

impl fmt::Debug for LazyChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyChain")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[tokio::test]
    async fn static_credentials_are_given_as_they_are() {
        let provider = provider(
            &Credentials::Static {
                access_key: "AKID".into(),
                secret_key: Secret::new("SECRET"),
                session_token: Some(Secret::new("TOKEN")),
            },
            "us-west-2",
            &SigningClock::default(),
        );
        let keys = provider.provide_credentials().await.unwrap();
        assert_eq!(keys.access_key_id(), "AKID");
        assert_eq!(keys.secret_access_key(), "SECRET");
        assert_eq!(keys.session_token(), Some("TOKEN"));
        assert_eq!(keys.expiry(), None);
        for shown in [format!("{keys:?}"), format!("{provider:?}")] {
            assert!(
                !shown.contains("SECRET") && !shown.contains("TOKEN"),
                "{shown}"
            );
        }
    }

    /// Not async: there is no runtime.
    #[test]
    fn the_default_chain_is_not_made_before_it_is_asked() {
        let provider = provider(
            &Credentials::DefaultChain,
            "us-west-2",
            &SigningClock::default(),
        );
        assert!(format!("{provider:?}").contains("us-west-2"));
    }

    #[test]
    fn what_ends_within_a_minute_is_fetched_anew() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let ends = |after: Option<u64>| {
            let end = after.map(|secs| now + Duration::from_secs(secs));
            is_fresh(&Keys::new("AKID", "SECRET", None, end, "test"), now)
        };
        assert!(ends(Some(61)));
        assert!(!ends(Some(60)));
        assert!(!ends(Some(0)));
        assert!(!ends(None));
    }
}
