//! The metadata of an EC2 instance, `AWS_EC2_METADATA_SERVICE_ENDPOINT`: its role's credentials, and its region.
//!
//! Version 2 only: whoever has not put for a token first is refused, as on an instance with `HttpTokens=required`.

use http::{Method, Response};
use serde_json::json;

use super::super::api::Api;
use super::super::keys::{Source, iso_8601, random_token};
use super::super::refused::Refused;
use super::super::reply::{Reply, insert, reply};
use super::super::service::lock;
use super::super::visit::Said;
use super::{Call, ROLE};

/// Everything is below it.
pub(super) const ROOT: &str = "/latest/";
const TOKEN: &str = "/latest/api/token";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const REGION: &str = "/latest/meta-data/placement/region";

const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";
const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// Longest life of a token: six hours.
const MAX_TTL_S: u64 = 21_600;
/// Tokens that are remembered.
const MAX_TOKENS: usize = 1000;

/// What a client shows with each request.
pub(super) struct Token {
    value: String,
    expires_ms: u64,
}

pub(super) fn answer(call: &Call<'_>) -> Said {
    let result = tell(call);
    let error = result.as_ref().err().map(|refused| refused.kind);
    let response = result.unwrap_or_else(|refused| {
        reply(refused.status, "text/plain", Reply::whole(refused.message))
    });
    Said::of(Api::InstanceMetadata, response, error)
}

fn tell(call: &Call<'_>) -> Result<Response<Reply>, Refused> {
    call.strike(Api::InstanceMetadata)?;
    let path = call.parts.uri.path();
    if path == TOKEN {
        return token(call);
    }
    if call.parts.method != Method::GET {
        return Err(Refused::method("GET"));
    }
    let shown = call.header(TOKEN_HEADER);
    let is_good = |token: &Token| shown == Some(&token.value) && call.now_ms() < token.expires_ms;
    if !lock(&call.issuer.metadata_tokens).iter().any(is_good) {
        let message = "A token from /latest/api/token is required.";
        return Err(Refused::new(401, "Unauthorized", message));
    }
    let text = match path.strip_prefix(ROLES) {
        Some("") => ROLE.to_owned(),
        Some(ROLE) => credentials(call),
        None if path == REGION => call.issuer.region.clone(),
        _ => return Err(Refused::new(404, "NotFound", "There is no such metadata.")),
    };
    Ok(reply(200, "text/plain", Reply::whole(text)))
}

fn token(call: &Call<'_>) -> Result<Response<Reply>, Refused> {
    if call.parts.method != Method::PUT {
        return Err(Refused::method("PUT"));
    }
    // A token must not leave the instance through a proxy.
    if call.parts.headers.contains_key("x-forwarded-for") {
        return Err(Refused::new(403, "Forbidden", "The request was forwarded."));
    }
    let ttl_s = call
        .header(TTL_HEADER)
        .and_then(|ttl| ttl.parse().ok())
        .filter(|ttl: &u64| (1..=MAX_TTL_S).contains(ttl))
        .ok_or_else(|| {
            let message = format!("{TTL_HEADER} must be a number from 1 to {MAX_TTL_S}.");
            Refused::new(400, "BadRequest", message)
        })?;
    let value = random_token();
    let mut tokens = lock(&call.issuer.metadata_tokens);
    if tokens.len() == MAX_TOKENS {
        tokens.pop_front();
    }
    tokens.push_back(Token {
        value: value.clone(),
        expires_ms: call.now_ms().saturating_add(ttl_s * 1000),
    });
    drop(tokens);
    let mut response = reply(200, "text/plain", Reply::whole(value));
    insert(response.headers_mut(), TTL_HEADER, &ttl_s.to_string());
    Ok(response)
}

fn credentials(call: &Call<'_>) -> String {
    let issued = call.issue(Source::Instance, ROLE);
    json!({
        "Code": "Success",
        "LastUpdated": iso_8601(issued.issued_ms),
        "Type": "AWS-HMAC",
        "AccessKeyId": issued.access_key,
        "SecretAccessKey": issued.secret_key,
        "Token": issued.session_token,
        "Expiration": issued.expiration(),
    })
    .to_string()
}
