//! The kinds of faults as text, and the exceptions of the service: two tables.
//!
//! Does not belong here: reading and writing them (`fault_text`).

use super::fault::FaultForm;

/// Every kind once.
pub(crate) const FORMS: &[FaultForm] = &[
    form(
        "http:API:STATUS[/EXCEPTION][:TIMES][@STREAM]",
        "http:DescribeStream:400/ClientLimitExceededException:2",
        "the next calls of the API (* for any) get this status",
    ),
    form(
        "connection-limit[:TIMES][@STREAM]",
        "connection-limit:3",
        "PutMedia gets 400 ConnectionLimitExceededException",
    ),
    form(
        "slow-open:TIME[:TIMES][@STREAM]",
        "slow-open:500",
        "the head of the answer to PutMedia comes so late",
    ),
    form(
        "refuse[:TIME]",
        "refuse:2000",
        "the port is closed for so long; connections that exist live on",
    ),
    form(
        "away[:TIME]",
        "away:2s",
        "port and connections are closed for so long, no state is lost",
    ),
    form(
        "black-hole[:TIMES]",
        "black-hole",
        "connections are accepted and never answered",
    ),
    form(
        "clock:OFFSET_MS[:TIMES]",
        "clock:-600000",
        "signatures and the Date header go by a wrong clock (always, if not told otherwise)",
    ),
    form(
        "reset-at-byte:BYTE[:TIMES][@STREAM]",
        "reset-at-byte:10000",
        "RST after so many bytes of the body",
    ),
    form(
        "close-at-byte:BYTE[:TIMES][@STREAM]",
        "close-at-byte:10000",
        "FIN after so many bytes of the body",
    ),
    form(
        "close-mid-frame:FRAME[:TIMES][@STREAM]",
        "close-mid-frame:12",
        "FIN in the middle of the session's so-many-th frame",
    ),
    form(
        "close-at-fragment:FRAGMENT[:TIMES][@STREAM]",
        "close-at-fragment:2",
        "FIN when the session's so-many-th fragment begins",
    ),
    form(
        "reset-at-fragment:FRAGMENT[:TIMES][@STREAM]",
        "reset-at-fragment:2",
        "RST when the session's so-many-th fragment begins",
    ),
    form(
        "stop-reading-at-byte:BYTE[:TIMES][@STREAM]",
        "stop-reading-at-byte:10000",
        "nothing more is read after so many bytes, until cleared",
    ),
    form(
        "read-slowly:BYTES_PER_SECOND[:TIMES][@STREAM]",
        "read-slowly:50000",
        "the body is read at this rate",
    ),
    form(
        "end-after:TIME[:TIMES][@STREAM]",
        "end-after:1500",
        "answer and connection end in good order so long after the session began",
    ),
    form(
        "half-close[:TIMES][@STREAM]",
        "half-close",
        "the answer ends after the first fragment; the rest of the body is read and forgotten",
    ),
    form(
        "never-ack[:TIMES][@STREAM]",
        "never-ack",
        "fragments are stored, no ack is sent",
    ),
    form(
        "delay-acks:TIME[:TIMES][@STREAM]",
        "delay-acks:800",
        "every ack of the session comes so late",
    ),
    form(
        "error-ack:ID:FRAGMENT[:TIMES][@STREAM]",
        "error-ack:5000:2",
        "the session's so-many-th fragment gets this ERROR and is not stored",
    ),
    form(
        "poison:ID:FRAGMENT[:TIMES][@STREAM]",
        "poison:4006:2:always",
        "as error-ack, and the same fragment again whenever it comes again",
    ),
    form(
        "garbage-acks:LINES[:TIMES][@STREAM]",
        "garbage-acks:5",
        "so many lines of garbage come before the session's first ack",
    ),
    form(
        "lose-acks[:TIMES][@STREAM]",
        "lose-acks",
        "the session's first fragment is stored, then FIN instead of its acks",
    ),
    form(
        "idle-ack[:TIMES][@STREAM]",
        "idle-ack",
        "an IDLE comes before every BUFFERING of the session",
    ),
    form(
        "duplicate-acks[:TIMES][@STREAM]",
        "duplicate-acks",
        "every ack of the session comes twice",
    ),
    form(
        "ack-split:BYTES[:TIMES][@STREAM]",
        "ack-split:7",
        "acks of the session come in pieces of so many bytes",
    ),
];

const fn form(form: &'static str, example: &'static str, what: &'static str) -> FaultForm {
    FaultForm {
        form,
        example,
        what,
    }
}

/// The exceptions that the service knows, so that what is misspelt is found at once; for each status the first one
/// is meant if none is named.
pub(crate) const EXCEPTIONS: [(u16, &str); 23] = [
    (400, "InvalidArgumentException"),
    (400, "ClientLimitExceededException"),
    (400, "ConnectionLimitExceededException"),
    (400, "AccountStreamLimitExceededException"),
    (400, "DeviceStreamLimitExceededException"),
    (400, "InvalidDeviceException"),
    (400, "InvalidEndpointException"),
    (400, "InvalidResourceFormatException"),
    (400, "ResourceInUseException"),
    (400, "TagsPerResourceExceededLimitException"),
    (400, "ThrottlingException"),
    (400, "VersionMismatchException"),
    (401, "NotAuthorizedException"),
    (403, "AccessDeniedException"),
    (403, "ExpiredTokenException"),
    (403, "InvalidSignatureException"),
    (403, "RequestExpired"),
    (403, "UnrecognizedClientException"),
    (404, "ResourceNotFoundException"),
    (408, "RequestTimeoutException"),
    (429, "TooManyRequestsException"),
    (500, "InternalFailureException"),
    (503, "ServiceUnavailableException"),
];

/// What is meant by a status alone.
pub(crate) fn usual_exception(status: u16) -> &'static str {
    let other = if status < 500 {
        "InvalidArgumentException"
    } else {
        "InternalFailureException"
    };
    EXCEPTIONS
        .iter()
        .find(|(of, _)| *of == status)
        .map_or(other, |(_, name)| name)
}
