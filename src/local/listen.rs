//! The listener and its connections.
//!
//! Belongs here: TCP, TLS, how a connection begins and ends; a port that is closed and a connection that is never
//! answered, if a fault says so. Does not belong here: what is said on a connection (`server`).

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::fault::FaultKind;
use super::fault_control;
use super::faults::Occasion;
use super::line::{Cut, Hangup, Line};
use super::server::answer;
use super::service::Service;

/// Before the next attempt when a connection could not be accepted, or the port not be taken again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that wait to be accepted; what the standard library takes, times eight.
const BACKLOG: u32 = 1024;
/// Of what comes into a black hole so much is read, to see the peer's end.
const MAX_SWALLOWED: u64 = 64 << 10;

/// Below HTTP neither stream nor session are known.
const NOBODY: Occasion<'static> = Occasion {
    stream: None,
    session: None,
};

/// Accepts connections until `stop` says so.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    service: Arc<Service>,
    mut stop: watch::Receiver<bool>,
) {
    tokio::select! {
        () = accept(listener, tls, service) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn accept(mut listener: TcpListener, tls: Option<TlsAcceptor>, service: Arc<Service>) {
    let mut news = service.news();
    loop {
        if service.faults.look(NOBODY, port).is_some() {
            listener = closed(listener, &service).await;
            continue;
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Perhaps a fault; the service, which holds the sender, outlives this.
            _ = news.changed() => continue,
        };
        // An accept that fails is the peer's trouble or a lack of descriptors, which may pass.
        let Ok((tcp, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // An ack must not wait for the next one.
        let _ = tcp.set_nodelay(true);
        tokio::spawn(line(tcp, peer, tls.clone(), Arc::clone(&service)));
    }
}

fn port(kind: FaultKind) -> Option<FaultKind> {
    kind.is_port().then_some(kind)
}

/// Closes the port as the fault says, and opens it again.
async fn closed(listener: TcpListener, service: &Service) -> TcpListener {
    let address = listener.local_addr();
    drop(listener);
    // Bound but not listening: connections are refused, and nobody else takes the port meanwhile.
    let held = retried(service, || hold(&address)).await;
    service.say("the port is closed");
    // Only now: who sees that it has struck finds the port closed.
    let period = match service.strike(NOBODY, port) {
        Some(FaultKind::Away { period }) => {
            service.away.send_replace(());
            period
        }
        Some(FaultKind::Refuse { period }) => period,
        // Cleared meanwhile.
        _ => Some(Duration::ZERO),
    };
    let cleared = until_cleared(service, FaultKind::is_port);
    match period {
        None => cleared.await,
        Some(period) => tokio::select! {
            () = tokio::time::sleep(period) => {}
            () = cleared => {}
        },
    }
    let mut held = Some(held);
    let listener = retried(service, || {
        let socket = held.take().map_or_else(|| hold(&address), Ok)?;
        socket.listen(BACKLOG)
    })
    .await;
    service.say("the port is open again");
    listener
}

/// Tries until it works: without its port the service is nothing.
async fn retried<T>(service: &Service, mut attempt: impl FnMut() -> io::Result<T>) -> T {
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(e) => service.say(&format!("cannot take the port again: {e}")),
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

fn hold(address: &io::Result<SocketAddr>) -> io::Result<TcpSocket> {
    let address = *address.as_ref().map_err(|e| io::Error::from(e.kind()))?;
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // There may be connections of the listener before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Waits until there is no such fault any more, struck or not.
pub(crate) async fn until_cleared(service: &Service, wanted: impl Fn(FaultKind) -> bool) {
    let mut news = service.news();
    while service.faults.has(&wanted) {
        // The service, which holds the sender, outlives this.
        let _ = news.changed().await;
    }
}

/// One connection from its beginning to its end.
async fn line(tcp: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, service: Arc<Service>) {
    let mut away = service.away.subscribe();
    let hangup = Arc::new(Hangup::default());
    let line = Line::new(tcp);
    let cut = {
        let talk = talk(line.clone(), peer, tls, &service, &hangup);
        tokio::select! {
            () = talk => None,
            cut = hangup.is_cut() => Some(cut),
            _ = away.changed() => Some(Cut::Drop),
        }
    };
    if let Some(cut) = cut {
        line.cut(cut).await;
    }
}

async fn talk(
    mut line: Line,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    service: &Arc<Service>,
    hangup: &Arc<Hangup>,
) {
    if is_swallowed(&mut line, tls.is_some(), service).await {
        return;
    }
    match tls {
        None => connection(line, peer, service, hangup).await,
        Some(tls) => match tls.accept(line).await {
            Ok(stream) => connection(stream, peer, service, hangup).await,
            Err(e) => service.say(&format!("TLS handshake failed: {e}")),
        },
    }
}

/// Whether the connection fell into a black hole, and has come to its end there.
async fn is_swallowed(line: &mut Line, tls: bool, service: &Service) -> bool {
    let hole = |kind: FaultKind| (kind == FaultKind::BlackHole).then_some(());
    if service.faults.look(NOBODY, hole).is_none() {
        return false;
    }
    // A hole that swallowed the control call could never be cleared. Within TLS that cannot be seen.
    if !tls && fault_control::is_call(&line.peek(fault_control::CALL_LEN).await) {
        return false;
    }
    if service.strike(NOBODY, hole).is_none() {
        return false;
    }
    let end = async {
        let mut nowhere = tokio::io::sink();
        let mut some = line.take(MAX_SWALLOWED);
        if let Ok(MAX_SWALLOWED) = tokio::io::copy(&mut some, &mut nowhere).await {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = end => {}
        () = until_cleared(service, |kind| kind == FaultKind::BlackHole) => {}
    }
    true
}

async fn connection(
    io: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    service: &Arc<Service>,
    hangup: &Arc<Hangup>,
) {
    let calls =
        service_fn(|request| answer(Arc::clone(service), request, peer, Arc::clone(hangup)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // A part of an answer counts as sent when the socket has taken it, not when it was copied.
        .writev(true)
        .serve_connection(TokioIo::new(io), calls);
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            // How a connection ends is seen by the session on it; there is nothing to add.
            _ = connection.as_mut() => return,
            () = hangup.is_asked_gently() => connection.as_mut().graceful_shutdown(),
        }
    }
}
