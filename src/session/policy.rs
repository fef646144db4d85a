//! The error policy: for each answer that is not a success, what is done about it. The only place that decides.
//!
//! In: a [`Failure`] of a call, or the id of an ERROR ack. Out: an [`Action`].
//! Source of the tables: kvs-facts §3 and §5 ("PutMedia", errors; "Error code reference").

use std::fmt;

/// A request to the service.
///
/// ```
/// use gstkvssink::producer::{Call, Failure};
///
/// let mut failure = Failure::lost("no answer");
/// failure.call = Call::Create;
/// assert_eq!(failure.to_string(), "CreateStream: no answer");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// DescribeStream.
    Describe,
    /// CreateStream.
    Create,
    /// TagStream.
    Tag,
    /// UpdateDataRetention.
    Retain,
    /// DeleteStream. The session never asks for it.
    Delete,
    /// GetDataEndpoint.
    Resolve,
    /// PutMedia.
    PutMedia,
}

impl Call {
    /// The name of the API.
    ///
    /// ```
    /// use gstkvssink::producer::Call;
    ///
    /// assert_eq!(Call::Resolve.as_str(), "GetDataEndpoint");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Describe => "DescribeStream",
            Self::Create => "CreateStream",
            Self::Tag => "TagStream",
            Self::Retain => "UpdateDataRetention",
            Self::Delete => "DeleteStream",
            Self::Resolve => "GetDataEndpoint",
            Self::PutMedia => "PutMedia",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What went wrong with a call.
///
/// ```
/// use gstkvssink::producer::{Cause, Failure};
///
/// let Cause::Answer { status, code, .. } = Failure::not_found().cause else {
///     panic!("it is an answer");
/// };
/// assert_eq!((status, code.as_str()), (404, "ResourceNotFoundException"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The service answered with an error.
    Answer {
        /// HTTP status.
        status: u16,
        /// Name of the exception, such as `ResourceNotFoundException`; empty when the answer has none.
        code: String,
        /// The service's name of the request.
        request_id: Option<String>,
    },
    /// No answer: refused, reset, timed out, not resolved, TLS.
    Transport,
    /// There are no credentials, or they could not be fetched.
    Credentials,
    /// The request cannot be made: an endpoint that is no URI, a scheme that is not allowed.
    Request,
}

/// A call that did not succeed, or a connection that ended.
///
/// ```
/// use gstkvssink::producer::Failure;
///
/// let failure = Failure::answered(429, "ThrottlingException", "too many calls");
/// assert_eq!(failure.to_string(), "PutMedia: too many calls (HTTP 429 ThrottlingException)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Which call.
    pub call: Call,
    /// What went wrong.
    pub cause: Cause,
    /// In words; never with a secret.
    pub message: String,
}

impl Failure {
    /// There was no answer, or the connection is lost: it is tried again after a back-off.
    ///
    /// ```
    /// use gstkvssink::producer::Failure;
    ///
    /// let failure = Failure::lost("the disk is full");
    /// assert_eq!(failure.to_string(), "PutMedia: the disk is full");
    /// ```
    pub fn lost(message: impl Into<String>) -> Self {
        Self::of(Cause::Transport, message)
    }

    /// It cannot work, and trying again changes nothing: the stream ends with this error.
    ///
    /// ```
    /// use gstkvssink::producer::Failure;
    ///
    /// let failure = Failure::refused("no such folder");
    /// ```
    pub fn refused(message: impl Into<String>) -> Self {
        Self::of(Cause::Request, message)
    }

    /// The service answered with an error: HTTP status, the name of its exception, and what it says. What follows from it is
    /// in docs/errors.md.
    ///
    /// ```
    /// use gstkvssink::producer::{Cause, Failure};
    ///
    /// let failure = Failure::answered(503, "", "come back later");
    /// assert!(matches!(failure.cause, Cause::Answer { status: 503, .. }));
    /// ```
    pub fn answered(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        let cause = Cause::Answer {
            status,
            code: code.into(),
            request_id: None,
        };
        Self::of(cause, message)
    }

