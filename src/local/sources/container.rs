//! The endpoint that ECS, EKS and Greengrass give to a container, `AWS_CONTAINER_CREDENTIALS_FULL_URI`.

use http::Method;
use serde_json::{Value, json};

use super::super::api::Api;
use super::super::keys::Source;
use super::super::refused::Refused;
use super::super::reply;
use super::super::visit::Said;
use super::{Call, ROLE};

/// As ECS has it, with the role in the place of a random id.
pub(super) const PATH: &str = "/v2/credentials/kvs-local";

pub(super) fn answer(call: &Call<'_>) -> Said {
    let result = credentials(call);
    let error = result.as_ref().err().map(|refused| refused.kind);
    let response = match result {
        Ok(credentials) => reply::json(&credentials),
        Err(refused) => {
            let mut response = reply::json(&json!({
                "code": refused.kind,
                "message": refused.message,
            }));
            *response.status_mut() = refused.status();
            response
        }
    };
    Said::of(Api::ContainerCredentials, response, error)
}

fn credentials(call: &Call<'_>) -> Result<Value, Refused> {
    call.strike(Api::ContainerCredentials)?;
    if call.parts.method != Method::GET {
        return Err(Refused::method("GET"));
    }
    // AWS_CONTAINER_AUTHORIZATION_TOKEN is the whole header, with a scheme or without one.
    let wanted = call.issuer.wanted.container_token.as_deref();
    if wanted.is_some() && call.header("authorization") != wanted {
        let message = "The Authorization header is missing or wrong.";
        return Err(Refused::new(401, "Unauthorized", message));
    }
    let issued = call.issue(Source::Container, ROLE);
    Ok(json!({
        "RoleArn": call.issuer.sources.role_arn,
        "AccessKeyId": issued.access_key,
        "SecretAccessKey": issued.secret_key,
        "Token": issued.session_token,
        "Expiration": issued.expiration(),
    }))
}
