//! Errors of the clients in the words and kinds of [`Failure`].
//!
//! In: an error of a library, or the answer of the service. Out: a [`Failure`] that says where, what and why.
//! Belongs here: the text of failures, and what must not be in it. Does not belong here: what is done about them
//! ([`crate::session`]).

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use serde_json::Value;

use super::credentials::NoKeys;
use crate::session::{Call, Cause, Failure};

/// Longest text of the service that a failure repeats, in characters.
const MAX_SAID: usize = 1000;

/// The request cannot be made.
pub(crate) fn request(call: Call, message: impl Into<String>) -> Failure {
    Failure {
        call,
        cause: Cause::Request,
        message: message.into(),
    }
}

/// No answer: what happened on the way to `place`.
pub(crate) fn transport(call: Call, place: &str, error: &(dyn Error + 'static)) -> Failure {
    Failure {
        call,
        cause: Cause::Transport,
        message: format!("no answer from {place}: {}", chain(error)),
    }
}

/// There are no credentials: nobody has any, or whoever has them cannot be asked now, which a network that comes mends.
pub(crate) fn credentials(call: Call, error: &CredentialsError) -> Failure {
    let cause = match error {
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
            Cause::Credentials
        }
        _ => Cause::Transport,
    };
    Failure {
        call,
        cause,
        message: match find::<NoKeys>(error) {
            Some(why) => printable(&why.to_string()),
            None => format!("no credentials: {}", chain(error)),
        },
    }
}

/// The service refused. `said` is its own message.
pub(crate) fn refusal(
    call: Call,
    status: u16,
    code: &str,
    request_id: Option<&str>,
    said: Option<&str>,
) -> Failure {
    let message = said.map(printable).filter(|said| !said.is_empty());
    Failure {
        call,
        cause: Cause::Answer {
            status,
            code: exception(code).to_owned(),
            request_id: request_id.map(printable),
        },
        message: message.unwrap_or_else(|| {
            http::StatusCode::from_u16(status)
                .ok()
                .and_then(|status| status.canonical_reason())
                .unwrap_or("refused")
                .to_owned()
        }),
    }
}

/// The code and the message of an error body, as the JSON protocols of AWS write them.
pub(crate) fn said_in(body: &[u8]) -> (Option<String>, Option<String>) {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return (None, None);
    };
    let text = |names: [&str; 2]| {
        names
            .iter()
            .find_map(|name| body.get(*name)?.as_str().map(str::to_owned))
    };
    (text(["__type", "code"]), text(["message", "Message"]))
}

/// The error and what it came from, each said once: `connect: tcp connect error: Connection refused (os error 111)`.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some errors print their source themselves.
        if !words.contains(&said) {
            words = format!("{words}: {said}");
        }
        cause = error.source();
    }
    printable(&words)
}

/// The first error of this type in the chain.
pub(crate) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// `com.amazonaws.kinesisvideo#ResourceNotFoundException:http://…` is `ResourceNotFoundException`.
fn exception(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or_default();
    code.rsplit('#').next().unwrap_or_default().trim()
}

/// One line of bounded length. A refused signature is answered with the whole canonical request, which has the session
/// token in it: that is cut off.
pub(super) fn printable(text: &str) -> String {
    let text = text
        .find("The Canonical String")
        .map_or(text, |at| &text[..at]);
    let line: String = text
        .chars()
        .take(MAX_SAID)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    }

    #[test]
    fn a_chain_says_each_cause_once() {
        let inner = Layer {
            text: "refused",
            source: None,
        };
        let middle = Layer {
            text: "connect: refused",
            source: Some(Box::new(inner)),
        };
        let outer = Layer {
            text: "sending",
            source: Some(Box::new(middle)),
        };
        assert_eq!(chain(&outer), "sending: connect: refused");
    }

    #[test]
    fn an_exception_has_no_namespace_and_no_address() {
        for code in [
            "ResourceNotFoundException",
            "ResourceNotFoundException:http://internal.amazon.com/coral/",
            "com.amazonaws.kinesisvideo#ResourceNotFoundException",
            "com.amazonaws.kinesisvideo#ResourceNotFoundException:http://internal.amazon.com/",
        ] {
            assert_eq!(exception(code), "ResourceNotFoundException");
        }
        assert_eq!(exception(""), "");
    }

    #[test]
    fn an_error_body_may_be_anything() {
        let both = |code: &str, message: &str| (Some(code.into()), Some(message.into()));
        assert_eq!(said_in(br#"{"__type":"A","message":"b"}"#), both("A", "b"));
        assert_eq!(said_in(br#"{"code":"A","Message":"b"}"#), both("A", "b"));
        for nothing in [&b""[..], b"<html>", b"[]", b"{}", br#"{"message":1}"#] {
            assert_eq!(said_in(nothing), (None, None));
        }
    }

    #[test]
    fn the_canonical_request_is_not_repeated() {
        let said = "The signature does not match.\n\nThe Canonical String for this request should have been\n'POST\nx-amz-security-token:TOKEN'";
        let failure = refusal(
            Call::Describe,
            403,
            "InvalidSignatureException",
            None,
            Some(said),
        );
        assert_eq!(failure.message, "The signature does not match.");
    }

    #[test]
    fn a_refusal_without_words_has_those_of_its_status() {
        assert_eq!(
            refusal(Call::PutMedia, 503, "", None, None).message,
            "Service Unavailable"
        );
        assert_eq!(
            refusal(Call::PutMedia, 799, "", None, Some(" ")).message,
            "refused"
        );
        let long = "x".repeat(5000);
        assert_eq!(
            refusal(Call::PutMedia, 400, "", None, Some(&long))
                .message
                .len(),
            MAX_SAID
        );
    }
}
