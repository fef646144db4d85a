//! [`ServiceCallbacks`]: all that a stream asks of the network, each of which an application may do otherwise.

use std::{future::Future, pin::Pin};

pub use crate::net::{Aborted, AckSender, Acks, Configured, Keys, KinesisVideo, Media, MediaChunk};
use crate::{
    session::{Described, Failure},
    time::Timestamp,
};

/// What a method of [`ServiceCallbacks`] gives in time: `Box::pin(async move { … })`.
///
/// ```
/// use gstkvssink::producer::Answer;
///
/// let yes: Answer<'static, ()> = Box::pin(async { Ok(()) });
/// ```
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// The networking of a producer. The default of each method is the service itself, by `kvs`; whoever replaces all of them
/// needs neither network nor account.
///
/// They are called on the producer's thread, one at a time for each stream ([`Self::credentials`] while another is under
/// way). They must not block it: what blocks belongs on a thread of its own. The future is dropped when its answer is not
/// wanted any more. One that does not come within four times `connection_timeout` and `completion_timeout` counts as none
/// ([`Self::put_media`]: once). A panic counts as a lost connection.
///
/// What becomes of a [`Failure`] is the session's to decide, the same as for the service's own (docs/errors.md): it is
/// tried again after a back-off, unless it says that it cannot work.
///
/// ```
/// use gstkvssink::producer::{Answer, KinesisVideo, ServiceCallbacks};
///
/// /// The stream is there, tagged and all: somebody else sees to that.
/// struct Prepared;
///
/// impl ServiceCallbacks for Prepared {
///     fn tag_stream<'a>(&'a self, _: &'a KinesisVideo) -> Answer<'a, ()> {
///         Box::pin(async { Ok(()) })
///     }
/// }
/// ```
pub trait ServiceCallbacks: Send + Sync + 'static {
    /// DescribeStream: whether the stream is there, and what it keeps. First of all, and after it was created.
    ///
    /// # Errors
    /// [`Failure::not_found`] has the stream created.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gstkvssink::producer::{Answer, Described, KinesisVideo, ServiceCallbacks};
    ///
    /// struct Own;
    /// impl ServiceCallbacks for Own {
    ///     fn describe_stream<'a>(&'a self, _: &'a KinesisVideo) -> Answer<'a, Described> {
    ///         Box::pin(async { Ok(Described::active(Duration::from_secs(7200))) })
    ///     }
    /// }
    /// ```
    fn describe_stream<'a>(&'a self, kvs: &'a KinesisVideo) -> Answer<'a, Described> {
        Box::pin(kvs.describe_stream())
    }

    /// CreateStream, with the media types of its tracks.
    ///
    /// # Errors
    /// [`Failure`]; that the stream is there already is none that matters.
    ///
    /// ```
    /// use gstkvssink::producer::{Answer, KinesisVideo, ServiceCallbacks};
    ///
    /// struct Own;
    /// impl ServiceCallbacks for Own {
    ///     fn create_stream<'a>(&'a self, kvs: &'a KinesisVideo, content_type: &'a str) -> Answer<'a, ()> {
    ///         println!("{} is made for {content_type}", kvs.definition().name);
    ///         Box::pin(kvs.create_stream(content_type))
    ///     }
    /// }
    /// ```
    fn create_stream<'a>(&'a self, kvs: &'a KinesisVideo, content_type: &'a str) -> Answer<'a, ()> {
        Box::pin(kvs.create_stream(content_type))
    }

    /// TagStream, with the tags of the definition; only if there are any, and the stream was created here.
    ///
    /// # Errors
    /// [`Failure`].
    ///
    /// ```
    /// use gstkvssink::producer::{Answer, KinesisVideo, ServiceCallbacks};
    ///
    /// struct Own;
    /// impl ServiceCallbacks for Own {
    ///     fn tag_stream<'a>(&'a self, kvs: &'a KinesisVideo) -> Answer<'a, ()> {
    ///         println!("{:?}", kvs.definition().tags);
    ///         Box::pin(async { Ok(()) })
    ///     }
    /// }
    /// ```
    fn tag_stream<'a>(&'a self, kvs: &'a KinesisVideo) -> Answer<'a, ()> {
        Box::pin(kvs.tag_stream())
    }

    /// UpdateDataRetention; only with `update_retention`.
    ///
    /// # Errors
    /// [`Failure`].
    ///
    /// ```
    /// use gstkvssink::producer::{Answer, KinesisVideo, ServiceCallbacks};
    ///
    /// struct Own;
    /// impl ServiceCallbacks for Own {
    ///     fn update_retention<'a>(&'a self, _: &'a KinesisVideo) -> Answer<'a, ()> {
    ///         Box::pin(async { Ok(()) })
    ///     }
    /// }
    /// ```
    fn update_retention<'a>(&'a self, kvs: &'a KinesisVideo) -> Answer<'a, ()> {
        Box::pin(kvs.update_retention())
    }

    /// DeleteStream, when [`super::Producer::delete_stream`] is called; a stream never asks for it.
    ///
    /// # Errors
    /// [`Failure`], which that call gives.
    ///
    /// ```
    /// use gstkvssink::producer::{Answer, Failure, KinesisVideo, ServiceCallbacks};
    ///
    /// struct Careful;
    /// impl ServiceCallbacks for Careful {
    ///     fn delete_stream<'a>(&'a self, _: &'a KinesisVideo) -> Answer<'a, ()> {
    ///         Box::pin(async { Err(Failure::refused("nothing is deleted here")) })
    ///     }
    /// }
    /// ```
    fn delete_stream<'a>(&'a self, kvs: &'a KinesisVideo) -> Answer<'a, ()> {
        Box::pin(kvs.delete_stream())
    }

    /// GetDataEndpoint of PutMedia: a URI, which [`Self::put_media`] is given. Before the first connection, after a lost one,
    /// and after 45 minutes.
    ///
    /// # Errors
    /// [`Failure`].
    ///
    /// ```
    /// use gstkvssink::producer::{Answer, KinesisVideo, ServiceCallbacks};
    ///
    /// struct Own;
    /// impl ServiceCallbacks for Own {
    ///     fn data_endpoint<'a>(&'a self, _: &'a KinesisVideo) -> Answer<'a, String> {
    ///         Box::pin(async { Ok("https://media.example.com".to_owned()) })
    ///     }
    /// }
    /// ```
    fn data_endpoint<'a>(&'a self, kvs: &'a KinesisVideo) -> Answer<'a, String> {
        Box::pin(kvs.data_endpoint())
    }

    /// The credentials that requests of [`KinesisVideo`] are signed with. When there are none, before they end, and after a
    /// refusal; those that have no end are asked for with each request.
    ///
    /// # Errors
    /// [`Failure`]: [`Failure::no_credentials`], or [`Failure::lost`] when asking again may help.
    ///
    /// ```
    /// use gstkvssink::producer::{Answer, Configured, Keys, Secret, ServiceCallbacks};
    ///
    /// struct Own;
    /// impl ServiceCallbacks for Own {
    ///     fn credentials<'a>(&'a self, _: Configured<'a>) -> Answer<'a, Keys> {
    ///         Box::pin(async { Ok(Keys::new("AKIDEXAMPLE", Secret::new("not a real one"))) })
    ///     }
    /// }
    /// ```
    fn credentials<'a>(&'a self, configured: Configured<'a>) -> Answer<'a, Keys> {
        Box::pin(configured.keys())
    }

    /// PutMedia: gives [`Acks`] when the request is accepted, and takes `media` from then on. After a lost connection it is
    /// called again, perhaps while whoever takes the media of the one before has still to see that it was given up
    /// ([`Aborted`]). `start` is what RELATIVE
    /// timecodes count from, or the time of the first fragment.
    ///
    /// # Errors
    /// [`Failure`]: the request is not accepted.
    ///
    /// ```
    /// use gstkvssink::producer::{Acks, Answer, KinesisVideo, Media, ServiceCallbacks, Timestamp};
    ///
    /// /// Says when it connects.
    /// struct Own;
    /// impl ServiceCallbacks for Own {
    ///     fn put_media<'a>(
    ///         &'a self,
    ///         kvs: &'a KinesisVideo,
    ///         endpoint: &'a str,
    ///         start: Timestamp,
    ///         media: Media,
    ///     ) -> Answer<'a, Acks> {
    ///         println!("PutMedia at {endpoint}");
    ///         Box::pin(kvs.put_media(endpoint, start, media))
    ///     }
    /// }
    /// ```
    fn put_media<'a>(
        &'a self,
        kvs: &'a KinesisVideo,
        endpoint: &'a str,
        start: Timestamp,
        media: Media,
    ) -> Answer<'a, Acks> {
        Box::pin(kvs.put_media(endpoint, start, media))
    }
}

/// The service itself.
impl ServiceCallbacks for () {}
