//! STS in its form protocol, `AWS_ENDPOINT_URL_STS`: a form in, XML out.
//!
//! Of the values in the XML only messages need escaping: keys, tokens, times and ARNs have no such characters, and the
//! name of a session is checked.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::Method;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::super::account::ACCOUNT_ID;
use super::super::api::Api;
use super::super::keys::{Issued, Source};
use super::super::refused::Refused;
use super::super::reply::{Reply, reply};
use super::super::sigv4::{self, Payload};
use super::super::visit::Said;
use super::{Call, ROLE};

/// The name of the service in credential scopes.
const SERVICE: &str = "sts";
const VERSION: &str = "2011-06-15";
/// Largest body taken: a token may have 20,000 characters.
const MAX_BODY: usize = 64 << 10;
/// What `DurationSeconds` may be.
const DURATION_S: RangeInclusive<u64> = 900..=43_200;
/// How long `RoleSessionName` may be.
const SESSION_LEN: RangeInclusive<usize> = 2..=64;

pub(super) async fn answer(call: &Call<'_>, body: Incoming) -> Said {
    let (api, result) = match read(call, body).await {
        Ok((body, form)) => {
            let api = match form.get("Action") {
                Some("AssumeRoleWithWebIdentity") => Api::AssumeRoleWithWebIdentity,
                _ => Api::AssumeRole,
            };
            (api, assume(api, call, &body, &form))
        }
        Err(refused) => (Api::AssumeRole, Err(refused)),
    };
    let error = result.as_ref().err().map(|refused| refused.kind);
    let (status, xml) = match result {
        Ok(xml) => (200, xml),
        Err(refused) => (refused.status, error_xml(&refused, &call.visit.request_id)),
    };
    let response = reply(status, "text/xml", Reply::whole(xml));
    Said::of(api, response, error)
}

/// The parameters of a call.
struct Form(BTreeMap<String, String>);

impl Form {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn need(&self, name: &'static str) -> Result<&str, Refused> {
        self.get(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| invalid(format!("The parameter {name} is missing.")))
    }

    /// The role must be ours; that it is another, or none, AWS does not tell apart.
    fn role_is(&self, wanted: &str) -> Result<bool, Refused> {
        let arn = self.need("RoleArn")?;
        if !(20..=2048).contains(&arn.len()) || !arn.starts_with("arn:") {
            return Err(invalid("RoleArn is not valid."));
        }
        Ok(arn == wanted)
    }

    fn session(&self) -> Result<&str, Refused> {
        let name = self.need("RoleSessionName")?;
        let regular = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if !SESSION_LEN.contains(&name.len()) || !name.chars().all(regular) {
            return Err(invalid(
                "RoleSessionName must be 2 to 64 of [a-zA-Z0-9_+=,.@-].",
            ));
        }
        Ok(name)
    }

    fn duration(&self) -> Result<Option<Duration>, Refused> {
        let Some(text) = self.get("DurationSeconds") else {
            return Ok(None);
        };
        match text.parse() {
            Ok(seconds) if DURATION_S.contains(&seconds) => Ok(Some(Duration::from_secs(seconds))),
            _ => Err(invalid("DurationSeconds must be from 900 to 43200.")),
        }
    }
}

fn invalid(message: impl Into<String>) -> Refused {
    Refused::new(400, "ValidationError", message)
}

fn denied(message: &str) -> Refused {
    Refused::new(403, "AccessDenied", message)
}

async fn read(call: &Call<'_>, body: Incoming) -> Result<(Vec<u8>, Form), Refused> {
    if call.parts.method != Method::POST {
        return Err(Refused::method("POST"));
    }
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|_| {
        let message = "The body is too large or broken off.";
        Refused::new(413, "RequestEntityTooLarge", message)
    })?;
    let body = body.to_bytes().to_vec();
    let mut form = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(&body).into_owned() {
        if form.insert(name, value).is_some() {
            let message = "A parameter stands more than once.";
            return Err(Refused::new(400, "MalformedQueryString", message));
        }
    }
    Ok((body, Form(form)))
}

