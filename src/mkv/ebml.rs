//! EBML elements: id, size, data (RFC 8794).
//!
//! In: values. Out: bytes at the end of a buffer. Sizes and integers take as few bytes as they can.
//!
//! Does not belong here: which element means what.

use bytes::BufMut;

use super::ids::Id;

/// The size of an element whose end is not known yet, in its eight-byte form.
pub(super) const UNKNOWN_SIZE: [u8; 8] = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

/// Longest form of a size, in bytes.
const MAX_SIZE_LEN: usize = 8;

/// Appends `size` as a variable-size integer (RFC 8794 §4). All data bits 1 would mean "unknown", so 127 takes two
/// bytes, and so on.
///
/// Sizes from 2^56 - 1 do not exist: no memory holds such an element.
pub(super) fn push_size(out: &mut impl BufMut, size: usize) {
    let size = size as u64;
    let len = (1..MAX_SIZE_LEN)
        .find(|len| size < (1 << (7 * len)) - 1)
        .unwrap_or(MAX_SIZE_LEN);
    let marked = size | 1 << (7 * len);
    out.put_slice(&marked.to_be_bytes()[MAX_SIZE_LEN - len..]);
}

/// Appends an element with these bytes as data.
pub(super) fn push_binary(out: &mut impl BufMut, id: Id, data: &[u8]) {
    out.put_slice(id);
    push_size(out, data.len());
    out.put_slice(data);
}

/// Appends a string element. EBML has no terminator and no length limit of its own.
pub(super) fn push_string(out: &mut Vec<u8>, id: Id, text: &str) {
    push_binary(out, id, text.as_bytes());
}

/// Appends an unsigned integer element; at least one byte, since not every reader takes an empty one as 0.
pub(super) fn push_uint(out: &mut impl BufMut, id: Id, value: u64) {
    let leading = (value | 1).leading_zeros() as usize / 8;
    push_binary(out, id, &value.to_be_bytes()[leading..]);
}

/// Appends a float element, in its form of eight bytes.
pub(super) fn push_float(out: &mut Vec<u8>, id: Id, value: f64) {
    push_binary(out, id, &value.to_be_bytes());
}

/// Appends an element that holds the elements which `children` appends.
pub(super) fn push_master(out: &mut Vec<u8>, id: Id, children: impl FnOnce(&mut Vec<u8>)) {
    let mut data = Vec::new();
    children(&mut data);
    push_binary(out, id, &data);
}

/// Appends the start of an element that holds all that follows.
pub(super) fn push_unknown_size(out: &mut impl BufMut, id: Id) {
    out.put_slice(id);
    out.put_slice(&UNKNOWN_SIZE);
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::super::golden::hex;
    use super::*;

    #[test_case(0 => "80")]
    #[test_case(126 => "FE")]
    #[test_case(127 => "407F"; "FF would mean unknown")]
    #[test_case(16_382 => "7FFE")]
    #[test_case(16_383 => "203FFF")]
    #[test_case(2_097_150 => "3FFFFE")]
    #[test_case(2_097_151 => "101FFFFF")]
    #[test_case(50 * 1024 * 1024 => "13200000"; "the largest fragment")]
    #[test_case(1 << 28 => "0810000000")]
    fn sizes_take_as_few_bytes_as_they_can(size: usize) -> String {
        let mut out = Vec::new();
        push_size(&mut out, size);
        hex(&out)
    }

    #[test_case(0 => "E78100")]
    #[test_case(255 => "E781FF")]
    #[test_case(256 => "E7820100")]
    #[test_case(1_700_000_000_000 => "E786018BCFE56800")]
    #[test_case(u64::MAX => "E788FFFFFFFFFFFFFFFF")]
    fn integers_take_as_few_bytes_as_they_can(value: u64) -> String {
        let mut out = Vec::new();
        push_uint(&mut out, super::super::ids::TIMECODE, value);
        hex(&out)
    }
}
