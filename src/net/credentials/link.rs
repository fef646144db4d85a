//! [`Link`]: a part of the standard chain, and what is said when it gives no credentials.
//!
//! In: an error of `aws-config`. Out: one line that names the setting and what to do, and whether asking again may help.
//! Nothing of it was printed by a program that the profile runs: it may print keys.
//! Does not belong here: asking ([`super::chain`]).

use aws_credential_types::provider::error::CredentialsError;

use super::{NoKeys, refusal::is_settled};
use crate::net::{
    failure,
    http::{Http, is_password_wanted},
};

/// The first words of what `aws-config` says of a program of `credential_process`.
const PROCESS: &str = "external process";

/// A part of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Environment,
    Profile(Profile),
    WebIdentity,
    Container,
    Instance,
}

/// The profile that is asked, and who has named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// The property `aws-profile`.
    Property(String),
    /// The variable `AWS_PROFILE`.
    Variable(String),
    /// Nobody: `default`.
    Default,
}

impl Link {
    /// It was asked and has nothing, although somebody means it to have: why, and what to do.
    pub(super) fn missing(&self, error: &CredentialsError) -> Option<String> {
        let Self::Profile(profile) = self else {
            return None;
        };
        let why = match (std::error::Error::source(error), profile) {
            (Some(why), _) => why.to_string(),
            (None, Profile::Default) => return None,
            (None, _) => "it is not there, or has none in it".to_owned(),
        };
        Some(self.text(&failure::printable(&why), FILES))
    }

    /// It should have given credentials and did not. Whatever may be otherwise the next time is worth asking again.
    pub(super) fn failed(&self, error: &CredentialsError, http: &Http) -> CredentialsError {
        let why = shown(&failure::chain(error));
        let of_network = http.remedy(&why).filter(|_| self.is_far());
        let remedy = of_network.clone().unwrap_or_else(|| self.remedy(&why));
        let text = NoKeys(self.text(&why, &remedy));
        let settled = match error {
            _ if is_password_wanted(&why) || is_settled(&why) => true,
            _ if of_network.is_some() => false,
            CredentialsError::ProviderTimedOut(_) => false,
            CredentialsError::CredentialsNotLoaded(_)
            | CredentialsError::InvalidConfiguration(_) => true,
            _ => !self.may_pass(&why),
        };
        if settled {
            CredentialsError::invalid_configuration(text)
        } else {
            CredentialsError::provider_error(text)
        }
    }

    /// It cannot be reached now, and is there.
    pub(super) fn away(&self, error: &CredentialsError) -> CredentialsError {
        let why = failure::chain(error);
        // The first words are that it was not enabled.
        let why = why.split_once(": ").map_or(&*why, |(_, why)| why);
        CredentialsError::provider_error(NoKeys(self.text(why, &self.remedy(why))))
    }

    fn text(&self, why: &str, remedy: &str) -> String {
        // The property is named first, as with the others.
        if let Self::Profile(Profile::Property(name)) = self {
            return format!("aws-profile: {name} gives no credentials: {why}; {remedy}");
        }
        format!("{self} gives no credentials: {why}; {remedy}")
    }

    /// The network is between.
    fn is_far(&self) -> bool {
        matches!(self, Self::Profile(_) | Self::WebIdentity)
    }

    /// Somebody else had a part in it, who may say something else the next time; what this machine alone has to say about
    /// its files and programs stays as it is until somebody changes it.
    fn may_pass(&self, why: &str) -> bool {
        // Of the clients of the SDK, whatever they ask.
        let of_network = [
            "dispatch failure",
            "request has timed out",
            "response error",
            "service error",
        ];
        let is_refused = match self {
            Self::Container => why.contains("StatusCode(4") && !why.contains("StatusCode(429)"),
            Self::Instance => {
                (why.contains("(code: 4") && !why.contains("(code: 429)"))
                    || why.contains("request forbidden")
            }
            _ => false,
        };
        match self {
            Self::Environment => false,
            Self::Profile(_) | Self::WebIdentity => {
                of_network.iter().any(|words| why.contains(words))
            }
            // A file with a token for it.
            Self::Container => !is_refused && !why.contains("os error"),
            Self::Instance => !is_refused,
        }
    }

    fn remedy(&self, why: &str) -> String {
        let remedy = match self {
            Self::Environment => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in plain characters"
            }
            Self::Profile(profile) => return profile.remedy(why),
            Self::WebIdentity if why.contains("os error") => {
                "AWS_WEB_IDENTITY_TOKEN_FILE has to name the file with the token"
            }
            Self::WebIdentity => {
                "see AWS_ROLE_ARN, whom the role trusts, and the token in AWS_WEB_IDENTITY_TOKEN_FILE"
            }
            Self::Container => {
                "see AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or AWS_CONTAINER_CREDENTIALS_FULL_URI, and AWS_CONTAINER_AUTHORIZATION_TOKEN or AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
            }
            Self::Instance => {
                "see the instance's role and metadata options (in a container their hop limit has to be 2), or rule it out by AWS_EC2_METADATA_DISABLED=true"
            }
        };
        remedy.to_owned()
    }
}

