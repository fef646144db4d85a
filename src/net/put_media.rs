//! PutMedia: one request whose body and response flow at the same time.
//!
//! In: the data endpoint and the chunks of the body. Out: the bytes of the response, which are acks, or a [`Failure`].
//! Belongs here: the head, its signature, the life of the connection. Does not belong here: how the body gets into it
//! ([`super::body`]), what the bytes mean ([`crate::session`], [`crate::mkv`]), when to open and to close.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use aws_credential_types::{Credentials, provider::error::CredentialsError};
use aws_smithy_async::time::TimeSource;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{DATE, HOST, TRANSFER_ENCODING, USER_AGENT},
};
use reqwest::{Body, Client, redirect};

use super::{
    Service,
    body::{Link, Sending},
    credentials::Keyring,
    endpoints::DataEndpoint,
    exchange::Media,
    failure,
    http::Http,
    sign,
    signing_clock::SigningClock,
};
use crate::{
    definition::{Invalid, StreamDefinition, TimecodeType},
    session::{Call, Failure},
    time::Timestamp,
};

/// Most of an error's body that is read.
const MAX_ERROR_BODY: usize = 64 << 10;
/// A peer that is gone is noticed after three probes of this distance, also while nothing is sent.
const KEEPALIVE: Duration = Duration::from_secs(15);

const STREAM_NAME: HeaderName = HeaderName::from_static("x-amzn-stream-name");
const START_TIMESTAMP: HeaderName = HeaderName::from_static("x-amzn-producer-start-timestamp");
const TIMECODE_TYPE: HeaderName = HeaderName::from_static("x-amzn-fragment-timecode-type");
const ACKS_REQUIRED: HeaderName =
    HeaderName::from_static("x-amzn-fragment-acknowledgment-required");

/// The client of PutMedia, for one stream.
#[derive(Debug)]
pub(crate) struct PutMedia {
    /// For `http`, and for `https`. Each is made when it is needed first: who only starts need not wait for CAs to be read.
    clients: [OnceLock<Client>; 2],
    connection_timeout: Duration,
    keyring: Keyring,
    /// All headers that do not change: all but those of the time, the host and the signature.
    headers: HeaderMap,
    patience: Duration,
    clock: SigningClock,
    http: Http,
}

impl PutMedia {
    /// A client that has not connected yet. Needs no runtime.
    ///
    /// # Errors
    /// [`Invalid`] when the user agent cannot be a header.
    pub(crate) fn new(
        service: &Service,
        definition: &StreamDefinition,
        keyring: Keyring,
        clock: SigningClock,
        http: &Http,
    ) -> Result<Self, Invalid> {
        Ok(Self {
            clients: Default::default(),
            connection_timeout: definition.connection_timeout,
            keyring,
            headers: headers(service, definition)?,
            patience: definition.completion_timeout,
            clock,
            http: http.clone(),
        })
    }

    /// Connects, sends the head, and waits for that of the response; once more when it was refused for the time of its
    /// signature only, or for keys that are others now. `body` goes out meanwhile and afterwards: each chunk at once, and the terminating one when its
    /// sender has ended it. Dropping this future, or the [`Response`], aborts the connection: the receiver of the body is
    /// dropped, and no terminating chunk is sent.
    pub(crate) async fn open(
        &self,
        endpoint: &DataEndpoint,
        start: Timestamp,
        body: Media,
    ) -> Result<Response, Failure> {
        let mut media = Sending::new(body);
        let mut again = false;
        loop {
            let signed_ms = self.clock.offset_ms();
            let mut response = self.send(endpoint, start, media).await?;
            if response.head.status() == http::StatusCode::OK {
                response.link.accepted();
                return Ok(response);
            }
            let failure = self.http.explained(response.refusal(self.patience).await);
            let date = response.head.headers().get(DATE);
            let date = date.and_then(|date| date.to_str().ok());
            let learnt = endpoint.is_authentic() && self.clock.learn(signed_ms, &failure, date);
            let worth_it = !again && (learnt || self.keyring.renewed(&failure).await);
            media = match response.link.cut() {
                Some(media) if worth_it => media.rewound(),
                _ => return Err(self.keyring.explained(failure)),
            };
            again = true;
        }
    }

