//! The region: who names it, and when it is the default one.
//!
//! In: the setting, the profile, the metadata of the instance. Out: a region that stays.
//! It is assumed only when it cannot be the instance's: a stream would be created in another region than the machine is in.

use aws_credential_types::provider::error::CredentialsError;

use super::{Inner, Keyring, NoKeys, Source};
use crate::{
    definition::Invalid,
    net::{endpoints, failure},
    session::{Call, Failure},
};

/// The region when nobody names one: that of the C++ element.
///
/// ```
/// use gstkvssink::producer::DEFAULT_REGION;
///
/// assert_eq!(DEFAULT_REGION, "us-west-2");
/// ```
pub const DEFAULT_REGION: &str = "us-west-2";

/// A region, and who named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) name: String,
    /// Nobody: it is [`DEFAULT_REGION`].
    pub(crate) assumed: bool,
}

impl Region {
    pub(super) fn assumed() -> Self {
        Self {
            name: DEFAULT_REGION.into(),
            assumed: true,
        }
    }
}

/// The region may be that of the instance, which has not said it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsettled;

pub(super) fn no_region() -> CredentialsError {
    let text = "the instance's metadata give credentials, but no region: set aws-region or AWS_REGION, or allow placement/region";
    CredentialsError::provider_error(NoKeys(text.into()))
}

impl Keyring {
    /// The region, for a call: as it is set, that of the profile, that of the instance, or the default one. There is none
    /// as long as it may be the instance's, and that does not say it.
    pub(crate) async fn region_for(&self, call: Call) -> Result<&str, Failure> {
        let inner = &*self.0;
        let unknown = |error| failure::credentials(call, &error);
        let region = match inner.region.get() {
            Some(region) => region,
            // Where the keys are from decides it.
            None if inner.may_be_of_instance() => {
                Box::pin(self.keys()).await.map_err(unknown)?;
                let region = inner.region.get();
                region.ok_or_else(|| unknown(no_region()))?
            }
            None => {
                let region = inner.region().await;
                region.map_err(|Unsettled| unknown(no_region()))?
            }
        };
        endpoints::check_region(&region.name)
            .map_err(|error: Invalid| failure::request(call, error.to_string()))?;
        Ok(&region.name)
    }

    /// The region, if it had to be found out.
    pub(crate) fn found_region(&self) -> Option<&Region> {
        self.0
            .region
            .get()
            .filter(|_| self.0.named_region.is_none())
    }
}

impl Inner {
    pub(super) async fn region(&self) -> Result<&Region, Unsettled> {
        self.region.get_or_try_init(|| self.find_region()).await
    }

    async fn find_region(&self) -> Result<Region, Unsettled> {
        let named = |name| Region {
            name,
            assumed: false,
        };
        if let Some(region) = &self.named_region {
            return Ok(named(region.clone()));
        }
        if let Some(region) = self.chain.region_of_profile().await {
            return Ok(named(region));
        }
        if !self.may_be_of_instance() {
            return Ok(Region::assumed());
        }
        let instance = self.chain.region_of_instance().await;
        instance.map(named).ok_or(Unsettled)
    }

    /// A camera that has its credentials from elsewhere is no instance, and is not to wait for one.
    fn may_be_of_instance(&self) -> bool {
        let by_chain = match &self.source {
            Source::Chain => true,
            Source::FileElseChain(file, _) => !file.exists(),
            _ => false,
        };
        by_chain && self.named_region.is_none() && self.chain.profile.is_none()
    }
}
