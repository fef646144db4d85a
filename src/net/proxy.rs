//! [`Proxy`]: through whom the service is reached.
//!
//! In: the property `proxy`, or the usual variables. Out: what both clients want to know, and the words for its failures.
//! Services of the machine itself, such as those for its credentials, are never asked through a proxy.
//! Does not belong here: what is done about a refusal ([`crate::session`]).

use std::{ffi::OsString, fmt};

use aws_smithy_http_client::proxy::ProxyConfig;
use reqwest::{NoProxy, Url};

use crate::{definition::Invalid, secret::Secret};

/// The property.
const PROXY: &str = "proxy";
/// By the scheme of what is asked, as curl and the AWS SDKs: the first that is set.
const HTTPS: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const HTTP: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
const NO: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// Where EC2, ECS and EKS give credentials: addresses that mean something on the machine only.
const NEVER: &str = "169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,fd00:ec2::23";

/// What the tunnel of both clients (hyper-util) says when the proxy does not let it through.
const FAILED: &str = "tunnel error";
const WANTS_PASSWORD: &str = "proxy authorization required";

/// Whom to ask for which scheme.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    https: Option<Given>,
    http: Option<Given>,
    /// Hosts that are reached without, separated by commas.
    no: String,
}

#[derive(Clone, PartialEq)]
struct Given {
    url: Url,
    setting: &'static str,
}

impl Proxy {
    /// The property is for everything; without it the environment says by scheme. NO_PROXY counts for both.
    pub(super) fn of(
        property: Option<&Secret>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Invalid> {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = environment(name)?.into_string().ok()?;
                (!value.is_empty()).then_some((*name, value))
            })
        };
        let by = |names: &[&'static str]| {
            let given = match property {
                Some(text) => Some((PROXY, text.expose().to_owned())),
                None => first(names),
            };
            given
                .map(|(setting, text)| Given::parse(setting, &text))
                .transpose()
        };
        let no = first(&NO).map_or_else(String::new, |(_, hosts)| format!("{hosts},"));
        Ok(Self {
            https: by(&HTTPS)?,
            http: by(&HTTP)?,
            no: no + NEVER,
        })
    }

    /// That of `http` wants TLS itself.
    pub(super) fn is_https(&self) -> bool {
        let http = self.http.as_ref();
        http.is_some_and(|http| http.url.scheme() == "https")
    }

    /// For the SDK, whose client takes one proxy. `http` is asked of it only if the control plane is.
    pub(super) fn config(&self, plain: bool) -> Result<ProxyConfig, Invalid> {
        let config = match (&self.https, &self.http) {
            (Some(https), Some(http)) if https.url == http.url => https.config(ProxyConfig::all)?,
            (_, Some(http)) if plain => http.config(ProxyConfig::http)?,
            (Some(https), _) => https.config(ProxyConfig::https)?,
            _ => return Ok(ProxyConfig::disabled()),
        };
        Ok(config.no_proxy(&self.no))
    }

    /// For reqwest; it asks nobody else.
    pub(super) fn apply(
        &self,
        mut builder: reqwest::ClientBuilder,
    ) -> Result<reqwest::ClientBuilder, Invalid> {
        builder = builder.no_proxy();
        let schemes = [
            (&self.https, reqwest::Proxy::https as fn(Url) -> _),
            (&self.http, reqwest::Proxy::http),
        ];
        for (given, make) in schemes {
            let Some(given) = given else { continue };
            let proxy: reqwest::Result<reqwest::Proxy> = make(given.url.clone());
            let proxy = proxy.map_err(|_| given.refused())?;
            builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(&self.no)));
        }
        Ok(builder)
    }

    /// What a failure that the proxy made says besides; `None`: it has nothing to do with it.
    pub(super) fn remedy(&self, said: &str) -> Option<String> {
        let given = self.https.as_ref().or(self.http.as_ref())?;
        if !said.contains(FAILED) {
            return None;
        }
        Some(if is_password_wanted(said) {
            given.wants_password()
        } else {
            format!(
                "the {given} does not let it through; it has to allow CONNECT to there, or NO_PROXY has to name the host"
            )
        })
    }

    /// The words for an answer with status 407.
    pub(super) fn wants_password(&self) -> Option<String> {
        let given = self.http.as_ref().or(self.https.as_ref())?;
        Some(given.wants_password())
    }
}

/// A proxy has answered with status 407, inside of a client.
pub(crate) fn is_password_wanted(said: &str) -> bool {
    said.contains(FAILED) && said.contains(WANTS_PASSWORD)
}

impl Given {
    fn parse(setting: &'static str, text: &str) -> Result<Self, Invalid> {
        // As curl: http is meant when nothing is said.
        let text = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        // The text is not repeated: a password may be in it.
        let form = "write http://[user:password@]host:port, with %40 for an @ in the password";
        let url = Url::parse(&text)
            .map_err(|error| Invalid::new(setting, format!("is no URI: {error}; {form}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            let reason = format!("{} is no proxy for HTTP; {form}", url.scheme());
            return Err(Invalid::new(setting, reason));
        }
        let bare = matches!(url.path(), "" | "/") && url.query().is_none();
        if url.host_str().is_none_or(str::is_empty) || !bare || url.fragment().is_some() {
            return Err(Invalid::new(setting, form));
        }
        Ok(Self { url, setting })
    }

    fn config<E>(
        &self,
        make: fn(String) -> Result<ProxyConfig, E>,
    ) -> Result<ProxyConfig, Invalid> {
        make(self.url.to_string()).map_err(|_| self.refused())
    }

    /// The HTTP client wants it otherwise; how, it might say with the password.
    fn refused(&self) -> Invalid {
        Invalid::new(self.setting, "cannot be used as a proxy")
    }

    fn wants_password(&self) -> String {
        let setting = self.setting;
        if self.url.username().is_empty() {
            format!(
                "the {self} wants a user and a password; set {setting} to http://user:password@host:port"
            )
        } else {
            format!("the {self} refuses the user or the password; set the right ones in {setting}")
        }
    }
}

/// Without user and password.
impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host) = (self.url.scheme(), self.url.host_str().unwrap_or_default());
        write!(f, "proxy {scheme}://{host}")?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        write!(f, " ({})", self.setting)
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