    async fn send(
        &self,
        endpoint: &DataEndpoint,
        start: Timestamp,
        media: Sending,
    ) -> Result<Response, Failure> {
        let keys = tokio::time::timeout(self.patience, self.keyring.keys());
        let keys = keys
            .await
            .unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(self.patience)))
            .map_err(|error| failure::credentials(Call::PutMedia, &error))?;
        let region = self.keyring.region_for(Call::PutMedia).await?;
        let url = endpoint.url("putMedia");
        let headers = self
            .signed(
                &url,
                &endpoint.host(),
                start,
                &keys,
                region,
                self.clock.now(),
            )
            .map_err(|error| failure::request(Call::PutMedia, failure::chain(&*error)))?;
        let (link, body) = Link::new(media);
        let request = self.client(endpoint)?.post(&url).headers(headers);
        let request = request.body(Body::wrap_stream(body)).send();
        let head = Box::pin(request).await.map_err(|error| {
            if error.is_builder() {
                failure::request(Call::PutMedia, failure::chain(&error))
            } else {
                self.http
                    .failure(Call::PutMedia, &url, &error.without_url())
            }
        })?;
        Ok(Response {
            head,
            url,
            link,
            until: keys.expiry(),
        })
    }

    fn client(&self, endpoint: &DataEndpoint) -> Result<&Client, Failure> {
        let https = endpoint.is_https();
        let made = &self.clients[usize::from(https)];
        if let Some(client) = made.get() {
            return Ok(client);
        }
        let client = self.connector(https).map_err(|why| {
            let message = format!("cannot connect to {}: {why}", endpoint.as_str());
            failure::request(Call::PutMedia, message)
        })?;
        Ok(made.get_or_init(|| client))
    }

    fn connector(&self, https: bool) -> Result<Client, String> {
        let builder = match https {
            true => self.http.client_builder(),
            false => self.http.plain_client_builder(),
        };
        // No time limit over all: a session lasts for 45 minutes. That it ends when the peer takes nothing for 30 s is
        // reqwest's default (TCP_USER_TIMEOUT on Linux); so ends too what was aborted with bytes that the peer does not take.
        builder
            .map_err(|error| error.to_string())?
            .http1_only()
            .connect_timeout(self.connection_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(KEEPALIVE)
            .tcp_keepalive_interval(KEEPALIVE)
            .tcp_keepalive_retries(3)
            .pool_max_idle_per_host(0)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| failure::chain(&error))
    }

    fn signed(
        &self,
        url: &str,
        host: &str,
        start: Timestamp,
        keys: &Credentials,
        region: &str,
        now: SystemTime,
    ) -> Result<HeaderMap, sign::Unsigned> {
        let mut headers = self.headers.clone();
        headers.insert(HOST, HeaderValue::from_str(host)?);
        headers.insert(START_TIMESTAMP, HeaderValue::from_str(&start.to_string())?);
        sign::sign(url, &mut headers, keys, region, now)?;
        Ok(headers)
    }
}

fn text(setting: &str, value: &str) -> Result<HeaderValue, Invalid> {
    HeaderValue::from_str(value)
        .ok()
        .filter(|value| value.to_str().is_ok_and(|text| !text.trim().is_empty()))
        .ok_or_else(|| Invalid::new(setting, format!("{value:?} cannot be a header")))
}

/// A user agent is a header.
pub(super) fn check_user_agent(user_agent: &str) -> Result<(), Invalid> {
    text("user-agent", user_agent).map(drop)
}

