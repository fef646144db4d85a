//! The control plane, by the AWS SDK: DescribeStream, CreateStream, TagStream, GetDataEndpoint.
//!
//! In: the [`Service`] and the [`StreamDefinition`]. Out: what the session has to know, or a [`Failure`].
//! Belongs here: one attempt of each call. Does not belong here: retries and what follows from an answer
//! ([`crate::session`]), PutMedia ([`super::put_media`]).

use std::{error::Error, time::Duration};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kinesisvideo::{
    Client,
    config::{
        AppName, BehaviorVersion, IdentityCache, Region, SharedCredentialsProvider,
        http::HttpResponse, retry::RetryConfig, timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
    types::{ApiName, Status},
};
use reqwest::Url;

use super::{Service, failure};
use crate::{
    definition::{Invalid, StreamDefinition},
    session::{Call, Cause, Described, Failure, StreamStatus},
};

/// Longest application name that the SDK takes without a warning.
const MAX_APP_NAME: usize = 50;

/// Where PutMedia of a stream goes: the answer of GetDataEndpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataEndpoint(Url);

impl DataEndpoint {
    /// Checks the URI that the service named. `plain` allows `http`.
    fn parse(text: &str, plain: bool) -> Result<Self, String> {
        let url = parse_endpoint(text)?;
        if url.scheme() == "http" && !plain {
            return Err(format!(
                "the data endpoint {text} is http, which is allowed only if the control plane's is: use https"
            ));
        }
        Ok(Self(url))
    }

    /// The URI of an API.
    pub(crate) fn url(&self, api: &str) -> String {
        format!("{}/{api}", self.0.as_str().trim_end_matches('/'))
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

/// An `http` or `https` URI with a host, and with nothing but a path behind it.
pub(super) fn parse_endpoint(text: &str) -> Result<Url, String> {
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

/// The client of the control plane, for one stream.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    client: Client,
    name: String,
    retention: Duration,
    tags: Vec<(String, String)>,
    /// Where it asks, in words.
    place: String,
    /// The control plane is `http`, so the data endpoint may be.
    plain: bool,
}

impl ControlPlane {
    /// A client that has not asked anything yet. Needs no runtime.
    ///
    /// # Errors
    /// [`Invalid`] when the region or the endpoint cannot be right.
    pub(crate) fn new(
        service: &Service,
        definition: &StreamDefinition,
        credentials: SharedCredentialsProvider,
    ) -> Result<Self, Invalid> {
        let is_region = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if service.region.is_empty() || !service.region.chars().all(is_region) {
            return Err(Invalid::new(
                "aws-region",
                format!("{:?} is not a region such as us-west-2", service.region),
            ));
        }
        let endpoint = service.endpoint.as_deref().map(parse_endpoint).transpose();
        let endpoint = endpoint.map_err(|reason| Invalid::new("endpoint", reason))?;
        let mut config = aws_sdk_kinesisvideo::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(service.region.clone()))
            .credentials_provider(credentials)
            // The provider keeps what is worth keeping; a refusal is answered with what it has then.
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(definition.connection_timeout)
                    .operation_timeout(definition.completion_timeout)
                    .build(),
            );
        config.set_app_name(app_name(&service.user_agent));
        if let Some(endpoint) = &endpoint {
            config = config.endpoint_url(endpoint.as_str().trim_end_matches('/'));
        }
        Ok(Self {
            client: Client::from_conf(config.build()),
            name: definition.name.to_string(),
            retention: definition.retention,
            tags: definition.tags.clone().into_iter().collect(),
            place: match &endpoint {
                Some(endpoint) => endpoint.as_str().trim_end_matches('/').to_owned(),
                None => format!("the control plane of {}", service.region),
            },
            plain: endpoint.is_some_and(|endpoint| endpoint.scheme() == "http"),
        })
    }

    /// DescribeStream.
    pub(crate) async fn describe(&self) -> Result<Described, Failure> {
        let call = self.client.describe_stream().stream_name(&self.name);
        let answer = Box::pin(call.send()).await;
        let answer = answer.map_err(|error| self.failure(Call::Describe, &error))?;
        let Some(stream) = answer.stream_info else {
            return Err(self.senseless(Call::Describe, "without StreamInfo"));
        };
        let hours = stream.data_retention_in_hours.unwrap_or_default();
        Ok(Described {
            status: match stream.status {
                Some(Status::Creating) => StreamStatus::Creating,
                Some(Status::Deleting) => StreamStatus::Deleting,
                // ACTIVE, UPDATING, and what is not known yet: PutMedia tells.
                _ => StreamStatus::Active,
            },
            retention: Duration::from_secs(u64::try_from(hours).unwrap_or_default() * 3600),
        })
    }

    /// CreateStream, with the media types that its tracks have.
    pub(crate) async fn create(&self, content_type: &str) -> Result<(), Failure> {
        // Up, so that less than an hour does not become 0: nothing kept.
        let hours = self.retention.as_secs().div_ceil(3600);
        let call = self
            .client
            .create_stream()
            .stream_name(&self.name)
            .media_type(content_type)
            .data_retention_in_hours(i32::try_from(hours).unwrap_or(i32::MAX));
        let answer = Box::pin(call.send()).await;
        answer.map_err(|error| self.failure(Call::Create, &error))?;
        Ok(())
    }

    /// TagStream, with the tags of the definition.
    pub(crate) async fn tag(&self) -> Result<(), Failure> {
        let call = self
            .client
            .tag_stream()
            .stream_name(&self.name)
            .set_tags(Some(self.tags.iter().cloned().collect()));
        let answer = Box::pin(call.send()).await;
        answer.map_err(|error| self.failure(Call::Tag, &error))?;
        Ok(())
    }

    /// GetDataEndpoint of PutMedia.
    pub(crate) async fn data_endpoint(&self) -> Result<DataEndpoint, Failure> {
        let call = self
            .client
            .get_data_endpoint()
            .stream_name(&self.name)
            .api_name(ApiName::PutMedia);
        let answer = Box::pin(call.send()).await;
        let answer = answer.map_err(|error| self.failure(Call::Resolve, &error))?;
        let Some(text) = answer.data_endpoint else {
            return Err(self.senseless(Call::Resolve, "without DataEndpoint"));
        };
        DataEndpoint::parse(&text, self.plain)
            .map_err(|reason| failure::request(Call::Resolve, reason))
    }

    /// An answer that is none: rather a proxy than the service, so it is tried again.
    fn senseless(&self, call: Call, what: &str) -> Failure {
        Failure {
            call,
            cause: Cause::Transport,
            message: format!("answer {what} from {}", self.place),
        }
    }

    fn failure<E>(&self, call: Call, error: &SdkError<E, HttpResponse>) -> Failure
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let status = error.raw_response().map(|raw| raw.status().as_u16());
        match (error, status) {
            (SdkError::ServiceError(_), Some(status)) | (_, Some(status @ 300..)) => {
                failure::refusal(
                    call,
                    status,
                    error.code().unwrap_or_default(),
                    error.request_id(),
                    error.message(),
                )
            }
            _ if failure::find::<CredentialsError>(error).is_some() => {
                failure::credentials(call, error)
            }
            (SdkError::ConstructionFailure(_), _) => failure::request(call, failure::chain(error)),
            _ => failure::transport(call, &self.place, error),
        }
    }
}

/// The user agent as an application name: without the characters that such a name may not have.
fn app_name(user_agent: &str) -> Option<AppName> {
    let name: String = user_agent
        .chars()
        .take(MAX_APP_NAME)
        .map(|c| {
            if c.is_ascii_alphanumeric() || ".-_".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    AppName::new(name).ok()
}
