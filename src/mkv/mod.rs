//! Writes Matroska as a live stream: one Segment of unknown size, one Cluster of unknown size per fragment.
//!
//! In: tracks, timecodes, payload lengths, tags. Out: the bytes around the payloads. A stream is
//!
//! ```text
//! stream_header                                                       once per connection
//! push_cluster_header  (push_simple_block_header payload)+  [tags]    once per fragment
//! end_of_fragment                                                     when no cluster follows soon
//! ```
//!
//! Tags belong to the cluster before them. Element ids and meanings: RFC 9559 (Matroska), RFC 8794 (EBML).
//!
//! Belongs here: the bytes, and what fits into a field.
//! Does not belong here: payloads (they are written as they are, after their header), the order of timecodes
//! and where a cluster begins (`crate::fragment`), acks.

mod cluster;
mod ebml;
mod header;
mod ids;
mod tags;

pub use cluster::{block_offset, push_cluster_header, push_simple_block_header};
pub use header::stream_header;
pub use tags::{
    InvalidTag, MAX_TAG_NAME, MAX_TAG_VALUE, MAX_TAGS_PER_FRAGMENT, Tag, end_of_fragment, tags,
};

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
