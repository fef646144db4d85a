//! AWS IoT's credentials provider: a certificate of the device for credentials of a role.
//!
//! In: certificate, key, CA, role alias. Out: credentials, or one line that names the field of `iot-certificate`, the
//! path and what to do. The files are read each time, so that a certificate can be exchanged while a stream runs.
//! Source: "Authorizing direct calls to AWS services using AWS IoT Core credential provider" (kvs-facts §9).

use std::{
    error::Error,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials as Keys,
    provider::{self, error::CredentialsError},
};
use aws_smithy_types::{DateTime, date_time::Format};
use reqwest::{Certificate, Client, Identity, Response, StatusCode, redirect};
use serde::Deserialize;

use super::{NoKeys, file};
use crate::{
    definition::Invalid,
    net::{
        failure,
        http::{Http, is_of_ca, is_password_wanted},
    },
    secret::Secret,
};

/// Most of an answer that is read: a session token has some KiB.
const MAX_ANSWER: usize = 64 << 10;
const THING_NAME: &str = "x-amzn-iot-thingname";

/// A device of AWS IoT, and the role that it takes on.
///
/// ```
/// use std::time::Duration;
/// use gstkvssink::producer::{Credentials, IotCertificate};
///
/// let credentials = Credentials::Iot(IotCertificate {
///     endpoint: "c0example.credentials.iot.eu-central-1.amazonaws.com".into(),
///     cert_path: "/etc/kvs/device.pem.crt".into(),
///     key_path: "/etc/kvs/private.pem.key".into(),
///     ca_path: None,
///     role_alias: "CameraRoleAlias".into(),
///     thing_name: None, // as the stream is called
///     connection_timeout: Duration::from_secs(5),
///     completion_timeout: Duration::from_secs(10),
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IotCertificate {
    /// Host of the account's credentials provider, `….credentials.iot.eu-central-1.amazonaws.com`; with a port if it is
    /// not 443.
    pub endpoint: String,
    /// The device's certificate, PEM.
    pub cert_path: PathBuf,
    /// Its private key, PEM: RSA or EC, PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key_path: PathBuf,
    /// The CA of the endpoint, PEM. `None`: as for all other connections.
    pub ca_path: Option<PathBuf>,
    /// The alias of the role.
    pub role_alias: String,
    /// The thing that the certificate belongs to. `None`: the name of the stream.
    pub thing_name: Option<String>,
    /// Longest time to connect.
    pub connection_timeout: Duration,
    /// Longest time to be answered.
    pub completion_timeout: Duration,
}

