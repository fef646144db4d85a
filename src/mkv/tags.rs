//! Metadata of a fragment: Tags elements between clusters.
//!
//! In: names and values. Out: a [`Tag`] within the service's limits, and bytes. They belong to the cluster before
//! them ("Automated real-time image generation", Developer Guide).
//!
//! Each name and value stands in a Tags element of its own, without Targets, as AWS's SDK writes them
//! (`mkvgenGenerateTag`).
//!
//! Does not belong here: which fragment gets which tags, repeating of persistent ones, counting them.

use bytes::Bytes;

use super::ebml::{push_master, push_string};
use super::ids;

/// Ends the fragment at once: the service persists it without waiting for the next cluster. Value: empty.
pub const END_OF_FRAGMENT: &str = "AWS_KINESISVIDEO_END_OF_FRAGMENT";
/// Makes the service store an image of the fragment in S3. Value: empty ("Automated real-time image generation").
const IMAGE_GENERATION: &str = "AWS_KINESISVIDEO_IMAGE_GENERATION";
/// The start of that image's name.
const IMAGE_PREFIX: &str = "AWS_KINESISVIDEO_IMAGE_PREFIX";
/// Makes the service notify by SNS. Value: empty ("Set up notifications").
const NOTIFICATION: &str = "AWS_KINESISVIDEO_NOTIFICATION";
/// Most tags of one fragment, [`END_OF_FRAGMENT`] included ("service quotas"; over it: 4009).
pub const MAX_TAGS_PER_FRAGMENT: usize = 10;
/// Longest name of a tag, in bytes (AWS's SDK: `MKV_MAX_TAG_NAME_LEN`).
///
/// ```
/// use gstkvssink::producer::MAX_TAG_NAME;
///
/// assert_eq!(MAX_TAG_NAME, 128);
/// ```
pub const MAX_TAG_NAME: usize = 128;
/// Longest value of a tag, in bytes (AWS's SDK: `MKV_MAX_TAG_VALUE_LEN`).
///
/// ```
/// use gstkvssink::producer::MAX_TAG_VALUE;
///
/// assert_eq!(MAX_TAG_VALUE, 256);
/// ```
pub const MAX_TAG_VALUE: usize = 256;

/// The start of the names that the service keeps for itself.
const RESERVED: &str = "AWS";

/// A name and a value that go with a fragment.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Tag {
    name: String,
    value: String,
}

impl Tag {
    /// A tag of the application.
    ///
    /// # Errors
    /// A name of 0 or over [`MAX_TAG_NAME`] bytes or one that begins with `AWS`; a value over [`MAX_TAG_VALUE`]
    /// bytes; a zero byte in either.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Result<Self, InvalidTag> {
        let (name, value) = (name.into(), value.into());
        if !(1..=MAX_TAG_NAME).contains(&name.len()) {
            return Err(InvalidTag::Name {
                bytes: name.len(),
                name,
            });
        }
        if name.starts_with(RESERVED) {
            return Err(InvalidTag::Reserved { name });
        }
        if value.len() > MAX_TAG_VALUE {
            return Err(InvalidTag::Value {
                bytes: value.len(),
                name,
            });
        }
        if name.contains('\0') || value.contains('\0') {
            return Err(InvalidTag::ZeroByte { name });
        }
        Ok(Self { name, value })
    }

    /// Asks for an image of the fragment.
    pub(crate) fn image_generation() -> Self {
        Self::reserved(IMAGE_GENERATION, String::new())
    }

    /// Asks for a notification about the fragment.
    pub(crate) fn notification() -> Self {
        Self::reserved(NOTIFICATION, String::new())
    }

    /// The start of the name that the image of the fragment gets.
    ///
    /// # Errors
    /// A prefix over [`MAX_TAG_VALUE`] bytes, or one with a zero byte.
    pub(crate) fn image_prefix(prefix: String) -> Result<Self, InvalidTag> {
        let name = IMAGE_PREFIX.to_owned();
        if prefix.len() > MAX_TAG_VALUE {
            return Err(InvalidTag::Value {
                bytes: prefix.len(),
                name,
            });
        }
        if prefix.contains('\0') {
            return Err(InvalidTag::ZeroByte { name });
        }
        Ok(Self::reserved(IMAGE_PREFIX, prefix))
    }

    fn reserved(name: &str, value: String) -> Self {
        Self {
            name: name.to_owned(),
            value,
        }
    }

    /// It is one of the service's own.
    pub(crate) fn is_reserved(&self) -> bool {
        self.name.starts_with(RESERVED)
    }

    /// The name, 1 to [`MAX_TAG_NAME`] bytes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value, up to [`MAX_TAG_VALUE`] bytes; may be empty.
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// The bytes of all `tags`, in their order; no bytes when there are none.
pub fn tags(tags: &[Tag]) -> Bytes {
    let mut out = Vec::new();
    for tag in tags {
        push_tags(&mut out, &tag.name, &tag.value);
    }
    out.into()
}

/// The bytes of the tag [`END_OF_FRAGMENT`].
///
/// Never twice for one fragment, and the next frame must be a key frame. It counts among the fragment's tags.
pub fn end_of_fragment() -> Bytes {
    let mut out = Vec::new();
    push_tags(&mut out, END_OF_FRAGMENT, "");
    out.into()
}

