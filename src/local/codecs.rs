//! What codec private data must be, so that what is stored plays: strictly, by the standards, and by what the rest of the
//! track's header says. The service itself looks at none of it.
//!
//! In: codec id, codec private data, the Audio element. Out: how long a frame's parts are, or why it is refused.
//! Does not belong here: the other elements of a track (`tracks`).

use h264_reader::avcc::AvcDecoderConfigurationRecord;
use h264_reader::rbsp::decode_nal;

use super::tracks::{Refused, invalid};

/// Sampling frequencies of AAC by index.
const AAC_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// What the Audio element says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Audio {
    /// SamplingFrequency.
    pub(crate) rate: f64,
    /// Channels.
    pub(crate) channels: u64,
    /// BitDepth.
    pub(crate) bits: Option<u64>,
}

/// What the frames of a track must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frames {
    /// NAL units behind lengths of so many bytes.
    NalUnits(usize),
    /// AAC without ADTS headers.
    Aac,
    /// Samples of so many channels, a byte each.
    Samples(usize),
    /// Of a codec that is not known here.
    Any,
}

/// What the service calls the codecs that it plays back, in the media type of a stream.
pub(crate) fn media_type(codec: &str, private: &[u8]) -> Option<&'static str> {
    match (codec, private) {
        ("V_MPEG4/ISO/AVC", _) => Some("video/h264"),
        ("V_MPEGH/ISO/HEVC", _) => Some("video/h265"),
        ("A_AAC", _) => Some("audio/aac"),
        ("A_MS/ACM", [6, 0, ..]) => Some("audio/alaw"),
        ("A_MS/ACM", [7, 0, ..]) => Some("audio/mulaw"),
        _ => None,
    }
}

/// Checks the codec private data of a track.
pub(crate) fn check(
    codec: &str,
    private: Option<&[u8]>,
    audio: Option<Audio>,
) -> Result<Frames, Refused> {
    let private = || private.ok_or_else(|| invalid(format!("{codec} without CodecPrivate")));
    let audio = || audio.ok_or_else(|| invalid(format!("{codec} without an Audio element")));
    match codec {
        "V_MPEG4/ISO/AVC" => avcc_nal_length(private()?).map(Frames::NalUnits),
        "V_MPEGH/ISO/HEVC" => hvcc_nal_length(private()?).map(Frames::NalUnits),
        "A_AAC" => {
            aac(private()?, audio()?)
                .map_err(|what| invalid(format!("AudioSpecificConfig: {what}")))?;
            Ok(Frames::Aac)
        }
        "A_MS/ACM" => {
            let channels = acm(private()?, audio()?);
            let channels = channels.map_err(|what| invalid(format!("WAVEFORMATEX: {what}")))?;
            Ok(Frames::Samples(channels))
        }
        _ => Ok(Frames::Any),
    }
}

/// Bytes of a NAL unit's length by an avcC, whose parameter sets must be readable.
fn avcc_nal_length(avcc: &[u8]) -> Result<usize, Refused> {
    let wrong = |what: String| invalid(format!("avcC: {what}"));
    // The crate indexes into parameter sets before it checks that they are not empty.
    let (sizes, rest) = parameter_set_sizes(avcc).ok_or_else(|| wrong("cut off".into()))?;
    if sizes.contains(&0) {
        return Err(wrong("an empty parameter set".into()));
    }
    let record =
        AvcDecoderConfigurationRecord::try_from(avcc).map_err(|e| wrong(format!("{e:?}")))?;
    if record.num_of_sequence_parameter_sets() == 0
        || record.picture_parameter_sets().next().is_none()
    {
        return Err(wrong("no SPS or no PPS".into()));
    }
    let context = record
        .create_context()
        .map_err(|e| wrong(format!("{e:?}")))?;
    // What High profiles add may be missing (h264parse leaves it out), but not be wrong.
    if let (&[chroma, luma, ..], Some(sps)) = (rest, context.sps().next())
        && sps.profile_idc.has_chroma_info()
    {
        let said = &sps.chroma_info;
        let format = 0xFC | said.chroma_format.to_u32();
        if u32::from(chroma) != format || luma != 0xF8 | said.bit_depth_luma_minus8 {
            return Err(wrong(
                "another chroma format or bit depth than its SPS".into(),
            ));
        }
    }
    match record.length_size_minus_one() {
        2 => Err(wrong("NAL lengths of three bytes".into())),
        less => Ok(usize::from(less) + 1),
    }
}

