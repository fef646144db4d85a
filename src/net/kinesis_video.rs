//! [`KinesisVideo`]: the service itself, for one stream: what is asked of it when nobody replaces it.
//!
//! In: the [`Service`] and the [`StreamDefinition`]. Out: one attempt of each call.
//! Belongs here: that both clients are made once, and together. Does not belong here: the calls themselves
//! ([`super::control`], [`super::put_media`]), when they are made ([`crate::session`]).

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use super::{
    Service,
    control::ControlPlane,
    credentials::{Keyring, Region},
    endpoints::DataEndpoint,
    exchange::{Acks, Media},
    failure,
    http::Http,
    put_media::PutMedia,
    signing_clock::SigningClock,
};
use crate::{
    definition::{Invalid, StreamDefinition},
    producer::ServiceCallbacks,
    session::{Call, Described, Failure},
    time::Timestamp,
};

/// Amazon Kinesis Video Streams, as one stream sees it: the default of each method of
/// [`ServiceCallbacks`], for those who replace some of them.
///
/// Each method is one attempt: the session decides what follows from its outcome. They run on the producer's thread; all
/// of them are cancel safe, in that dropping the future abandons the request.
///
/// ```
/// use gstkvssink::producer::{Answer, KinesisVideo, ServiceCallbacks};
///
/// /// Asks nobody where the media goes.
/// struct Fixed;
///
/// impl ServiceCallbacks for Fixed {
///     fn data_endpoint<'a>(&'a self, kvs: &'a KinesisVideo) -> Answer<'a, String> {
///         let name = kvs.definition().name.as_str();
///         Box::pin(async move { Ok(format!("https://{name}.example.com")) })
///     }
/// }
/// ```
pub struct KinesisVideo {
    service: Service,
    definition: StreamDefinition,
    signing: SigningClock,
    callbacks: Arc<dyn ServiceCallbacks>,
    /// Made when they are needed: own networking may never need them, nor what they need.
    clients: OnceLock<Result<Clients, Invalid>>,
}

struct Clients {
    control: ControlPlane,
    put_media: PutMedia,
    keyring: Keyring,
}

impl KinesisVideo {
    pub(crate) fn new(
        service: Service,
        definition: StreamDefinition,
        signing: SigningClock,
        callbacks: Arc<dyn ServiceCallbacks>,
    ) -> Self {
        Self {
            service,
            definition,
            signing,
            callbacks,
            clients: OnceLock::new(),
        }
    }

