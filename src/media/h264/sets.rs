//! What the sink reads inside of H.264's NAL units, and the avcC that parameter sets make.
//!
//! In: NAL units. Out: ids, profile, size; whether decoding may start at them. `None` is what cannot be read.
//!
//! An SPS is read up to its VUI only: whoever decodes knows more dialects of what follows, and nothing of it is needed.

use std::num::NonZeroUsize;

use h264_reader::nal::sps::{ChromaInfo, ProfileIdc};

use super::ParameterSet;
use crate::media::nal::{Bits, Role, Slice, cropped, has_recovery_point};

const HEADER: NonZeroUsize = NonZeroUsize::MIN;
/// The largest ids (ITU-T H.264 §7.4.2).
const MAX_SPS_ID: u8 = 31;
const MAX_PPS_ID: u8 = 255;
/// As many fit into the counts of the record.
const MAX_SPS: usize = 31;
const MAX_PPS: usize = 255;
/// Most reference frames in a cycle of picture order counts (§7.4.2.1.1).
const MAX_CYCLE: u32 = 255;

/// What a NAL unit is (ITU-T H.264 table 7-1).
pub(in crate::media) fn role(unit: &[u8]) -> Role {
    match unit.first().map(|byte| byte & 0x9F) {
        Some(5) => Role::Entry,
        Some(1..=4) => Role::Picture,
        Some(6) => Role::Sei,
        Some(7) => Role::Set(ParameterSet::Sequence),
        Some(8) => Role::Set(ParameterSet::Picture),
        Some(9) => Role::Delimiter,
        _ => Role::Other,
    }
}

/// Whether a SEI NAL unit says that decoding may start here.
pub(in crate::media) fn is_recovery_point(unit: &[u8]) -> bool {
    has_recovery_point(unit, HEADER)
}

/// A sequence parameter set.
pub(in crate::media) struct Sps {
    pub(in crate::media) id: u8,
    /// `chroma_format_idc`, `bit_depth_luma_minus8`, `bit_depth_chroma_minus8`.
    chroma: [u8; 3],
    /// Width and height in pixels after cropping; `None` when cropping leaves nothing.
    pub(in crate::media) dimensions: Option<(u32, u32)>,
}

/// Reads a sequence parameter set.
pub(in crate::media) fn sps(unit: &[u8]) -> Option<Sps> {
    let mut bits = Bits::behind(unit, HEADER);
    let profile = u8::try_from(bits.u(8)?).ok()?;
    bits.skip(16)?; // constraints, level
    let id = bits.id(MAX_SPS_ID)?;
    let chroma = ChromaInfo::read(bits.reader(), ProfileIdc::from(profile)).ok()?;
    bits.ue()?; // log2_max_frame_num_minus4
    match bits.ue()? {
        0 => bits.skip_ue(1)?, // log2_max_pic_order_cnt_lsb_minus4
        1 => {
            bits.skip(1)?; // delta_pic_order_always_zero_flag
            bits.skip_ue(2)?; // two offsets
            let cycle = bits.ue_max(MAX_CYCLE)?;
            bits.skip_ue(cycle)?;
        }
        2 => {}
        _ => return None,
    }
    bits.ue()?; // max_num_ref_frames
    bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
    let width = macroblocks(bits.ue()?)?;
    let map_units = macroblocks(bits.ue()?)?;
    let frames_only = bits.flag()?;
    if !frames_only {
        bits.skip(1)?; // mb_adaptive_frame_field_flag
    }
    bits.skip(1)?; // direct_8x8_inference_flag
    let mut crop = [0; 4]; // left, right, top, bottom
    if bits.flag()? {
        for side in &mut crop {
            *side = bits.ue()?;
        }
    }
    let fields = if frames_only { 1 } else { 2 };
    let height = map_units.checked_mul(fields)?;
    // ITU-T H.264 table 6-1: pixels of luma for one of chroma.
    let (across, down) = match chroma.chroma_array_type() {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let [left, right, top, bottom] = crop;
    let width = cropped(width, across, left, right);
    let height = cropped(height, down * fields, top, bottom);
    Some(Sps {
        id,
        chroma: [
            u8::try_from(chroma.chroma_format.to_u32()).ok()?,
            chroma.bit_depth_luma_minus8,
            chroma.bit_depth_chroma_minus8,
        ],
        dimensions: width.zip(height),
    })
}

/// Pixels of so many macroblocks and one.
fn macroblocks(minus_1: u32) -> Option<u32> {
    minus_1.checked_add(1)?.checked_mul(16)
}

/// The id of a picture parameter set, and that of the SPS that it refers to.
pub(in crate::media) fn pps(unit: &[u8]) -> Option<(u8, u8)> {
    let mut bits = Bits::behind(unit, HEADER);
    Some((bits.id(MAX_PPS_ID)?, bits.id(MAX_SPS_ID)?))
}

/// What a slice refers to, and whether it is intra coded.
pub(in crate::media) fn slice(unit: &[u8]) -> Option<Slice> {
    let mut bits = Bits::behind(unit, HEADER);
    bits.ue()?; // first_mb_in_slice
    let kind = bits.ue_max(9)?;
    Some(Slice {
        pps: bits.id(MAX_PPS_ID)?,
        intra: Some(matches!(kind % 5, 2 | 4)), // I, SI
    })
}

/// The avcC record of these parameter sets, in this order. The first SPS gives profile and level.
///
/// `None` without an SPS that can be read, without a PPS, or with one that has over 65,535 bytes.
pub(in crate::media) fn avcc(sps: &[&[u8]], pps: &[&[u8]], nal_length_size: u8) -> Option<Vec<u8>> {
    let first = sps.first()?;
    let [_, profile, compatibility, level] = *first.first_chunk()?;
    let said = self::sps(first)?;
    if pps.is_empty() {
        return None;
    }
    let sps = &sps[..sps.len().min(MAX_SPS)];
    let pps = &pps[..pps.len().min(MAX_PPS)];
    let mut out = vec![1, profile, compatibility, level];
    out.push(0xFC | nal_length_size.checked_sub(1)?);
    out.push(0xE0 | u8::try_from(sps.len()).ok()?);
    push_units(&mut out, sps)?;
    out.push(u8::try_from(pps.len()).ok()?);
    push_units(&mut out, pps)?;
    // Every profile but these has them by ISO/IEC 14496-15 §5.3.3.1.2; h264parse leaves them out, ffmpeg does not.
    if !matches!(profile, 66 | 77 | 88) {
        let [format, luma, chroma] = said.chroma;
        out.extend([0xFC | format, 0xF8 | luma, 0xF8 | chroma, 0]); // no SPS extension
    }
    Some(out)
}

/// Appends units behind their lengths in two bytes.
pub(in crate::media) fn push_units(out: &mut Vec<u8>, units: &[&[u8]]) -> Option<()> {
    for unit in units {
        out.extend(u16::try_from(unit.len()).ok()?.to_be_bytes());
        out.extend(*unit);
    }
    Some(())
}
