//! A small strict reader of live Matroska, written apart from the writer so that both cannot share a mistake.
//!
//! In: bytes of a PutMedia body, in any pieces. Out: [`Element`]s with their bytes. Sizes, ids: RFC 8794, RFC 9559.
//! Does not belong here: rules between elements ([`super::service`]).

/// What the body consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// EBML, Segment, Info, Tracks: one of them.
    Header,
    /// Tracks, with their numbers: the end of the header.
    Tracks(Vec<u64>),
    /// The begin of a cluster with its timecode.
    Cluster(u64),
    Block {
        track: u64,
        offset: i16,
        key: bool,
        payload: Vec<u8>,
    },
    /// A name and a value.
    Tag(String, String),
    EndOfFragment,
}

#[derive(Default)]
pub(super) struct Reader {
    rest: Vec<u8>,
    /// A cluster's id was read, its timecode was not.
    cluster: Option<Vec<u8>>,
    /// What timecodes count from.
    pub(super) zero_ms: u64,
}

const END_OF_FRAGMENT: &str = "AWS_KINESISVIDEO_END_OF_FRAGMENT";

impl Reader {
    /// Elements that are whole with these bytes, each with its bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<(Element, Vec<u8>)>, String> {
        self.rest.extend_from_slice(bytes);
        let mut elements = Vec::new();
        while let Some((element, length)) = self.next()? {
            let rest = self.rest.split_off(length);
            let raw = std::mem::replace(&mut self.rest, rest);
            match element {
                None => self.cluster = Some(raw),
                Some(element) => {
                    let whole = [self.cluster.take().unwrap_or_default(), raw].concat();
                    elements.push((element, whole));
                }
            }
        }
        Ok(elements)
    }

    /// The next element and its length; without an element for the id of a cluster.
    fn next(&self) -> Result<Option<(Option<Element>, usize)>, String> {
        let Some(&first) = self.rest.first() else {
            return Ok(None);
        };
        let id_length = first.leading_zeros() as usize + 1;
        if id_length > 4 {
            return Err(format!("{first:02x} begins no element id"));
        }
        let Some((size, size_length)) = self.rest.get(id_length..).and_then(vint) else {
            return Ok(None);
        };
        let (id, start) = (&self.rest[..id_length], id_length + size_length);
        let unknown = size == (1 << (7 * size_length)) - 1;
        if unknown {
            return match id {
                [0x18, 0x53, 0x80, 0x67] => Ok(Some((Some(Element::Header), start))),
                [0x1F, 0x43, 0xB6, 0x75] => Ok(Some((None, start))),
                _ => Err(format!("{id:02x?} of unknown size")),
            };
        }
        let end = start + size as usize;
        let Some(data) = self.rest.get(start..end) else {
            return Ok(None);
        };
        let timecode_is_due = self.cluster.is_some();
        let element = match id {
            [0xE7] if timecode_is_due => Element::Cluster(self.zero_ms + uint(data)),
            _ if timecode_is_due => {
                return Err(format!("{id:02x?} before the cluster's timecode"));
            }
            [0x1A, 0x45, 0xDF, 0xA3] | [0x15, 0x49, 0xA9, 0x66] => Element::Header,
            [0x16, 0x54, 0xAE, 0x6B] => {
                let number = |entry| find(entry, &[0xD7]).map(uint);
                let entries = children(data)?.into_iter();
                let numbers =
                    entries.map(|(_, entry)| number(entry).ok_or("a track without a number"));
                Element::Tracks(numbers.collect::<Result<_, _>>()?)
            }
            [0xA3] => {
                let (track, length) = vint(data).ok_or("a block without a track")?;
                let [high, low, flags, payload @ ..] = &data[length..] else {
                    return Err("a block without fields".into());
                };
                Element::Block {
                    track,
                    offset: i16::from_be_bytes([*high, *low]),
                    key: flags & 0x80 != 0,
                    payload: payload.to_vec(),
                }
            }
            [0x12, 0x54, 0xC3, 0x67] => {
                let simple = find(data, &[0x73, 0x73]).and_then(|tag| find(tag, &[0x67, 0xC8]));
                let simple = simple.ok_or("tags without a tag")?;
                let text =
                    |id| find(simple, id).map(|text| String::from_utf8_lossy(text).into_owned());
                let (name, value) = (text(&[0x45, 0xA3]), text(&[0x44, 0x87]));
                match name.ok_or("a tag without a name")? {
                    name if name == END_OF_FRAGMENT => Element::EndOfFragment,
                    name => Element::Tag(name, value.ok_or("a tag without a value")?),
                }
            }
            _ => return Err(format!("unexpected element {id:02x?}")),
        };
        Ok(Some((Some(element), end)))
    }
}

/// An element: its id and its data.
type Child<'a> = (&'a [u8], &'a [u8]);

/// The elements in a master element.
pub(super) fn children(mut data: &[u8]) -> Result<Vec<Child<'_>>, String> {
    let mut children = Vec::new();
    while let Some(first) = data.first() {
        let id_length = first.leading_zeros() as usize + 1;
        let (id, rest) = data.split_at_checked(id_length).ok_or("an id is cut off")?;
        let (size, length) = vint(rest).ok_or("a size is cut off")?;
        let end = length + size as usize;
        children.push((id, rest.get(length..end).ok_or("an element is cut off")?));
        data = &rest[end..];
    }
    Ok(children)
}

/// The data of the first child with this id.
fn find<'a>(data: &'a [u8], id: &[u8]) -> Option<&'a [u8]> {
    let children = children(data).ok()?.into_iter();
    children
        .into_iter()
        .find(|(other, _)| *other == id)
        .map(|(_, data)| data)
}

/// A variable-size integer and its length, when it is whole.
fn vint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    let marker = 1_u64.checked_shl(7 * length as u32)?;
    let value = uint(bytes.get(..length)?);
    Some((value & (marker - 1), length))
}

fn uint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}
