//! The hands and the clock of the session: HTTP, signatures, credentials.
//!
//! Belongs here: everything that touches a socket. Does not belong here: policy (asks [`crate::session`]), GStreamer.

mod body;
mod clock;
mod control;
pub mod credential_file;
mod credentials;
mod disk;
mod driver;
mod endpoints;
mod exchange;
mod export;
mod failure;
mod http;
mod intake;
mod kinesis_video;
mod proxy;
mod put_media;
mod runtime;
mod sign;
mod signing_clock;
mod trust;

pub use clock::wall_now;
pub use credentials::{Configured, DEFAULT_REGION, IotCertificate, Keys, Role};
pub use exchange::{Aborted, AckSender, Acks, Media, MediaChunk};
pub use intake::{PutError, WaitError};
pub use kinesis_video::KinesisVideo;
pub(crate) use {
    clock::{Clock, Patience},
    driver::{Driver, in_time},
    export::Export,
    intake::Intake,
    runtime::Runtime,
    signing_clock::SigningClock,
};

use std::path::PathBuf;

use crate::{definition::Invalid, secret::Secret};

/// Name and version of this library.
///
/// ```
/// use gstkvssink::producer::DEFAULT_USER_AGENT;
///
/// assert!(DEFAULT_USER_AGENT.starts_with("kvssink/"));
/// ```
pub const DEFAULT_USER_AGENT: &str = concat!("kvssink/", env!("CARGO_PKG_VERSION"));

/// Where the service is, who asks, and on what way.
///
/// ```
/// use gstkvssink::producer::{Credentials, Producer, Service};
///
/// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
/// let service = Service {
///     credentials: Credentials::File("/run/kvs/credential".into()),
///     use_dual_stack: true,
///     ..Service::new("eu-central-1")
/// };
/// let producer = Producer::builder().service(service).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Service {
    /// AWS region, such as `us-west-2`; also that of the signatures. `None`: that of the profile, that of the instance
    /// (only where credentials come from the default chain), else [`DEFAULT_REGION`]; found out when it is needed.
    pub region: Option<String>,
    /// URI of the control plane, when it is not the region's own: `http` or `https`. The data endpoint that it names may
    /// be `http` only if it is.
    pub endpoint: Option<String>,
    /// Only endpoints that are validated by FIPS 140, as always in GovCloud. Not together with `endpoint`.
    pub use_fips: bool,
    /// An endpoint that has IPv6 addresses, too; it does not change `endpoint`.
    pub use_dual_stack: bool,
    /// Who asks.
    pub credentials: Credentials,
    /// Profile of the AWS configuration files that has credentials and region. For [`Credentials::DefaultChain`] it is
    /// then the only source. `None`: `AWS_PROFILE`, else `default`.
    pub profile: Option<String>,
    /// A role that is assumed with these credentials, and then asks instead.
    pub role: Option<Role>,
    /// `User-Agent` of PutMedia, and the application name of the control plane's.
    pub user_agent: String,
    /// CAs instead of those of the platform: a PEM file, or a directory of such files. `None`: by the environment
    /// (`KVSSINK_CA_CERT_PATH`, `SSL_CERT_FILE`, `SSL_CERT_DIR`), else the platform's.
    pub ca_file: Option<String>,
    /// URI of the HTTP proxy, with user and password if it wants any. `None`: by the environment (`HTTPS_PROXY`,
    /// `HTTP_PROXY`, `ALL_PROXY`). `NO_PROXY` counts for both.
    pub proxy: Option<Secret>,
}

/// The region is found out, and the default chain of credentials asked.
impl Default for Service {
    fn default() -> Self {
        Self {
            region: None,
            endpoint: None,
            use_fips: false,
            use_dual_stack: false,
            credentials: Credentials::DefaultChain,
            profile: None,
            role: None,
            user_agent: DEFAULT_USER_AGENT.into(),
            ca_file: None,
            proxy: None,
        }
    }
}

impl Service {
    /// The service of a region, asked by the default chain of credentials; change the fields that are to be otherwise.
    ///
    /// ```
    /// use gstkvssink::producer::{DEFAULT_USER_AGENT, Service};
    ///
    /// let service = Service::new("eu-central-1");
    /// assert_eq!(service.region.as_deref(), Some("eu-central-1"));
    /// assert_eq!(service.user_agent, DEFAULT_USER_AGENT);
    /// ```
    pub fn new(region: impl Into<String>) -> Self {
        Self {
            region: Some(region.into()),
            ..Self::default()
        }
    }

    /// Checks what can be checked without asking anybody; reads the CAs.
    ///
    /// # Errors
    /// [`Invalid`] names the setting; never with a password that stands in it.
    ///
    /// ```
    /// use gstkvssink::producer::Service;
    ///
    /// let mut service = Service::new("eu-central-1");
    /// service.endpoint = Some("kinesisvideo".into());
    /// assert!(service.check().is_err(), "it has no scheme");
    /// ```
    pub fn check(&self) -> Result<(), Invalid> {
        if let Some(region) = &self.region {
            endpoints::check_region(region)?;
        }
        if let Credentials::Iot(iot) = &self.credentials {
            iot.check()?;
        }
        if let Some(role) = &self.role {
            role.check()?;
        }
        if let Some(endpoint) = &self.endpoint {
            endpoints::parse_endpoint(endpoint)?;
            if self.use_fips {
                return Err(Invalid::new(
                    "use-fips",
                    "nobody knows whether the endpoint that is given is validated by FIPS: unset one of both (also AWS_USE_FIPS_ENDPOINT, CONTROL_PLANE_URI)",
                ));
            }
        }
        put_media::check_user_agent(&self.user_agent)?;
        http::Http::new(self)?;
        Ok(())
    }
}

/// Where credentials come from. `Debug` shows no key.
///
/// ```
/// use gstkvssink::producer::{Credentials, Secret};
///
/// let credentials = Credentials::Static {
///     access_key: "AKIDEXAMPLE".into(),
///     secret_key: Secret::new("not a real one"),
///     session_token: None,
/// };
/// assert_eq!(format!("{credentials:?}"), "Static { … }");
/// ```
#[derive(Clone)]
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
    /// A file that somebody rewrites before they end ([`credential_file`]): it is read whenever a request is signed. When
    /// it is missing or not whole, it is looked at again for 4 s.
    File(PathBuf),
    /// That file if it is there, else [`Self::DefaultChain`].
    FileElseChain(PathBuf),
    /// The credentials provider of AWS IoT.
    Iot(IotCertificate),
    /// The default chain of the AWS SDKs: environment, profiles (with SSO and processes), web identity, containers,
    /// instance roles.
    DefaultChain,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Static { .. } => f.write_str("Static { … }"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::FileElseChain(path) => f.debug_tuple("FileElseChain").field(path).finish(),
            Self::Iot(iot) => f.debug_tuple("Iot").field(iot).finish(),
            Self::DefaultChain => f.write_str("DefaultChain"),
        }
    }
}
