//! The control plane, by the AWS SDK: DescribeStream, CreateStream, TagStream, UpdateDataRetention, GetDataEndpoint.
//!
//! In: the [`Service`] and the [`StreamDefinition`]. Out: what the session has to know, or a [`Failure`].
//! Belongs here: one attempt of each call, signed again if it was the device's clock that was wrong. Does not belong here: retries and what follows from an answer
//! ([`crate::session`]), PutMedia ([`super::put_media`]).

use std::{
    error::Error,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    Service,
    credentials::Keyring,
    endpoints::{DataEndpoint, Known, parse_endpoint},
    failure,
    http::Http,
    signing_clock::{SigningClock, is_authentic},
};
use crate::{
    definition::{Invalid, StreamDefinition},
    session::{Call, Cause, Described, Failure, StreamStatus},
};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kinesisvideo::{
    Client,
    config::{
        AppName, BehaviorVersion, IdentityCache, Region, http::HttpResponse, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
    types::{ApiName, Status, UpdateDataRetentionOperation},
};
use reqwest::Url;
use tokio::sync::OnceCell;

/// Longest application name that the SDK takes without a warning.
const MAX_APP_NAME: usize = 50;

/// The client of the control plane, for one stream.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    /// Made when the region is known, which may have to be found out.
    client: OnceCell<Client>,
    config: aws_sdk_kinesisvideo::config::Builder,
    keyring: Keyring,
    name: String,
    retention_hours: i32,
    kms_key_id: Option<String>,
    /// Version and retention in hours, as the stream was described last.
    described: Mutex<Option<(String, i32)>>,
    known: Known,
    tags: Vec<(String, String)>,
    endpoint: Option<Url>,
    /// The control plane is `http`, so the data endpoint may be.
    plain: bool,
    clock: SigningClock,
    http: Http,
    /// Its answers are its own: their date is to be believed.
    authentic: bool,
}