fn push_tags(out: &mut Vec<u8>, name: &str, value: &str) {
    push_master(out, ids::TAGS, |out| {
        push_master(out, ids::TAG, |out| {
            push_master(out, ids::SIMPLE_TAG, |out| {
                push_string(out, ids::TAG_NAME, name);
                push_string(out, ids::TAG_STRING, value);
            });
        });
    });
}

/// Why a name and a value cannot be a tag. The value is not repeated: it may be private.
///
/// ```
/// # use gstkvssink::producer::{Producer, StreamDefinition, StreamName};
/// use gstkvssink::producer::{InvalidMetadata, InvalidTag};
///
/// # fn main() -> Result<(), gstkvssink::producer::Invalid> {
/// # let producer = Producer::builder().endpoint("http://127.0.0.1:9").build()?;
/// # let stream = producer.create_stream(StreamDefinition::new(StreamName::new("cam1")?))?;
/// let refused = stream.put_fragment_metadata("AWS_site", "yard", false);
/// let reserved = InvalidTag::Reserved { name: "AWS_site".into() };
/// assert_eq!(refused, Err(InvalidMetadata::Tag(reserved)));
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTag {
    /// The name is empty or longer than the service takes.
    #[error(
        "tag name \"{name}\" has {bytes} bytes, 1 to {MAX_TAG_NAME} are allowed: choose another one"
    )]
    Name {
        /// The name.
        name: String,
        /// Its length in bytes.
        bytes: usize,
    },
    /// The name belongs to the service.
    #[error(
        "tag name \"{name}\" begins with {RESERVED}, which the service keeps for itself: choose another one"
    )]
    Reserved {
        /// The name.
        name: String,
    },
    /// The value is longer than the service takes.
    #[error(
        "the value of tag \"{name}\" has {bytes} bytes, at most {MAX_TAG_VALUE} are allowed: shorten it"
    )]
    Value {
        /// The tag's name.
        name: String,
        /// The value's length in bytes.
        bytes: usize,
    },
    /// A string of Matroska ends at a zero byte: the service would read less, or a tag without a name.
    #[error("tag {name:?} has a zero byte in its name or value: leave it out")]
    ZeroByte {
        /// The tag's name.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::super::golden::assert_fields;
    use super::*;

    #[test]
    fn golden_tags() {
        let two = [
            Tag::new("door", "open").unwrap(),
            Tag::new("größe", "").unwrap(),
        ];
        assert_fields(
            &tags(&two),
            &[
                ("1254C367 94", "Tags, 20 bytes"),
                ("7373 91", "Tag, 17 bytes"),
                ("67C8 8E", "SimpleTag, 14 bytes"),
                ("45A3 84 646F6F72", "TagName door"),
                ("4487 84 6F70656E", "TagString open"),
                ("1254C367 93", "Tags, 19 bytes"),
                ("7373 90", "Tag, 16 bytes"),
                ("67C8 8D", "SimpleTag, 13 bytes"),
                ("45A3 87 6772C3B6C39F65", "TagName größe, in UTF-8"),
                ("4487 80", "TagString, empty"),
            ],
        );
    }

    #[test]
    fn golden_end_of_fragment() {
        assert_fields(
            &end_of_fragment(),
            &[
                ("1254C367 AC", "Tags, 44 bytes"),
                ("7373 A9", "Tag, 41 bytes"),
                ("67C8 A6", "SimpleTag, 38 bytes"),
                ("45A3 A0", "TagName, 32 bytes"),
                ("4157535F 4B494E45534953564944454F", "AWS_KINESISVIDEO"),
                ("5F454E445F4F465F 465241474D454E54", "_END_OF_FRAGMENT"),
                ("4487 80", "TagString, empty"),
            ],
        );
    }

    #[test]
    fn no_tags_are_no_bytes() {
        assert!(tags(&[]).is_empty());
    }

    #[test]
    fn tags_end_at_the_limits_of_the_service() {
        let (name, value) = ("n".repeat(128), "v".repeat(256));
        let tag = Tag::new(name.clone(), value.clone()).unwrap();
        assert_eq!((tag.name(), tag.value()), (&*name, &*value));

        let refused = |name: &str, value: &str| Tag::new(name, value).unwrap_err();
        let long_name = format!("{name}n");
        assert_eq!(
            refused("", "v"),
            InvalidTag::Name {
                name: String::new(),
                bytes: 0
            }
        );
        assert_eq!(
            refused(&long_name, ""),
            InvalidTag::Name {
                name: long_name.clone(),
                bytes: 129
            }
        );
        assert_eq!(
            refused("door", &format!("{value}v")).to_string(),
            "the value of tag \"door\" has 257 bytes, at most 256 are allowed: shorten it"
        );
    }

    #[test]
    fn a_zero_byte_is_refused_because_a_string_ends_there() {
        for (name, value) in [("\0", "v"), ("door\0", "v"), ("door", "op\0en")] {
            let error = Tag::new(name, value).unwrap_err();
            assert!(matches!(error, InvalidTag::ZeroByte { .. }), "{error}");
            assert!(!error.to_string().contains('\0'), "{error}");
        }
    }

    #[test]
    fn names_of_the_service_are_refused() {
        assert_eq!(
            Tag::new(END_OF_FRAGMENT, "").unwrap_err().to_string(),
            "tag name \"AWS_KINESISVIDEO_END_OF_FRAGMENT\" begins with AWS, which the service keeps for itself: \
             choose another one"
        );
        assert!(Tag::new("laws", "").is_ok());
        assert!(Tag::new("aws", "").is_ok(), "AWS's SDK compares the case");
    }
}
