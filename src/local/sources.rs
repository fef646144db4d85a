//! Where clients get temporary credentials: what AWS offers to a container, to an instance, by STS, SSO and IoT.
//!
//! In: a request. Out: credentials, or a refusal in the words of the original. All give the same role. Container,
//! instance, STS and SSO are on the service's own port, since their paths are free there; IoT has a port of its own, since it
//! wants certificates of its clients.
//! Does not belong here: how long credentials are good (`keys`), what is done with them (`server`).

mod container;
mod device;
mod instance;
pub(crate) mod iot;
mod sso;
mod sts;

use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context;
use http::request::Parts;
use hyper::body::Incoming;
use serde::Serialize;

use super::account::ACCOUNT_ID;
use super::api::Api;
use super::fault::FaultKind;
use super::faults::Occasion;
use super::keys::{Issued, Source, random_token};
use super::options::CredentialSources;
use super::refused::Refused;
use super::service::Service;
use super::tls::Ca;
use super::visit::{Said, Visit};

/// The role that all credentials are of.
pub(crate) const ROLE: &str = "kvs-local";
/// The alias of the role, for IoT.
const ROLE_ALIAS: &str = "kvs-local-alias";
/// The region that the instance is in, if the service takes any.
const USUAL_REGION: &str = "us-west-2";

/// Where to get credentials, as clients are told it: by environment variables of the AWS SDKs, and properties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sources {
    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub container: String,
    /// `AWS_EC2_METADATA_SERVICE_ENDPOINT`; version 2 only.
    pub instance: String,
    /// `AWS_ENDPOINT_URL_STS`.
    pub sts: String,
    /// `AWS_ENDPOINT_URL_SSO`, for the account and the role of [`Self::role_arn`].
    pub sso: String,
    /// With the only token that SSO takes, as `accessToken` of a login.
    pub sso_token_file: PathBuf,
    /// Host and port of the IoT credentials provider; its CA is `ca.pem` in [`Self::dir`].
    pub iot: String,
    /// The only role that can be assumed.
    pub role_arn: String,
    /// The only alias that the IoT credentials provider knows; it takes every well-formed name of a thing.
    pub role_alias: String,
    /// `AWS_WEB_IDENTITY_TOKEN_FILE`: the only token that is taken.
    pub web_identity_token_file: PathBuf,
    /// With the files of a device: certificate `rsa.pem` with its key in two forms, `rsa-pkcs8.key` and `rsa-pkcs1.key`;
    /// `ec.pem` with `ec-pkcs8.key` and `ec-sec1.key`; `other.key` of neither; `stranger.pem` with `stranger.key`, which
    /// another CA has signed.
    pub dir: PathBuf,
}

/// Who gives credentials to those who may have them.
pub(crate) struct Issuer {
    pub(crate) sources: Sources,
    wanted: CredentialSources,
    web_identity_token: String,
    sso_token: String,
    life: Duration,
    region: String,
    metadata_tokens: Mutex<VecDeque<instance::Token>>,
}

impl Issuer {
    /// An issuer beside the service at `endpoint`, and the port for IoT on the same address.
    pub(crate) fn new(
        wanted: CredentialSources,
        endpoint: &str,
        ip: IpAddr,
        life: Duration,
        region: Option<&str>,
    ) -> anyhow::Result<(Self, iot::Door)> {
        let dir = wanted.dir.clone();
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let ca = Ca::new("kvs-local IoT CA")?;
        device::write(&dir, &ca)?;
        let web_identity_token_file = dir.join("web-identity-token");
        let web_identity_token = random_token();
        write_private(&web_identity_token_file, &web_identity_token)?;
        let sso_token_file = dir.join("sso-token");
        let sso_token = random_token();
        write_private(&sso_token_file, &sso_token)?;
        let door = iot::Door::open(ip, &ca)?;
        let sources = Sources {
            container: format!("{endpoint}{}", container::PATH),
            instance: endpoint.to_owned(),
            sts: endpoint.to_owned(),
            sso: endpoint.to_owned(),
            sso_token_file,
            iot: door.authority()?,
            role_arn: format!("arn:aws:iam::{ACCOUNT_ID}:role/{ROLE}"),
            role_alias: ROLE_ALIAS.to_owned(),
            web_identity_token_file,
            dir,
        };
        let issuer = Self {
            sources,
            wanted,
            web_identity_token,
            sso_token,
            life,
            region: region.unwrap_or(USUAL_REGION).to_owned(),
            metadata_tokens: Mutex::default(),
        };
        Ok((issuer, door))
    }
}

/// Writes a file that only its owner may read, as keys and tokens have to be kept.
fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        let mut open = fs::OpenOptions::new();
        open.write(true).create(true).truncate(true).mode(0o600);
        open.open(file)?.write_all(text.as_bytes())
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// Which of those on the service's own port a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Container,
    Instance,
    Sso,
    Sts,
}

impl Place {
    /// The one that the path belongs to.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Sts),
            container::PATH => Some(Self::Container),
            sso::PATH => Some(Self::Sso),
            _ if path.starts_with(instance::ROOT) => Some(Self::Instance),
            _ => None,
        }
    }
}

/// A call.
pub(crate) struct Call<'a> {
    service: &'a Service,
    issuer: &'a Issuer,
    visit: &'a Visit,
    parts: &'a Parts,
}

/// Answers a call.
pub(crate) async fn answer(place: Place, call: &Call<'_>, body: Incoming) -> Said {
    match place {
        Place::Container => container::answer(call),
        Place::Instance => instance::answer(call),
        Place::Sso => sso::answer(call),
        Place::Sts => sts::answer(call, body).await,
    }
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        service: &'a Service,
        issuer: &'a Issuer,
        visit: &'a Visit,
        parts: &'a Parts,
    ) -> Self {
        Self {
            service,
            issuer,
            visit,
            parts,
        }
    }

    fn now_ms(&self) -> u64 {
        self.visit.now_ms
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    fn issue(&self, source: Source, holder: &str) -> Issued {
        self.issue_for(source, holder, self.issuer.life)
    }

    fn issue_for(&self, source: Source, holder: &str, life: Duration) -> Issued {
        self.service.issue(source, holder, life, self.now_ms())
    }

    /// Refuses the call if a fault says so. `http:*` means the calls of video.
    fn strike(&self, called: Api) -> Result<(), Refused> {
        let occasion = Occasion {
            stream: None,
            session: None,
        };
        let refusal = |kind| match kind {
            FaultKind::Http {
                api: Some(api),
                status,
                exception,
            } if api == called => Some(Refused::injected(status, exception)),
            _ => None,
        };
        self.service.strike(occasion, refusal).map_or(Ok(()), Err)
    }
}