/// Sizes of the SPS and PPS of an avcC, and what stands behind them.
fn parameter_set_sizes(avcc: &[u8]) -> Option<(Vec<usize>, &[u8])> {
    let mut sizes = Vec::new();
    let mut rest = avcc.get(5..)?;
    for mask in [0x1F, 0xFF] {
        let (&count, after) = rest.split_first()?;
        rest = after;
        for _ in 0..count & mask {
            let (size, after) = rest.split_first_chunk::<2>()?;
            let size = usize::from(u16::from_be_bytes(*size));
            rest = after.get(size..)?;
            sizes.push(size);
        }
    }
    Some((sizes, rest))
}

/// Bytes of a NAL unit's length by an hvcC.
fn hvcc_nal_length(hvcc: &[u8]) -> Result<usize, Refused> {
    check_hvcc(hvcc).map_err(|what| invalid(format!("hvcC: {what}")))
}

fn check_hvcc(hvcc: &[u8]) -> Result<usize, &'static str> {
    let (head, mut rest) = hvcc.split_at_checked(23).ok_or("cut off")?;
    if head[0] != 1 {
        return Err("another version than 1");
    }
    // Bits that are reserved are ones, ISO/IEC 14496-15 §8.3.3.1.2.
    for (at, mask) in [(13, 0xF0), (15, 0xFC), (16, 0xFC), (17, 0xF8), (18, 0xF8)] {
        if head[at] & mask != mask {
            return Err("a reserved bit is 0");
        }
    }
    if head[21] >> 3 & 7 == 0 {
        return Err("no temporal layer");
    }
    let mut found = [false; 3];
    for _ in 0..head[22] {
        let (array, mut units) = rest.split_first_chunk::<3>().ok_or("cut off")?;
        let kind = array[0] & 0x3F;
        if array[0] & 0x40 != 0 || !matches!(kind, 32..=34 | 39 | 40) {
            return Err("an array of something else than parameter sets and SEI");
        }
        for _ in 0..u16::from_be_bytes([array[1], array[2]]) {
            let (len, after) = units.split_first_chunk().ok_or("cut off")?;
            let len = usize::from(u16::from_be_bytes(*len));
            let (unit, after) = after.split_at_checked(len).ok_or("cut off")?;
            units = after;
            if unit.len() < 3 || unit[0] != kind << 1 {
                return Err("a NAL unit in the wrong array");
            }
            if kind == 33 {
                check_profile(head, unit)?;
            }
            if let Some(found) = found.get_mut(usize::from(kind) - 32) {
                *found = true;
            }
        }
        rest = units;
    }
    if found.contains(&false) {
        return Err("no VPS, SPS or PPS");
    }
    match head[21] & 3 {
        2 => Err("NAL lengths of three bytes"),
        less => Ok(usize::from(less) + 1),
    }
}

/// The profile, tier and level of the record must hold for the SPS.
fn check_profile(head: &[u8], sps: &[u8]) -> Result<(), &'static str> {
    // The head of an SPS, and its profile_tier_level(), begin with whole bytes.
    let sps = decode_nal(sps).map_err(|_| "an SPS that cannot be read")?;
    // decode_nal drops the first byte of the NAL unit's header; one is left, and one of the SPS stands before.
    let profile = sps.get(2..14).ok_or("an SPS that is cut off")?;
    let flags = |bytes: &[u8]| u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
    if head[1] & 0x1F < profile[0] & 0x1F {
        return Err("a smaller profile than its SPS");
    }
    if flags(&head[1..]) & !flags(profile) != 0 {
        return Err("compatible with profiles that its SPS is not");
    }
    let (tier, level) = (head[1] & 0x20, head[12]);
    if (tier, level) < (profile[0] & 0x20, profile[11]) {
        return Err("a lower tier or level than its SPS");
    }
    let layers = (sps[1] >> 1 & 7) + 1;
    if head[21] >> 3 & 7 < layers {
        return Err("fewer temporal layers than its SPS");
    }
    Ok(())
}