impl ControlPlane {
    /// A client that has not asked anything yet. Needs no runtime.
    ///
    /// # Errors
    /// [`Invalid`] when the region or the endpoint cannot be right.
    pub(crate) fn new(
        service: &Service,
        definition: &StreamDefinition,
        keyring: Keyring,
        clock: SigningClock,
        http: &Http,
    ) -> Result<Self, Invalid> {
        let endpoint = service
            .endpoint
            .as_deref()
            .map(parse_endpoint)
            .transpose()?;
        let https = endpoint.as_ref().is_none_or(|uri| uri.scheme() == "https");
        let mut config = aws_sdk_kinesisvideo::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(keyring.provider())
            .http_client(http.sdk_client(https))
            // The keyring keeps what is worth keeping; a refusal is answered with what it has then.
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::disabled())
            // PutMedia goes by the same clock. The correction of the SDK is its own, and believes every answer.
            .time_source(clock.clone())
            .disable_clock_skew_correction(true)
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(definition.connection_timeout)
                    .operation_timeout(definition.completion_timeout)
                    .build(),
            );
        config.set_app_name(app_name(&service.user_agent));
        config = match &endpoint {
            Some(endpoint) => config.endpoint_url(endpoint.as_str().trim_end_matches('/')),
            None => config
                .use_fips(service.use_fips)
                .use_dual_stack(service.use_dual_stack),
        };
        Ok(Self {
            client: OnceCell::new(),
            config,
            keyring,
            name: definition.name.to_string(),
            // Ten years are no more ([`StreamDefinition::check`]).
            retention_hours: i32::try_from(definition.retention_hours()).unwrap_or(i32::MAX),
            kms_key_id: definition.kms_key_id.clone(),
            described: Mutex::default(),
            known: Known::of(service, &definition.name),
            tags: definition.tags.clone().into_iter().collect(),
            authentic: endpoint.as_ref().is_none_or(is_authentic),
            plain: endpoint
                .as_ref()
                .is_some_and(|endpoint| endpoint.scheme() == "http"),
            endpoint,
            clock,
            http: http.clone(),
        })
    }

    async fn client(&self, call: Call) -> Result<&Client, Failure> {
        self.client
            .get_or_try_init(|| async {
                let region = self.keyring.region_for(call).await?.to_owned();
                let mut config = self.config.clone();
                // The C++ producer knows no other endpoints there.
                if self.endpoint.is_none() && region.starts_with("us-gov-") {
                    config = config.use_fips(true);
                }
                Ok(Client::from_conf(
                    config.region(Region::new(region)).build(),
                ))
            })
            .await
    }

    /// Where it asks, in words.
    fn place(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => endpoint.as_str().trim_end_matches('/').to_owned(),
            None => "the control plane of the region".to_owned(),
        }
    }

    /// DescribeStream.
    pub(crate) async fn describe(&self) -> Result<Described, Failure> {
        let call = self
            .client(Call::Describe)
            .await?
            .describe_stream()
            .stream_name(&self.name);
        let answer = self.ask(Call::Describe, || call.clone().send()).await?;
        let Some(stream) = answer.stream_info else {
            return Err(self.senseless(Call::Describe, "without StreamInfo"));
        };
        let hours = stream.data_retention_in_hours.unwrap_or_default();
        *self.described() = stream.version.map(|version| (version, hours));
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
        // Whatever was known of a stream of this name is of another one.
        self.known.forget();
        let call = self
            .client(Call::Create)
            .await?
            .create_stream()
            .stream_name(&self.name)
            .media_type(content_type)
            .set_kms_key_id(self.kms_key_id.clone())
            .data_retention_in_hours(self.retention_hours);
        self.ask(Call::Create, || call.clone().send()).await?;
        Ok(())
    }

    /// TagStream, with the tags of the definition.
    pub(crate) async fn tag(&self) -> Result<(), Failure> {
        let call = self
            .client(Call::Tag)
            .await?
            .tag_stream()
            .stream_name(&self.name)
            .set_tags(Some(self.tags.iter().cloned().collect()));
        self.ask(Call::Tag, || call.clone().send()).await?;
        Ok(())
    }

    /// UpdateDataRetention: from that of the last description to that of the definition.
    pub(crate) async fn retain(&self) -> Result<(), Failure> {
        let Some((version, hours)) = self.described().clone() else {
            return Err(self.senseless(Call::Retain, "of DescribeStream without Version"));
        };
        let change = self.retention_hours - hours;
        let operation = match change {
            0 => return Ok(()),
            1.. => UpdateDataRetentionOperation::IncreaseDataRetention,
            _ => UpdateDataRetentionOperation::DecreaseDataRetention,
        };
        let call = self
            .client(Call::Retain)
            .await?
            .update_data_retention()
            .stream_name(&self.name)
            .current_version(version)
            .operation(operation)
            .data_retention_change_in_hours(change.saturating_abs());
        self.ask(Call::Retain, || call.clone().send()).await?;
        Ok(())
    }

    /// DeleteStream: the stream of that name as it is described now.
    pub(crate) async fn delete(&self) -> Result<(), Failure> {
        let client = self.client(Call::Delete).await?;
        let call = client.describe_stream().stream_name(&self.name);
        let answer = self.ask(Call::Delete, || call.clone().send()).await?;
        let Some(arn) = answer.stream_info.and_then(|stream| stream.stream_arn) else {
            return Err(self.senseless(Call::Delete, "of DescribeStream without StreamARN"));
        };
        let call = client.delete_stream().stream_arn(arn);
        self.ask(Call::Delete, || call.clone().send()).await?;
        self.known.forget();
        Ok(())
    }

    /// The data endpoint may be `http`.
    pub(crate) fn allows_plain(&self) -> bool {
        self.plain
    }

    fn described(&self) -> MutexGuard<'_, Option<(String, i32)>> {
        self.described
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The data endpoint did not work: ask for it the next time.
    pub(crate) fn forget_data_endpoint(&self) {
        self.known.forget();
    }

    /// GetDataEndpoint of PutMedia, unless it is known.
    pub(crate) async fn data_endpoint(&self) -> Result<DataEndpoint, Failure> {
        if let Some(endpoint) = self.known.endpoint() {
            return Ok(endpoint);
        }
        let call = self
            .client(Call::Resolve)
            .await?
            .get_data_endpoint()
            .stream_name(&self.name)
            .api_name(ApiName::PutMedia);
        let answer = self.ask(Call::Resolve, || call.clone().send()).await?;
        let Some(text) = answer.data_endpoint else {
            return Err(self.senseless(Call::Resolve, "without DataEndpoint"));
        };
        let endpoint = DataEndpoint::parse(&text, self.plain)
            .map_err(|reason| failure::request(Call::Resolve, reason))?;
        self.known.learn(endpoint.clone());
        Ok(endpoint)
    }

    /// Sends a request; once more when it was refused for the time of its signature only, or for keys that are others now.
    async fn ask<T, E, F>(&self, call: Call, send: impl Fn() -> F) -> Result<T, Failure>
    where
        E: Error + ProvideErrorMetadata + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let signed_ms = self.clock.offset_ms();
        let error = match Box::pin(send()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let failure = self.failure(call, &error);
        let date = error
            .raw_response()
            .and_then(|raw| raw.headers().get("date"));
        let learnt = self.authentic && self.clock.learn(signed_ms, &failure, date);
        if !learnt && !self.keyring.renewed(&failure).await {
            return Err(self.keyring.explained(failure));
        }
        let again = Box::pin(send()).await;
        again.map_err(|error| self.keyring.explained(self.failure(call, &error)))
    }

    /// An answer that is none: rather a proxy than the service, so it is tried again.
    fn senseless(&self, call: Call, what: &str) -> Failure {
        Failure {
            call,
            cause: Cause::Transport,
            message: format!("answer {what} from {}", self.place()),
        }
    }

    fn failure<E>(&self, call: Call, error: &SdkError<E, HttpResponse>) -> Failure
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        if let Some(error) = failure::find::<CredentialsError>(error) {
            return failure::credentials(call, error);
        }
        let status = error.raw_response().map(|raw| raw.status().as_u16());
        match (error, status) {
            // A success that makes no sense is none of the service's: see `senseless`.
            (_, Some(status @ 300..)) => self.http.explained(failure::refusal(
                call,
                status,
                error.code().unwrap_or_default(),
                error.request_id(),
                error.message(),
            )),
            (SdkError::ConstructionFailure(_), _) => failure::request(call, failure::chain(error)),
            _ => self.http.failure(call, &self.place(), error),
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use test_case::test_case;
    use tokio::{io::AsyncReadExt, task::JoinHandle};

    use super::*;
    use crate::{
        definition::StreamName,
        net::{Credentials, put_media::peer, sign::check},
        secret::Secret,
    };

    fn service(endpoint: Option<String>) -> Service {
        Service {
            endpoint,
            credentials: Credentials::Static {
                access_key: "AKID".into(),
                secret_key: Secret::new("S3CR3T"),
                session_token: None,
            },
            user_agent: "kvssink/0.1.0 (test)".into(),
            ..Service::new("us-west-2")
        }
    }

    fn definition() -> StreamDefinition {
        let mut definition = StreamDefinition::new(StreamName::new("cam1").unwrap());
        definition.tags = [("site".to_owned(), "north".to_owned())].into();
        definition
    }

    fn control_of(
        service: &Service,
        definition: &StreamDefinition,
    ) -> Result<ControlPlane, Invalid> {
        let clock = SigningClock::default();
        service.check()?;
        let http = Http::new(service)?;
        let keyring = Keyring::new(service, definition, &clock, &http, std::sync::Arc::new(()));
        ControlPlane::new(service, definition, keyring, clock, &http)
    }

    fn control(endpoint: String) -> ControlPlane {
        control_of(&service(Some(endpoint)), &definition()).unwrap()
    }

    /// A service that answers one request with this status, these headers and this body. Gives the head and the body of
    /// the request.
    async fn answering(
        status: u16,
        headers: &str,
        body: impl ToString,
    ) -> (ControlPlane, JoinHandle<(String, Value)>) {
        let (listener, address) = peer::listen().await;
        let body = body.to_string();
        let answer = format!(
            "HTTP/1.1 {status} -\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let asked = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let head = peer::head(&mut socket).await;
            let length = check::header(&head, "content-length").unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            socket.read_exact(&mut body).await.unwrap();
            peer::say(&mut socket, answer).await;
            (head, serde_json::from_slice(&body).unwrap())
        });
        (control(format!("http://{address}")), asked)
    }

    #[test_case("CREATING", StreamStatus::Creating)]
    #[test_case("ACTIVE", StreamStatus::Active)]
    #[test_case("UPDATING", StreamStatus::Active)]
    #[test_case("DELETING", StreamStatus::Deleting)]
    #[test_case("HIBERNATING", StreamStatus::Active; "one of the future")]
    #[tokio::test]
    async fn describe_gives_status_and_retention(status: &str, expected: StreamStatus) {
        let answer = json!({"StreamInfo": {"Status": status, "DataRetentionInHours": 2}});
        let (control, asked) = answering(200, "", answer).await;
        assert_eq!(
            control.describe().await,
            Ok(Described {
                status: expected,
                retention: Duration::from_secs(7200),
            })
        );
        let (head, body) = asked.await.unwrap();
        assert!(
            head.starts_with("POST /describeStream HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(
            head.contains("/us-west-2/kinesisvideo/aws4_request"),
            "{head}"
        );
        assert!(head.contains("app/kvssink-0.1.0--test-"), "{head}");
        assert_eq!(body, json!({"StreamName": "cam1"}));
    }

    #[tokio::test]
    async fn create_sends_media_types_and_hours() {
        let (control, asked) = answering(200, "", json!({"StreamARN": "arn"})).await;
        assert_eq!(control.create("video/h264,audio/aac").await, Ok(()));
        let (head, body) = asked.await.unwrap();
        assert!(head.starts_with("POST /createStream "), "{head}");
        assert_eq!(
            body,
            json!({"StreamName": "cam1", "MediaType": "video/h264,audio/aac", "DataRetentionInHours": 2})
        );
    }

    /// The difference, from what the stream was described with.
    #[test_case(24, "DECREASE_DATA_RETENTION", 22)]
    #[test_case(0, "INCREASE_DATA_RETENTION", 2)]
    #[tokio::test]
    async fn retain_sends_the_difference(has: u32, operation: &str, change: u32) {
        let (control, asked) = answering(200, "", json!({})).await;
        *control.described() = Some(("v1".into(), i32::try_from(has).unwrap()));
        assert_eq!(control.retain().await, Ok(()));
        let (head, body) = asked.await.unwrap();
        assert!(head.starts_with("POST /updateDataRetention "), "{head}");
        assert_eq!(
            body,
            json!({"StreamName": "cam1", "CurrentVersion": "v1", "Operation": operation, "DataRetentionChangeInHours": change})
        );
    }

    #[tokio::test]
    async fn create_sends_the_key() {
        let (listener, address) = peer::listen().await;
        let mut definition = definition();
        definition.kms_key_id = Some("alias/cam".into());
        let control = control_of(&service(Some(format!("http://{address}"))), &definition);
        let control = control.unwrap();
        let (_, body) = tokio::join!(control.create("video/h264"), async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let head = peer::head(&mut socket).await;
            let length = check::header(&head, "content-length").unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            socket.read_exact(&mut body).await.unwrap();
            peer::say(&mut socket, "HTTP/1.1 200 -\r\ncontent-length: 2\r\n\r\n{}").await;
            serde_json::from_slice::<Value>(&body).unwrap()
        });
        assert_eq!(body["KmsKeyId"], "alias/cam");
    }

    #[tokio::test]
    async fn tag_sends_the_tags() {
        let (control, asked) = answering(200, "", json!({})).await;
        assert_eq!(control.tag().await, Ok(()));
        let (head, body) = asked.await.unwrap();
        assert!(head.starts_with("POST /tagStream "), "{head}");
        assert_eq!(
            body,
            json!({"StreamName": "cam1", "Tags": {"site": "north"}})
        );
    }

    #[tokio::test]
    async fn the_data_endpoint_is_asked_for_put_media() {
        let answer = json!({"DataEndpoint": "http://127.0.0.1:8443/base/"});
        let (control, asked) = answering(200, "", answer).await;
        let endpoint = control.data_endpoint().await.unwrap();
        assert_eq!(
            endpoint.url("putMedia"),
            "http://127.0.0.1:8443/base/putMedia"
        );
        assert_eq!(endpoint.host(), "127.0.0.1:8443");
        let (head, body) = asked.await.unwrap();
        assert!(head.starts_with("POST /getDataEndpoint "), "{head}");
        assert_eq!(body, json!({"StreamName": "cam1", "APIName": "PUT_MEDIA"}));
    }

    #[test_case(
        "https://s-1.kinesisvideo.us-west-2.amazonaws.com",
        "s-1.kinesisvideo.us-west-2.amazonaws.com"
    )]
    #[test_case("https://host:443", "host"; "the default port")]
    #[test_case("http://host:80/", "host"; "that of http")]
    #[test_case("https://host:80", "host:80"; "the port of the other")]
    #[test_case("https://[::1]:8443", "[::1]:8443"; "an address")]
    fn the_host_has_its_port_if_that_is_not_the_default_one(endpoint: &str, host: &str) {
        let endpoint = DataEndpoint::parse(endpoint, true).unwrap();
        assert_eq!(endpoint.host(), host);
    }

    #[test]
    fn a_data_endpoint_is_http_only_if_the_control_plane_is() {
        assert!(DataEndpoint::parse("https://host", false).is_ok());
        assert!(DataEndpoint::parse("http://host", true).is_ok());
        let reason = DataEndpoint::parse("http://host", false).unwrap_err();
        assert!(reason.contains("use https"), "{reason}");
        let plain = |endpoint: &str| control(endpoint.into()).plain;
        assert!(plain("http://127.0.0.1:1"));
        assert!(!plain("https://127.0.0.1:1"));
        assert!(!control_of(&service(None), &definition()).unwrap().plain);
        let authentic = |endpoint: &str| control(endpoint.into()).authentic;
        assert!(authentic("http://127.0.0.1:1") && authentic("https://192.0.2.1"));
        assert!(!authentic("http://192.0.2.1"));
        assert!(control_of(&service(None), &definition()).unwrap().authentic);
    }

    #[tokio::test]
    async fn a_data_endpoint_that_is_no_uri_is_a_wrong_request() {
        let (control, _asked) = answering(200, "", json!({"DataEndpoint": "ftp://host"})).await;
        let failure = control.data_endpoint().await.unwrap_err();
        assert_eq!(
            (failure.call, failure.cause),
            (Call::Resolve, Cause::Request)
        );
    }

    #[test_case("127.0.0.1:8080"; "without a scheme")]
    #[test_case("ftp://host"; "another scheme")]
    #[test_case("https://"; "without a host")]
    #[test_case("https://host/?a=b"; "with a query")]
    #[test_case("https://user:s3cr3t@host"; "with a password")]
    #[test_case("https://user:s3cr3t@host:99999"; "with a password and a wrong port")]
    #[test_case(""; "empty")]
    fn a_wrong_endpoint_is_refused_before_it_is_asked(endpoint: &str) {
        let invalid = control_of(&service(Some(endpoint.into())), &definition()).unwrap_err();
        assert_eq!(invalid.setting, "endpoint");
        assert!(!invalid.reason.contains("s3cr3t"), "{invalid}");
    }

    #[test_case(""; "empty")]
    #[test_case("us west"; "with a space")]
    #[test_case("evil.example/"; "another host")]
    fn a_wrong_region_is_refused(region: &str) {
        let service = Service {
            region: Some(region.into()),
            ..service(None)
        };
        let invalid = control_of(&service, &definition()).unwrap_err();
        assert_eq!(invalid.setting, "aws-region");
    }

    #[tokio::test]
    async fn an_exception_is_an_answer() {
        let headers =
            "x-amzn-RequestId: r-1\r\nx-amzn-ErrorType: ResourceNotFoundException:http://a/\r\n";
        let (control, _asked) = answering(404, headers, json!({"Message": "no stream"})).await;
        assert_eq!(
            control.describe().await,
            Err(Failure {
                call: Call::Describe,
                cause: Cause::Answer {
                    status: 404,
                    code: "ResourceNotFoundException".into(),
                    request_id: Some("r-1".into()),
                },
                message: "no stream".into(),
            })
        );
    }

    #[tokio::test]
    async fn an_exception_that_the_sdk_does_not_know_is_an_answer_too() {
        let answer = json!({"__type": "ThrottlingException", "message": "slow down"});
        let (control, asked) = answering(429, "", answer).await;
        let failure = control.tag().await.unwrap_err();
        assert_eq!(failure.message, "slow down");
        assert_eq!(
            failure.cause,
            Cause::Answer {
                status: 429,
                code: "ThrottlingException".into(),
                request_id: None,
            }
        );
        // Once: the session decides about another attempt.
        asked.await.unwrap();
    }

    #[tokio::test]
    async fn a_page_of_a_proxy_is_an_answer_without_a_name() {
        let (control, _asked) = answering(503, "", "<html>").await;
        let failure = control.create("video/h264").await.unwrap_err();
        assert_eq!(failure.message, "Service Unavailable");
        assert_eq!(
            failure.cause,
            Cause::Answer {
                status: 503,
                code: String::new(),
                request_id: None,
            }
        );
    }

    #[test_case("<html>"; "a page")]
    #[test_case("{}"; "an empty object")]
    #[test_case(""; "nothing")]
    #[tokio::test]
    async fn a_success_without_sense_is_no_answer(body: &str) {
        let (control, _asked) = answering(200, "", body).await;
        assert_eq!(
            control.describe().await.unwrap_err().cause,
            Cause::Transport
        );
        let (control, _asked) = answering(200, "", body).await;
        assert_eq!(
            control.data_endpoint().await.unwrap_err().cause,
            Cause::Transport
        );
    }

    #[tokio::test]
    async fn a_refused_connection_is_told_with_its_cause() {
        let (listener, address) = peer::listen().await;
        drop(listener);
        let failure = control(format!("http://{address}"))
            .describe()
            .await
            .unwrap_err();
        assert_eq!(failure.cause, Cause::Transport);
        assert!(failure.message.contains(&address), "{failure}");
        assert!(failure.message.contains("Connection refused"), "{failure}");
    }

    #[tokio::test]
    async fn a_service_that_does_not_answer_is_not_waited_for() {
        let (_listener, address) = peer::listen().await;
        let mut definition = definition();
        definition.completion_timeout = Duration::from_millis(1);
        let control = control_of(&service(Some(format!("http://{address}"))), &definition).unwrap();
        let failure = control.describe().await.unwrap_err();
        assert_eq!(failure.cause, Cause::Transport);
        assert!(
            failure.message.contains("timed out") || failure.message.contains("timeout"),
            "{failure}"
        );
    }

    #[tokio::test]
    async fn without_credentials_nothing_is_asked() {
        let service = Service {
            credentials: Credentials::File("/nowhere/credential".into()),
            ..service(Some("http://127.0.0.1:1".into()))
        };
        let control = control_of(&service, &definition()).unwrap();
        let failure = control.describe().await.unwrap_err();
        assert_eq!(failure.cause, Cause::Credentials);
        assert!(failure.message.contains("/nowhere/credential"), "{failure}");
    }

    /// The service refuses the signature, and says what time it is.
    #[tokio::test]
    async fn what_is_refused_for_its_time_is_signed_again_once() {
        let refused = r#"{"message":"Signature not yet current"}"#;
        let refused = format!(
            "HTTP/1.1 403 -\r\ndate: Tue, 14 Nov 2023 22:13:20 GMT\r\nx-amzn-ErrorType: InvalidSignatureException\r\n\
             content-length: {}\r\n\r\n{refused}",
            refused.len()
        );
        let taken = "HTTP/1.1 200 -\r\ncontent-length: 2\r\n\r\n{}";
        for last in [taken, &refused] {
            let (listener, address) = peer::listen().await;
            let control = control(format!("http://{address}"));
            let (outcome, dates) = tokio::join!(control.tag(), async {
                let mut dates = Vec::new();
                for answer in [refused.as_str(), last] {
                    let (mut socket, _) = listener.accept().await.unwrap();
                    let head = peer::head(&mut socket).await;
                    dates.push(check::header(&head, "x-amz-date").unwrap().to_owned());
                    peer::say(&mut socket, answer).await;
                }
                dates
            });
            assert!(dates[1].starts_with("20231114T22"), "{dates:?}");
            assert_ne!(dates[0], dates[1]);
            let refused_again = outcome.map_err(|failure| failure.message);
            assert_eq!(
                refused_again,
                match last == taken {
                    true => Ok(()),
                    false => Err(
                        "Signature not yet current (the device's clock is wrong: set it, by NTP)"
                            .to_owned()
                    ),
                }
            );
        }
    }

    /// Anybody on the way could have said so.
    #[tokio::test]
    async fn over_the_network_as_it_is_no_time_is_believed() {
        let headers = "date: Tue, 14 Nov 2023 22:13:20 GMT\r\nx-amzn-ErrorType: InvalidSignatureException\r\n";
        let (mut control, asked) = answering(403, headers, json!({})).await;
        control.authentic = false;
        let failure = control.tag().await.unwrap_err();
        asked.await.unwrap();
        assert!(matches!(failure.cause, Cause::Answer { status: 403, .. }));
        assert_eq!(control.clock.offset_ms(), 0);
    }

    #[test]
    fn the_application_name_has_no_other_characters() {
        let name = |user_agent: &str| app_name(user_agent).map(|name| name.to_string());
        assert_eq!(name("kvssink/0.1 ü"), Some("kvssink-0.1--".into()));
        assert_eq!(name(&"x".repeat(60)).map(|name| name.len()), Some(50));
        assert_eq!(name(""), None);
    }
}
