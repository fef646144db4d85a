//! Errors of the clients in the words and kinds of [`Failure`].
//!
//! In: an error of a library, or the answer of the service. Out: a [`Failure`] that says where, what and why.
//! Belongs here: errors of the libraries. Does not belong here: the words of the service ([`answer`]), what is done about
//! a failure ([`crate::session`]).

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;

use super::credentials::NoKeys;
pub(crate) use crate::session::answer::{printable, said_in};
use crate::session::{Call, Cause, Failure, answer};

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
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason());
    let said = said.map(printable).filter(|said| !said.is_empty());
    answer::refusal(call, status, code, request_id, said.as_deref().or(reason))
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
            answer::MAX_SAID
        );
    }
}
