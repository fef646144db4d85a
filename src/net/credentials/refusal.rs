//! Which refusals of the service speak of keys, so that others may help.

use crate::session::{Call, Cause, Failure};

/// The service does not know these keys, or not any more ("Common Errors").
pub(super) fn is_unknown_or_expired(code: &str) -> bool {
    matches!(
        code,
        "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
    )
}

/// The service comes to another signature: another secret key, or another region, than it has for these keys.
pub(super) fn is_of_signature(code: &str) -> bool {
    matches!(code, "InvalidSignatureException" | "SignatureDoesNotMatch")
}

/// The signature is of another time than the service's, more than five minutes off.
pub(super) fn is_of_time(message: &str) -> bool {
    let said = ["Signature expired", "Signature not yet current"];
    said.iter().any(|said| message.contains(said))
}

/// STS and SSO say so of a request that will be refused again: keys, role or token are others than they should be.
pub(super) fn is_settled(why: &str) -> bool {
    let settled = [
        // SSO's.
        "ForbiddenException",
        "InvalidRequestException",
        "ResourceNotFoundException",
        "UnauthorizedException",
        // STS's.
        "AccessDenied",
        "ExpiredToken",
        "InvalidClientTokenId",
        "InvalidIdentityToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClient",
        "ValidationError",
    ];
    settled.iter().any(|code| why.contains(code))
}

/// Other keys may be taken. That a call is not allowed is no news of DescribeStream, which a minimal policy does not
/// have; and whatever has no name was not said by the service.
pub(super) fn is_about_keys(failure: &Failure) -> bool {
    let Cause::Answer { status, code, .. } = &failure.cause else {
        return false;
    };
    let forbidden = matches!(
        code.as_str(),
        "AccessDeniedException" | "NotAuthorizedException"
    );
    let of_token = failure.message.contains("security token");
    is_unknown_or_expired(code)
        || (matches!(status, 401 | 403)
            && !code.is_empty()
            && (of_token || !(forbidden && failure.call == Call::Describe)))
}
