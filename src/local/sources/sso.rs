//! The portal of IAM Identity Center (SSO), `AWS_ENDPOINT_URL_SSO`: a token of a login for credentials of a role.

use http::Method;
use serde_json::{Value, json};

use super::super::account::ACCOUNT_ID;
use super::super::api::Api;
use super::super::keys::Source;
use super::super::refused::Refused;
use super::super::reply;
use super::super::visit::Said;
use super::{Call, ROLE};

/// GetRoleCredentials.
pub(super) const PATH: &str = "/federation/credentials";
/// The token, as `aws sso login` got it.
const TOKEN: &str = "x-amz-sso_bearer_token";

pub(super) fn answer(call: &Call<'_>) -> Said {
    let result = credentials(call);
    let error = result.as_ref().err().map(|refused| refused.kind);
    let response = match result {
        Ok(credentials) => reply::json(&credentials),
        Err(refused) => reply::refusal(&refused),
    };
    Said::of(Api::SsoCredentials, response, error)
}

fn credentials(call: &Call<'_>) -> Result<Value, Refused> {
    call.strike(Api::SsoCredentials)?;
    if call.parts.method != Method::GET {
        return Err(Refused::method("GET"));
    }
    if call.header(TOKEN) != Some(&call.issuer.sso_token) {
        let message = "Session token not found or invalid";
        return Err(Refused::new(401, "UnauthorizedException", message));
    }
    let query = call.parts.uri.query().unwrap_or_default();
    let asked = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let value = pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()));
        value.filter(|value| !value.is_empty()).ok_or_else(|| {
            let message = format!("The parameter {name} is missing.");
            Refused::new(400, "InvalidRequestException", message)
        })
    };
    if (asked("account_id")?.as_str(), asked("role_name")?.as_str()) != (ACCOUNT_ID, ROLE) {
        return Err(Refused::new(403, "ForbiddenException", "No access"));
    }
    let issued = call.issue(Source::Sso, ROLE);
    Ok(json!({
        "roleCredentials": {
            "accessKeyId": issued.access_key,
            "secretAccessKey": issued.secret_key,
            "sessionToken": issued.session_token,
            "expiration": issued.expires_ms,
        }
    }))
}
