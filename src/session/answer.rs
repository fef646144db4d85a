//! An answer that is no success: what it says, in the words of [`Failure`].
//!
//! In: status, headers and body of the answer, whoever sent it. Out: a [`Failure`] that can be shown.
//! Belongs here: the text of the service, and what must not be in it. Does not belong here: what is done about it
//! ([`super::policy`]), HTTP.

use serde_json::Value;

use super::{Call, Cause, Failure};

/// Longest text of the service that a failure repeats, in characters.
pub(crate) const MAX_SAID: usize = 1000;

/// The service refused. `said` is its own message, or what there is instead.
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
            code: printable(exception(code)),
            request_id: request_id.map(printable),
        },
        message: message.unwrap_or_else(|| "refused".into()),
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

/// `com.amazonaws.kinesisvideo#ResourceNotFoundException:http://…` is `ResourceNotFoundException`.
fn exception(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or_default();
    code.rsplit('#').next().unwrap_or_default().trim()
}

/// One line of bounded length. A refused signature is answered with the whole canonical request, which has the session
/// token in it: that is cut off.
pub(crate) fn printable(text: &str) -> String {
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
    fn a_code_is_one_line_of_bounded_length_too() {
        let code = format!("Strange\n{}", "x".repeat(5000));
        let failure = refusal(Call::PutMedia, 400, &code, None, None);
        let said = failure.to_string();
        assert!(!said.contains(char::is_control), "{said}");
        assert!(said.len() < 2 * MAX_SAID, "{said}");
    }
}