impl IotCertificate {
    /// Checks what can be checked without reading a file.
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let wrong = |reason: String| Err(Invalid::new("iot-certificate", reason));
        let missing = [
            ("endpoint", self.endpoint.is_empty()),
            ("cert-path", self.cert_path.as_os_str().is_empty()),
            ("key-path", self.key_path.as_os_str().is_empty()),
            ("role-aliases", self.role_alias.is_empty()),
        ];
        if let Some((field, _)) = missing.iter().find(|(_, missing)| *missing) {
            return wrong(format!("the field {field} is missing"));
        }
        let endpoint = &self.endpoint;
        // One that everybody finds first, since it is what MQTT needs.
        if endpoint.contains("-ats.iot.") {
            return wrong(format!(
                "endpoint: {endpoint} is not the credentials provider; `aws iot describe-endpoint --endpoint-type iot:CredentialProvider` names it"
            ));
        }
        let segment = |text: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "=,@-_:.".contains(c);
            !text.is_empty() && text.chars().all(allowed)
        };
        if !segment(self.host()) {
            return wrong(format!("endpoint: {endpoint:?} is not the name of a host"));
        }
        if !segment(&self.role_alias) {
            return wrong(format!(
                "role-aliases: {:?} is not an alias",
                self.role_alias
            ));
        }
        match &self.thing_name {
            Some(name) if !segment(name) => wrong(format!(
                "iot-thing-name: {name:?} is not the name of a thing"
            )),
            _ => Ok(()),
        }
    }

    /// Some paste it with a scheme.
    fn host(&self) -> &str {
        let host = self.endpoint.strip_prefix("https://");
        host.unwrap_or(&self.endpoint).trim_end_matches('/')
    }

    pub(super) async fn keys(&self, thing_name: &str, http: &Http) -> provider::Result {
        let client = self.client(http).await.map_err(settled)?;
        let host = self.host();
        let url = format!(
            "https://{host}/role-aliases/{}/credentials",
            self.role_alias
        );
        let asked = client.get(&url).header(THING_NAME, thing_name).send();
        let mut answer = Box::pin(asked)
            .await
            .map_err(|error| self.no_answer(http, &error.without_url()))?;
        let body = read(&mut answer)
            .await
            .map_err(|error| self.no_answer(http, &error.without_url()))?;
        match answer.status() {
            StatusCode::OK => parse(&body)
                .ok_or_else(|| passing(format!("the answer of {host} has no credentials in it"))),
            status => Err(self.refused(thing_name, status, &body)),
        }
    }

    async fn client(&self, http: &Http) -> Result<Client, String> {
        let identity = self.identity().await?;
        let builder = match &self.ca_path {
            Some(path) => {
                let certificates = certificates("ca-path", path).await?.0;
                let builder = http.without_platform();
                builder.map(|builder| builder.tls_certs_only(certificates))
            }
            None => http.client_builder(),
        };
        builder
            .map_err(|error| error.to_string())?
            .https_only(true)
            .http1_only()
            .identity(identity)
            .connect_timeout(self.connection_timeout)
            .timeout(self.connection_timeout + self.completion_timeout)
            .pool_max_idle_per_host(0)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| self.unusable(&error))
    }

    async fn identity(&self) -> Result<Identity, String> {
        let (_, cert) = certificates("cert-path", &self.cert_path).await?;
        let key = pem("key-path", &self.key_path, Wanted::Key).await?;
        let both = Secret::new(format!("{}{}", cert.expose(), key.expose()));
        Identity::from_pem(both.expose().as_bytes())
            .map_err(|_| damaged("key-path", &self.key_path, Wanted::Key))
    }

    /// Why TLS takes certificate and key not as they are.
    fn unusable(&self, error: &reqwest::Error) -> String {
        let why = failure::chain(error);
        let (cert, key) = (self.cert_path.display(), self.key_path.display());
        if why.contains("KeyMismatch") || why.contains("keys may not be consistent") {
            format!(
                "key-path: {key} is not the key of cert-path {cert}; take those that were made together"
            )
        } else if why.contains("private key") {
            format!("key-path: {key} is no usable RSA or EC key: {why}")
        } else {
            format!("cert-path: {cert}, key-path {key} or ca-path cannot be used: {why}")
        }
    }

    fn no_answer(&self, http: &Http, error: &(dyn Error + 'static)) -> CredentialsError {
        let why = failure::chain(error);
        let remedy = match (&self.ca_path, http.remedy(&why)) {
            (Some(path), _) if is_of_ca(&why) => Some(format!(
                "ca-path {} is not its CA, which is Amazon Root CA 1 at AWS",
                path.display()
            )),
            (None, Some(remedy)) if is_of_ca(&why) => Some(format!("{remedy}, and so can ca-path")),
            (_, Some(remedy)) => Some(remedy),
            _ if why.contains("received fatal alert") => Some(format!(
                "it does not take cert-path {}: see that it is registered with AWS IoT",
                self.cert_path.display()
            )),
            _ => None,
        };
        let remedy = remedy.map_or_else(String::new, |remedy| format!("; {remedy}"));
        let text = format!("no answer from {}: {why}{remedy}", self.host());
        if is_password_wanted(&why) {
            settled(text)
        } else {
            passing(text)
        }
    }

    fn refused(&self, thing_name: &str, status: StatusCode, body: &[u8]) -> CredentialsError {
        let (_, said) = failure::said_in(body);
        let said = failure::printable(&said.unwrap_or_default());
        let text = format!(
            "{} refuses {} for the thing {thing_name} (HTTP {}): {said}",
            self.host(),
            self.role_alias,
            status.as_u16()
        );
        match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => passing(text),
            _ if status.is_client_error() => settled(format!(
                "{text}; the certificate is to be active and attached to iot-thing-name, with a policy that allows iot:AssumeRoleWithCertificate for role-aliases"
            )),
            _ => passing(text),
        }
    }
}

