//! A strict streaming reader of the Matroska that a producer sends.
//!
//! In: bytes in any chunking ([`Reader::feed`]). Out: the elements in order ([`Reader::next`]): the EBML
//! header, the start of the Segment, whole elements of the Segment's level, the start of a Cluster, its
//! whole children, its end. Segment and Cluster may have unknown sizes, nothing else may.
//!
//! Belongs here: element heads, nesting, sizes. Does not belong here: what an element means and whether
//! it may come now (`ingest`, `mkv`).
//!
//! Memory: an element is given out when all of it has come, so at most one element and the chunk fed last
//! are kept; an element that is larger than its level allows is refused by its head.

use bytes::{Buf, Bytes, BytesMut};

use super::mkv::id;

/// Largest EBML header taken.
const MAX_EBML_HEADER: u64 = 4096;
/// Largest element on the Segment's level other than a Cluster (three tracks with 1 MiB of private data fit).
const MAX_SEGMENT_ELEMENT: u64 = 4 << 20;

/// What [`Reader::next`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The EBML header, whole.
    EbmlHeader(Element),
    /// The head of the Segment.
    Segment,
    /// A whole element of the Segment's level.
    Element(Element),
    /// The head of a Cluster.
    Cluster,
    /// A whole child of the Cluster.
    Child(Element),
    /// The Cluster is over.
    ClusterEnd,
}

/// A whole element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    /// Its id, length marker included, as the specification prints it.
    pub(crate) id: u32,
    /// Head and payload.
    pub(crate) raw: Bytes,
    head: usize,
}

impl Element {
    /// The payload.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.raw[self.head..]
    }
}

/// Why the bytes are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    /// Not Matroska, or not in the order that is taken.
    #[error("{what} at byte {position}")]
    Malformed { what: String, position: u64 },
    /// A cluster that is larger than a fragment may be.
    #[error("a cluster of more than {limit} bytes at byte {position}")]
    TooLarge { limit: u64, position: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Start,
    Header,
    /// `left`: bytes until the end of the Segment, if its size is known.
    Segment {
        left: Option<u64>,
    },
    /// `left`: bytes until the end of the Cluster, if its size is known; `used`: bytes of it so far.
    Cluster {
        segment: Option<u64>,
        left: Option<u64>,
        used: u64,
    },
}

/// The reader; see the module's text.
#[derive(Debug)]
pub(crate) struct Reader {
    buffer: BytesMut,
    position: u64,
    level: Level,
    max_cluster: u64,
}

impl Reader {
    /// A reader that refuses clusters of more than `max_cluster` bytes.
    pub(crate) fn new(max_cluster: u64) -> Self {
        Self {
            buffer: BytesMut::new(),
            position: 0,
            level: Level::Start,
            max_cluster,
        }
    }

    /// Takes the next bytes of the body.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether the body may end here: between two elements, and in no element of known size.
    pub(crate) fn may_end(&self) -> bool {
        let unfinished = |left: Option<u64>| left.is_some_and(|left| left > 0);
        self.buffer.is_empty()
            && match self.level {
                Level::Start | Level::Header => false,
                Level::Segment { left } => !unfinished(left),
                Level::Cluster { segment, left, .. } => !unfinished(segment) && !unfinished(left),
            }
    }

    /// Id, payload so far and payload size of an element of which not all has come.
    pub(crate) fn partial(&self) -> Option<(u32, u64, u64)> {
        let head = Head::parse(&self.buffer).ok()??;
        let have = self.buffer.len().checked_sub(head.len)?;
        Some((head.id, have as u64, head.size?))
    }