fn headers(service: &Service, definition: &StreamDefinition) -> Result<HeaderMap, Invalid> {
    Ok(HeaderMap::from_iter([
        (USER_AGENT, text("user-agent", &service.user_agent)?),
        (STREAM_NAME, text("stream-name", definition.name.as_str())?),
        // As the HTTP client would add it: what is sent is what is signed.
        (TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
        (
            TIMECODE_TYPE,
            HeaderValue::from_static(match definition.timecode_type {
                TimecodeType::Absolute => "ABSOLUTE",
                TimecodeType::Relative => "RELATIVE",
            }),
        ),
        (
            ACKS_REQUIRED,
            HeaderValue::from_static(if definition.fragment_acks { "1" } else { "0" }),
        ),
    ]))
}

/// The response, while the body may still be sent. Dropping it aborts the connection, unless both have ended.
#[derive(Debug)]
pub(crate) struct Response {
    head: reqwest::Response,
    url: String,
    link: Link,
    /// When the keys end that it was signed with.
    until: Option<SystemTime>,
}

impl Response {
    /// When the keys end that it was signed with.
    pub(crate) fn until(&self) -> Option<SystemTime> {
        self.until
    }

    /// The next bytes; `None` is the clean end. Cancel safe.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        self.head
            .chunk()
            .await
            .map_err(|error| failure::transport(Call::PutMedia, &self.url, &error.without_url()))
    }

    /// A refusal, with as much of its body as comes in time.
    async fn refusal(&mut self, patience: Duration) -> Failure {
        let mut body = Vec::new();
        let read = async {
            while let Ok(Some(chunk)) = self.chunk().await {
                let room = MAX_ERROR_BODY - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if body.len() == MAX_ERROR_BODY {
                    break;
                }
            }
        };
        // What came until then is enough: the status says the most.
        let _ = tokio::time::timeout(patience, read).await;
        let headers = self.head.headers();
        let header = |names: [&str; 2]| {
            names
                .iter()
                .find_map(|name| headers.get(*name)?.to_str().ok())
        };
        let (code, said) = failure::said_in(&body);
        failure::refusal(
            Call::PutMedia,
            self.head.status().as_u16(),
            header(["x-amzn-errortype", "x-amz-errortype"])
                .or(code.as_deref())
                .unwrap_or_default(),
            header(["x-amzn-requestid", "x-amz-request-id"]),
            said.as_deref(),
        )
    }
}