    /// Makes the clients now.
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.clients().map(drop).map_err(Clone::clone)
    }

    fn clients(&self) -> Result<&Clients, &Invalid> {
        let clients = self.clients.get_or_init(|| {
            let Self {
                service,
                definition,
                signing,
                callbacks,
                ..
            } = self;
            let http = Http::new(service)?;
            let callbacks = Arc::clone(callbacks);
            let keyring = Keyring::new(service, definition, signing, &http, callbacks);
            let (keys, clock) = (keyring.clone(), signing.clone());
            Ok(Clients {
                control: ControlPlane::new(service, definition, keys, clock, &http)?,
                put_media: {
                    let (keys, clock) = (keyring.clone(), signing.clone());
                    PutMedia::new(service, definition, keys, clock, &http)?
                },
                keyring,
            })
        });
        clients.as_ref()
    }

    fn clients_for(&self, call: Call) -> Result<&Clients, Failure> {
        self.clients()
            .map_err(|invalid| failure::request(call, invalid.to_string()))
    }

    fn made(&self) -> Option<&Clients> {
        self.clients.get()?.as_ref().ok()
    }

    /// The stream.
    ///
    /// ```
    /// # fn f(kvs: &gstkvssink::producer::KinesisVideo) {
    /// println!("{}", kvs.definition().name);
    /// # }
    /// ```
    pub fn definition(&self) -> &StreamDefinition {
        &self.definition
    }

    /// DescribeStream.
    ///
    /// # Errors
    /// [`Failure`]: no answer within `completion_timeout`, a refusal, no credentials.
    ///
    /// ```
    /// # async fn f(kvs: &gstkvssink::producer::KinesisVideo) -> Result<(), gstkvssink::producer::Failure> {
    /// let retention = kvs.describe_stream().await?.retention;
    /// # Ok(()) }
    /// ```
    pub async fn describe_stream(&self) -> Result<Described, Failure> {
        self.clients_for(Call::Describe)?.control.describe().await
    }

    /// CreateStream, with the media types that its tracks have, such as `video/h264,audio/aac`.
    ///
    /// # Errors
    /// As [`Self::describe_stream`].
    ///
    /// ```
    /// # async fn f(kvs: &gstkvssink::producer::KinesisVideo) -> Result<(), gstkvssink::producer::Failure> {
    /// kvs.create_stream("video/h264").await?;
    /// # Ok(()) }
    /// ```
    pub async fn create_stream(&self, content_type: &str) -> Result<(), Failure> {
        let clients = self.clients_for(Call::Create)?;
        clients.control.create(content_type).await
    }

    /// TagStream, with the tags of the definition.
    ///
    /// # Errors
    /// As [`Self::describe_stream`].
    ///
    /// ```
    /// # async fn f(kvs: &gstkvssink::producer::KinesisVideo) -> Result<(), gstkvssink::producer::Failure> {
    /// kvs.tag_stream().await?;
    /// # Ok(()) }
    /// ```
    pub async fn tag_stream(&self) -> Result<(), Failure> {
        self.clients_for(Call::Tag)?.control.tag().await
    }

    /// UpdateDataRetention, from that of the last [`Self::describe_stream`] to that of the definition.
    ///
    /// # Errors
    /// As [`Self::describe_stream`].
    ///
    /// ```
    /// # async fn f(kvs: &gstkvssink::producer::KinesisVideo) -> Result<(), gstkvssink::producer::Failure> {
    /// kvs.describe_stream().await?;
    /// kvs.update_retention().await?;
    /// # Ok(()) }
    /// ```
    pub async fn update_retention(&self) -> Result<(), Failure> {
        self.clients_for(Call::Retain)?.control.retain().await
    }

    /// DeleteStream, and all that is stored of it. What it needs it asks with DescribeStream.
    ///
    /// # Errors
    /// As [`Self::describe_stream`].
    ///
    /// ```
    /// # async fn f(kvs: &gstkvssink::producer::KinesisVideo) -> Result<(), gstkvssink::producer::Failure> {
    /// kvs.delete_stream().await?;
    /// # Ok(()) }
    /// ```
    pub async fn delete_stream(&self) -> Result<(), Failure> {
        self.clients_for(Call::Delete)?.control.delete().await
    }

    /// GetDataEndpoint of PutMedia: a URI. One that this process knows is given at once.
    ///
    /// # Errors
    /// As [`Self::describe_stream`].
    ///
    /// ```
    /// # async fn f(kvs: &gstkvssink::producer::KinesisVideo) -> Result<(), gstkvssink::producer::Failure> {
    /// let uri: String = kvs.data_endpoint().await?;
    /// # Ok(()) }
    /// ```
    pub async fn data_endpoint(&self) -> Result<String, Failure> {
        let clients = self.clients_for(Call::Resolve)?;
        let endpoint = clients.control.data_endpoint().await?;
        Ok(endpoint.as_str().to_owned())
    }

    /// PutMedia at this endpoint: returns when it is accepted, and goes on until `media` ends, or the [`Acks`] are dropped.
    /// `start` is what RELATIVE timecodes count from, or the time of the first fragment.
    ///
    /// # Errors
    /// [`Failure`]: no answer, a refusal, no credentials, an endpoint that is no URI, or `http` though the control plane's
    /// is not.
    ///
    /// ```
    /// # use gstkvssink::producer::{Acks, Failure, KinesisVideo, Media, Timestamp};
    /// # async fn f(kvs: &KinesisVideo, start: Timestamp, media: Media) -> Result<Acks, Failure> {
    /// let endpoint = kvs.data_endpoint().await?;
    /// kvs.put_media(&endpoint, start, media).await
    /// # }
    /// ```
    pub async fn put_media(
        &self,
        endpoint: &str,
        start: Timestamp,
        media: Media,
    ) -> Result<Acks, Failure> {
        let clients = self.clients_for(Call::PutMedia)?;
        let endpoint = DataEndpoint::parse(endpoint, clients.control.allows_plain())
            .map_err(|reason| failure::request(Call::PutMedia, reason))?;
        let opened = clients.put_media.open(&endpoint, start, media).await;
        if opened.is_err() {
            // It may be out of date.
            clients.control.forget_data_endpoint();
        }
        opened.map(Acks::of)
    }

    /// The data endpoint did not work: ask for it the next time.
    pub(crate) fn forget_data_endpoint(&self) {
        if let Some(clients) = self.made() {
            clients.control.forget_data_endpoint();
        }
    }

    /// Where the newest credentials are from, in words.
    pub(crate) fn credentials_from(&self) -> Option<String> {
        self.made()?.keyring.from()
    }

    /// The region, if it had to be found out.
    pub(crate) fn found_region(&self) -> Option<&Region> {
        self.made()?.keyring.found_region()
    }
}

impl fmt::Debug for KinesisVideo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KinesisVideo")
            .field("service", &self.service)
            .field("stream", &self.definition.name)
            .finish_non_exhaustive()
    }
}
