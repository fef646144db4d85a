//! A role that is assumed on top of whatever has credentials: STS AssumeRole.

use aws_config::{BehaviorVersion, Region, sts::AssumeRoleProvider};
use aws_credential_types::{
    Credentials as Keys,
    provider::{self, ProvideCredentials, error::CredentialsError},
};

use super::{NoKeys, chain::Chain, refusal::is_settled};
use crate::{
    definition::Invalid,
    net::{failure, http::is_password_wanted},
};

/// What the session of a role is called if nothing else is said: CloudTrail shows it.
const SESSION_NAME: &str = "kvssink";

/// A role to assume.
///
/// ```
/// use gstkvssink::producer::{Role, Service};
///
/// let service = Service {
///     role: Some(Role {
///         arn: "arn:aws:iam::123456789012:role/camera".into(),
///         external_id: None,
///         session_name: Some("gate".into()),
///     }),
///     ..Service::new("eu-central-1")
/// };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its ARN, `arn:aws:iam::123456789012:role/name`.
    pub arn: String,
    /// What its trust policy wants as `sts:ExternalId`; `None`: it wants none.
    pub external_id: Option<String>,
    /// What the session is called: 2–64 letters, digits and `=,.@_-`. `None`: `kvssink`.
    pub session_name: Option<String>,
}

impl Role {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let arn: Vec<_> = self.arn.splitn(6, ':').collect();
        let is_role = matches!(arn[..], ["arn", _, "iam", _, account, name]
            if !account.is_empty() && name.starts_with("role/"));
        if !is_role {
            let reason = format!(
                "{:?} is not the ARN of a role such as arn:aws:iam::123456789012:role/camera",
                self.arn
            );
            return Err(Invalid::new("role-arn", reason));
        }
        if let Some(name) = &self.session_name {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "=,.@_-".contains(c);
            if !(2..=64).contains(&name.len()) || !name.chars().all(allowed) {
                let reason = format!("{name:?} is not 2-64 of a-z, A-Z, 0-9 and '=,.@_-'");
                return Err(Invalid::new("role-session-name", reason));
            }
        }
        Ok(())
    }

    /// Credentials of the role, by those of somebody who may assume it.
    pub(super) async fn assume(&self, by: Keys, region: &str, chain: &Chain) -> provider::Result {
        let mut config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new(region.to_owned()))
            .time_source(chain.clock.clone())
            .http_client(chain.http.sdk_client(true))
            .use_fips(chain.use_fips)
            .use_dual_stack(chain.use_dual_stack)
            .no_credentials();
        if let Some(profile) = &chain.profile {
            config = config.profile_name(profile);
        }
        let config = Box::pin(config.load()).await;
        let mut provider = AssumeRoleProvider::builder(&self.arn)
            .session_name(self.session_name.as_deref().unwrap_or(SESSION_NAME))
            .configure(&config);
        if let Some(id) = &self.external_id {
            provider = provider.external_id(id);
        }
        let provider = Box::pin(provider.build_from_provider(by)).await;
        let assumed = Box::pin(provider.provide_credentials()).await;
        assumed.map_err(|error| {
            let why = failure::chain(&error);
            let text = format!("role-arn: {} cannot be assumed: {why}", self.arn);
            if let Some(remedy) = chain.http.remedy(&why) {
                let text = NoKeys(format!("{text}; {remedy}"));
                return if is_password_wanted(&why) {
                    CredentialsError::invalid_configuration(text)
                } else {
                    CredentialsError::provider_error(text)
                };
            }
            if !is_settled(&why) {
                return CredentialsError::provider_error(NoKeys(text));
            }
            let remedy = if why.contains("AccessDenied") {
                "allow sts:AssumeRole to these credentials, and see the role's trust policy and role-external-id"
            } else {
                "see the credentials that assume it"
            };
            CredentialsError::invalid_configuration(NoKeys(format!("{text}; {remedy}")))
        })
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn role(arn: &str, session_name: Option<&str>) -> Role {
        Role {
            arn: arn.into(),
            external_id: None,
            session_name: session_name.map(Into::into),
        }
    }

    #[test_case("arn:aws:iam::123456789012:role/camera", None)]
    #[test_case("arn:aws-cn:iam::123456789012:role/path/camera", Some("cam-1@site"))]
    fn a_role_has_an_arn_and_a_session_a_name(arn: &str, session_name: Option<&str>) {
        assert_eq!(role(arn, session_name).check(), Ok(()));
    }

    #[test_case("camera", None, "role-arn"; "a name")]
    #[test_case("", None, "role-arn"; "nothing")]
    #[test_case("arn:aws:iam::123456789012:user/camera", None, "role-arn"; "a user")]
    #[test_case("arn:aws:iam::123456789012:role/camera", Some("a"), "role-session-name"; "a short session name")]
    #[test_case("arn:aws:iam::123456789012:role/camera", Some("front door"), "role-session-name"; "a session name with a space")]
    fn others_are_refused(arn: &str, session_name: Option<&str>, setting: &str) {
        assert_eq!(
            role(arn, session_name).check().unwrap_err().setting,
            setting
        );
    }
}
