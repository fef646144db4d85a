//! What the sink reads inside of H.265's NAL units, and the hvcC that parameter sets make.
//!
//! In: NAL units. Out: ids, profile, size; whether decoding may start at them. `None` is what cannot be read.
//!
//! Own code on the bit reader of `h264-reader`: hevc_parser allocates as much as a stream asks for, cros-codecs
//! subtracts what it did not check, scuffle-h265 reads neither VPS nor PPS (and comes with six other crates).

use std::num::NonZeroUsize;

use super::ParameterSet;
use super::vui;
use crate::media::h264::sets::push_units;
use crate::media::nal::{Bits, Role, Slice, cropped, has_recovery_point};

/// Types of NAL units (ITU-T H.265 table 7-1).
const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const DELIMITER: u8 = 35;
const PREFIX_SEI: u8 = 39;
const HEADER: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);
/// The largest ids (ITU-T H.265 §7.4.3).
const MAX_SPS_ID: u8 = 15;
const MAX_PPS_ID: u8 = 63;
/// `slice_type` of an I slice (table 7-7).
const I_SLICE: u32 = 2;

fn unit_type(unit: &[u8]) -> Option<u8> {
    unit.first().map(|byte| byte >> 1 & 0x3F)
}

/// The parameter set that a NAL unit of this type is.
pub(in crate::media) fn kind(unit_type: u8) -> Option<ParameterSet> {
    match unit_type {
        VPS => Some(ParameterSet::Video),
        SPS => Some(ParameterSet::Sequence),
        PPS => Some(ParameterSet::Picture),
        _ => None,
    }
}

/// What a NAL unit is. Those of enhancement layers are nothing to the sink: the base layer is what players show.
pub(in crate::media) fn role(unit: &[u8]) -> Role {
    let &[first, second, ..] = unit else {
        return Role::Other;
    };
    let layer = (first & 1) << 5 | second >> 3;
    if first & 0x80 != 0 || layer != 0 {
        return Role::Other;
    }
    match first >> 1 {
        16..=23 => Role::Entry, // BLA, IDR, CRA, and what is reserved for more of their kind
        0..=31 => Role::Picture,
        DELIMITER => Role::Delimiter,
        PREFIX_SEI => Role::Sei,
        other => kind(other).map_or(Role::Other, Role::Set),
    }
}

/// Whether a SEI NAL unit says that decoding may start here.
pub(in crate::media) fn is_recovery_point(unit: &[u8]) -> bool {
    has_recovery_point(unit, HEADER)
}

/// `profile_tier_level()`, the general part.
#[derive(Copy, Clone)]
struct Profile {
    space: u8,
    tier: bool,
    idc: u8,
    compatibility: u32,
    /// 48 bits.
    constraints: u64,
    level: u8,
}

/// Reads `profile_tier_level(1, max_sub_layers_minus1)`, §7.3.3.
fn profile(bits: &mut Bits<'_>, max_sub_layers_minus1: u32) -> Option<Profile> {
    let profile = Profile {
        space: bits.u(2)? as u8,
        tier: bits.flag()?,
        idc: bits.u(5)? as u8,
        compatibility: bits.u(32)?,
        constraints: u64::from(bits.u(32)?) << 16 | u64::from(bits.u(16)?),
        level: bits.u(8)? as u8,
    };
    let mut present = Vec::new();
    for _ in 0..max_sub_layers_minus1 {
        present.push((bits.flag()?, bits.flag()?));
    }
    if max_sub_layers_minus1 > 0 {
        bits.skip(2 * (8 - max_sub_layers_minus1))?;
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 })?;
        bits.skip(if level { 8 } else { 0 })?;
    }
    Some(profile)
}

/// `…max_sub_layers_minus1`: 0 to 6.
fn sub_layers(bits: &mut Bits<'_>) -> Option<u32> {
    bits.u(3).filter(|&minus_1| minus_1 < 7)
}

/// A video parameter set.
pub(in crate::media) struct Vps {
    pub(in crate::media) id: u8,
    layers: u8,
    profile: Profile,
}