/// An AudioSpecificConfig must begin with what the Audio element says.
fn aac(config: &[u8], audio: Audio) -> Result<(), String> {
    let bits = |at: usize, len: usize| -> Result<u32, String> {
        let mut value = 0;
        for bit in at..at + len {
            let byte = config.get(bit / 8).ok_or("cut off")?;
            value = value << 1 | u32::from(byte >> (7 - bit % 8) & 1);
        }
        Ok(value)
    };
    let mut at = 5;
    match bits(0, 5)? {
        0 => return Err("no audio object type".into()),
        31 => at += 6,
        _ => {}
    }
    let index = bits(at, 4)?;
    at += 4;
    let rate = match (index, AAC_RATES.get(index as usize)) {
        (_, Some(&rate)) => rate,
        (15, _) => {
            at += 24;
            bits(at - 24, 24)?
        }
        _ => return Err(format!("sampling frequency index {index}")),
    };
    if audio.rate != f64::from(rate) {
        return Err(format!("{rate} Hz, and SamplingFrequency {}", audio.rate));
    }
    let channels = match bits(at, 4)? {
        0 => audio.channels, // a program config element says it
        configuration @ 1..=6 => configuration.into(),
        7 | 12 | 14 => 8,
        11 => 7,
        13 => 24,
        configuration => return Err(format!("channel configuration {configuration}")),
    };
    if audio.channels != channels {
        return Err(format!(
            "{channels} channels, and Channels {}",
            audio.channels
        ));
    }
    Ok(())
}

