//! Faults by HTTP, on the service's own port: `/kvs-local/faults`.
//!
//! `POST` injects the faults of its body, one on a line; `GET` lists them; `DELETE` clears them. Each answers with
//! the list as it is then. The call is not signed, and taken from this machine only. While the port is closed
//! (`refuse`, `away`) it cannot be reached, and with TLS a black hole swallows it too.
//!
//! Does not belong here: what a fault is (`fault`), when it strikes (`faults`).

use std::net::SocketAddr;

use http::Method;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::fault::Fault;
use super::fault_text::FaultError;
use super::refused::Refused;
use super::service::Service;

/// Where it is.
pub(crate) const PATH: &str = "/kvs-local/faults";
/// So much of a request shows whether it is this call.
pub(crate) const CALL_LEN: usize = "DELETE ".len() + PATH.len();
/// Largest body taken.
const MAX_BODY: usize = 64 << 10;

/// Whether a request that begins so is this call.
pub(crate) fn is_call(start: &[u8]) -> bool {
    let target = start.splitn(2, |byte| *byte == b' ').nth(1);
    target.is_some_and(|target| target.starts_with(PATH.as_bytes()))
}

/// Answers the call.
pub(crate) async fn answer(
    service: &Service,
    method: &Method,
    peer: SocketAddr,
    body: Incoming,
) -> Result<Value, Refused> {
    if !peer.ip().to_canonical().is_loopback() {
        let message = "Faults are injected from this machine only.";
        return Err(Refused::new(403, "AccessDeniedException", message));
    }
    match *method {
        Method::GET => {}
        Method::POST => {
            let body = Limited::new(body, MAX_BODY)
                .collect()
                .await
                .map_err(|_| Refused::argument("The body is too large or broken off."))?;
            let body = body.to_bytes();
            let text = std::str::from_utf8(&body)
                .map_err(|_| Refused::argument("The body is not text."))?;
            for fault in parse(text).map_err(|e| Refused::argument(e.to_string()))? {
                service.inject(fault);
            }
        }
        Method::DELETE => service.clear_faults(),
        _ => {
            let message = "The methods are GET, POST and DELETE.";
            return Err(Refused::new(405, "MethodNotAllowedException", message));
        }
    }
    let list: Vec<Value> = service
        .faults
        .list()
        .into_iter()
        .map(|(fault, struck)| {
            let left = fault.times.map(|times| times.saturating_sub(struck));
            json!({ "fault": fault.to_string(), "struck": struck, "left": left })
        })
        .collect();
    Ok(json!({ "faults": list }))
}

/// All faults of the text, or none.
fn parse(text: &str) -> Result<Vec<Fault>, FaultError> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::parse)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_is_known_by_its_first_bytes() {
        for start in [
            "GET /kvs-local/faults HTTP/1.1",
            "POST /kvs-local/faults",
            "DELETE /kvs-local/faults",
        ] {
            assert!(
                is_call(&start.as_bytes()[..start.len().min(CALL_LEN)]),
                "{start}"
            );
        }
        assert!(!is_call(b"POST /putMedia HTTP/1.1") && !is_call(b"") && !is_call(b"GET "));
    }

    #[test]
    fn one_wrong_line_and_nothing_is_injected() {
        assert_eq!(parse("never-ack\n\n idle-ack:2 \n").unwrap().len(), 2);
        assert!(parse("never-ack\nidle").is_err());
    }
}
