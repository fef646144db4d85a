//! The standard chain of the AWS SDKs: environment, profile (with SSO, `credential_process`, roles), web identity,
//! container, instance. And the region, when nobody has named it.
//!
//! The parts are those of `aws-config`; they are put together here so that the log can say which one has credentials,
//! and so that what is near (container, instance) is not asked through a proxy.
//! They are made anew each time: files of profiles may have changed. The variables of the environment cannot: those of a
//! process are what they were when it was started, and keys in them, as those of `access-key`, are never others.

use std::env;

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

use super::{
    NoKeys, instance,
    link::{Link, Profile},
};
use crate::net::{http::Http, signing_clock::SigningClock};

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
    /// The first that has credentials.
    pub(super) async fn keys(&self, region: &str) -> Result<(Link, Keys), CredentialsError> {
        let near = ProviderConfig::without_region()
            .with_region(Some(Region::new(region.to_owned())))
            .with_time_source(self.clock.clone());
        let far = near
            .clone()
            .with_use_fips(Some(self.use_fips))
            .with_use_dual_stack(Some(self.use_dual_stack))
            .with_http_client(self.http.sdk_client(true));
        let mut profile = ProfileFileCredentialsProvider::builder().configure(&far);
        if let Some(name) = &self.profile {
            profile = profile.profile_name(name);
        }
        let profile = profile.build();
        if let Some(name) = &self.profile {
            let link = Link::Profile(Profile::Property(name.clone()));
            let found = Box::pin(profile.provide_credentials()).await;
            return match found {
                Ok(keys) => Ok((link, keys)),
                Err(error) => Err(link.failed(&error, &self.http)),
            };
        }
        let environment = EnvironmentVariableCredentialsProvider::new();
        let web_identity = WebIdentityTokenCredentialsProvider::builder()
            .configure(&far)
            .build();
        let container = EcsCredentialsProvider::builder().configure(&near).build();
        let instance = ImdsCredentialsProvider::builder().configure(&near).build();
        let named = env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
        let named = named.map_or(Profile::Default, Profile::Variable);
        let links: [(Link, &dyn ProvideCredentials); 5] = [
            (Link::Environment, &environment),
            (Link::Profile(named), &profile),
            (Link::WebIdentity, &web_identity),
            (Link::Container, &container),
            (Link::Instance, &instance),
        ];
        let mut asked = Vec::new();
        let mut meant = None;
        for (link, provider) in links {
            match Box::pin(provider.provide_credentials()).await {
                Ok(keys) => return Ok((link, keys)),
                Err(error @ CredentialsError::CredentialsNotLoaded(_)) => {
                    meant = meant.or_else(|| link.missing(&error));
                    if link == Link::Instance && instance::may_answer_later(&error) {
                        return Err(link.away(&error));
                    }
                    asked.push(link.to_string());
                }
                Err(error) => return Err(link.failed(&error, &self.http)),
            }
        }
        let nor = format!("nor in {}", asked.join(", "));
        let text = match meant {
            Some(why) => format!("{why}; {nor} are any"),
            None => format!(
                "no credentials anywhere: not in iot-certificate, access-key and secret-key, or credential-path; {nor}; set one of them"
            ),
        };
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