/// Reads a video parameter set.
pub(in crate::media) fn vps(unit: &[u8]) -> Option<Vps> {
    let mut bits = Bits::behind(unit, HEADER);
    let id = bits.u(4)? as u8;
    bits.skip(2 + 6)?; // base layer, layers
    let max_sub_layers_minus1 = sub_layers(&mut bits)?;
    bits.skip(1 + 16)?; // nesting, reserved
    Some(Vps {
        id,
        layers: max_sub_layers_minus1 as u8 + 1,
        profile: profile(&mut bits, max_sub_layers_minus1)?,
    })
}

/// A sequence parameter set.
pub(in crate::media) struct Sps {
    pub(in crate::media) id: u8,
    layers: u8,
    nesting: bool,
    profile: Profile,
    chroma_format: u8,
    luma_minus8: u8,
    chroma_minus8: u8,
    /// `min_spatial_segmentation_idc`, if it is there and can be read.
    segmentation: Option<u16>,
    /// Width and height in pixels after cropping; `None` when cropping leaves nothing.
    pub(in crate::media) dimensions: Option<(u32, u32)>,
}

/// Reads a sequence parameter set.
pub(in crate::media) fn sps(unit: &[u8]) -> Option<Sps> {
    let mut bits = Bits::behind(unit, HEADER);
    bits.skip(4)?; // VPS
    let max_sub_layers_minus1 = sub_layers(&mut bits)?;
    let nesting = bits.flag()?;
    let profile = profile(&mut bits, max_sub_layers_minus1)?;
    let id = bits.id(MAX_SPS_ID)?;
    let chroma_format = bits.id(3)?;
    let separate = chroma_format == 3 && bits.flag()?;
    let (width, height) = (bits.ue()?, bits.ue()?);
    let mut crop = [0; 4]; // left, right, top, bottom
    if bits.flag()? {
        for side in &mut crop {
            *side = bits.ue()?;
        }
    }
    // ITU-T H.265 table 6-1: pixels of luma for one of chroma.
    let (across, down) = match chroma_format {
        1 if !separate => (2, 2),
        2 if !separate => (2, 1),
        _ => (1, 1),
    };
    let [left, right, top, bottom] = crop;
    let width = cropped(width, across, left, right);
    let height = cropped(height, down, top, bottom);
    Some(Sps {
        id,
        layers: max_sub_layers_minus1 as u8 + 1,
        nesting,
        profile,
        chroma_format,
        luma_minus8: bits.id(8)?,
        chroma_minus8: bits.id(8)?,
        segmentation: vui::segmentation(&mut bits, max_sub_layers_minus1),
        dimensions: width.zip(height),
    })
}

/// A picture parameter set.
pub(in crate::media) struct Pps {
    pub(in crate::media) id: u8,
    pub(in crate::media) sps: u8,
    extra_slice_bits: u32,
    /// Tiles and wavefronts, if that can be read.
    parallel: Option<(bool, bool)>,
}

/// Reads a picture parameter set.
pub(in crate::media) fn pps(unit: &[u8]) -> Option<Pps> {
    let mut bits = Bits::behind(unit, HEADER);
    let (id, sps) = (bits.id(MAX_PPS_ID)?, bits.id(MAX_SPS_ID)?);
    bits.skip(2)?; // dependent slice segments, output flag
    let extra_slice_bits = bits.u(3)?;
    Some(Pps {
        id,
        sps,
        extra_slice_bits,
        parallel: parallel(&mut bits),
    })
}

/// Reads on behind `num_extra_slice_header_bits`.
fn parallel(bits: &mut Bits<'_>) -> Option<(bool, bool)> {
    bits.skip(2)?; // sign data hiding, cabac_init
    bits.skip_ue(3)?; // reference indices, QP
    bits.skip(2)?; // constrained intra prediction, transform skip
    if bits.flag()? {
        bits.skip_ue(1)?; // depth of QP differences
    }
    bits.skip_ue(2)?; // chroma QP
    bits.skip(4)?; // chroma QP per slice, weighted (bi)prediction, bypass
    Some((bits.flag()?, bits.flag()?))
}

