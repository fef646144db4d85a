//! [`ProducerBuilder`]: what a producer is made of.

use std::{fmt, sync::Arc};

use super::{ClientCallbacks, Invalid, Producer, ServiceCallbacks, Shared};
use crate::{
    definition::{MIN_STORAGE, check_tag},
    net::{Credentials, Runtime, Service},
    session::Storage,
};

/// The name of a producer that has none.
///
/// ```
/// assert_eq!(gstkvssink::producer::DEFAULT_NAME, "kvs-producer");
/// ```
pub const DEFAULT_NAME: &str = "kvs-producer";

/// The storage of a producer that says nothing else, in bytes: that of AWS's C++ producer (`DefaultDeviceInfoProvider`).
///
/// ```
/// assert_eq!(gstkvssink::producer::DEFAULT_STORAGE, 256 << 20);
/// ```
pub const DEFAULT_STORAGE: u64 = 256 << 20;

/// What a producer is made of: the device, the service, who asks, and who is told.
///
/// ```
/// use gstkvssink::producer::Producer;
///
/// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
/// let producer = Producer::builder()
///     .name("gate")
///     .tag("site", "yard")
///     .storage(64 << 20)
///     .region("eu-central-1")
///     .build()?;
/// # Ok(()) }
/// ```
#[must_use]
pub struct ProducerBuilder {
    name: String,
    tags: Vec<(String, String)>,
    storage: u64,
    service: Service,
    networking: Option<Arc<dyn ServiceCallbacks>>,
    client: Option<Arc<dyn ClientCallbacks>>,
}

impl Default for ProducerBuilder {
    fn default() -> Self {
        Self {
            name: DEFAULT_NAME.to_owned(),
            tags: Vec::new(),
            storage: DEFAULT_STORAGE,
            service: Service::default(),
            networking: None,
            client: None,
        }
    }
}

impl ProducerBuilder {
    /// The device: the name of the producer's thread, cut to 15 bytes on Linux. Else [`DEFAULT_NAME`].
    ///
    /// ```
    /// let builder = gstkvssink::producer::Producer::builder().name("gate");
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// A tag of the device, for each stream that is created, unless its definition has one of that name.
    ///
    /// ```
    /// let builder = gstkvssink::producer::Producer::builder().tag("site", "yard");
    /// ```
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((name.into(), value.into()));
        self
    }

    /// Bound of the media that all streams hold in memory, in bytes; 1 MiB at least, else [`DEFAULT_STORAGE`]. Each stream
    /// may use what the others leave, and at least its part, within the `storage` of its definition. Nothing is allocated
    /// before there is media.
    ///
    /// ```
    /// let builder = gstkvssink::producer::Producer::builder().storage(64 << 20);
    /// ```
    pub fn storage(mut self, bytes: u64) -> Self {
        self.storage = bytes;
        self
    }

    /// The region; else it is found out ([`Service::region`]).
    ///
    /// ```
    /// let builder = gstkvssink::producer::Producer::builder().region("eu-central-1");
    /// ```
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.service.region = Some(region.into());
        self
    }

    /// The control plane, when it is not the region's own ([`Service::endpoint`]).
    ///
    /// ```
    /// let builder = gstkvssink::producer::Producer::builder().endpoint("http://127.0.0.1:8080");
    /// ```
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.service.endpoint = Some(endpoint.into());
        self
    }

    /// Who asks; else the default chain of the AWS SDKs.
    ///
    /// ```
    /// use gstkvssink::producer::{Credentials, Producer};
    ///
    /// let builder = Producer::builder().credentials(Credentials::File("/run/kvs/credential".into()));
    /// ```
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.service.credentials = credentials;
        self
    }

    /// All of the service at once, in place of what was said of it before.
    ///
    /// ```
    /// use gstkvssink::producer::{Producer, Service};
    ///
    /// let builder = Producer::builder().service(Service {
    ///     user_agent: "my-camera/1.0".into(),
    ///     ..Service::new("eu-central-1")
    /// });
    /// ```
    pub fn service(mut self, service: Service) -> Self {
        self.service = service;
        self
    }

    /// Who is told what concerns all streams.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use gstkvssink::producer::{ClientCallbacks, Producer};
    ///
    /// struct Log;
    /// impl ClientCallbacks for Log {
    ///     fn ready(&self) {
    ///         println!("ready");
    ///     }
    /// }
    /// let builder = Producer::builder().client_callbacks(Arc::new(Log));
    /// ```
    pub fn client_callbacks(mut self, callbacks: Arc<dyn ClientCallbacks>) -> Self {
        self.client = Some(callbacks);
        self
    }

    /// Who does the networking, in place of the service itself. What the settings say of the service is then checked when it
    /// is used.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use gstkvssink::producer::{Producer, ServiceCallbacks};
    ///
    /// struct Own;
    /// impl ServiceCallbacks for Own {}
    /// let builder = Producer::builder().service_callbacks(Arc::new(Own));
    /// ```
    pub fn service_callbacks(mut self, callbacks: Arc<dyn ServiceCallbacks>) -> Self {
        self.networking = Some(callbacks);
        self
    }

    /// Starts the producer's thread. No network is touched.
    ///
    /// # Errors
    /// [`Invalid`] when a setting cannot work, or the system gives no thread.
    ///
    /// ```
    /// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
    /// let producer = gstkvssink::producer::Producer::builder().build()?;
    /// # Ok(()) }
    /// ```
    pub fn build(self) -> Result<Producer, Invalid> {
        if self.storage < MIN_STORAGE {
            let reason = format!("{} bytes is less than 1 MiB", self.storage);
            return Err(Invalid::new("storage", reason));
        }
        for (name, value) in &self.tags {
            check_tag(name, value)?;
        }
        let runtime = Runtime::start(&self.name)?;
        let shared = Shared::new(Storage::new(self.storage), self.client);
        Ok(Producer {
            runtime,
            service: self.service,
            signing: Default::default(),
            tags: self.tags,
            networking: self.networking,
            shared,
            streams: Default::default(),
        })
    }
}

impl fmt::Debug for ProducerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerBuilder")
            .field("name", &self.name)
            .field("storage", &self.storage)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}