const FILES: &str =
    "see ~/.aws/config and ~/.aws/credentials, or AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE";

impl Profile {
    fn option(&self) -> String {
        match self {
            Self::Property(name) | Self::Variable(name) => format!(" --profile {name}"),
            Self::Default => String::new(),
        }
    }

    fn remedy(&self, why: &str) -> String {
        let option = self.option();
        if why.contains("SSO token") || why.contains("UnauthorizedException") {
            format!("`aws sso login{option}` renews it")
        } else if why.contains("ForbiddenException") {
            "see sso_account_id and sso_role_name in ~/.aws/config, and who may have that role"
                .into()
        } else if why.contains("`aws login`") {
            format!(
                "make another profile with credential_process = aws configure export-credentials{option} --format process, and name that"
            )
        } else if why.contains(PROCESS) {
            "run the program of credential_process to see more; what it prints is not repeated, since it may be keys"
                .into()
        } else if why.contains("AccessDenied") {
            "allow sts:AssumeRole to what source_profile or credential_source names, and see whom role_arn trusts, and its external_id"
                .into()
        } else {
            FILES.into()
        }
    }
}

/// What is said of an error, without what a program has printed or an endpoint answered, and in words for users.
fn shown(why: &str) -> String {
    if why.contains("`credentials-login` feature") {
        return "kvssink cannot use a session of `aws login`".into();
    }
    // What is JSON is said to be without a field, or not said at all.
    let cuts = [" Stderr: ", ", could not parse response: ", " Response {"];
    let at = cuts.iter().filter_map(|cut| why.find(cut)).min();
    let Some(at) = at else {
        return why.to_owned();
    };
    let missing = ["AccessKeyId", "SecretAccessKey", "Version"]
        .iter()
        .find(|field| why[at..].contains(&format!("`{field}` in response but it was missing")));
    let kept = why[..at].trim_end_matches('.');
    match missing {
        Some(field) => format!("{kept}: it has no {field}"),
        None if why[at..].starts_with(", could not") => {
            format!("{kept}: it is not as it should be")
        }
        None => kept.to_owned(),
    }
}

/// As the log has it, too.
impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Environment => "the environment",
            Self::Profile(Profile::Property(name)) => return write!(f, "aws-profile {name}"),
            Self::Profile(Profile::Variable(name)) => {
                return write!(f, "the profile {name} (AWS_PROFILE)");
            }
            Self::Profile(Profile::Default) => "the profile",
            Self::WebIdentity => "web identity",
            Self::Container => "the container's endpoint",
            Self::Instance => "the instance's metadata",
        })
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const FAILED: &str = "an error occurred while loading credentials: ";

    /// `+ export AWS_SECRET_ACCESS_KEY=…` of a script with `set -x`, and what is no JSON.
    #[test_case(
        "Error retrieving credentials: external process exited with code exit status: 1. Stderr: + KEY=hush",
        "exited with code exit status: 1"
    )]
    #[test_case(
        "Error retrieving credentials from external process, could not parse response: invalid JSON in response: hush",
        "it is not as it should be"
    )]
    #[test_case(
        "Error retrieving credentials from external process, could not parse response: Expected field `SecretAccessKey` in response but it was missing",
        "it has no SecretAccessKey"
    )]
    #[test_case(
        "error response from IMDS (code: 500). Response { body: hush }",
        "(code: 500)"
    )]
    fn what_a_program_or_an_endpoint_said_is_not_repeated(why: &str, expected: &str) {
        let said = shown(&format!("{FAILED}{why}"));
        assert!(said.ends_with(expected), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }

    #[test]
    fn what_the_machine_alone_says_does_not_pass_and_what_others_say_may() {
        let profile = Link::Profile(Profile::Default);
        for (link, why, expected) in [
            (&profile, "failed to load the cached SSO token", false),
            (&profile, "external process exited with code 1", false),
            (&profile, "dispatch failure: io error", true),
            (&profile, "service error: ThrottlingException", true),
            (&Link::WebIdentity, "No such file (os error 2)", false),
            (
                &Link::WebIdentity,
                "service error: IDPCommunicationError",
                true,
            ),
            (&Link::Container, "No such file (os error 2)", false),
            (&Link::Container, "status from HTTP: StatusCode(401)", false),
            (&Link::Container, "status from HTTP: StatusCode(429)", true),
            (&Link::Container, "status from HTTP: StatusCode(503)", true),
            (
                &Link::Instance,
                "error response from IMDS (code: 403)",
                false,
            ),
            (
                &Link::Instance,
                "error response from IMDS (code: 503)",
                true,
            ),
            (&Link::Instance, "service error: request forbidden", false),
        ] {
            assert_eq!(link.may_pass(why), expected, "{link}: {why}");
        }
    }
}