/// A peer that says what a test tells it to, byte by byte.
#[cfg(test)]
pub(super) mod peer {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    pub(crate) async fn listen() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address.to_string())
    }

    /// The head of a request, with the empty line after it.
    pub(crate) async fn head(socket: &mut TcpStream) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    pub(crate) async fn expect(socket: &mut TcpStream, bytes: &[u8]) {
        let mut read = vec![0; bytes.len()];
        socket.read_exact(&mut read).await.unwrap();
        assert_eq!(
            read.escape_ascii().to_string(),
            bytes.escape_ascii().to_string()
        );
    }

    pub(crate) async fn say(socket: &mut TcpStream, bytes: impl AsRef<[u8]>) {
        socket.write_all(bytes.as_ref()).await.unwrap();
    }

    /// All that still comes; a reset is an end too.
    pub(crate) async fn rest(socket: &mut TcpStream) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest).await;
        rest
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;
    use tokio::net::TcpStream;

    use super::*;
    use crate::{
        definition::StreamName,
        net::{Credentials, sign::check},
        secret::Secret,
        session::Cause,
    };

    const OK: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

    fn service() -> Service {
        Service {
            endpoint: Some("http://127.0.0.1".into()),
            credentials: Credentials::Static {
                access_key: "AKID".into(),
                secret_key: Secret::new("S3CR3T"),
                session_token: Some(Secret::new("T0K3N")),
            },
            user_agent: "kvssink/0.1.0 (test)".into(),
            ..Service::new("us-west-2")
        }
    }

    fn definition() -> StreamDefinition {
        StreamDefinition::new(StreamName::new("cam1").unwrap())
    }

    fn put_media() -> PutMedia {
        put_media_of(&service())
    }

    fn put_media_of(service: &Service) -> PutMedia {
        let clock = SigningClock::default();
        let http = Http::new(service).unwrap();
        let keyring = Keyring::new(
            service,
            &definition(),
            &clock,
            &http,
            std::sync::Arc::new(()),
        );
        PutMedia::new(service, &definition(), keyring, clock, &http).unwrap()
    }

    fn endpoint(uri: &str) -> DataEndpoint {
        DataEndpoint::parse(uri, true).unwrap()
    }

    /// Opens PutMedia at a peer that answers `answer` to the head.
    async fn open(body: Media, answer: &str) -> (Result<Response, Failure>, TcpStream, String) {
        let (listener, address) = peer::listen().await;
        let put_media = put_media();
        let endpoint = endpoint(&format!("http://{address}"));
        let (response, (socket, head)) = tokio::join!(
            put_media.open(&endpoint, Timestamp::from_millis(5), body),
            async {
                let (mut socket, _) = listener.accept().await.unwrap();
                let head = peer::head(&mut socket).await;
                peer::say(&mut socket, answer).await;
                (socket, head)
            }
        );
        (response, socket, head)
    }

    async fn refused(answer: &str) -> Failure {
        // Kept: the body has not ended.
        let (_sender, body) = Media::channel(1);
        open(body, answer).await.0.unwrap_err()
    }

    #[tokio::test]
    async fn the_response_flows_while_the_body_does() {
        let (sender, body) = Media::channel(1);
        let (response, mut socket, _) = open(body, OK).await;
        let mut response = response.unwrap();

        sender.put(Bytes::from_static(b"abc")).await.unwrap();
        peer::expect(&mut socket, b"3\r\nabc\r\n").await;
        peer::say(&mut socket, "4\r\nack1\r\n").await;
        assert_eq!(response.chunk().await.unwrap().unwrap(), "ack1");

        sender.put(Bytes::from_static(b"de")).await.unwrap();
        peer::expect(&mut socket, b"2\r\nde\r\n").await;
        sender.end();
        peer::expect(&mut socket, b"0\r\n\r\n").await;
        peer::say(&mut socket, "4\r\nack2\r\n0\r\n\r\n").await;
        assert_eq!(response.chunk().await.unwrap().unwrap(), "ack2");
        assert_eq!(response.chunk().await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_body_begins_before_the_answer() {
        let (listener, address) = peer::listen().await;
        let (sender, body) = Media::channel(1);
        sender.put(Bytes::from_static(b"header")).await.unwrap();
        let put_media = put_media();
        let endpoint = endpoint(&format!("http://{address}"));
        let (response, _socket) =
            tokio::join!(put_media.open(&endpoint, Timestamp::ZERO, body), async {
                let (mut socket, _) = listener.accept().await.unwrap();
                peer::head(&mut socket).await;
                peer::expect(&mut socket, b"6\r\nheader\r\n").await;
                peer::say(&mut socket, OK).await;
                socket
            });
        assert!(response.is_ok());
    }

    #[tokio::test]
    async fn the_head_is_that_of_put_media_and_signed_as_it_is_sent() {
        let (_sender, body) = Media::channel(1);
        let (_, socket, head) = open(body, OK).await;
        let mut lines: Vec<_> = head
            .lines()
            .filter(|line| !line.starts_with("x-amz-date:") && !line.starts_with("authorization:"))
            .collect();
        lines[1..].sort_unstable();
        let host = format!("host: {}", socket.local_addr().unwrap());
        assert_eq!(
            lines,
            [
                "POST /putMedia HTTP/1.1",
                "",
                "accept: */*",
                &host,
                "transfer-encoding: chunked",
                "user-agent: kvssink/0.1.0 (test)",
                "x-amz-security-token: T0K3N",
                "x-amzn-fragment-acknowledgment-required: 1",
                "x-amzn-fragment-timecode-type: ABSOLUTE",
                "x-amzn-producer-start-timestamp: 0.005",
                "x-amzn-stream-name: cam1",
            ]
        );
        assert_eq!(check::signature(&head), check::expected(&head, "S3CR3T"));
    }

    #[test]
    fn the_head_follows_the_definition() {
        let mut definition = definition();
        definition.timecode_type = TimecodeType::Relative;
        definition.fragment_acks = false;
        let headers = headers(&service(), &definition).unwrap();
        assert_eq!(headers[TIMECODE_TYPE], "RELATIVE");
        assert_eq!(headers[ACKS_REQUIRED], "0");
    }

    #[test_case(""; "empty")]
    #[test_case(" "; "blank")]
    #[test_case("kvs\nsink"; "two lines")]
    #[test_case("kvssink ü"; "not ascii")]
    fn a_user_agent_that_cannot_be_a_header_is_refused(user_agent: &str) {
        let service = Service {
            user_agent: user_agent.into(),
            ..service()
        };
        let invalid = headers(&service, &definition()).unwrap_err();
        assert_eq!(invalid.setting, "user-agent");
    }

    #[tokio::test]
    async fn dropping_the_response_aborts_the_body() {
        let (sender, body) = Media::channel(1);
        let (response, mut socket, _) = open(body, OK).await;
        drop(response);
        sender.closed().await;
        assert_eq!(peer::rest(&mut socket).await, b"");
    }

    /// The driver may drop both at once: that is no end of the body.
    #[tokio::test]
    async fn an_abort_has_no_terminating_chunk() {
        let (sender, body) = Media::channel(1);
        let (response, mut socket, _) = open(body, OK).await;
        drop((response, sender));
        assert_eq!(peer::rest(&mut socket).await, b"");
    }

    #[tokio::test]
    async fn an_abort_frees_the_body_though_the_peer_does_not_read() {
        let (sender, body) = Media::channel(1);
        let (response, mut socket, _) = open(body, OK).await;
        let more_than_sockets_hold = Bytes::from(vec![b'x'; 16 << 20]);
        sender.put(more_than_sockets_hold).await.unwrap();
        // Taken, and stuck.
        assert!(sender.has_room().await);
        drop(response);
        sender.closed().await;
        sender.end();
        assert!(!peer::rest(&mut socket).await.ends_with(b"0\r\n\r\n"));
    }

    #[tokio::test]
    async fn dropping_the_attempt_aborts_it() {
        let (listener, address) = peer::listen().await;
        let (sender, body) = Media::channel(1);
        let put_media = put_media();
        let endpoint = endpoint(&format!("http://{address}"));
        let mut socket = tokio::select! {
            _ = put_media.open(&endpoint, Timestamp::ZERO, body) => panic!("nobody answered"),
            socket = async {
                let (mut socket, _) = listener.accept().await.unwrap();
                peer::head(&mut socket).await;
                socket
            } => socket,
        };
        sender.closed().await;
        sender.end();
        assert_eq!(peer::rest(&mut socket).await, b"");
    }

    #[tokio::test]
    async fn the_error_header_names_the_exception() {
        let failure = refused(
            "HTTP/1.1 404 Not Found\r\nx-amzn-ErrorType: ResourceNotFoundException:http://internal.amazon.com/\r\n\
             x-amzn-RequestId: r-1\r\ncontent-length: 25\r\n\r\n{\"message\":\"no stream x\"}",
        )
        .await;
        assert_eq!(
            failure,
            Failure {
                call: Call::PutMedia,
                cause: Cause::Answer {
                    status: 404,
                    code: "ResourceNotFoundException".into(),
                    request_id: Some("r-1".into()),
                },
                message: "no stream x".into(),
            }
        );
    }

    #[tokio::test]
    async fn the_error_body_names_it_else() {
        let body =
            r#"{"__type":"com.amazonaws#ClientLimitExceededException","Message":"slow down"}"#;
        let failure = refused(&format!(
            "HTTP/1.1 400 Bad Request\r\nx-amz-request-id: r-2\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        assert_eq!(failure.message, "slow down");
        assert_eq!(
            failure.cause,
            Cause::Answer {
                status: 400,
                code: "ClientLimitExceededException".into(),
                request_id: Some("r-2".into()),
            }
        );
    }

    #[test_case("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 6\r\n\r\n<html>", 503; "html")]
    #[test_case("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", 307; "a redirect")]
    #[test_case("HTTP/1.1 204 No Content\r\n\r\n", 204; "a success that is not 200")]
    #[tokio::test]
    async fn what_is_not_200_is_a_refusal(answer: &str, expected: u16) {
        let Cause::Answer { status, code, .. } = refused(answer).await.cause else {
            panic!("no answer");
        };
        assert_eq!((status, code.as_str()), (expected, ""));
    }

    #[tokio::test]
    async fn an_error_body_is_read_up_to_a_limit() {
        let endless = "x".repeat(MAX_ERROR_BODY + 1);
        let answer = "HTTP/1.1 403 Forbidden\r\ncontent-length: 1000000\r\n\r\n";
        let failure = refused(&format!("{answer}{endless}")).await;
        assert_eq!(failure.message, "Forbidden");
    }

    #[tokio::test]
    async fn an_error_body_that_stalls_is_not_waited_for() {
        let (listener, address) = peer::listen().await;
        let (_sender, body) = Media::channel(1);
        let put_media = PutMedia {
            patience: Duration::from_millis(1),
            ..put_media()
        };
        let endpoint = endpoint(&format!("http://{address}"));
        let (response, _socket) =
            tokio::join!(put_media.open(&endpoint, Timestamp::ZERO, body), async {
                let (mut socket, _) = listener.accept().await.unwrap();
                peer::head(&mut socket).await;
                peer::say(
                    &mut socket,
                    "HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\n\r\n{",
                )
                .await;
                socket
            });
        assert_eq!(response.unwrap_err().message, "Bad Request");
    }

    #[tokio::test]
    async fn a_refused_connection_is_told_with_its_cause() {
        let (listener, address) = peer::listen().await;
        drop(listener);
        let (_sender, body) = Media::channel(1);
        let put_media = put_media();
        let endpoint = endpoint(&format!("http://{address}"));
        let failure = put_media.open(&endpoint, Timestamp::ZERO, body).await;
        let failure = failure.unwrap_err();
        assert_eq!(failure.cause, Cause::Transport);
        assert!(failure.message.contains(&address), "{failure}");
        assert!(failure.message.contains("Connection refused"), "{failure}");
    }

    #[tokio::test]
    async fn a_peer_without_tls_is_told() {
        let (listener, address) = peer::listen().await;
        let (_sender, body) = Media::channel(1);
        let put_media = put_media();
        let endpoint = endpoint(&format!("https://{address}"));
        let (response, ()) =
            tokio::join!(put_media.open(&endpoint, Timestamp::ZERO, body), async {
                let (mut socket, _) = listener.accept().await.unwrap();
                peer::say(&mut socket, "HTTP/1.1 400 Bad Request\r\n\r\n").await;
                peer::rest(&mut socket).await;
            });
        let failure = response.unwrap_err();
        assert_eq!(failure.cause, Cause::Transport);
        assert!(failure.message.contains("InvalidContentType"), "{failure}");
    }

    /// The service refuses the signature, and says what time it is. The header goes out again, the rest after it.
    #[tokio::test]
    async fn what_is_refused_for_its_time_is_signed_again_once() {
        const REFUSED: &str = "HTTP/1.1 403 Forbidden\r\ndate: Tue, 14 Nov 2023 22:13:20 GMT\r\n\
             x-amzn-ErrorType: InvalidSignatureException\r\ncontent-length: 0\r\n\r\n";
        for last in [OK, REFUSED] {
            let (listener, address) = peer::listen().await;
            let (sender, body) = Media::channel(2);
            sender.put(Bytes::from_static(b"header")).await.unwrap();
            let put_media = put_media();
            let endpoint = endpoint(&format!("http://{address}"));
            let (response, (heads, mut socket)) =
                tokio::join!(put_media.open(&endpoint, Timestamp::ZERO, body), async {
                    let mut heads = Vec::new();
                    for answer in [REFUSED, last] {
                        let (mut socket, _) = listener.accept().await.unwrap();
                        heads.push(peer::head(&mut socket).await);
                        peer::expect(&mut socket, b"6\r\nheader\r\n").await;
                        peer::say(&mut socket, answer).await;
                        if heads.len() == 2 {
                            return (heads, socket);
                        }
                    }
                    unreachable!("it is tried twice")
                });
            let date = check::header(&heads[1], "x-amz-date").unwrap();
            assert!(date.starts_with("20231114T22"), "{date}");
            assert_ne!(check::header(&heads[0], "x-amz-date"), Some(date));
            for head in &heads {
                assert_eq!(check::signature(head), check::expected(head, "S3CR3T"));
            }
            if last == REFUSED {
                let Cause::Answer { code, .. } = response.unwrap_err().cause else {
                    panic!("no answer");
                };
                assert_eq!(code, "InvalidSignatureException");
                continue;
            }
            sender.put(Bytes::from_static(b"abc")).await.unwrap();
            sender.end();
            peer::expect(&mut socket, b"3\r\nabc\r\n0\r\n\r\n").await;
            drop(response);
        }
    }

    /// The certificates of tests are made by the `local` feature's dependencies.
    #[cfg(feature = "local")]
    #[tokio::test]
    async fn a_certificate_of_an_unknown_issuer_is_told() {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = rustls::ServerConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(tls));
        let (listener, address) = peer::listen().await;
        let (_sender, body) = Media::channel(1);
        let put_media = put_media();
        let endpoint = endpoint(&format!("https://{address}"));
        let (response, accepted) =
            tokio::join!(put_media.open(&endpoint, Timestamp::ZERO, body), async {
                let (socket, _) = listener.accept().await.unwrap();
                acceptor.accept(socket).await
            });
        assert!(accepted.is_err());
        let failure = response.unwrap_err();
        assert_eq!(failure.cause, Cause::Transport);
        assert!(failure.message.contains("UnknownIssuer"), "{failure}");
        assert!(failure.message.contains("SSL_CERT_FILE"), "{failure}");
    }

    #[tokio::test]
    async fn a_response_that_breaks_off_is_no_clean_end() {
        let (_sender, body) = Media::channel(1);
        let (response, mut socket, _) = open(body, OK).await;
        peer::say(&mut socket, "9\r\nhalf").await;
        drop(socket);
        let mut response = response.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "half");
        let failure = response.chunk().await.unwrap_err();
        assert_eq!(
            (failure.call, failure.cause),
            (Call::PutMedia, Cause::Transport)
        );
    }

    #[tokio::test]
    async fn without_credentials_nothing_is_sent() {
        let service = Service {
            credentials: Credentials::File("/nowhere/credential".into()),
            ..service()
        };
        let put_media = put_media_of(&service);
        let (_sender, body) = Media::channel(1);
        let nowhere = endpoint("http://127.0.0.1:1");
        let failure = put_media.open(&nowhere, Timestamp::ZERO, body).await;
        let failure = failure.unwrap_err();
        assert_eq!(failure.cause, Cause::Credentials);
        assert!(failure.message.contains("/nowhere/credential"), "{failure}");
    }

    #[tokio::test]
    async fn nothing_that_is_shown_has_a_secret() {
        let put_media = put_media();
        let keys = put_media.keyring.keys().await.unwrap();
        let headers = put_media.signed(
            "http://a/putMedia",
            "a",
            Timestamp::ZERO,
            &keys,
            "us-west-2",
            SystemTime::UNIX_EPOCH,
        );
        let shown = format!("{put_media:?} {:?}", headers.unwrap());
        for secret in ["S3CR3T", "T0K3N", "Signature="] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
