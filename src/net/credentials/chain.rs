//! The standard chain of the AWS SDKs: environment, profile (with SSO, `credential_process`, roles), web identity,
//! container, instance. And the region, when nobody has named it.
//!
//! The parts are those of `aws-config`; they are put together here so that the log can say which one has credentials,
//! and so that what is near (container, instance) is not asked through a proxy.
//! They are made anew each time: files and variables of profiles may have changed.

use aws_config::{
    Region,
    ecs::EcsCredentialsProvider,
    environment::EnvironmentVariableCredentialsProvider,
    imds::{credentials::ImdsCredentialsProvider, region::ImdsRegionProvider},
    meta::region::ProvideRegion,
    profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider},
    provider_config::ProviderConfig,
    web_identity_token::WebIdentityTokenCredentialsProvider,
};
use aws_credential_types::{
    Credentials as Keys,
    provider::{ProvideCredentials, error::CredentialsError},
};

use super::{NoKeys, refusal::is_settled};
use crate::net::{failure, http::Http, signing_clock::SigningClock};

/// The chain, with what all of its parts have in common.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// The profile that is asked, and nothing else, as the option `--profile` of AWS's command line has it.
    pub(super) profile: Option<String>,
    pub(super) clock: SigningClock,
    pub(super) http: Http,
    pub(super) use_fips: bool,
    pub(super) use_dual_stack: bool,
}

impl Chain {
    /// The first that has credentials, and what it is called.
    pub(super) async fn keys(&self, region: &str) -> Result<(String, Keys), CredentialsError> {
        let near = ProviderConfig::without_region()
            .with_region(Some(Region::new(region.to_owned())))
            .with_time_source(self.clock.clone());
        let far = near
            .clone()
            .with_use_fips(Some(self.use_fips))
            .with_use_dual_stack(Some(self.use_dual_stack))
            .with_http_client(self.http.sdk_client());
        let mut profile = ProfileFileCredentialsProvider::builder().configure(&far);
        if let Some(name) = &self.profile {
            profile = profile.profile_name(name);
        }
        let profile = profile.build();
        if let Some(name) = &self.profile {
            let found = Box::pin(profile.provide_credentials()).await;
            return match found {
                Ok(keys) => Ok((format!("aws-profile {name}"), keys)),
                Err(error) => Err(of_profile(name, &error)),
            };
        }
        let environment = EnvironmentVariableCredentialsProvider::new();
        let web_identity = WebIdentityTokenCredentialsProvider::builder()
            .configure(&far)
            .build();
        let container = EcsCredentialsProvider::builder().configure(&near).build();
        let instance = ImdsCredentialsProvider::builder().configure(&near).build();
        let links: [(&str, &dyn ProvideCredentials); 5] = [
            ("the environment", &environment),
            ("the profile", &profile),
            ("web identity", &web_identity),
            ("the container's endpoint", &container),
            ("the instance's metadata", &instance),
        ];
        let mut said = Vec::new();
        for (name, link) in links {
            match Box::pin(link.provide_credentials()).await {
                Ok(keys) => return Ok((name.to_owned(), keys)),
                Err(CredentialsError::CredentialsNotLoaded(_)) => said.push(name),
                Err(error) => {
                    let text = format!("{name} gives no credentials: {}", failure::chain(&error));
                    return Err(as_bad_as(&error, text));
                }
            }
        }
        let text = format!(
            "no credentials anywhere: not in iot-certificate, access-key and secret-key, or credential-path; nor in {}; set one of them",
            said.join(", ")
        );
        Err(CredentialsError::not_loaded(NoKeys(text)))
    }

    /// The region of the profile.
    pub(super) async fn region_of_profile(&self) -> Option<String> {
        let mut profile = ProfileFileRegionProvider::builder();
        if let Some(name) = &self.profile {
            profile = profile.profile_name(name);
        }
        Some(profile.build().region().await?.to_string())
    }

    /// The region of the instance. Where there is none this takes a second.
    pub(super) async fn region_of_instance(&self) -> Option<String> {
        let config = ProviderConfig::without_region().with_time_source(self.clock.clone());
        let instance = ImdsRegionProvider::builder().configure(&config).build();
        Some(instance.region().await?.to_string())
    }
}

fn of_profile(name: &str, error: &CredentialsError) -> CredentialsError {
    let why = failure::chain(error);
    let remedy = if why.contains("SSO") {
        "`aws sso login` renews it"
    } else {
        "see ~/.aws/config and ~/.aws/credentials, or AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE"
    };
    let text = format!("aws-profile: {name} gives no credentials: {why}; {remedy}");
    as_bad_as(error, text)
}

/// The same kind, in other words: one that mends by itself does so. What STS refuses for good does not.
fn as_bad_as(error: &CredentialsError, text: String) -> CredentialsError {
    match error {
        _ if is_settled(&text) => CredentialsError::invalid_configuration(NoKeys(text)),
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
            CredentialsError::invalid_configuration(NoKeys(text))
        }
        _ => CredentialsError::provider_error(NoKeys(text)),
    }
}
