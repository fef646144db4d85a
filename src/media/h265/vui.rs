//! H.265's SPS from the picture order count on: only to reach `min_spatial_segmentation_idc`, which hvcC repeats.
//!
//! Syntax: ITU-T H.265 §7.3.2.2 (SPS), §7.3.4 (scaling lists), §7.3.7 (reference picture sets), §E.2 (VUI, HRD).

use crate::media::nal::Bits;

/// Limits of §7.4.3.2 and §E.3.
const MAX_SETS: u32 = 64;
const MAX_PICTURES: u32 = 16;
const MAX_LONG_TERM: u32 = 32;
const MAX_CPB: u32 = 31;
const MAX_SEGMENTATION: u32 = 4095;
const EXTENDED_ASPECT_RATIO: u32 = 255;

/// `min_spatial_segmentation_idc`. The reader stands behind the bit depths.
pub(super) fn segmentation(bits: &mut Bits<'_>, max_sub_layers_minus1: u32) -> Option<u16> {
    let order_bits = bits.ue_max(12)? + 4;
    let layers = match bits.flag()? {
        true => max_sub_layers_minus1 + 1,
        false => 1,
    };
    bits.skip_ue(3 * layers)?; // sizes of the decoder's picture buffer
    bits.skip_ue(6)?; // sizes of blocks
    if bits.flag()? && bits.flag()? {
        scaling_lists(bits)?;
    }
    bits.skip(2)?; // asymmetric motion, sample adaptive offset
    if bits.flag()? {
        bits.skip(8)?; // PCM bit depths
        bits.skip_ue(2)?;
        bits.skip(1)?;
    }
    reference_picture_sets(bits)?;
    if bits.flag()? {
        for _ in 0..bits.ue_max(MAX_LONG_TERM)? {
            bits.skip(order_bits + 1)?;
        }
    }
    bits.skip(2)?; // temporal motion vectors, strong smoothing
    if !bits.flag()? {
        return None;
    }
    vui(bits, max_sub_layers_minus1)
}

fn scaling_lists(bits: &mut Bits<'_>) -> Option<()> {
    for size in 0..4 {
        for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
            if bits.flag()? {
                let coefficients = 64.min(1 << (4 + 2 * size));
                bits.skip_ue(u32::from(size > 1) + coefficients)?;
            } else {
                bits.skip_ue(1)?; // copied from another list
            }
        }
    }
    Some(())
}

fn reference_picture_sets(bits: &mut Bits<'_>) -> Option<()> {
    let mut pictures = 0;
    for set in 0..bits.ue_max(MAX_SETS)? {
        // A set may be told as the difference to the one before.
        if set > 0 && bits.flag()? {
            bits.skip(1)?; // sign
            bits.skip_ue(1)?; // difference
            let mut kept = 0;
            for _ in 0..=pictures {
                kept += u32::from(bits.flag()? || bits.flag()?);
            }
            pictures = kept;
        } else {
            let (before, after) = (bits.ue_max(MAX_PICTURES)?, bits.ue_max(MAX_PICTURES)?);
            pictures = before + after;
            for _ in 0..pictures {
                bits.skip_ue(1)?;
                bits.skip(1)?;
            }
        }
    }
    Some(())
}

fn vui(bits: &mut Bits<'_>, max_sub_layers_minus1: u32) -> Option<u16> {
    if bits.flag()? && bits.u(8)? == EXTENDED_ASPECT_RATIO {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.skip(1)?; // overscan
    }
    if bits.flag()? {
        bits.skip(3 + 1)?; // video format, full range
        if bits.flag()? {
            bits.skip(24)?; // colours
        }
    }
    if bits.flag()? {
        bits.skip_ue(2)?; // place of chroma samples
    }
    bits.skip(3)?; // neutral chroma, fields, frame or field
    if bits.flag()? {
        bits.skip_ue(4)?; // default display window
    }
    if bits.flag()? {
        bits.skip(64)?; // units in a tick, time scale
        if bits.flag()? {
            bits.skip_ue(1)?; // ticks of the picture order count
        }
        if bits.flag()? {
            hrd(bits, max_sub_layers_minus1)?;
        }
    }
    if !bits.flag()? {
        return None;
    }
    bits.skip(3)?; // tiles, motion vectors, reference lists
    u16::try_from(bits.ue_max(MAX_SEGMENTATION)?).ok()
}

/// `hrd_parameters(1, max_sub_layers_minus1)`
fn hrd(bits: &mut Bits<'_>, max_sub_layers_minus1: u32) -> Option<()> {
    let kinds = u32::from(bits.flag()?) + u32::from(bits.flag()?); // of NAL units, of VCL
    let mut sub_pictures = false;
    if kinds > 0 {
        sub_pictures = bits.flag()?;
        if sub_pictures {
            bits.skip(8 + 5 + 1 + 5)?;
        }
        bits.skip(4 + 4)?; // scales
        if sub_pictures {
            bits.skip(4)?;
        }
        bits.skip(5 + 5 + 5)?; // lengths
    }
    for _ in 0..=max_sub_layers_minus1 {
        let fixed = bits.flag()? || bits.flag()?;
        let mut low_delay = false;
        if fixed {
            bits.skip_ue(1)?; // duration
        } else {
            low_delay = bits.flag()?;
        }
        let buffers = match low_delay {
            true => 1,
            false => bits.ue_max(MAX_CPB)? + 1,
        };
        for _ in 0..kinds * buffers {
            bits.skip_ue(if sub_pictures { 4 } else { 2 })?;
            bits.skip(1)?;
        }
    }
    Some(())
}