    /// The next event, or nothing until more bytes have come.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, Wrong> {
        match self.level {
            Level::Start => self.ebml_header(),
            Level::Header => self.segment_head(),
            Level::Segment { left } => self.in_segment(left),
            Level::Cluster {
                segment,
                left,
                used,
            } => self.in_cluster(segment, left, used),
        }
    }

    fn ebml_header(&mut self) -> Result<Option<Event>, Wrong> {
        // Garbage is recognised by its first four bytes, before it is taken for a huge element.
        let magic = id::EBML.to_be_bytes();
        let known = self.buffer.len().min(magic.len());
        if self.buffer[..known] != magic[..known] {
            return Err(self.malformed("no EBML header"));
        }
        let Some(head) = self.head()? else {
            return Ok(None);
        };
        let size = self.known_size(head)?;
        if size > MAX_EBML_HEADER {
            return Err(self.malformed("an EBML header that is too large"));
        }
        Ok(self.take(head, size).map(|element| {
            self.level = Level::Header;
            Event::EbmlHeader(element)
        }))
    }

    fn segment_head(&mut self) -> Result<Option<Event>, Wrong> {
        let Some(head) = self.head()? else {
            return Ok(None);
        };
        if head.id != id::SEGMENT {
            return Err(self.malformed(&format!("element {:X} instead of a Segment", head.id)));
        }
        self.skip(head.len);
        self.level = Level::Segment { left: head.size };
        Ok(Some(Event::Segment))
    }

    fn in_segment(&mut self, left: Option<u64>) -> Result<Option<Event>, Wrong> {
        if left == Some(0) {
            if self.buffer.is_empty() {
                return Ok(None);
            }
            return Err(self.malformed("bytes after the end of the Segment"));
        }
        let Some(head) = self.head()? else {
            return Ok(None);
        };
        if head.id == id::CLUSTER {
            let segment = self.inside(left, head.len as u64)?;
            let segment = match head.size {
                Some(size) if size > self.max_cluster => return Err(self.too_large()),
                Some(size) => self.inside(segment, size)?,
                None => segment,
            };
            self.skip(head.len);
            self.level = Level::Cluster {
                segment,
                left: head.size,
                used: 0,
            };
            return Ok(Some(Event::Cluster));
        }
        if !id::SEGMENT_LEVEL.contains(&head.id) {
            return Err(self.malformed(&format!("element {:X} in the Segment", head.id)));
        }
        let size = self.known_size(head)?;
        if size > MAX_SEGMENT_ELEMENT {
            return Err(self.malformed(&format!("element {:X} of {size} bytes", head.id)));
        }
        let left = self.inside(left, head.len as u64 + size)?;
        Ok(self.take(head, size).map(|element| {
            self.level = Level::Segment { left };
            Event::Element(element)
        }))
    }

    fn in_cluster(
        &mut self,
        segment: Option<u64>,
        left: Option<u64>,
        used: u64,
    ) -> Result<Option<Event>, Wrong> {
        let over = left == Some(0) || (left.is_none() && segment == Some(0));
        if over {
            self.level = Level::Segment { left: segment };
            return Ok(Some(Event::ClusterEnd));
        }
        let Some(head) = self.head()? else {
            return Ok(None);
        };
        if !id::CLUSTER_LEVEL.contains(&head.id) {
            let next = head.id == id::CLUSTER || id::SEGMENT_LEVEL.contains(&head.id);
            if left.is_none() && next {
                self.level = Level::Segment { left: segment };
                return Ok(Some(Event::ClusterEnd));
            }
            return Err(self.malformed(&format!("element {:X} in a Cluster", head.id)));
        }
        let size = self.known_size(head)?;
        let whole = size.saturating_add(head.len as u64);
        let used = used.saturating_add(whole);
        if used > self.max_cluster {
            return Err(self.too_large());
        }
        let (segment, left) = match left {
            // The Segment's count already covers a Cluster of known size.
            Some(_) => (segment, self.inside(left, whole)?),
            None => (self.inside(segment, whole)?, None),
        };
        Ok(self.take(head, size).map(|element| {
            self.level = Level::Cluster {
                segment,
                left,
                used,
            };
            Event::Child(element)
        }))
    }

    /// What is left of a parent after a child of `whole` bytes.
    fn inside(&self, left: Option<u64>, whole: u64) -> Result<Option<u64>, Wrong> {
        left.map(|left| {
            left.checked_sub(whole)
                .ok_or_else(|| self.malformed("an element that is larger than its parent"))
        })
        .transpose()
    }

    fn known_size(&self, head: Head) -> Result<u64, Wrong> {
        head.size
            .ok_or_else(|| self.malformed(&format!("element {:X} of unknown size", head.id)))
    }

    fn head(&self) -> Result<Option<Head>, Wrong> {
        Head::parse(&self.buffer).map_err(|what| self.malformed(what))
    }

    fn take(&mut self, head: Head, size: u64) -> Option<Element> {
        let whole = usize::try_from(size).ok()?.checked_add(head.len)?;
        if self.buffer.len() < whole {
            return None;
        }
        self.position += whole as u64;
        let raw = self.buffer.split_to(whole).freeze();
        Some(Element {
            id: head.id,
            raw,
            head: head.len,
        })
    }

    fn skip(&mut self, len: usize) {
        self.position += len as u64;
        self.buffer.advance(len);
    }

    fn malformed(&self, what: &str) -> Wrong {
        Wrong::Malformed {
            what: what.to_owned(),
            position: self.position,
        }
    }

    fn too_large(&self) -> Wrong {
        Wrong::TooLarge {
            limit: self.max_cluster,
            position: self.position,
        }
    }
}

