//! The parameter sets in the codec private data of caps, with less conditions than a header has: streams that carry them
//! in their access units need none here.

use super::super::codec::Codec;
use super::super::nal::byte_stream_units;

/// Size of the lengths before NAL units, and the NAL units in it; `None` when it is cut off or of another version.
pub(super) fn read(codec: Codec, record: &[u8]) -> Option<(u8, Vec<&[u8]>)> {
    let mut units = Vec::new();
    if record.first() != Some(&1) {
        return None;
    }
    let (size, mut rest) = match codec {
        Codec::H265 => (record.get(21)?, record.get(22..)?),
        _ => (record.get(4)?, record.get(5..)?),
    };
    match codec {
        Codec::H265 => {
            let (&arrays, after) = rest.split_first()?;
            rest = after;
            for _ in 0..arrays {
                let (head, after) = rest.split_first_chunk::<3>()?;
                rest = after;
                list(
                    &mut rest,
                    u16::from_be_bytes([head[1], head[2]]),
                    &mut units,
                )?;
            }
        }
        _ => {
            for mask in [0x1F, 0xFF] {
                let (&count, after) = rest.split_first()?;
                rest = after;
                list(&mut rest, u16::from(count & mask), &mut units)?;
            }
        }
    }
    Some(((size & 3) + 1, units))
}

/// The NAL units of codec private data beside a byte-stream: some sources put them there in the same format.
pub(super) fn read_byte_stream(codec: Codec, data: &[u8]) -> Vec<&[u8]> {
    match read(codec, data) {
        Some((_, units)) => units,
        None => byte_stream_units(data).unwrap_or_default(),
    }
}

fn list<'a>(rest: &mut &'a [u8], count: u16, units: &mut Vec<&'a [u8]>) -> Option<()> {
    for _ in 0..count {
        let (len, after) = rest.split_first_chunk()?;
        let (unit, after) = after.split_at_checked(u16::from_be_bytes(*len).into())?;
        units.push(unit);
        *rest = after;
    }
    Some(())
}