fn assume(api: Api, call: &Call<'_>, body: &[u8], form: &Form) -> Result<String, Refused> {
    match (form.get("Action"), form.get("Version")) {
        (Some("AssumeRole" | "AssumeRoleWithWebIdentity"), Some(VERSION)) => {}
        _ => {
            let message = "Could not find the operation, or not in this version.";
            return Err(Refused::new(400, "InvalidAction", message));
        }
    }
    call.strike(api)?;
    let is_web = api == Api::AssumeRoleWithWebIdentity;
    let source = if is_web {
        Source::WebIdentity
    } else {
        sigv4::verify(
            &call.service.keys,
            SERVICE,
            call.parts,
            Payload::Whole(body),
            call.now_ms(),
        )
        .map_err(in_words_of_sts)?;
        Source::AssumeRole
    };
    let is_role = form.role_is(&call.issuer.sources.role_arn)?;
    let session = form.session()?;
    let life = form
        .duration()?
        .map_or(call.issuer.life, |asked| asked.min(call.issuer.life));
    if is_web {
        if form.need("WebIdentityToken")? != call.issuer.web_identity_token {
            let message = "The web identity token that was passed is not valid.";
            return Err(Refused::new(400, "InvalidIdentityToken", message));
        }
    } else {
        let wanted = call.issuer.wanted.external_id.as_deref();
        // As AWS, which does not say what was missing.
        if wanted.is_some() && form.get("ExternalId") != wanted {
            return Err(denied("Not authorized to perform sts:AssumeRole"));
        }
    }
    if !is_role {
        return Err(denied(if is_web {
            "Not authorized to perform sts:AssumeRoleWithWebIdentity"
        } else {
            "Not authorized to perform sts:AssumeRole"
        }));
    }
    let issued = call.issue_for(source, session, life);
    Ok(credentials_xml(api, &issued, &call.visit.request_id))
}

/// The same refusals have other names in the form protocol.
fn in_words_of_sts(refused: Refused) -> Refused {
    let kind = match refused.kind {
        "ExpiredTokenException" => "ExpiredToken",
        "IncompleteSignatureException" => "IncompleteSignature",
        "InvalidSignatureException" => "SignatureDoesNotMatch",
        "MissingAuthenticationTokenException" => "MissingAuthenticationToken",
        "UnrecognizedClientException" => "InvalidClientTokenId",
        other => other,
    };
    Refused { kind, ..refused }
}

fn credentials_xml(api: Api, issued: &Issued, request_id: &str) -> String {
    let Issued {
        access_key,
        secret_key,
        session_token,
        holder,
        ..
    } = issued;
    let expiration = issued.expiration();
    format!(
        "<{api:?}Response xmlns=\"https://sts.amazonaws.com/doc/{VERSION}/\">\
         <{api:?}Result>\
         <AssumedRoleUser>\
         <AssumedRoleId>AROALOCAL:{holder}</AssumedRoleId>\
         <Arn>arn:aws:sts::{ACCOUNT_ID}:assumed-role/{ROLE}/{holder}</Arn>\
         </AssumedRoleUser>\
         <Credentials>\
         <AccessKeyId>{access_key}</AccessKeyId>\
         <SecretAccessKey>{secret_key}</SecretAccessKey>\
         <SessionToken>{session_token}</SessionToken>\
         <Expiration>{expiration}</Expiration>\
         </Credentials>\
         </{api:?}Result>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\
         </{api:?}Response>"
    )
}

fn error_xml(refused: &Refused, request_id: &str) -> String {
    let side = if refused.status < 500 {
        "Sender"
    } else {
        "Receiver"
    };
    let kind = refused.kind;
    // It may name a header that the caller has signed. All that text between tags needs.
    let message = refused.message.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/{VERSION}/\">\
         <Error><Type>{side}</Type><Code>{kind}</Code><Message>{message}</Message></Error>\
         <RequestId>{request_id}</RequestId>\
         </ErrorResponse>"
    )
}
