//! EBML elements: id, size, data (RFC 8794).
//!
//! In: values. Out: bytes at the end of a buffer. Sizes and integers take as few bytes as they can.
//!
//! Does not belong here: which element means what.

use super::ids::Id;

/// The size of an element whose end is not known yet, in its eight-byte form.
pub(super) const UNKNOWN_SIZE: [u8; 8] = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

/// Longest form of a size, in bytes.
const MAX_SIZE_LEN: usize = 8;

/// Appends `size` as a variable-size integer (RFC 8794 §4). All data bits 1 would mean "unknown", so 127 takes two
/// bytes, and so on.
///
/// Sizes from 2^56 - 1 do not exist: no memory holds such an element.
pub(super) fn push_size(out: &mut Vec<u8>, size: usize) {
    let size = size as u64;
    let len = (1..MAX_SIZE_LEN)
        .find(|len| size < (1 << (7 * len)) - 1)
        .unwrap_or(MAX_SIZE_LEN);
    let marked = size | 1 << (7 * len);
    out.extend_from_slice(&marked.to_be_bytes()[MAX_SIZE_LEN - len..]);
}

/// Appends an element with these bytes as data.
pub(super) fn push_binary(out: &mut Vec<u8>, id: Id, data: &[u8]) {
    out.extend_from_slice(id);
    push_size(out, data.len());
    out.extend_from_slice(data);
}

/// Appends a string element. EBML has no terminator and no length limit of its own.
pub(super) fn push_string(out: &mut Vec<u8>, id: Id, text: &str) {
    push_binary(out, id, text.as_bytes());
}

/// Appends an unsigned integer element; at least one byte, since not every reader takes an empty one as 0.
pub(super) fn push_uint(out: &mut Vec<u8>, id: Id, value: u64) {
    let leading = (value | 1).leading_zeros() as usize / 8;
    push_binary(out, id, &value.to_be_bytes()[leading..]);
}

/// Appends an element that holds the elements which `children` appends.
pub(super) fn push_master(out: &mut Vec<u8>, id: Id, children: impl FnOnce(&mut Vec<u8>)) {
    let mut data = Vec::new();
    children(&mut data);
    push_binary(out, id, &data);
}

/// Appends the start of an element that holds all that follows.
pub(super) fn push_unknown_size(out: &mut Vec<u8>, id: Id) {
    out.extend_from_slice(id);
    out.extend_from_slice(&UNKNOWN_SIZE);
}
