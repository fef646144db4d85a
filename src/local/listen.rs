//! The listener and its connections.
//!
//! Belongs here: TCP, TLS, how a connection begins and ends. Does not belong here: what is said on it (`server`).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

use super::server::answer;
use super::service::Service;

/// Before the next attempt when a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until `stop` says so.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    service: Arc<Service>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        // An accept that fails is the peer's trouble or a lack of descriptors, which may pass.
        let Ok((tcp, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // An ack must not wait for the next one.
        let _ = tcp.set_nodelay(true);
        let (service, tls) = (Arc::clone(&service), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => connection(tcp, service).await,
                Some(tls) => match tls.accept(tcp).await {
                    Ok(stream) => connection(stream, service).await,
                    Err(e) => service.say(&format!("TLS handshake failed: {e}")),
                },
            }
        });
    }
}

async fn connection(io: impl AsyncRead + AsyncWrite + Unpin, service: Arc<Service>) {
    let close = Arc::new(Notify::new());
    let calls = {
        let close = Arc::clone(&close);
        service_fn(move |request| answer(Arc::clone(&service), request, Arc::clone(&close)))
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(io), calls);
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            // How a connection ends is seen by the session on it; there is nothing to add.
            _ = connection.as_mut() => return,
            () = close.notified() => connection.as_mut().graceful_shutdown(),
        }
    }
}