/// What a slice refers to, and whether it is intra coded, by the PPS that `find` finds.
pub(in crate::media) fn slice<'a>(
    unit: &[u8],
    find: impl FnOnce(u8) -> Option<&'a [u8]>,
) -> Option<Slice> {
    let mut bits = Bits::behind(unit, HEADER);
    let first = bits.flag()?;
    if matches!(unit_type(unit)?, 16..=23) {
        bits.skip(1)?; // no_output_of_prior_pics_flag
    }
    let pps = bits.id(MAX_PPS_ID)?;
    let intra = || {
        let extra = self::pps(find(pps)?)?.extra_slice_bits;
        // Behind it comes an address whose length depends on the size of the picture.
        bits.skip(Some(extra).filter(|_| first)?)?;
        Some(bits.ue_max(2)? == I_SLICE)
    };
    Some(Slice {
        pps,
        intra: intra(),
    })
}

/// The hvcC record of these parameter sets, in this order, which may also come in the stream.
///
/// `None` without a set of each kind that can be read, or with one that has over 65,535 bytes.
pub(in crate::media) fn hvcc(sets: [&[&[u8]]; 3], nal_length_size: u8) -> Option<Vec<u8>> {
    let [vps, sps, pps] = sets;
    let vps: Vec<Vps> = vps
        .iter()
        .map(|unit| self::vps(unit))
        .collect::<Option<_>>()?;
    let sps: Vec<Sps> = sps
        .iter()
        .map(|unit| self::sps(unit))
        .collect::<Option<_>>()?;
    let pps: Vec<Pps> = pps
        .iter()
        .map(|unit| self::pps(unit))
        .collect::<Option<_>>()?;
    let last = sps.last()?;
    let profiles = || {
        let sps = sps.iter().map(|sps| sps.profile);
        vps.iter().map(|vps| vps.profile).chain(sps)
    };
    let layers = || {
        vps.iter()
            .map(|vps| vps.layers)
            .chain(sps.iter().map(|sps| sps.layers))
    };
    if vps.is_empty() || pps.is_empty() {
        return None;
    }

    // ISO/IEC 14496-15 §8.3.3.1.2: what holds for all of them.
    let tier = profiles().any(|profile| profile.tier);
    let idc = profiles().map(|profile| profile.idc).max()?;
    let compatibility = profiles().fold(!0, |all, profile| all & profile.compatibility);
    let constraints = profiles().fold(!0, |all, profile| all & profile.constraints);
    // The level of the highest tier counts.
    let level = profiles().filter(|profile| profile.tier == tier);
    let level = level.map(|profile| profile.level).max()?;
    let segmentation = sps.iter().filter_map(|sps| sps.segmentation).min();
    let segmentation = segmentation.unwrap_or_default();

    let mut out = vec![1, last.profile.space << 6 | u8::from(tier) << 5 | idc];
    out.extend(compatibility.to_be_bytes());
    out.extend(&constraints.to_be_bytes()[2..]);
    out.push(level);
    out.extend((0xF000 | segmentation).to_be_bytes());
    out.push(
        0xFC | if segmentation == 0 {
            0
        } else {
            parallelism(&pps)
        },
    );
    out.push(0xFC | last.chroma_format);
    out.push(0xF8 | last.luma_minus8 & 7);
    out.push(0xF8 | last.chroma_minus8 & 7);
    out.extend([0, 0]); // the average frame rate is not known
    let length_size = nal_length_size.checked_sub(1)?;
    out.push(layers().max()? << 3 | u8::from(last.nesting) << 2 | length_size);
    out.push(3);
    for (unit_type, units) in [VPS, SPS, PPS].into_iter().zip(sets) {
        out.push(unit_type); // array_completeness 0: more of them may be in the stream
        out.extend(u16::try_from(units.len()).ok()?.to_be_bytes());
        push_units(&mut out, units)?;
    }
    Some(out)
}

/// `parallelismType`: 1 slices, 2 tiles, 3 wavefronts, 0 mixed or unknown.
fn parallelism(pps: &[Pps]) -> u8 {
    let mut kinds = pps.iter().map(|pps| match pps.parallel {
        Some((false, false)) => 1,
        Some((true, false)) => 2,
        Some((false, true)) => 3,
        Some((true, true)) | None => 0,
    });
    let first = kinds.next().unwrap_or_default();
    if kinds.all(|kind| kind == first) {
        first
    } else {
        0
    }
}