/// Id and size of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The id with its length marker.
    pub(crate) id: u32,
    /// The payload's size, if known.
    pub(crate) size: Option<u64>,
    /// Bytes of the head itself.
    pub(crate) len: usize,
}

impl Head {
    /// Reads a head from the start of `bytes`; nothing if it is not complete yet.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        let Some(&first) = bytes.first() else {
            return Ok(None);
        };
        let id_len = first.leading_zeros() as usize + 1;
        if id_len > 4 {
            return Err("an element id of more than four bytes");
        }
        let Some(id) = bytes.get(..id_len) else {
            return Ok(None);
        };
        let id = id.iter().fold(0, |id, &byte| id << 8 | u32::from(byte));
        let Some((size, size_len)) = vint(&bytes[id_len..])? else {
            return Ok(None);
        };
        Ok(Some(Self {
            id,
            size,
            len: id_len + size_len,
        }))
    }
}

/// A variable-size integer from the start of `bytes` and its length; all ones is "unknown".
pub(crate) fn vint(bytes: &[u8]) -> Result<Option<(Option<u64>, usize)>, &'static str> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    let len = first.leading_zeros() as usize + 1;
    if len > 8 {
        return Err("an integer of more than eight bytes");
    }
    let Some(raw) = bytes.get(..len) else {
        return Ok(None);
    };
    let value = raw
        .iter()
        .fold(0, |value, &byte| value << 8 | u64::from(byte));
    let mask = (1 << (7 * len)) - 1;
    let value = value & mask;
    Ok(Some(((value != mask).then_some(value), len)))
}

/// The children of a master element that is complete in memory.
pub(crate) fn children(mut bytes: &[u8]) -> Result<Vec<(u32, &[u8])>, &'static str> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let head = Head::parse(bytes)?.ok_or("an element that is cut off")?;
        let size = head.size.ok_or("an element of unknown size")?;
        let end = usize::try_from(size)
            .ok()
            .and_then(|size| size.checked_add(head.len))
            .filter(|&end| end <= bytes.len())
            .ok_or("an element that is larger than its parent")?;
        found.push((head.id, &bytes[head.len..end]));
        bytes = &bytes[end..];
    }
    Ok(found)
}

/// An unsigned integer.
pub(crate) fn uint(payload: &[u8]) -> Result<u64, &'static str> {
    if payload.len() > 8 {
        return Err("an integer of more than eight bytes");
    }
    Ok(payload
        .iter()
        .fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

/// A float: four or eight bytes, or none for 0.
pub(crate) fn float(payload: &[u8]) -> Result<f64, &'static str> {
    match *payload {
        [] => Ok(0.0),
        [a, b, c, d] => Ok(f32::from_be_bytes([a, b, c, d]).into()),
        _ => payload
            .try_into()
            .map(f64::from_be_bytes)
            .map_err(|_| "a float that has neither four nor eight bytes"),
    }
}

