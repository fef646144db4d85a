//! [`Labels`]: which tags the next fragment begins with.
//!
//! In: tags that no fragment takes yet, and those that each takes. Out: the tags of a fragment when it begins.
//! Does not belong here: the tags of the open fragment ([`super::Fragment`]), limits (`session`).

use super::tag_cost;
use crate::mkv::Tag;

/// Tags that wait for a fragment.
#[derive(Default)]
pub(crate) struct Labels {
    /// Each fragment has them.
    persistent: Vec<Tag>,
    /// Only the next one.
    next: Vec<Tag>,
}

impl Labels {
    /// The tags of a fragment that begins now.
    pub(crate) fn begin(&mut self) -> impl Iterator<Item = Tag> + use<> {
        let next = std::mem::take(&mut self.next);
        self.persistent.clone().into_iter().chain(next)
    }

    /// What they will cost, in bytes.
    pub(crate) fn cost(&self) -> u64 {
        self.all().map(tag_cost).sum()
    }

    /// The tags that the next fragment would have.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Tag> {
        self.persistent.iter().chain(&self.next)
    }

    /// For the next fragment only.
    pub(crate) fn add(&mut self, tag: Tag) {
        self.next.push(tag);
    }

    /// For each fragment from the next one on, in place of one of the same name.
    pub(crate) fn keep(&mut self, tag: Tag) {
        match self
            .persistent
            .iter_mut()
            .find(|other| other.name() == tag.name())
        {
            Some(other) => *other = tag,
            None => self.persistent.push(tag),
        }
    }

    /// Not any more.
    pub(crate) fn cancel(&mut self, name: &str) {
        self.persistent.retain(|tag| tag.name() != name);
    }
}
