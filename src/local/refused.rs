//! How the service says no to a whole call: HTTP status, error type, message.
//!
//! Does not belong here: ERROR acks (`ack`), which refuse a fragment of a call that was taken.

use http::StatusCode;

/// The answer to a call that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    /// The exception's name, as in `x-amzn-ErrorType`.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidArgumentException", message)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        let message = format!("The requested stream {what} is not found or not active.");
        Self::new(404, "ResourceNotFoundException", message)
    }

    pub(crate) fn in_use(message: impl Into<String>) -> Self {
        Self::new(400, "ResourceInUseException", message)
    }

    pub(crate) fn connection_limit() -> Self {
        let message = "There is a PutMedia connection to this stream already.";
        Self::new(400, "ConnectionLimitExceededException", message)
    }

    pub(crate) fn signature(message: impl Into<String>) -> Self {
        Self::new(403, "InvalidSignatureException", message)
    }

    pub(crate) fn unrecognized() -> Self {
        let message = "The security token included in the request is invalid.";
        Self::new(403, "UnrecognizedClientException", message)
    }

    pub(crate) fn expired() -> Self {
        let message = "The security token included in the request is expired.";
        Self::new(403, "ExpiredTokenException", message)
    }

    pub(crate) fn method(allowed: &str) -> Self {
        let message = format!("The method is {allowed}.");
        Self::new(405, "MethodNotAllowedException", message)
    }

    pub(crate) fn injected(status: u16, kind: &'static str) -> Self {
        Self::new(status, kind, "An injected fault.")
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The body of the answer. `message` is written in lower case, as AWS does.
    pub(crate) fn json(&self) -> Vec<u8> {
        serde_json::json!({ "message": self.message })
            .to_string()
            .into_bytes()
    }
}