/// A string, without the zero bytes that may pad it.
pub(crate) fn string(payload: &[u8]) -> Result<&str, &'static str> {
    let end = payload
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(payload.len());
    std::str::from_utf8(&payload[..end]).map_err(|_| "a string that is not UTF-8")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::mkv::put;
    use super::*;

    fn read(reader: &mut Reader, events: &mut Vec<Event>) -> Result<(), Wrong> {
        while let Some(event) = reader.next()? {
            events.push(event);
        }
        Ok(())
    }

    fn read_cut_at(body: &[u8], cut: usize) -> (Vec<Event>, Option<Wrong>, bool) {
        let mut reader = Reader::new(1_000);
        let mut events = Vec::new();
        for part in [&body[..cut], &body[cut..]] {
            reader.feed(part);
            if let Err(wrong) = read(&mut reader, &mut events) {
                return (events, Some(wrong), false);
            }
        }
        (events, None, reader.may_end())
    }

    fn header() -> Vec<u8> {
        let mut body = Vec::new();
        put(&mut body, id::EBML, b"\x42\x82\x88matroska");
        body
    }

    fn element(id: u32, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, id, payload);
        out
    }

    fn unknown(id: u32) -> Vec<u8> {
        [
            &id.to_be_bytes()[..],
            &[0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        ]
        .concat()
    }

    fn live_body() -> Vec<u8> {
        let block = element(id::SIMPLE_BLOCK, &[0x81, 0, 0, 0x80, 1, 2, 3]);
        [
            header(),
            unknown(id::SEGMENT),
            element(id::INFO, &[1, 2]),
            unknown(id::CLUSTER),
            element(id::TIMECODE, &[7]),
            block.clone(),
            element(id::TAGS, &[]),
            element(id::CLUSTER, &[element(id::TIMECODE, &[9]), block].concat()),
            element(id::VOID, &[0; 3]),
        ]
        .concat()
    }

    #[test]
    fn a_cut_at_any_byte_changes_nothing() {
        let body = live_body();
        let whole = read_cut_at(&body, 0);
        assert_eq!(whole.1, None);
        assert!(whole.2, "the body may end where it ends");
        assert_eq!(whole.0.len(), 13);
        for cut in 1..=body.len() {
            assert_eq!(read_cut_at(&body, cut), whole, "cut at {cut}");
        }
    }

    #[test]
    fn known_sizes_are_read_as_well_as_unknown_ones() {
        let cluster = element(id::CLUSTER, &element(id::TIMECODE, &[9]));
        let body = [header(), element(id::SEGMENT, &cluster)].concat();
        let (events, wrong, may_end) = read_cut_at(&body, 0);
        assert_eq!(wrong, None);
        assert!(may_end);
        assert_eq!(events.last(), Some(&Event::ClusterEnd));
    }

    #[test]
    fn a_body_may_not_end_inside_an_element() {
        let body = live_body();
        let mut reader = Reader::new(1_000);
        reader.feed(&body[..body.len() - 1]);
        read(&mut reader, &mut Vec::new()).unwrap();
        assert!(!reader.may_end());
    }

    #[test]
    fn garbage_is_refused_by_its_first_byte() {
        let (events, wrong, _) = read_cut_at(b"\0", 0);
        assert!(events.is_empty());
        assert!(matches!(wrong, Some(Wrong::Malformed { position: 0, .. })));
    }

    #[test]
    fn a_cluster_that_is_too_large_is_refused_by_the_head_of_the_block() {
        let mut body = [header(), unknown(id::SEGMENT), unknown(id::CLUSTER)].concat();
        body.extend([0xA3, 0x44, 0x00]);
        assert!(matches!(
            read_cut_at(&body, 0).1,
            Some(Wrong::TooLarge { limit: 1_000, .. })
        ));
    }

    #[test]
    fn a_child_may_not_reach_beyond_its_parent() {
        let body = [
            header(),
            unknown(id::SEGMENT),
            element(id::CLUSTER, &[0xE7, 0x82, 1]),
        ]
        .concat();
        assert!(matches!(
            read_cut_at(&body, 0).1,
            Some(Wrong::Malformed { .. })
        ));
    }

    #[test]
    fn an_unknown_size_is_for_segment_and_cluster_only() {
        let body = [header(), unknown(id::SEGMENT), unknown(id::INFO)].concat();
        assert!(matches!(
            read_cut_at(&body, 0).1,
            Some(Wrong::Malformed { .. })
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_no_chunking_changes_it(
            mut body in Just(live_body()),
            changes in prop::collection::vec((0..1000_usize, any::<u8>()), 0..4),
            cut in 0..1000_usize,
        ) {
            for (at, byte) in changes {
                let at = at % body.len();
                body[at] = byte;
            }
            let cut = cut % body.len();
            let (events, wrong, _) = read_cut_at(&body, body.len());
            let (cut_events, cut_wrong, _) = read_cut_at(&body, cut);
            prop_assert_eq!(events, cut_events);
            prop_assert_eq!(wrong, cut_wrong);
        }
    }
}
