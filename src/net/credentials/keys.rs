//! [`Keys`] that an application gives, and those that the settings give ([`Configured`]).
//!
//! Belongs here: the types that an application sees. Does not belong here: when they are asked for ([`super::Keyring`]).

use std::{fmt, time::SystemTime};

use aws_credential_types::{Credentials as SdkKeys, provider::error::CredentialsError};

use super::{Inner, NoKeys};
use crate::{
    net::failure,
    secret::Secret,
    session::{Call, Cause, Failure},
};

/// Credentials, once: what signs a request. `Debug` shows none of it.
///
/// ```
/// use gstkvssink::producer::{Keys, Secret};
///
/// let keys = Keys::new("AKIDEXAMPLE", Secret::new("not a real one"));
/// assert_eq!(format!("{keys:?}"), "Keys { .. }");
/// ```
#[derive(Clone)]
pub struct Keys(Given);

/// Who gave them matters for the log.
#[derive(Clone)]
pub(super) enum Given {
    Configured(SdkKeys),
    Others(SdkKeys),
}

impl Keys {
    /// Keys that have no end, but for those of [`Self::temporary`].
    ///
    /// ```
    /// use gstkvssink::producer::{Keys, Secret};
    ///
    /// let keys = Keys::new("AKIDEXAMPLE", Secret::new("not a real one"));
    /// ```
    pub fn new(access_key: impl Into<String>, secret_key: Secret) -> Self {
        Self(Given::Others(SdkKeys::new(
            access_key,
            secret_key.expose(),
            None,
            None,
            "application",
        )))
    }

    /// Temporary ones, with their session token and their end. Others are asked for in the last third of their life, at
    /// most five minutes before its end.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use gstkvssink::producer::{Keys, Secret};
    ///
    /// let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_003_600);
    /// let keys = Keys::temporary("ASIAEXAMPLE", Secret::new("not a real one"), Secret::new("token"), end);
    /// ```
    pub fn temporary(
        access_key: impl Into<String>,
        secret_key: Secret,
        session_token: Secret,
        end: SystemTime,
    ) -> Self {
        Self(Given::Others(SdkKeys::new(
            access_key,
            secret_key.expose(),
            Some(session_token.expose().to_owned()),
            Some(end),
            "application",
        )))
    }

    pub(super) fn into_given(self) -> Given {
        self.0
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// The credentials that the settings name ([`Service::credentials`](crate::net::Service::credentials), and its role).
///
/// ```
/// use gstkvssink::producer::{Answer, Configured, Keys, ServiceCallbacks};
///
/// /// Those of the settings, and says so.
/// struct Log;
///
/// impl ServiceCallbacks for Log {
///     fn credentials<'a>(&'a self, configured: Configured<'a>) -> Answer<'a, Keys> {
///         Box::pin(async move {
///             println!("credentials are asked for");
///             configured.keys().await
///         })
///     }
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Configured<'a>(pub(super) &'a Inner);

impl Configured<'_> {
    /// Asks their source.
    ///
    /// # Errors
    /// [`Failure`] with [`Cause::Credentials`] when there are none, with [`Cause::Transport`] when whoever gives them cannot
    /// be reached now.
    ///
    /// ```
    /// # async fn f(configured: gstkvssink::producer::Configured<'_>) -> Result<(), gstkvssink::producer::Failure> {
    /// let keys = configured.keys().await?;
    /// # Ok(()) }
    /// ```
    pub async fn keys(self) -> Result<Keys, Failure> {
        let fetched = self.0.fetch().await;
        fetched
            .map(|keys| Keys(Given::Configured(keys)))
            .map_err(|error| failure::credentials(Call::PutMedia, &error))
    }
}

impl fmt::Debug for Configured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configured").finish_non_exhaustive()
    }
}

/// No credentials, as the clients say it.
pub(super) fn refused(failure: Failure) -> CredentialsError {
    let why = NoKeys(failure.message);
    match failure.cause {
        Cause::Credentials | Cause::Request => CredentialsError::invalid_configuration(why),
        Cause::Transport | Cause::Answer { .. } => CredentialsError::provider_error(why),
    }
}