fn settled(why: String) -> CredentialsError {
    CredentialsError::invalid_configuration(NoKeys(format!("iot-certificate: {why}")))
}

fn passing(why: String) -> CredentialsError {
    CredentialsError::provider_error(NoKeys(format!("iot-certificate: {why}")))
}

async fn read(answer: &mut Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < MAX_ANSWER {
        let Some(chunk) = answer.chunk().await? else {
            break;
        };
        let room = MAX_ANSWER - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(body)
}

fn parse(body: &[u8]) -> Option<Keys> {
    #[derive(Deserialize)]
    struct Answer {
        credentials: Given,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Given {
        access_key_id: String,
        secret_access_key: String,
        session_token: String,
        expiration: String,
    }
    let Answer { credentials } = serde_json::from_slice(body).ok()?;
    let end = DateTime::from_str(&credentials.expiration, Format::DateTimeWithOffset).ok()?;
    Some(Keys::new(
        credentials.access_key_id,
        credentials.secret_access_key,
        Some(credentials.session_token),
        Some(SystemTime::try_from(end).ok()?),
        "kvssink",
    ))
}

/// What a PEM file is read for.
#[derive(Clone, Copy)]
enum Wanted {
    Certificate,
    Key,
}

impl Wanted {
    fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key => "private key",
        }
    }

    fn is(self, label: &str) -> bool {
        match self {
            Self::Certificate => label == "CERTIFICATE",
            Self::Key => matches!(label, "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY"),
        }
    }
}

fn damaged(field: &str, path: &Path, wanted: Wanted) -> String {
    let what = wanted.as_str();
    format!(
        "{field}: the {what} in {} is damaged; copy it again",
        path.display()
    )
}

/// The certificates of a PEM file, each one usable, and their text.
async fn certificates(field: &str, path: &Path) -> Result<(Vec<Certificate>, Secret), String> {
    let pem = pem(field, path, Wanted::Certificate).await?;
    let found = Certificate::from_pem_bundle(pem.expose().as_bytes());
    // What is in the PEM is looked at only by a client.
    let found = found.ok().filter(|found| {
        let client = Client::builder().no_proxy().tls_certs_only(found.clone());
        client.build().is_ok()
    });
    found
        .map(|found| (found, pem))
        .ok_or_else(|| damaged(field, path, Wanted::Certificate))
}

/// The parts of a PEM file that are wanted: openssl writes others before them.
async fn pem(field: &str, path: &Path, wanted: Wanted) -> Result<Secret, String> {
    let bytes = file::read(path)
        .await
        .map_err(|why| format!("{field}: {why}"))?;
    let shown = path.display();
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        format!("{field}: {shown} is not PEM, which is text; openssl makes it of DER")
    })?;
    // It never grows, so that nothing is left behind where it was.
    let mut found = String::with_capacity(text.len() + 1);
    let mut inside = None;
    for line in text.lines().map(str::trim) {
        let label = |begin: &str| Some(line.strip_prefix(begin)?.strip_suffix("-----")?.to_owned());
        if let Some(label) = label("-----BEGIN ") {
            if label.contains("ENCRYPTED")
                || (line.contains("KEY") && text.contains("Proc-Type: 4,ENCRYPTED"))
            {
                return Err(format!(
                    "{field}: {shown} is encrypted; a device cannot be asked for a password: `openssl pkey` decrypts it"
                ));
            }
            inside = Some(label).filter(|label| wanted.is(label));
        }
        if inside.is_some() {
            found.push_str(line);
            found.push('\n');
        }
        if label("-----END ").is_some() {
            inside = None;
        }
    }
    let what = wanted.as_str();
    let found = Secret::new(found);
    if found.expose().is_empty() {
        Err(format!(
            "{field}: {shown} has no {what} in PEM (-----BEGIN …-----)"
        ))
    } else if inside.is_some() {
        Err(damaged(field, path, wanted))
    } else {
        Ok(found)
    }
}
