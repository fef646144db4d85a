//! The hands and the clock of the session: HTTP, signatures, credentials.
//!
//! Belongs here: everything that touches a socket. Does not belong here: policy (asks [`crate::session`]), GStreamer.

mod body;
mod clock;
mod control;
mod credentials;
mod driver;
mod failure;
mod intake;
mod put_media;
mod runtime;
mod sign;
mod signing_clock;

pub use clock::wall_now;
pub use intake::{DrainError, PutError};
pub(crate) use {
    clock::{Clock, Patience},
    driver::Driver,
    intake::Intake,
    runtime::Runtime,
    signing_clock::SigningClock,
};

use crate::{definition::Invalid, secret::Secret};

/// Where the service is and who asks.
#[derive(Clone, Debug)]
pub struct Service {
    /// AWS region, such as `us-west-2`; also that of the signatures.
    pub region: String,
    /// URI of the control plane, when it is not the region's own: `http` or `https`. The data endpoint that it names may
    /// be `http` only if it is.
    pub endpoint: Option<String>,
    /// Who asks.
    pub credentials: Credentials,
    /// `User-Agent` of PutMedia, and the application name of the control plane's.
    pub user_agent: String,
}

impl Service {
    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    /// [`Invalid`] names the setting; never with a password that stands in the endpoint.
    pub fn check(&self) -> Result<(), Invalid> {
        control::check_region(&self.region)?;
        if let Some(endpoint) = &self.endpoint {
            control::parse_endpoint(endpoint)?;
        }
        put_media::check_user_agent(&self.user_agent)?;
        Ok(())
    }
}

/// Where credentials come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credentials {
    /// Given, and never refreshed.
    Static {
        /// Access key id. Not a secret, but still nobody's business.
        access_key: String,
        /// Secret access key.
        secret_key: Secret,
        /// Session token of temporary credentials.
        session_token: Option<Secret>,
    },
    /// The default chain of the AWS SDKs: environment, profiles, containers, instance roles.
    DefaultChain,
}
