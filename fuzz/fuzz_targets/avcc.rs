//! Codec private data of H.264 and the lengths in access units, from caps and demuxers. The input is an avcC record.
//!
//! Nothing panics; what is accepted is accepted again, with whatever follows it, and nothing less is.
#![no_main]

use gstkvssink::internals::media::{Avcc, Codec, InvalidAvcc, Track, check_nal_lengths};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    record(bytes);
    // Mutations seldom leave the lengths intact that lead to a parameter set: here it is one for sure.
    if let Ok(length) = u16::try_from(bytes.len()) {
        let header = [&[1, 77, 64, 31, 0xFF, 0xE1][..], &length.to_be_bytes()].concat();
        record(&[&header, bytes, &[1, 0, 4, 0x68, 0xCE, 0x0F, 0xC8]].concat());
    }
    for size in 0..=8 {
        let accepted = check_nal_lengths(bytes, size).is_ok();
        assert_eq!(accepted, units_fill(bytes, usize::from(size)), "{size}");
    }
});

fn record(record: &[u8]) {
    let Ok(avcc) = Avcc::parse(record) else {
        let track = Track::video(Codec::H264, record.to_vec().into(), 16, 16);
        return assert!(track.is_err(), "what is no avcC makes no track");
    };
    assert!(matches!(avcc.nal_length_size(), 1 | 2 | 4));
    assert!(avcc.dimensions().is_none_or(|(w, h)| w > 0 && h > 0));
    assert_eq!((avcc.profile(), avcc.level()), (record[1], record[3]));
    // High profiles append fields, and some muxers padding.
    let longer = [record, &[0xFD, 0xF8, 0xF8, 0]].concat();
    assert_eq!(Avcc::parse(&longer), Ok(avcc));
    // From its end on, every longer part of it says the same, and every shorter one is refused. Of the fields that only
    // profiles with a chroma format have there are all or none.
    let mut whole = false;
    for end in 0..=record.len() {
        match Avcc::parse(&record[..end]) {
            Ok(part) => {
                assert_eq!(part, avcc);
                whole = true;
            }
            Err(InvalidAvcc::Truncated { .. }) if !matches!(avcc.profile(), 66 | 77 | 88) => {}
            Err(error) => assert!(!whole, "cut at {end}: {error}"),
        }
    }
    let track = Track::video(Codec::H264, record.to_vec().into(), 16, 16).unwrap();
    assert_eq!(track.codec_private(), record);
}

/// The same rule, said in another way.
fn units_fill(bytes: &[u8], size: usize) -> bool {
    if !(1..=4).contains(&size) || bytes.is_empty() {
        return false;
    }
    let mut at = 0;
    while at + size <= bytes.len() {
        let mut length = [0; 8];
        length[8 - size..].copy_from_slice(&bytes[at..at + size]);
        at += size + u64::from_be_bytes(length) as usize;
    }
    at == bytes.len()
}
