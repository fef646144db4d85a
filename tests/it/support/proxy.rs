//! An HTTP proxy as companies have it: CONNECT for TLS, absolute URIs for plain HTTP, perhaps with a password.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use hyper::{Method, Request, Response, StatusCode, Uri, client, server, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

/// Name and password of a proxy that wants them: with characters that must be escaped in a URI, and that Basic keeps.
pub(crate) const USER: &str = "camera";
pub(crate) const PASSWORD: &str = "p@ss:w/rd";
/// The same as they stand in a URI.
pub(crate) const IN_URI: &str = "camera:p%40ss%3Aw%2Frd";
/// The same as Basic has them (`printf %s 'camera:p@ss:w/rd' | base64`).
pub(crate) const BASIC: &str = "Basic Y2FtZXJhOnBAc3M6dy9yZA==";

/// Connections at a time.
const MAX_CONNECTIONS: usize = 64;

/// A proxy on its own thread; it ends, and its connections with it, when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// `CONNECT`, or that of the request in plain HTTP.
    pub(crate) method: String,
    /// Host and port.
    pub(crate) authority: String,
    /// The status that the proxy gave; none if that of the server is passed on.
    pub(crate) refused: Option<u16>,
}

#[derive(Default)]
struct State {
    wants_password: bool,
    refusal: Mutex<Option<StatusCode>>,
    asked: Mutex<Vec<Asked>>,
    connections: Mutex<usize>,
}

impl Proxy {
    /// One that lets everybody through.
    pub(crate) fn start() -> Self {
        Self::with(State::default())
    }

    /// One that wants [`USER`] and [`PASSWORD`].
    pub(crate) fn with_password() -> Self {
        Self::with(State {
            wants_password: true,
            ..State::default()
        })
    }

    fn with(state: State) -> Self {
        let state = Arc::new(state);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn({
            let state = Arc::clone(&state);
            move || {
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = runtime.enable_all().build().unwrap();
                runtime.block_on(async {
                    let listener = TcpListener::from_std(listener).unwrap();
                    tokio::select! {
                        () = serve(listener, state) => {}
                        _ = stopped => {}
                    }
                });
            }
        });
        Self {
            address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// `http://127.0.0.1:43211`.
    pub(crate) fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same with name and password.
    pub(crate) fn uri_with_password(&self) -> String {
        format!("http://{IN_URI}@{}", self.address)
    }

    /// From now on every request is refused with this status (403, 502); with none they are let through again. What is
    /// open stays open.
    pub(crate) fn refuse(&self, status: Option<u16>) {
        *self.state.refusal.lock().unwrap() =
            status.map(|status| StatusCode::from_u16(status).unwrap());
    }

    /// What it was asked for so far, also what it refused.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// Connections that clients have made so far.
    pub(crate) fn connections(&self) -> usize {
        *self.state.connections.lock().unwrap()
    }

    /// Closes its port and all connections.
    pub(crate) fn stop(self) {
        drop(self);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        // A panic there has been reported by its thread.
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

type Body = BoxBody<Bytes, hyper::Error>;

async fn serve(listener: TcpListener, state: Arc<State>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        *state.connections.lock().unwrap() += 1;
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let place = Arc::new(place);
            let calls = service_fn(|request| {
                // A tunnel outlives the connection's task, and takes its place along.
                let (state, place) = (Arc::clone(&state), Arc::clone(&place));
                async move { Ok::<_, Infallible>(answer(&state, request, place).await) }
            });
            // How a connection ends is the business of those who talk through it.
            let _ = server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), calls)
                .with_upgrades()
                .await;
        });
    }
}

async fn answer<Place: Send + 'static>(
    state: &State,
    request: Request<Incoming>,
    place: Place,
) -> Response<Body> {
    let method = request.method().clone();
    let authority = request.uri().authority().map(ToString::to_string);
    let refusal = *state.refusal.lock().unwrap();
    let authorization = request.headers().get(PROXY_AUTHORIZATION);
    let result = if state.wants_password && authorization.is_none_or(|given| given != BASIC) {
        Err(StatusCode::PROXY_AUTHENTICATION_REQUIRED)
    } else if let Some(status) = refusal {
        Err(status)
    } else if let Some(authority) = &authority {
        match TcpStream::connect(authority).await {
            Ok(server) => Ok(server),
            Err(_) => Err(StatusCode::BAD_GATEWAY),
        }
    } else {
        // Not a request to a proxy.
        Err(StatusCode::BAD_REQUEST)
    };
    state.asked.lock().unwrap().push(Asked {
        method: method.to_string(),
        authority: authority.unwrap_or_default(),
        refused: result.as_ref().err().map(StatusCode::as_u16),
    });
    match result {
        Err(status) => refused(status),
        Ok(server) if method == Method::CONNECT => {
            tokio::spawn(async move {
                let Ok(client) = hyper::upgrade::on(request).await else {
                    return;
                };
                let (mut client, mut server) = (TokioIo::new(client), server);
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                drop(place);
            });
            Response::new(empty())
        }
        Ok(server) => forward(request, server)
            .await
            .unwrap_or_else(|_| refused(StatusCode::BAD_GATEWAY)),
    }
}

/// Passes a request on as its server expects it, and the answer back while it comes.
async fn forward(
    mut request: Request<Incoming>,
    server: TcpStream,
) -> Result<Response<Body>, hyper::Error> {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>().unwrap();
    assert!(request.headers().contains_key(HOST), "HTTP 1.1 wants it");
    for of_the_proxy in [
        PROXY_AUTHORIZATION,
        HeaderName::from_static("proxy-connection"),
    ] {
        request.headers_mut().remove(of_the_proxy);
    }
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(server)).await?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    Ok(answer.map(BodyExt::boxed))
}

fn refused(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        let basic = "Basic realm=\"tests\"".parse().unwrap();
        response.headers_mut().insert(PROXY_AUTHENTICATE, basic);
    }
    response
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}
