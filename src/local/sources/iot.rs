//! The IoT credentials provider: TLS with a certificate on both sides, on a port of its own.
//!
//! Faults of the port (`refuse`, `away`, `black-hole`) are about the service's own; `http:IotCredentials` is about this.
//!
//! Belongs here: who may come in, and what is said there. Does not belong here: the certificates (`device`).

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::super::api::Api;
use super::super::keys::Source;
use super::super::refused::Refused;
use super::super::reply::{self, Reply};
use super::super::service::Service;
use super::super::tls::{Ca, provider};
use super::super::visit::{Said, Visit};
use super::{Call, Issuer};

/// Connections at a time; devices ask once in a while.
const MAX_CONNECTIONS: usize = 64;
/// Longest handshake, so that the silent do not keep others out.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Before the next attempt when a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The port.
pub(crate) struct Door {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl Door {
    /// Takes a free port; who comes in there needs a certificate of `ca`, as the port itself has one.
    pub(super) fn open(ip: IpAddr, ca: &Ca) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(ca.der())?;
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
        let (certificate, key) = ca.server_certificate()?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let listener = TcpListener::bind((ip, 0))
            .with_context(|| format!("cannot listen for IoT devices on {ip}"))?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            tls: TlsAcceptor::from(Arc::new(config)),
        })
    }

    /// Host and port.
    pub(super) fn authority(&self) -> io::Result<String> {
        let address = self.listener.local_addr()?;
        Ok(if address.ip().is_unspecified() {
            format!("127.0.0.1:{}", address.port())
        } else {
            address.to_string()
        })
    }
}

/// Accepts connections until `stop` says so.
pub(crate) async fn serve(
    door: Door,
    issuer: Arc<Issuer>,
    service: Arc<Service>,
    mut stop: watch::Receiver<bool>,
) {
    let listener = match tokio::net::TcpListener::from_std(door.listener) {
        Ok(listener) => listener,
        Err(e) => return service.say(&format!("cannot listen for IoT devices: {e}")),
    };
    tokio::select! {
        () = accept(&listener, &door.tls, &issuer, &service) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn accept(
    listener: &tokio::net::TcpListener,
    tls: &TlsAcceptor,
    issuer: &Arc<Issuer>,
    service: &Arc<Service>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let place = Arc::clone(&places).acquire_owned().await;
        // An accept that fails is the peer's trouble or a lack of descriptors, which may pass.
        let Ok((tcp, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (tls, issuer, service) = (tls.clone(), Arc::clone(issuer), Arc::clone(service));
        tokio::spawn(async move {
            connection(tcp, &tls, &issuer, &service).await;
            drop(place);
        });
    }
}

async fn connection(tcp: TcpStream, tls: &TlsAcceptor, issuer: &Issuer, service: &Service) {
    let stream = match tokio::time::timeout(HANDSHAKE, tls.accept(tcp)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) => return service.say(&format!("TLS handshake of a device failed: {e}")),
        Err(_) => return service.say("TLS handshake of a device takes too long"),
    };
    let calls = service_fn(|request| async move {
        Ok::<_, Infallible>(visited(service, issuer, request).await)
    });
    // How a connection ends is of no interest here.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), calls)
        .await;
}

async fn visited(
    service: &Service,
    issuer: &Issuer,
    request: Request<Incoming>,
) -> Response<Reply> {
    let (parts, _) = request.into_parts();
    let visit = Visit::begin(service, &parts.headers);
    let said = answer(&Call::new(service, issuer, &visit, &parts));
    visit.end(service, &parts, said)
}

fn answer(call: &Call<'_>) -> Said {
    let result = credentials(call);
    let error = result.as_ref().err().map(|refused| refused.kind);
    let response = match result {
        Ok(credentials) => reply::json(&credentials),
        Err(refused) => reply::refusal(&refused),
    };
    Said::of(Api::IotCredentials, response, error)
}

fn credentials(call: &Call<'_>) -> Result<Value, Refused> {
    call.strike(Api::IotCredentials)?;
    let path = call.parts.uri.path();
    let alias = path
        .strip_prefix("/role-aliases/")
        .and_then(|rest| rest.strip_suffix("/credentials"))
        .ok_or_else(|| Refused::new(404, "UnknownOperationException", "There is no such path."))?;
    if call.parts.method != Method::GET {
        return Err(Refused::method("GET"));
    }
    let thing = call
        .header("x-amzn-iot-thingname")
        .filter(|thing| is_thing(thing))
        .ok_or_else(|| {
            let message = "x-amzn-iot-thingname must be 1 to 128 of [a-zA-Z0-9:_-].";
            Refused::new(400, "InvalidRequestException", message)
        })?;
    if alias != call.issuer.sources.role_alias {
        let message = "The role alias does not exist.";
        return Err(Refused::new(404, "ResourceNotFoundException", message));
    }
    let issued = call.issue(Source::Iot, thing);
    Ok(json!({
        "credentials": {
            "accessKeyId": issued.access_key,
            "secretAccessKey": issued.secret_key,
            "sessionToken": issued.session_token,
            "expiration": issued.expiration(),
        }
    }))
}

fn is_thing(name: &str) -> bool {
    let regular = |c: char| c.is_ascii_alphanumeric() || ":_-".contains(c);
    (1..=128).contains(&name.len()) && name.chars().all(regular)
}