/// A WAVEFORMATEX of G.711 must say what the Audio element says; its channels.
fn acm(format: &[u8], audio: Audio) -> Result<usize, String> {
    let short = |at: usize| u64::from(format[at]) | u64::from(format[at + 1]) << 8;
    let long = |at: usize| short(at) | short(at + 2) << 16;
    if format.len() < 18 {
        return Err(format!("{} bytes", format.len()));
    }
    if !matches!(short(0), 6 | 7) {
        return Err(format!("format tag {}", short(0)));
    }
    let channels = short(2);
    let rate = long(4);
    for (what, is, should_be) in [
        ("channels", channels, audio.channels),
        ("bytes per second", long(8), rate * channels),
        ("bytes per block", short(12), channels),
        ("bits per sample", short(14), 8),
        ("bytes behind it", short(16), format.len() as u64 - 18),
        ("BitDepth", audio.bits.unwrap_or(8), 8),
    ] {
        if is != should_be {
            return Err(format!("{is} {what}, and not {should_be}"));
        }
    }
    if audio.rate != rate as f64 {
        return Err(format!("{rate} Hz, and SamplingFrequency {}", audio.rate));
    }
    usize::try_from(channels).map_err(|_| "too many channels".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::super::sample::{ALAW, AVCC, HVCC};
    use super::*;

    const STEREO: Audio = Audio {
        rate: 48_000.0,
        channels: 2,
        bits: None,
    };
    const TELEPHONE: Audio = Audio {
        rate: 8_000.0,
        channels: 1,
        bits: Some(8),
    };

    #[test]
    fn real_records_are_taken() {
        let taken = |codec, private, audio| check(codec, Some(private), audio).unwrap();
        assert_eq!(taken("V_MPEG4/ISO/AVC", AVCC, None), Frames::NalUnits(4));
        assert_eq!(taken("V_MPEGH/ISO/HEVC", HVCC, None), Frames::NalUnits(4));
        assert_eq!(taken("A_AAC", &[0x11, 0x90], Some(STEREO)), Frames::Aac);
        assert_eq!(taken("A_MS/ACM", ALAW, Some(TELEPHONE)), Frames::Samples(1));
        assert_eq!(check("V_AV1", None, None), Ok(Frames::Any));
    }

    #[test]
    fn an_avcc_or_hvcc_cut_anywhere_is_refused() {
        for end in 0..AVCC.len() {
            assert!(avcc_nal_length(&AVCC[..end]).is_err(), "cut at {end}");
        }
        for end in 0..HVCC.len() {
            assert!(hvcc_nal_length(&HVCC[..end]).is_err(), "cut at {end}");
        }
    }

    #[test_case(0, 0 => "another version than 1")]
    #[test_case(1, 0 => "a smaller profile than its SPS")]
    #[test_case(2, 0xFF => "compatible with profiles that its SPS is not")]
    #[test_case(12, 1 => "a lower tier or level than its SPS")]
    #[test_case(13, 0 => "a reserved bit is 0"; "segmentation")]
    #[test_case(15, 0 => "a reserved bit is 0"; "parallelism")]
    #[test_case(21, 0x07 => "no temporal layer")]
    #[test_case(21, 0x0E => "NAL lengths of three bytes")]
    #[test_case(22, 2 => "no VPS, SPS or PPS")]
    #[test_case(23, 0x23 => "an array of something else than parameter sets and SEI")]
    #[test_case(23, 0x21 => "a NAL unit in the wrong array")]
    fn a_wrong_field_of_hvcc_is_refused(at: usize, byte: u8) -> &'static str {
        let mut record = HVCC.to_vec();
        record[at] = byte;
        check_hvcc(&record).unwrap_err()
    }

    #[test_case(&[0x11, 0x90], 44_100.0, 2 => "48000 Hz, and SamplingFrequency 44100")]
    #[test_case(&[0x11, 0x90], 48_000.0, 1 => "2 channels, and Channels 1")]
    #[test_case(&[0x11], 48_000.0, 2 => "cut off")]
    #[test_case(&[0x01, 0x90], 48_000.0, 2 => "no audio object type")]
    #[test_case(&[0x16, 0x90], 48_000.0, 2 => "sampling frequency index 13")]
    #[test_case(&[0x11, 0xC8], 48_000.0, 2 => "channel configuration 9")]
    fn a_wrong_config_is_refused(config: &[u8], rate: f64, channels: u64) -> String {
        let bits = None;
        let audio = Audio {
            rate,
            channels,
            bits,
        };
        aac(config, audio).unwrap_err()
    }

    #[test_case(0, 1 => "format tag 1")]
    #[test_case(2, 2 => "2 channels, and not 1")]
    #[test_case(5, 0 => "64 Hz, and SamplingFrequency 8000"; "rate")]
    #[test_case(8, 0 => "7936 bytes per second, and not 8000")]
    #[test_case(12, 0 => "0 bytes per block, and not 1")]
    #[test_case(14, 0 => "0 bits per sample, and not 8"; "as AWS's sink writes it")]
    #[test_case(16, 2 => "2 bytes behind it, and not 0")]
    fn a_wrong_field_of_a_wave_format_is_refused(at: usize, byte: u8) -> String {
        let mut format = ALAW.to_vec();
        format[at] = byte;
        if at == 5 {
            format[9] = 0;
        }
        acm(&format, TELEPHONE).unwrap_err()
    }

    proptest! {
        #[test]
        fn no_record_makes_it_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            len in any::<prop::sample::Index>(),
        ) {
            for (codec, record) in [
                ("V_MPEG4/ISO/AVC", AVCC),
                ("V_MPEGH/ISO/HEVC", HVCC),
                ("A_AAC", &[0x11, 0x90, 0x56, 0xE5]),
                ("A_MS/ACM", ALAW),
            ] {
                let mut record = record.to_vec();
                for (at, byte) in &changes {
                    let at = at.index(record.len());
                    record[at] = *byte;
                }
                let _ = check(codec, Some(&record), Some(TELEPHONE));
                record.truncate(len.index(record.len()));
                let _ = check(codec, Some(&record), Some(TELEPHONE));
            }
        }
    }
}
