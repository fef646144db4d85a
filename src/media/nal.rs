//! NAL units: where they begin and end in an access unit, and the bits inside of them.
//!
//! In: access units in byte-stream format (ITU-T H.264 and H.265 annex B), or with lengths before the NAL units. Out:
//! the NAL units, from their header to their last byte that is not a trailing zero.
//!
//! Belongs here: what H.264 and H.265 have in common. Does not belong here: what a NAL unit means (`h264`, `h265`).

use std::io::{self, Read};
use std::num::NonZeroUsize;

use h264_reader::rbsp::{BitRead, BitReader, ByteReader};
use memchr::memmem;

use super::h264::{InvalidAccessUnit, ParameterSet};

/// Begins a NAL unit. The fourth byte of the longer form is a zero that belongs to nobody.
const START_CODE: &[u8] = &[0, 0, 1];
/// `payloadType` of the recovery point SEI message, in H.264 (§D.1.1) and H.265 (§D.2.1).
const RECOVERY_POINT: u32 = 6;

/// What a NAL unit is, as far as the sink minds.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// What pictures need.
    Set(ParameterSet),
    /// A part of a picture from which decoding may start.
    Entry,
    /// A part of another picture.
    Picture,
    /// Supplemental enhancement information before the picture.
    Sei,
    /// The delimiter in front of an access unit.
    Delimiter,
    /// Anything else.
    Other,
}

/// What a slice says of itself.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Slice {
    /// The picture parameter set that it refers to.
    pub(super) pps: u8,
    /// It needs no other picture; `None` when that cannot be read.
    pub(super) intra: Option<bool>,
}

/// The NAL units of an access unit in byte-stream format, without the zeros behind them.
///
/// # Errors
/// No start code, something else than zeros before the first one.
pub(super) fn byte_stream_units(payload: &[u8]) -> Result<Vec<&[u8]>, InvalidAccessUnit> {
    if payload.is_empty() {
        return Err(InvalidAccessUnit::Empty);
    }
    let mut codes = memmem::find_iter(payload, START_CODE);
    let first = codes.next().ok_or(InvalidAccessUnit::NoStartCode)?;
    if payload[..first].iter().any(|&byte| byte != 0) {
        return Err(InvalidAccessUnit::BeforeStartCode { bytes: first });
    }
    let mut units = Vec::new();
    let mut begin = first + START_CODE.len();
    for code in codes {
        units.extend(without_zeros(&payload[begin..code]));
        begin = code + START_CODE.len();
    }
    units.extend(without_zeros(&payload[begin..]));
    match units.is_empty() {
        true => Err(InvalidAccessUnit::Empty),
        false => Ok(units),
    }
}

/// The bytes up to the last one that is not zero: a NAL unit does not end with one.
fn without_zeros(unit: &[u8]) -> Option<&[u8]> {
    let last = unit.iter().rposition(|&byte| byte != 0)?;
    Some(&unit[..=last])
}

/// The NAL units behind lengths of `size` bytes. Ends before what is not whole (`check_nal_lengths` says).
pub(super) fn units_with_lengths(payload: &[u8], size: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        loop {
            let (prefix, units) = rest.split_at_checked(size.into())?;
            let length = prefix
                .iter()
                .fold(0, |length, &byte| length << 8 | u64::from(byte));
            let (unit, behind) = units.split_at_checked(usize::try_from(length).ok()?)?;
            if prefix.is_empty() {
                return None;
            }
            rest = behind;
            if !unit.is_empty() {
                return Some(unit);
            }
        }
    })
}

/// Appends a NAL unit behind its length in `size` bytes, 1 to 4.
///
/// # Errors
/// A NAL unit whose length does not fit.
pub(super) fn push_with_length(
    out: &mut Vec<u8>,
    unit: &[u8],
    size: u8,
) -> Result<(), InvalidAccessUnit> {
    let length = u32::try_from(unit.len()).map(u32::to_be_bytes);
    let length = length.map_err(|_| InvalidAccessUnit::UnitTooLarge)?;
    let (zeros, length) = length.split_at(length.len().saturating_sub(size.into()));
    if zeros.iter().any(|&byte| byte != 0) {
        return Err(InvalidAccessUnit::UnitTooLarge);
    }
    out.extend(length);
    out.extend(unit);
    Ok(())
}

/// Whether a SEI NAL unit with a header of `header` bytes has a recovery point message.
pub(super) fn has_recovery_point(unit: &[u8], header: NonZeroUsize) -> bool {
    let mut bytes = ByteReader::skipping_bytes(unit, header);
    // The byte that ends the NAL unit reads like a type, but there is no size behind it.
    while let Some(message) = sei_number(&mut bytes) {
        let Some(size) = sei_number(&mut bytes).map(u64::from) else {
            return false;
        };
        if message == RECOVERY_POINT {
            return true;
        }
        let skipped = io::copy(&mut (&mut bytes).take(size), &mut io::sink());
        if skipped.ok() != Some(size) {
            return false;
        }
    }
    false
}

/// A type or a size of a SEI message: bytes of 255, and one that is less, are added.
fn sei_number(bytes: &mut impl Read) -> Option<u32> {
    let mut sum = 0_u32;
    loop {
        let mut byte = [0];
        bytes.read_exact(&mut byte).ok()?;
        sum = sum.checked_add(byte[0].into())?;
        if byte[0] < 0xFF {
            return Some(sum);
        }
    }
}

/// The bits of a NAL unit behind its header. `None` is the end, or what is no number.
pub(super) struct Bits<'a>(BitReader<ByteReader<&'a [u8]>>);

impl<'a> Bits<'a> {
    /// Those behind the first `header` bytes.
    pub(super) fn behind(unit: &'a [u8], header: NonZeroUsize) -> Self {
        Self(BitReader::new(ByteReader::skipping_bytes(unit, header)))
    }

    /// u(1)
    pub(super) fn flag(&mut self) -> Option<bool> {
        self.0.read_bit("").ok()
    }

    /// u(n), at most 32 bits.
    pub(super) fn u(&mut self, bits: u32) -> Option<u32> {
        self.0.read_var(bits, "").ok()
    }

    /// ue(v)
    pub(super) fn ue(&mut self) -> Option<u32> {
        self.0.read_ue("").ok()
    }

    /// ue(v) that is not above `max`.
    pub(super) fn ue_max(&mut self, max: u32) -> Option<u32> {
        self.ue().filter(|&value| value <= max)
    }

    /// ue(v) that is the id of a parameter set.
    pub(super) fn id(&mut self, max: u8) -> Option<u8> {
        self.ue_max(max.into())?.try_into().ok()
    }

    /// Passes over `n` values of ue(v) or se(v), whose length is the same.
    pub(super) fn skip_ue(&mut self, n: u32) -> Option<()> {
        for _ in 0..n {
            self.ue()?;
        }
        Some(())
    }

    /// Passes over `n` bits.
    pub(super) fn skip(&mut self, n: u32) -> Option<()> {
        self.0.skip(n, "").ok()
    }

    /// The reader, for what the crate reads.
    pub(super) fn reader(&mut self) -> &mut impl BitRead {
        &mut self.0
    }
}

/// Width or height less what is cropped on both sides, in units of `unit` pixels.
pub(super) fn cropped(size: u32, unit: u32, before: u32, after: u32) -> Option<u32> {
    let cut = before.checked_add(after)?.checked_mul(unit)?;
    size.checked_sub(cut).filter(|&size| size > 0)
}
