//! What an application has to say of a fragment: metadata, and events that make the service act.
//!
//! Belongs here: the limits of the service. Does not belong here: the bytes (`mkv`), which fragment they go with (`fragment`).

use super::Session;
use crate::{
    definition::StreamingType,
    fragment::tag_cost,
    mkv::{InvalidTag, Tag},
};

/// Most tags of an application in one fragment: the end of the fragment is the tenth (kvs-facts §4, "Tags").
///
/// ```
/// use gstkvssink::producer::MAX_METADATA;
///
/// assert_eq!(MAX_METADATA, 9);
/// ```
pub const MAX_METADATA: usize = crate::mkv::MAX_TAGS_PER_FRAGMENT - 1;

/// What the service is asked to do with a fragment ("Automated real-time image generation", "Set up notifications").
///
/// ```
/// use gstkvssink::producer::{EventMetadata, Stream};
///
/// # fn f(stream: Stream) {
/// let event = EventMetadata {
///     image: true,
///     image_prefix: Some("gate-".into()),
///     pairs: vec![("plate".into(), "KVS 1".into())],
///     ..EventMetadata::default()
/// };
/// if let Err(refused) = stream.put_event_metadata(event) {
///     eprintln!("{refused}");
/// }
/// # }
/// ```
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
///
/// ```
/// # use gstkvssink::producer::{Producer, StreamDefinition, StreamName};
/// use gstkvssink::producer::{EventMetadata, InvalidMetadata};
///
/// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
/// # let producer = Producer::builder().endpoint("http://127.0.0.1:9").build()?;
/// # let stream = producer.create_stream(StreamDefinition::new(StreamName::new("cam1")?))?;
/// let refused = stream.put_event_metadata(EventMetadata::default());
/// assert_eq!(refused, Err(InvalidMetadata::NoEvent));
/// # Ok(()) }
/// ```
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
        let tag = Tag::new(name, value)?;
        let cancels = persistent && value.is_empty();
        let stays = |there: &Tag| !(persistent && there.name() == name);
        self.check_tags(usize::from(!cancels), stays)?;
        self.put_tag(tag, persistent);
        Ok(())
    }

    /// Asks for an image of the fragment that is open (or else the next one), for a notification, or both.
    ///
    /// # Errors
    /// [`InvalidMetadata`] names the limit that it would break; then nothing was put.
    pub fn put_event(&mut self, event: EventMetadata) -> Result<(), InvalidMetadata> {
        let EventMetadata {
            image,
            notification,
            image_prefix,
            pairs,
        } = event;
        if !image && !notification {
            return Err(InvalidMetadata::NoEvent);
        }
        if image_prefix.is_some() && !image {
            return Err(InvalidMetadata::PrefixWithoutImage);
        }
        let mut tags = Vec::new();
        tags.extend(image.then(Tag::image_generation));
        tags.extend(notification.then(Tag::notification));
        tags.extend(image_prefix.map(Tag::image_prefix).transpose()?);
        for (name, value) in pairs {
            tags.push(Tag::new(name, value)?);
        }
        // The service's own are there once for each fragment, however often they are asked for.
        let same = |tag: &&Tag| {
            self.tags()
                .find(|there| tag.is_reserved() && there.name() == tag.name())
        };
        if tags
            .iter()
            .filter_map(|tag| Some((tag, same(&tag)?)))
            .any(|(tag, there)| tag.value() != there.value())
        {
            return Err(InvalidMetadata::OtherPrefix);
        }
        let new = tags.iter().filter(|tag| same(tag).is_none()).count();
        self.check_tags(new, |_| true)?;
        for tag in tags {
            self.put_tag(tag, false);
        }
        Ok(())
    }

    /// So many more tags go with the open fragment, and with the next one if they come to that.
    fn check_tags(&self, new: usize, stays: impl Fn(&Tag) -> bool) -> Result<(), InvalidMetadata> {
        if self.is_stopped() {
            return Err(InvalidMetadata::Stopped);
        }
        let open = self.store.open().into_iter().flat_map(|open| &open.tags);
        let count = |there: Vec<&Tag>| {
            let mut tags: Vec<&Tag> = Vec::new();
            for tag in there.into_iter().chain(self.lanes.tags()) {
                let is_there =
                    tag.is_reserved() && tags.iter().any(|other| other.name() == tag.name());
                if stays(tag) && !is_there {
                    tags.push(tag);
                }
            }
            tags.len()
        };
        let tags = count(open.collect()).max(count(self.labels.all().collect())) + new;
        match new > 0 && tags > MAX_METADATA {
            true => Err(InvalidMetadata::TooMany { tags }),
            false => Ok(()),
        }
    }

    /// The tags of the fragment that another would go with, with those that wait for it.
    fn tags(&self) -> impl Iterator<Item = &Tag> {
        let open = self.store.open();
        let next = open.is_none().then(|| self.labels.all());
        let open = open.into_iter().flat_map(|open| &open.tags);
        open.chain(next.into_iter().flatten())
            .chain(self.lanes.tags())
    }

    /// It takes its turn behind the frames that were put before it.
    fn put_tag(&mut self, tag: Tag, persistent: bool) {
        // Those of the track that begins fragments: the others have no say in which one is open.
        let behind = self.lead(None);
        let behind = behind.filter(|number| !self.lanes.is_empty(*number));
        match behind.and_then(|number| self.lanes.before(number)) {
            Some(before) => before.tags.push((tag, persistent)),
            None => self.label(tag, persistent),
        }
    }

    /// The open fragment, or the next one, gets a tag.
    pub(super) fn label(&mut self, tag: Tag, persistent: bool) {
        if persistent && tag.value().is_empty() {
            return self.labels.cancel(tag.name());
        }
        let is_there = |there: &Tag| tag.is_reserved() && there.name() == tag.name();
        let there = match self.store.open() {
            Some(open) => open.tags.iter().any(is_there),
            None => self.labels.all().any(is_there),
        };
        if there {
            return;
        }
        let fits = |session: &Self| {
            session
                .store
                .open()
                .is_some_and(|open| open.tags.len() < MAX_METADATA)
        };
        let goes_with_open = fits(self) && self.has_room_for(tag_cost(&tag)) && fits(self);
        if persistent {
            self.labels.keep(tag.clone());
            if goes_with_open {
                self.store.retag(tag);
            }
        } else if !(goes_with_open && self.store.tag(tag.clone())) {
            self.labels.add(tag);
        }
    }

    fn has_room_for(&mut self, cost: u64) -> bool {
        let is_offline = self.definition.streaming_type == StreamingType::Offline;
        is_offline || self.evict_for(self.seen, cost)
    }
}
