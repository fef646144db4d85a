//! Where `kvs-local` gives credentials: real clients get them, use them, and are refused where AWS would refuse them.

mod chain;
mod container;
mod errors;
mod instance;
mod iot;
mod lacking;
mod outlived;
mod proxy;
mod region;
mod sso;
mod sts;
mod way;

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_async::time::SystemTimeSource;
use gstkvssink::local::{CredentialSources, Issued, Local, Options, Sources};
use tempfile::TempDir;

/// A service that gives credentials, and the folder with what devices and containers are given beforehand.
struct World {
    local: Local,
    _dir: TempDir,
}

impl World {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options {
            credential_sources: Some(CredentialSources::below(dir.path())),
            activation_delay: Duration::from_millis(50),
            ..Options::default()
        };
        change(&mut options);
        Self {
            local: Local::start(options).unwrap(),
            _dir: dir,
        }
    }

    fn sources(&self) -> &Sources {
        self.local.sources().unwrap()
    }

    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.sources().dir.join(name)).unwrap()
    }

    /// What has been issued, which must be one.
    fn issued(&self) -> Issued {
        let mut issued = self.local.issued();
        assert_eq!(issued.len(), 1, "{issued:?}");
        issued.remove(0)
    }

    /// The AWS SDK as it is set up for this service, without anything from the machine's environment.
    fn sdk(&self, credentials: impl ProvideCredentials + 'static) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .endpoint_url(self.local.endpoint())
            .time_source(SystemTimeSource::new())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
    }

    /// These are the credentials that were issued, to the second; and the service takes them, until they expire.
    async fn assert_good(&self, got: &Credentials) {
        let issued = self.issued();
        assert_eq!(got.access_key_id(), issued.access_key);
        assert_eq!(got.secret_access_key(), issued.secret_key);
        assert_eq!(got.session_token(), Some(issued.session_token.as_str()));
        let expiry = got.expiry().unwrap();
        let expiry = expiry.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(expiry, Duration::from_millis(issued.expires_ms));

        // Without their expiry, so that the SDK goes on with them when they have expired.
        let kept = Credentials::new(
            got.access_key_id(),
            got.secret_access_key(),
            got.session_token().map(str::to_owned),
            None,
            "test",
        );
        let client = aws_sdk_kinesisvideo::Client::new(&self.sdk(kept));
        client.list_streams().send().await.unwrap();
        let life_ms = issued.expires_ms - issued.issued_ms;
        // The clock in the requests is right: five minutes are allowed to differ.
        assert!(life_ms < 4 * 60 * 1000, "{life_ms}");
        self.local
            .inject(format!("clock:{life_ms}").parse().unwrap());
        let refused = client.list_streams().send().await.unwrap_err();
        let refused = aws_sdk_kinesisvideo::Error::from(refused);
        let code = aws_sdk_kinesisvideo::error::ProvideErrorMetadata::code(&refused);
        assert_eq!(code, Some("ExpiredTokenException"), "{refused:?}");
        self.local.clear_faults();
    }
}

/// A client of HTTP that asks nobody else.
fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn minutes(options: &mut Options) {
    options.credential_life = Duration::from_secs(120);
}