    /// The stream does not exist.
    ///
    /// ```
    /// use gstkvssink::producer::Failure;
    ///
    /// let failure = Failure::not_found();
    /// ```
    pub fn not_found() -> Self {
        Self::answered(
            404,
            "ResourceNotFoundException",
            "the stream does not exist",
        )
    }

    /// Nobody has credentials.
    ///
    /// ```
    /// use gstkvssink::producer::Failure;
    ///
    /// let failure = Failure::no_credentials("the card is not in the reader");
    /// ```
    pub fn no_credentials(message: impl Into<String>) -> Self {
        Self::of(Cause::Credentials, message)
    }

    /// The call that it is of is put in where it arises.
    fn of(cause: Cause, message: impl Into<String>) -> Self {
        Self {
            call: Call::PutMedia,
            cause,
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, self.message)?;
        if let Cause::Answer {
            status,
            code,
            request_id,
        } = &self.cause
        {
            write!(f, " (HTTP {status}")?;
            if !code.is_empty() {
                write!(f, " {code}")?;
            }
            if let Some(id) = request_id {
                write!(f, ", request {id}")?;
            }
            write!(f, ")")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The same again after a back-off.
    Retry,
    /// The same again, but not at once: throttled, or something has to change first.
    RetrySlowly,
    /// The data endpoint may be out of date: ask for it, then go on.
    Resolve,
    /// The stream may be gone, or not ACTIVE: describe it, then go on.
    Describe,
    /// Make the stream if that is allowed, else give up.
    Create,
    /// The call was not needed to go on.
    GoOn,
    /// Send without the fragment when it was refused before, else once more.
    Skip,
    /// It cannot work: the stream ends with this kind of error.
    GiveUp(Fatal),
}

/// Why a stream cannot go on.
///
/// ```
/// use gstkvssink::producer::{Fatal, StreamCallbacks, StreamError};
///
/// struct Log;
/// impl StreamCallbacks for Log {
///     fn error(&self, error: &StreamError) {
///         match error.fatal {
///             Fatal::Settings | Fatal::NotAuthorized => eprintln!("set it up anew: {error}"),
///             _ => eprintln!("{error}"),
///         }
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fatal {
    /// A setting is wrong.
    Settings,
    /// The credentials are wrong, or do not allow it.
    NotAuthorized,
    /// The stream does not exist and must not be created.
    NotFound,
    /// The service refuses the media or the request.
    Refused,
    /// The connection was lost, and `restart_on_error` is off.
    Lost,
    /// Not everything was PERSISTED when the time was up.
    Unfinished,
    /// A fault of this library, or a callback that panicked.
    Internal,
}

/// What was before a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// No media was accepted yet.
    Nothing,
    /// Media was accepted: what worked before is worth waiting for.
    Streaming,
    /// The same, of a file: nobody waits for credentials that are refused, since nothing is lost by an ERROR.
    Offline,
}

/// The policy for a call.
pub(crate) fn on_failure(failure: &Failure, before: Before) -> Action {
    let streaming = before == Before::Streaming;
    let (status, code) = match &failure.cause {
        Cause::Transport if failure.call == Call::PutMedia => return Action::Resolve,
        Cause::Transport => return Action::Retry,
        Cause::Request => return Action::GiveUp(Fatal::Settings),
        Cause::Credentials if streaming => return Action::RetrySlowly,
        Cause::Credentials => return Action::GiveUp(Fatal::NotAuthorized),
        Cause::Answer { status, code, .. } => (*status, code.as_str()),
    };
    match (failure.call, code) {
        // Somebody else made it meanwhile.
        (Call::Create, "ResourceInUseException") => Action::Describe,
        (
            Call::Tag,
            "AccessDeniedException"
            | "NotAuthorizedException"
            | "TagsPerResourceExceededLimitException",
        ) => Action::GoOn,
        // The stream works as it is.
        (Call::Retain, "AccessDeniedException" | "NotAuthorizedException") => Action::GoOn,
        // Somebody else changed it meanwhile.
        (Call::Retain, "VersionMismatchException") => Action::Describe,
        // A minimal IAM policy has no DescribeStream (kvs-facts §2).
        (Call::Describe, "AccessDeniedException" | "NotAuthorizedException") => Action::GoOn,
        (_, "ResourceNotFoundException") => Action::Create,
        (_, "InvalidEndpointException") => Action::Resolve,
        (
            _,
            "ClientLimitExceededException"
            | "ConnectionLimitExceededException"
            | "ThrottlingException"
            | "ResourceInUseException",
        ) => Action::RetrySlowly,
        (Call::PutMedia, "") if status == 404 => Action::Describe,
        // Each error of the service has a name; this is a proxy's, or a captive portal's. One that wants a password does not
        // go away by itself.
        (_, "") if !matches!(status, 407 | 408) => Action::RetrySlowly,
        _ if denied(code) && streaming => Action::RetrySlowly,
        _ if denied(code) => Action::GiveUp(Fatal::NotAuthorized),
        _ => match status {
            401 | 403 | 407 if streaming => Action::RetrySlowly,
            401 | 403 | 407 => Action::GiveUp(Fatal::NotAuthorized),
            408 => Action::Retry,
            429 | 500..=599 => Action::RetrySlowly,
            _ => Action::GiveUp(Fatal::Refused),
        },
    }
}

/// Exceptions that speak of credentials, whatever status they come with ("Common Errors").
fn denied(code: &str) -> bool {
    matches!(
        code,
        "AccessDeniedException"
            | "NotAuthorizedException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "ExpiredTokenException"
            | "OptInRequired"
    )
}

/// The policy for an ERROR ack. The service ends the connection after each of them.
pub(crate) fn on_error_ack(id: u32) -> Action {
    match id {
        // STREAM_READ_ERROR, MAX_CONNECTION_DURATION_REACHED.
        4000 | 4003 => Action::Retry,
        // MAX_FRAGMENT_SIZE_REACHED, MAX_FRAGMENT_DURATION_REACHED, FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS,
        // INVALID_MKV_DATA, FRAGMENT_METADATA_LIMIT_REACHED.
        4001 | 4002 | 4004 | 4006 | 4009 => Action::Skip,
        // MORE_THAN_ALLOWED_TRACKS_FOUND, TRACK_NUMBER_MISMATCH, FRAMES_MISSING_FOR_TRACK, MORE_THAN_ALLOWED_TRACKS.
        4005 | 4010..=4012 => Action::GiveUp(Fatal::Refused),
        // INVALID_PRODUCER_TIMESTAMP: a clock is wrong and may be set; KMS: a key may be enabled again.
        4007 | 4500..=4506 => Action::RetrySlowly,
        // STREAM_NOT_ACTIVE, stream deleted.
        4008 | 4507 => Action::Describe,
        // INTERNAL_ERROR, ARCHIVAL_ERROR, and what is not known yet.
        _ => Action::RetrySlowly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLS: [Call; 6] = [
        Call::Describe,
        Call::Create,
        Call::Tag,
        Call::Retain,
        Call::Resolve,
        Call::PutMedia,
    ];
    const ANSWERS: [(u16, &str); 19] = [
        (400, "ClientLimitExceededException"),
        (400, "ConnectionLimitExceededException"),
        (400, "InvalidArgumentException"),
        (400, "InvalidEndpointException"),
        (400, "ResourceInUseException"),
        (400, "VersionMismatchException"),
        (400, "AccessDeniedException"),
        (401, "NotAuthorizedException"),
        (403, "AccessDeniedException"),
        (403, "InvalidSignatureException"),
        (403, ""),
        (404, "ResourceNotFoundException"),
        (404, ""),
        (407, ""),
        (408, ""),
        (413, ""),
        (429, ""),
        (500, "InternalFailure"),
        (503, ""),
    ];
    /// kvs-facts §5.
    const ACKS: [(u32, &str); 23] = [
        (4000, "STREAM_READ_ERROR"),
        (4001, "MAX_FRAGMENT_SIZE_REACHED"),
        (4002, "MAX_FRAGMENT_DURATION_REACHED"),
        (4003, "MAX_CONNECTION_DURATION_REACHED"),
        (4004, "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS"),
        (4005, "MORE_THAN_ALLOWED_TRACKS_FOUND"),
        (4006, "INVALID_MKV_DATA"),
        (4007, "INVALID_PRODUCER_TIMESTAMP"),
        (4008, "STREAM_NOT_ACTIVE"),
        (4009, "FRAGMENT_METADATA_LIMIT_REACHED"),
        (4010, "TRACK_NUMBER_MISMATCH"),
        (4011, "FRAMES_MISSING_FOR_TRACK"),
        (4012, "MORE_THAN_ALLOWED_TRACKS"),
        (4500, "KMS_KEY_ACCESS_DENIED"),
        (4501, "KMS_KEY_DISABLED"),
        (4502, "KMS_KEY_VALIDATION_ERROR"),
        (4503, "KMS_KEY_UNAVAILABLE"),
        (4504, "KMS_KEY_INVALID_USAGE"),
        (4505, "KMS_KEY_INVALID_STATE"),
        (4506, "KMS_KEY_NOT_FOUND"),
        (4507, "STREAM_DELETED"),
        (5000, "INTERNAL_ERROR"),
        (5001, "ARCHIVAL_ERROR"),
    ];

    /// The words of docs/errors.md, which says what they mean.
    fn words(action: Action) -> &'static str {
        match action {
            Action::Retry => "retry",
            Action::RetrySlowly => "retry slowly",
            Action::Resolve => "new endpoint",
            Action::Describe => "describe",
            Action::Create => "create",
            Action::GoOn => "go on",
            Action::Skip => "resend, then skip",
            Action::GiveUp(Fatal::Settings) => "ERROR settings",
            Action::GiveUp(Fatal::NotAuthorized) => "ERROR not authorized",
            Action::GiveUp(_) => "ERROR write",
        }
    }

    /// The two tables, as they stand in docs/errors.md.
    fn tables() -> String {
        let row = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
        let head = |cells: &[&str]| row(cells) + &row(&vec!["---"; cells.len()]);
        let names = CALLS.map(Call::as_str);
        let mut calls = head(&[&["answer", "when"], &names[..]].concat());
        let answers = ANSWERS.map(|(status, code)| {
            let cause = Cause::Answer {
                status,
                code: code.into(),
                request_id: None,
            };
            (format!("{status} {code}").trim_end().to_owned(), cause)
        });
        let others = [
            ("no answer".to_owned(), Cause::Transport),
            ("no credentials".to_owned(), Cause::Credentials),
            ("no request can be made".to_owned(), Cause::Request),
        ];
        for (answer, cause) in answers.into_iter().chain(others) {
            let actions = |before| {
                CALLS.map(|call| {
                    let failure = Failure {
                        call,
                        cause: cause.clone(),
                        message: String::new(),
                    };
                    words(on_failure(&failure, before))
                })
            };
            let mut whens = vec![
                ("before media was taken", actions(Before::Nothing)),
                ("later", actions(Before::Streaming)),
                ("later, offline", actions(Before::Offline)),
            ];
            if whens.iter().all(|(_, actions)| *actions == whens[0].1) {
                whens = vec![("", whens[0].1)];
            }
            for (when, actions) in whens {
                calls += &row(&[&[answer.as_str(), when], &actions[..]].concat());
            }
        }
        let mut acks = head(&["ERROR ack", "name", "what is done"]);
        for (id, name) in ACKS {
            acks += &row(&[&id.to_string(), name, words(on_error_ack(id))]);
        }
        acks += &row(&["any other", "", words(on_error_ack(9999))]);
        format!("{calls}\n{acks}")
    }

    /// docs/errors.md shows the policy as it is. On failure the tables to put there are in the message.
    #[test]
    fn every_answer_has_its_action() {
        let tables = tables();
        insta::assert_snapshot!(tables);
        let documented = include_str!("../../docs/errors.md");
        assert!(
            documented.contains(&tables),
            "docs/errors.md is to show:\n{tables}"
        );
    }

    #[test]
    fn a_failure_says_call_cause_status_and_request() {
        let failure = Failure {
            call: Call::Create,
            cause: Cause::Answer {
                status: 403,
                code: "AccessDeniedException".into(),
                request_id: Some("r-1".into()),
            },
            message: "not allowed".into(),
        };
        assert_eq!(
            failure.to_string(),
            "CreateStream: not allowed (HTTP 403 AccessDeniedException, request r-1)"
        );
    }
}
