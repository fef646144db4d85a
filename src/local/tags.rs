//! The tags of a fragment.
//!
//! In: payloads of Tags elements. Out: names and values, whether the fragment ends, or why they are refused.
//! Does not belong here: to which fragment they belong (`ingest`); tags of a stream (`control`).

use super::ack::ErrorId;
use super::ebml::{children, string};
use super::mkv::id;
use super::tracks::{Refused, invalid};

/// The tag that ends a fragment at once.
pub(crate) const END_OF_FRAGMENT: &str = "AWS_KINESISVIDEO_END_OF_FRAGMENT";
/// The service's own tag names that a producer may send.
const AWS_TAGS: [&str; 4] = [
    END_OF_FRAGMENT,
    "AWS_KINESISVIDEO_IMAGE_GENERATION",
    "AWS_KINESISVIDEO_IMAGE_PREFIX",
    "AWS_KINESISVIDEO_NOTIFICATION",
];
/// Most tags of a fragment; the one that ends it counts.
const MAX_TAGS: usize = 10;
const MAX_NAME: usize = 128;
const MAX_VALUE: usize = 256;

/// The tags so far.
#[derive(Debug, Default)]
pub(crate) struct FragmentTags {
    tags: Vec<(String, String)>,
}

impl FragmentTags {
    /// Gives them out, without the one that ends the fragment, and begins anew.
    pub(crate) fn take(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.tags)
    }

    /// Takes the payload of a Tags element; true if it ends the fragment.
    pub(crate) fn add(&mut self, payload: &[u8]) -> Result<bool, Refused> {
        let mut ended = false;
        for (id, tag) in children(payload).map_err(invalid)? {
            if id != id::TAG {
                continue;
            }
            for (id, simple) in children(tag).map_err(invalid)? {
                if id == id::SIMPLE_TAG {
                    ended |= self.add_one(simple, ended)?;
                }
            }
        }
        Ok(ended)
    }

    fn add_one(&mut self, simple: &[u8], ended: bool) -> Result<bool, Refused> {
        let (mut name, mut value) = ("", "");
        for (id, payload) in children(simple).map_err(invalid)? {
            match id {
                id::TAG_NAME => name = string(payload).map_err(invalid)?,
                id::TAG_STRING => value = string(payload).map_err(invalid)?,
                _ => {}
            }
        }
        if name.is_empty() {
            return Err(invalid("a tag without a name"));
        }
        if name.len() > MAX_NAME || value.len() > MAX_VALUE {
            return Err(too_much("a tag that is too long"));
        }
        let end = name == END_OF_FRAGMENT;
        if end && ended {
            return Err(invalid("an end of fragment twice"));
        }
        if name.starts_with("AWS") && !AWS_TAGS.contains(&name) {
            return Err(invalid("a tag name that begins with AWS"));
        }
        // "One of each per fragment" ("Automated real-time image generation"). [inf: which error that is]
        let again = |(there, _): &(String, String)| there == name;
        if AWS_TAGS.contains(&name) && self.tags.iter().any(again) {
            return Err(too_much("an event or its prefix twice in a fragment"));
        }
        if self.tags.len() + usize::from(ended) == MAX_TAGS {
            return Err(too_much(&format!("more than {MAX_TAGS} tags")));
        }
        if !end {
            self.tags.push((name.to_owned(), value.to_owned()));
        }
        Ok(end)
    }
}

fn too_much(what: &str) -> Refused {
    (ErrorId::FragmentMetadataLimitReached, what.to_owned())
}
